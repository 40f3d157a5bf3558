"""A Proxmox host's interfaces by its description: bridges, bonds, addresses, links to one host."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from homelab_lib.control.proxmox.links import USUAL_MTU, Link
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.network import Cable
from homelab_lib.lab.ports import Bond, HostPort, static
from homelab_lib.wiring import direct_links as wiring
from homelab_lib.wiring.direct_links import in_one_network

_BOND_MODES = {"lacp": "802.3ad"}


@dataclass(frozen=True)
class Direct:
    """A link from a host to another one, with no switch between.

    Parameters
    ----------
    port, interface, mtu
        This end: the lab's port, its interface, its largest packet [bytes].
    peer, peer_port, peer_address
        The other end, and the address that answers there.
    cable
        What is between.
    """

    port: str
    interface: str
    mtu: int
    peer: Host
    peer_port: str
    peer_address: str
    cable: Cable


def direct_links(lab: Lab, host: Host) -> Iterator[Direct]:
    """The links of a host that lead to another host, with addresses of one network at both ends."""
    for link in wiring.direct_links(lab, host.name):
        near, far = link.seen_from(host.name)
        if near.port.interface and in_one_network(link):
            yield Direct(
                near.name,
                near.port.interface,
                near.port.mtu,
                lab.hosts[far.host],
                far.name,
                far.address,
                link.cable,
            )


def wanted_links(lab: Lab, host: Host) -> Iterator[Link]:
    """The interfaces of a host as they are to be; those that get their address from elsewhere, and
    those of which nothing is wanted, are left alone.

    One interface has the gateway: that by which the host is reached. A direct link whose VLAN has
    one gets it too, so that the contradiction is seen where it would do harm.
    """
    direct = {link.port for link in direct_links(lab, host)}
    way_in = _way_in(lab, host)
    found: dict[str, Link] = {}
    for port in host.attached.values():
        if not port.interface or port.automatic or _in_a_bond(host, port):
            continue
        for link in _links_of(lab, host, port, way_in, direct=port.name in direct):
            before = found.get(link.iface)
            joined = (*(before.ports if before else ()), *link.ports)
            found[link.iface] = replace(link, ports=joined)
    yield from found.values()


def _in_a_bond(host: Host, port: HostPort | Bond) -> bool:
    return isinstance(port, HostPort) and host.bond_of(port.name) is not None


def _way_in(lab: Lab, host: Host) -> str:
    """The address by which the host is reached; where that is a name, the first with a router."""
    known = [(port.vlan, cidr) for port in host.attached.values()
             for cidr in static(port.on_untagged)]  # fmt: skip
    known += [(tag, cidr) for port in host.attached.values()
              for tag, written in port.on_tagged.items() for cidr in static(written)]  # fmt: skip
    login = host.ssh.address if host.ssh else ""
    exact = (cidr for _, cidr in known if cidr.partition("/")[0] == login)
    routed = (cidr for vlan, cidr in known if _gateway(lab, vlan, cidr))
    return next(exact, next(routed, ""))


def _links_of(
    lab: Lab, host: Host, port: HostPort | Bond, way_in: str, *, direct: bool
) -> Iterator[Link]:
    four, six = _addresses(port.on_untagged)
    own = str(port.interface)
    low = Link(own, "eth", mtu=port.mtu, direct=direct)
    if isinstance(port, Bond):
        members = tuple(str(host.ports[name].interface or name) for name in port.members)
        mode = _BOND_MODES.get(port.kind, port.kind)
        low = Link(own, "bond", mtu=port.mtu, ports=members, bond_mode=mode)
    gateway = _gateway(lab, port.vlan, four) if direct or four == way_in else ""
    if port.bridge:
        if low.kind == "bond" or port.mtu != USUAL_MTU:
            yield low
        yield Link(port.bridge, "bridge", four, six, gateway, port.mtu, (own,), vlan_aware=True)
    elif four or six or low.kind == "bond" or port.mtu != USUAL_MTU:
        yield replace(low, cidr=four, cidr6=six, gateway=gateway)
    for tag, written in port.on_tagged.items():
        four, six = _addresses(written)
        if four or six:
            way_out = _gateway(lab, tag, four) if four == way_in else ""
            kind: Literal["vlan"] = "vlan"
            yield Link(f"{port.bridge or own}.{tag}", kind, four, six, way_out, port.mtu)


def _addresses(written: tuple[str, ...]) -> tuple[str, str]:
    """The first address of each family; empty for none."""
    four = (cidr for cidr in static(written) if ":" not in cidr)
    six = (cidr for cidr in static(written) if ":" in cidr)
    return next(four, ""), next(six, "")


def _gateway(lab: Lab, vlan: int | None, cidr: str) -> str:
    """The router of an interface's network, where the lab has one and it is another machine."""
    known = lab.vlans.get(vlan or 0)
    if known is None or not known.gateway or not cidr:
        return ""
    inside = ipaddress.ip_address(known.gateway) in ipaddress.ip_interface(cidr).network
    return known.gateway if inside and known.gateway != cidr.partition("/")[0] else ""
