"""What a lab's cables come up at: the one place where the description meets the model of links."""

from homelab_lib.lab import Lab
from homelab_lib.lab.cabling import TransceiverPart
from homelab_lib.lab.network import Cable
from homelab_lib.models.links import End, LinkSpeed, Module, link_speed


def cable_speed(lab: Lab, cable: Cable) -> LinkSpeed:
    """What a cable comes up at; 0 bit/s where it does not, with the reason.

    Parameters
    ----------
    lab, cable
        The lab, and one of its cables.
    """
    part = cable.part
    return link_speed(
        _end(lab, cable.a, cable.a_transceiver),
        _end(lab, cable.b, cable.b_transceiver),
        cable.medium,
        length_m=cable.length_m,
        plugs=part.connectors if part else None,
        reach_m={each.speed_bps: each.length_m for each in part.reach} if part else None,
    )


def cable_mtu(lab: Lab, cable: Cable) -> int | None:
    """The largest packet that both ends of a cable take [bytes]; None where neither is a host's."""
    ends = [place.partition(".") for place in (cable.a, cable.b)]
    sizes = [lab.hosts[host].on_wire(port).mtu for host, _, port in ends if host in lab.hosts]
    return min(sizes, default=None)


def rate_between(lab: Lab, a: str, b: str) -> int | None:
    """What the slower of two machines' links carries [bit/s].

    Parameters
    ----------
    lab, a, b
        The lab, and two of its machines: hosts, or VMs, which use their hosts' links.

    Returns
    -------
    int or None
        None where both are on one host, so that no cable is between them, or where the lab does
        not say how one is connected.
    """
    if _host_of(lab, a) == _host_of(lab, b):
        return None
    rates = [_rate(lab, machine) for machine in (a, b)]
    return min(rates) if all(rates) else None


def _host_of(lab: Lab, machine: str) -> str:
    vm = lab.vms.get(machine)
    return vm.host if vm is not None else machine


def _rate(lab: Lab, machine: str) -> int:
    """The rate of the link by which a machine is reached [bit/s]; 0 where nothing says it."""
    host, vm = lab.hosts[_host_of(lab, machine)], lab.vms.get(machine)
    login = host.ssh
    ports = [
        name
        for name, port in host.ports.items()
        if (host.segment(name) == vm.bridge if vm else
            login is not None and (port.address or "").partition("/")[0] == login.address)
    ]  # fmt: skip
    ends = {f"{host.name}.{name}" for name in ports}
    speeds = [
        cable_speed(lab, cable).speed_bps for cable in lab.cables if {cable.a, cable.b} & ends
    ]
    return int(max(speeds, default=0))


def _end(lab: Lab, place: str, module: TransceiverPart | None) -> End:
    owner, _, port_name = place.partition(".")
    port = (lab.hosts.get(owner) or lab.switches[owner]).ports[port_name]
    inside = None
    if module is not None:
        inside = Module(module.cage, module.connector, module.speeds_bps, module.media)
    return End(port.connector, port.speeds_bps, inside, place)
