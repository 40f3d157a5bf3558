"""Cables, VLANs and addresses."""

import ipaddress
from collections.abc import Iterator
from itertools import combinations

from homelab_lib.lab.checks.addresses import fixed, in_vlan, ip, of_guests, of_host
from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.network import Switch
from homelab_lib.lab.ports import Bond, HostPort, Port

OUTSIDE = ("LAN", "internet")
"""Ends of a promised link that are no machine."""


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _cables(lab)
    yield from _mtus(lab)
    yield from _vlans(lab)
    yield from _ports(lab)
    yield from _addresses(lab)
    yield from _rules_and_links(lab)


def _cables(lab: Lab) -> Iterator[Fault]:
    machines: dict[str, Host | Switch] = {**lab.hosts, **lab.switches}
    ends = [
        (("cables", index, side), getattr(cable, side), cable.medium)
        for index, cable in enumerate(lab.cables)
        for side in ("a", "b")
    ]
    for path, end, _ in ends:
        name, dot, port = end.partition(".")
        if name not in machines:
            yield unknown(path, name, machines, "host or switch")
        elif not dot or port not in machines[name].ports:
            yield unknown(path, port, machines[name].ports, f"port of {name}")
    wired = ((path, end) for path, end, medium in ends if medium != "WiFi")
    yield from twice(wired, "the port")
    for name, switch in lab.switches.items():
        for port in switch.ports:
            if port not in switch.part.ports:
                path = ("switches", name, "ports", port)
                yield unknown(path, port, switch.part.ports, f"port of {switch.part.id}")


def _mtus(lab: Lab) -> Iterator[Fault]:
    """Both ends of a cable take packets of one size."""
    for index, cable in enumerate(lab.cables):
        found = {end: mtu for end in (cable.a, cable.b) if (mtu := _mtu(lab, end)) is not None}
        if len(set(found.values())) > 1:
            said = " and ".join(f"{mtu} bytes at {end}" for end, mtu in found.items())
            yield Fault(("cables", index), f"its ends have different mtu: {said}")


def _mtu(lab: Lab, end: str) -> int | None:
    """What a cable's end takes; None where it is unknown, or a switch's and nothing is said."""
    owner, _, name = end.partition(".")
    if owner in lab.hosts and name in lab.hosts[owner].ports:
        return lab.hosts[owner].on_wire(name).mtu
    port = lab.switches[owner].ports.get(name) if owner in lab.switches else None
    return port.mtu if port and "mtu" in port.model_fields_set else None


def _vlans(lab: Lab) -> Iterator[Fault]:
    yield from twice(((("vlans", id_, "name"), v.name) for id_, v in lab.vlans.items()), "the name")
    subnets = [
        (("vlans", id_, field), id_, ipaddress.ip_network(subnet))
        for id_, vlan in lab.vlans.items()
        for field, subnet in (("subnet", vlan.subnet), ("subnet6", vlan.subnet6))
        if subnet
    ]
    for (_, first, a), (path, _, b) in combinations(subnets, 2):
        if a.overlaps(b):
            yield Fault(path, f"{b} overlaps {a}, the subnet of VLAN {first}")
    for id_, vlan in lab.vlans.items():
        if vlan.gateway is not None:
            yield from in_vlan(("vlans", id_, "gateway"), vlan.gateway, id_, lab)
        if vlan.gateway6 is not None and not ip(vlan.gateway6).is_link_local:
            path = ("vlans", id_, "gateway6")
            if vlan.subnet6 is None and ipaddress.ip_network(vlan.subnet).version == 4:
                yield Fault(path, f"VLAN {id_} has no IPv6 network; write subnet6, too")
            yield from in_vlan(path, vlan.gateway6, id_, lab)


def _ports(lab: Lab) -> Iterator[Fault]:
    for name, switch in lab.switches.items():
        for port_name, port in switch.ports.items():
            yield from _vlans_of(("switches", name, "ports", port_name), port, lab)
    for name, host in lab.hosts.items():
        for room, attached in (("ports", host.ports), ("bonds", host.bonds)):
            for port_name, port in attached.items():
                path = ("hosts", name, room, port_name)
                yield from _vlans_of(path, port, lab)
                yield from _addressed(path, port, lab)
        yield from _bonds(("hosts", name, "bonds"), host)
        yield from _login(name, host)


def _vlans_of(path: Steps, port: Port | Bond, lab: Lab) -> Iterator[Fault]:
    if port.vlan is not None and port.vlan not in lab.vlans:
        yield unknown((*path, "vlan"), port.vlan, lab.vlans, "VLAN")
    for index, id_ in enumerate(port.tagged):
        here = (*path, "tagged", index)
        if id_ not in lab.vlans:
            yield unknown(here, id_, lab.vlans, "VLAN")
        elif id_ == port.vlan:
            yield Fault(here, f"VLAN {id_} is the port's untagged VLAN already")


def _addressed(path: Steps, port: HostPort | Bond, lab: Lab) -> Iterator[Fault]:
    for index, cidr in enumerate(port.on_untagged):
        if "/" in cidr and port.vlan is not None:
            yield from in_vlan((*path, "address", index), cidr, port.vlan, lab)
    for id_, written in port.on_tagged.items():
        if id_ not in port.tagged:
            what = f"VLAN {id_} isn't among the port's tagged VLANs"
            yield Fault((*path, "addresses", id_), what)
        for index, cidr in enumerate(written):
            if "/" in cidr:
                yield from in_vlan((*path, "addresses", id_, index), cidr, id_, lab)


def _bonds(path: Steps, host: Host) -> Iterator[Fault]:
    members = []
    for name, bond in host.bonds.items():
        here = (*path, name, "members")
        yield from each_known(here, bond.members, host.ports, f"port of {host.name}")
        members += [((*here, index), member) for index, member in enumerate(bond.members)]
        if bond.primary is not None and bond.primary not in bond.members:
            yield unknown((*path, name, "primary"), bond.primary, bond.members, f"port in {name}")
        for index, member in enumerate(bond.members):
            port = host.ports.get(member)
            if port and (port.on_untagged or port.on_tagged or port.bridge or port.vlan):
                what = f"{member} has an address, a VLAN or a bridge of its own; they go to {name}"
                yield Fault((*here, index), what)
    yield from twice(members, "the port")


def _login(name: str, host: Host) -> Iterator[Fault]:
    """An SSH address is one of the host's own, where it is an address at all."""
    try:
        login = host.ssh and ipaddress.ip_address(host.ssh.address)
    except ValueError:
        return  # a name, which DNS or ~/.ssh/config knows
    own = [str(ip(address)) for _, address in of_host(name, host)]
    given = any(each.automatic for each in host.attached.values())
    if login and own and not given and str(login) not in own:
        yield unknown(("hosts", name, "ssh", "address"), login, own, f"address of {name}")


def _addresses(lab: Lab) -> Iterator[Fault]:
    for path, vlan, address in of_guests(lab):
        if vlan not in lab.vlans:
            yield unknown((*path[:-1], "vlan"), vlan, lab.vlans, "VLAN")
        elif address is not None and address != "dhcp":
            yield from in_vlan(path, address, vlan, lab)
    for room, guests in (("vms", lab.vms), ("containers", lab.containers)):
        for name, guest in guests.items():
            if guest.gateway is not None:
                yield from in_vlan((room, name, "gateway"), guest.gateway, guest.vlan, lab)
                yield from _gateway((room, name, "gateway"), guest.gateway, guest.vlan, lab)
    yield from twice(((path, ip(cidr)) for path, cidr in fixed(lab)), "the address")
    macs: list[tuple[Steps, str | None]] = [
        (("hosts", name, "ports", port, "mac"), each.mac)
        for name, host in lab.hosts.items()
        for port, each in host.ports.items()
    ]
    for room, guests in (("vms", lab.vms), ("containers", lab.containers)):
        for name, guest in guests.items():
            macs.append(((room, name, "mac"), guest.mac))
            macs += [((room, name, "nics", card, "mac"), n.mac) for card, n in guest.nics.items()]
    yield from twice(macs, "the MAC address")


def _gateway(path: Steps, gateway: str, vlan: int, lab: Lab) -> Iterator[Fault]:
    """A guest goes out by its VLAN's gateway, or by a machine that has the address."""
    known = lab.vlans[vlan].gateway if vlan in lab.vlans else None
    if known is None or known == gateway or gateway in {str(ip(cidr)) for _, cidr in fixed(lab)}:
        return
    if any(in_vlan(path, known, vlan, lab)):
        return  # said already: the VLAN's own gateway is the mistake
    yield Fault(path, f"nobody has {gateway}; the gateway of VLAN {vlan} is {known}")


def _service_port(path: Steps, port: str) -> Iterator[Fault]:
    kind, _, numbers = port.partition("/")
    low, _, high = numbers.partition("-")
    ends = [int(end) for end in (low, high) if end]
    if any(not 1 <= end <= 65535 for end in ends):
        yield Fault(path, f"{numbers} is no port; they go from 1 to 65535")
    elif ends != sorted(ends):
        yield Fault(path, f"the range {numbers} is reversed: write {kind}/{high}-{low}")


def _rules_and_links(lab: Lab) -> Iterator[Fault]:
    for index, rule in enumerate(lab.rules):
        for side in ("source", "destination"):
            zone = getattr(rule, side)
            if isinstance(zone, int) and zone not in lab.vlans:
                yield unknown(("rules", index, side), zone, lab.vlans, "VLAN")
        for place, port in enumerate(rule.ports):
            yield from _service_port(("rules", index, "ports", place), port)
    machines = [*lab.hosts, *lab.switches, *OUTSIDE]
    for index, link in enumerate(lab.links):
        for side in ("a", "b"):
            if getattr(link, side) not in machines:
                yield unknown(("links", index, side), getattr(link, side), machines, "machine")
    for room in ("cables", "rules", "links"):
        names = (((room, i, "name"), each.name) for i, each in enumerate(getattr(lab, room)))
        yield from twice(names, "the name")
