"""Cables, VLANs and addresses."""

import ipaddress
from collections.abc import Iterator
from itertools import combinations

from homelab_lib.lab.checks.fault import Fault, twice, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import Host, Port
from homelab_lib.lab.lab import Lab

OUTSIDE = ("LAN", "internet")
"""Ends of a promised link that are no machine."""


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _cables(lab)
    yield from _vlans(lab)
    yield from _ports(lab)
    yield from _addresses(lab)
    yield from _rules_and_links(lab)


def _cables(lab: Lab) -> Iterator[Fault]:
    machines = {**lab.hosts, **lab.switches}
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


def _vlans(lab: Lab) -> Iterator[Fault]:
    yield from twice(((("vlans", id_, "name"), v.name) for id_, v in lab.vlans.items()), "the name")
    subnets = {id_: ipaddress.ip_network(vlan.subnet) for id_, vlan in lab.vlans.items()}
    for (first, a), (second, b) in combinations(subnets.items(), 2):
        if a.overlaps(b):
            what = f"{b} overlaps {a}, the subnet of VLAN {first}"
            yield Fault(("vlans", second, "subnet"), what)
    for id_, vlan in lab.vlans.items():
        if vlan.gateway is not None:
            yield from _in_subnet(("vlans", id_, "gateway"), vlan.gateway, id_, lab)


def _ports(lab: Lab) -> Iterator[Fault]:
    for room, machines in (("hosts", lab.hosts), ("switches", lab.switches)):
        for name, machine in machines.items():
            for port_name, port in machine.ports.items():
                yield from _vlans_of((room, name, "ports", port_name), port, lab)
    for name, host in lab.hosts.items():
        for port_name, port in host.ports.items():
            path = ("hosts", name, "ports", port_name)
            if port.address is not None and port.vlan is not None:
                yield from _in_subnet((*path, "address"), port.address, port.vlan, lab)
            for id_, address in port.addresses.items():
                if id_ not in port.tagged:
                    what = f"VLAN {id_} isn't among the port's tagged VLANs"
                    yield Fault((*path, "addresses", id_), what)
                yield from _in_subnet((*path, "addresses", id_), address, id_, lab)
        yield from _login(name, host)


def _vlans_of(path: Steps, port: Port, lab: Lab) -> Iterator[Fault]:
    if port.vlan is not None and port.vlan not in lab.vlans:
        yield unknown((*path, "vlan"), port.vlan, lab.vlans, "VLAN")
    for index, id_ in enumerate(port.tagged):
        here = (*path, "tagged", index)
        if id_ not in lab.vlans:
            yield unknown(here, id_, lab.vlans, "VLAN")
        elif id_ == port.vlan:
            yield Fault(here, f"VLAN {id_} is the port's untagged VLAN already")


def _login(name: str, host: Host) -> Iterator[Fault]:
    """An SSH address is one of the host's own, where it is an address at all."""
    try:
        login = host.ssh and ipaddress.ip_address(host.ssh.address)
    except ValueError:
        return  # a name, which DNS or ~/.ssh/config knows
    own = [str(ipaddress.ip_interface(address).ip) for _, address in _of_host(name, host)]
    if login and own and str(login) not in own:
        yield unknown(("hosts", name, "ssh", "address"), login, own, f"address of {name}")


def _addresses(lab: Lab) -> Iterator[Fault]:
    cidrs = [entry for name, host in lab.hosts.items() for entry in _of_host(name, host)]
    cidrs += [(("switches", name, "address"), s.address) for name, s in lab.switches.items()]
    for name, vm in lab.vms.items():
        path = ("vms", name)
        cidrs.append(((*path, "address"), vm.address))
        if vm.vlan not in lab.vlans:
            yield unknown((*path, "vlan"), vm.vlan, lab.vlans, "VLAN")
            continue
        yield from _in_subnet((*path, "address"), vm.address, vm.vlan, lab)
        if vm.gateway is not None:
            yield from _in_subnet((*path, "gateway"), vm.gateway, vm.vlan, lab)
    ips = ((path, cidr and ipaddress.ip_interface(cidr).ip) for path, cidr in cidrs)
    yield from twice(ips, "the address")
    macs = [
        (("hosts", name, "ports", port, "mac"), each.mac)
        for name, host in lab.hosts.items()
        for port, each in host.ports.items()
    ]
    macs += [(("vms", name, "mac"), vm.mac) for name, vm in lab.vms.items()]
    yield from twice(macs, "the MAC address")


def _of_host(name: str, host: Host) -> list[tuple[Steps, str]]:
    """Every address of a host, with its place."""
    found: list[tuple[Steps, str]] = []
    for port_name, port in host.ports.items():
        path = ("hosts", name, "ports", port_name)
        if port.address is not None:
            found.append(((*path, "address"), port.address))
        found += [((*path, "addresses", id_), cidr) for id_, cidr in port.addresses.items()]
    return found


def _in_subnet(path: Steps, address: str, id_: int, lab: Lab) -> Iterator[Fault]:
    """An address, with prefix length or without, fits the subnet of its VLAN."""
    if id_ not in lab.vlans:
        return  # said already
    subnet = ipaddress.ip_network(lab.vlans[id_].subnet)
    interface = ipaddress.ip_interface(address)
    if interface.version != subnet.version:
        return  # a second family of addresses beside the described one
    if interface.ip not in subnet:
        yield Fault(path, f"{address} is outside of {subnet}, the subnet of VLAN {id_}")
    elif "/" in address and interface.network != subnet:
        yield Fault(path, f"{address} has another prefix length than {subnet} of VLAN {id_}")
    elif subnet.prefixlen < subnet.max_prefixlen - 1 and interface.ip in (
        subnet.network_address,
        subnet.broadcast_address,
    ):
        yield Fault(path, f"{interface.ip} is the subnet's own or its broadcast address")


def _rules_and_links(lab: Lab) -> Iterator[Fault]:
    for index, rule in enumerate(lab.rules):
        for side in ("source", "destination"):
            zone = getattr(rule, side)
            if isinstance(zone, int) and zone not in lab.vlans:
                yield unknown(("rules", index, side), zone, lab.vlans, "VLAN")
    machines = [*lab.hosts, *lab.switches, *OUTSIDE]
    for index, link in enumerate(lab.links):
        for side in ("a", "b"):
            if getattr(link, side) not in machines:
                yield unknown(("links", index, side), getattr(link, side), machines, "machine")
    for room in ("cables", "rules", "links"):
        names = (((room, i, "name"), each.name) for i, each in enumerate(getattr(lab, room)))
        yield from twice(names, "the name")
