"""Cables from one machine straight to another, and gateways that they must not have."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from homelab_lib.lab import Lab
from homelab_lib.lab.network import Cable
from homelab_lib.lab.ports import Bond, HostPort


@dataclass(frozen=True)
class LinkEnd:
    """One end of a cable at a machine.

    Parameters
    ----------
    host, name
        The machine, and the name of its port; that of the bond where it is in one.
    port
        What carries the address there.
    """

    host: str
    name: str
    port: HostPort | Bond

    @property
    def interface(self) -> str:
        """What the machine calls it."""
        return self.port.bridge or self.port.interface or self.name

    @property
    def address(self) -> str:
        """Its address without the prefix length; empty for none that is written out."""
        return (self.port.address or "").partition("/")[0]


@dataclass(frozen=True)
class DirectLink:
    """A cable between two machines.

    Parameters
    ----------
    cable
        The cable.
    a, b
        Its ends.
    """

    cable: Cable
    a: LinkEnd
    b: LinkEnd

    def seen_from(self, host: str) -> tuple[LinkEnd, LinkEnd]:
        """A machine's own end, and the other."""
        return (self.a, self.b) if self.a.host == host else (self.b, self.a)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a link.

    Parameters
    ----------
    place
        The path in the lab: ``vlans.60.gateway``.
    says, fix
        What, and what to do.
    """

    place: str
    says: str
    fix: str


def direct_links(lab: Lab, host: str | None = None) -> list[DirectLink]:
    """The cables between two machines, those of one machine or all."""
    found = []
    for cable in lab.cables:
        ends = [_end(lab, place) for place in (cable.a, cable.b)]
        if None not in ends and (host is None or host in [each.host for each in ends if each]):
            a, b = (each for each in ends if each is not None)
            found.append(DirectLink(cable, a, b))
    return found


def _end(lab: Lab, place: str) -> LinkEnd | None:
    owner, _, name = place.partition(".")
    machine = lab.hosts.get(owner)
    if machine is None:
        return None
    bond = machine.bond_of(name)
    return LinkEnd(owner, bond.name if bond else name, bond or machine.ports[name])


def gateway_faults(lab: Lab, host: str | None = None) -> Iterator[Fault]:
    """Direct links with a gateway, besides the one that their machine has already."""
    for link in direct_links(lab, host):
        for end, other in ((link.a, link.b), (link.b, link.a)):
            vlan, routes = _vlan(lab, end), gateways(lab, end.host)
            others = [gateway for name, gateway in routes.items() if name != end.name]
            mine = vlan is not None and routes.get(end.name) == other.address
            if mine and others and host in (None, end.host):
                yield Fault(
                    f"vlans.{vlan}.gateway",
                    f"{end.interface} of {end.host} is a direct link to {other.host}, and VLAN "
                    f"{vlan} gives it the gateway {other.address} besides {others[0]}: a machine "
                    "has one default route, and by this one its answers to everybody else would "
                    f"go to {other.host}",
                    f"take the gateway out of VLAN {vlan}: a direct link needs none",
                )


def gateways(lab: Lab, host: str) -> dict[str, str]:
    """The gateway of each port of a machine whose network has one that is not the machine."""
    machine = lab.hosts[host]
    own = {cidr.partition("/")[0] for cidr in machine.cidrs}
    found = {}
    for name, port in machine.attached.items():
        vlan = _vlan(lab, LinkEnd(host, name, port))
        gateway = lab.vlans[vlan].gateway if vlan is not None else None
        if gateway and gateway not in own:
            found[name] = gateway
    return found


def _vlan(lab: Lab, end: LinkEnd) -> int | None:
    """The VLAN whose network its address is in, or that its untagged frames belong to."""
    if end.address:
        at = ip_address(end.address)
        for number, vlan in lab.vlans.items():
            if at in ip_network(vlan.subnet):
                return number
        return None
    return end.port.vlan if end.port.on_untagged and end.port.vlan in lab.vlans else None


def in_one_network(link: DirectLink) -> bool:
    """Whether both ends have addresses, in one network."""
    a, b = link.a.port.address, link.b.port.address
    return bool(a and b) and ip_interface(a or "").network == ip_interface(b or "").network
