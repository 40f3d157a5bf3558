"""What a switch's ports carry, and what is wrong with that: worked out in this one place."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.network import Cable, Port, Switch
from homelab_lib.wiring.cables import cable_speed


@dataclass(frozen=True)
class SwitchPortRow:
    """A port of a switch as a person sets it up.

    Parameters
    ----------
    port
        Its name.
    cable, to
        The cable in it, and the cable's other end; empty for none.
    untagged
        The VLAN of frames without a tag; None: as the switch was delivered.
    tagged
        VLANs with a tag.
    speed_bps
        What the cable comes up at; 0 where there is none, or where it does not fit [bit/s].
    note
        What is plugged in there, where it is no host; or why the cable does not fit.
    """

    port: str
    cable: str
    to: str
    untagged: int | None
    tagged: tuple[int, ...]
    speed_bps: float
    note: str


def port_table(lab: Lab, switch: Switch) -> list[SwitchPortRow]:
    """Every port of a switch, in its own order.

    Parameters
    ----------
    lab, switch
        The lab, and one of its switches.
    """
    plugged = _plugged(lab, switch)
    rows = []
    for name, port in switch.ports.items():
        cable, to = plugged.get(name, (None, ""))
        speed = cable_speed(lab, cable) if cable else None
        rows.append(
            SwitchPortRow(
                name,
                cable.name if cable else "",
                to,
                port.vlan,
                tuple(sorted(port.tagged)),
                speed.speed_bps if speed else 0.0,
                (speed.reason if speed and not speed.speed_bps else "") or port.purpose,
            )
        )
    return rows


def _plugged(lab: Lab, switch: Switch) -> dict[str, tuple[Cable, str]]:
    """By port, the cable in it and where that leads."""
    found = {}
    for cable in lab.cables:
        for here, there in ((cable.a, cable.b), (cable.b, cable.a)):
            owner, _, port = here.partition(".")
            if owner == switch.name:
                found[port] = (cable, there)
    return found


def peers(lab: Lab, switch: Switch) -> dict[str, Port]:
    """What is plugged into each port of a switch: the other end's port, as its bond has it."""
    found: dict[str, Port] = {}
    for port, (_, there) in _plugged(lab, switch).items():
        machine, _, other = there.partition(".")
        host = lab.hosts.get(machine)
        found[port] = host.on_wire(other) if host else lab.switches[machine].ports[other]
    return found


def vlans_of(port: Port) -> set[int]:
    """The VLANs that a port carries, tagged and untagged."""
    return set(port.tagged) | ({port.vlan} if port.vlan is not None else set())


def joined(lab: Lab, switch: Switch) -> list[int]:
    """The VLANs that a switch makes one network of, because it knows none; empty where it is
    managed, or carries a single one."""
    carried = sorted({id_ for port in peers(lab, switch).values() for id_ in vlans_of(port)})
    return [] if switch.managed or len(carried) < 2 else carried


def all_one_network(switch: Switch, vlans: list[int]) -> str:
    """What that means, in a sentence."""
    return (
        f"{len(vlans)} VLANs ({', '.join(map(str, vlans))}) meet on {switch.part.title}, "
        "which knows none: all of it is one network, and no rule between them means anything."
    )


def differing(lab: Lab, switch: Switch) -> Iterator[tuple[str, Port, str]]:
    """Ports of a managed switch that are set up otherwise than the other end of their cable.

    Yields
    ------
    tuple
        The port's name, the other end's port, and both in a sentence.
    """
    for name, peer in peers(lab, switch).items() if switch.managed else ():
        port = switch.ports[name]
        if (port.untagged, set(port.tagged)) != (peer.untagged, set(peer.tagged)):
            here, there = carries(port), carries(peer)
            said = f"{switch.name}.{name} carries VLAN {here}, and the other end of its cable "
            yield name, peer, f"{said}{there}."


def carries(port: Port) -> str:
    """A port's VLANs in words."""
    tagged = f", tagged {', '.join(map(str, sorted(port.tagged)))}" if port.tagged else ""
    return f"{port.vlan or 'none'} untagged{tagged}"


def management_vlan(lab: Lab, switch: Switch) -> int | None:
    """The VLAN by which a switch is set up: that of its own address; None where it has none."""
    if switch.address is None:
        return None
    network = ipaddress.ip_interface(switch.address).network
    return next(
        (id_ for id_, vlan in lab.vlans.items() if ipaddress.ip_network(vlan.subnet) == network),
        None,
    )


def spare_ports(lab: Lab, switch: Switch) -> list[str]:
    """Ports without a cable that stay untagged in the VLAN by which the switch is set up."""
    ours = management_vlan(lab, switch)
    plugged = _plugged(lab, switch)
    return [
        name
        for name, port in switch.ports.items()
        if name not in plugged and not port.tagged and port.vlan in (None, ours)
    ]
