"""DHCP ranges and leases, names, time."""

from collections.abc import Iterator
from itertools import combinations

from homelab_lib.lab.checks.addresses import fixed, in_vlan, ip, of_host
from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.naming import DhcpRange, DhcpServer


def faults(lab: Lab) -> Iterator[Fault]:
    for room in ("dhcp", "dns", "ntp"):
        for name in getattr(lab, room):
            if name not in lab.hosts and name not in lab.vms:
                yield unknown((room, name), name, [*lab.hosts, *lab.vms], "host or VM")
    yield from _servers(lab)
    for name, server in lab.dhcp.items():
        yield from _ranges(("dhcp", name), server, lab)
        yield from _leases(("dhcp", name), server, lab)
    yield from _names(lab)
    for name, client in lab.ntp.items():
        yield from each_known(("ntp", name, "serves"), client.serves, lab.vlans, "VLAN")
        if not client.servers:
            yield Fault(("ntp", name, "servers"), "name one server at least")


# DHCP --------------------------------------------------------------------------------------------


def _servers(lab: Lab) -> Iterator[Fault]:
    """One server for each VLAN, and that is in the VLAN."""
    first: dict[int, tuple[str, Steps]] = {}
    for name, server in lab.dhcp.items():
        for key, each in server.ranges.items():
            path = ("dhcp", name, "ranges", key, "vlan")
            if each.vlan not in lab.vlans:
                yield unknown(path, each.vlan, lab.vlans, "VLAN")
                continue
            other, place = first.setdefault(each.vlan, (name, path))
            if other != name:
                yield Fault(path, f"{other} serves VLAN {each.vlan} already", first=place)
            if name in lab.hosts and each.vlan not in lab.hosts[name].vlans:
                yield Fault(path, f"{name} has no address in VLAN {each.vlan}")


def _ranges(path: Steps, server: DhcpServer, lab: Lab) -> Iterator[Fault]:
    taken = [(ip(cidr), place) for place, cidr in fixed(lab)]
    gateways = [
        (ip(address), ("vlans", id_, "gateway"))
        for id_, vlan in lab.vlans.items()
        for address in (vlan.gateway, vlan.gateway6)
        if address
    ]
    sound: dict[str, DhcpRange] = {}
    for name, each in server.ranges.items():
        here = (*path, "ranges", name)
        low, high = ip(each.first), ip(each.last)
        for end in ("first", "last"):
            yield from in_vlan((*here, end), getattr(each, end), each.vlan, lab)
        if low.version != high.version:
            yield Fault((*here, "last"), "first and last are of different families")
        elif int(low) > int(high):
            yield Fault(
                (*here, "last"), f"the range is reversed: {each.last} is before {each.first}"
            )
        else:
            sound[name] = each
            inside = [(a, p) for a, p in (*taken, *gateways) if a.version == low.version]
            for address, place in inside:
                if int(low) <= int(address) <= int(high):
                    what = f"{address} is in the range, and somebody's already"
                    yield Fault(here, what, first=place)
                    break
    for (first, a), (second, b) in combinations(sound.items(), 2):
        if ip(a.first).version == ip(b.first).version and (
            int(ip(a.first)) <= int(ip(b.last)) and int(ip(b.first)) <= int(ip(a.last))
        ):
            where = (*path, "ranges", second)
            yield Fault(where, f"it overlaps range {first!r}", first=(*path, "ranges", first))


def _leases(path: Steps, server: DhcpServer, lab: Lab) -> Iterator[Fault]:
    owners = {ip(cidr): place for place, cidr in fixed(lab)}
    macs = {port.mac: host.name for host in lab.hosts.values() for port in host.ports.values()}
    macs |= {vm.mac: vm.name for vm in lab.vms.values()}
    rooms: dict[str, list[tuple[Steps, object]]] = {"address": [], "mac": [], "hostname": []}
    for name, lease in server.leases.items():
        here = (*path, "leases", name)
        if lease.vlan not in lab.vlans:
            yield unknown((*here, "vlan"), lease.vlan, lab.vlans, "VLAN")
        if (lease.mac is None) == (lease.client_id is None):
            yield Fault(here, "a lease is for a mac or for a client_id, one of them")
        yield from in_vlan((*here, "address"), lease.address, lease.vlan, lab)
        place = owners.get(ip(lease.address))
        if place is not None and (lease.mac is None or macs.get(lease.mac) != place[1]):
            what = f"{lease.address} is somebody's already"
            yield Fault((*here, "address"), what, first=place)
        rooms["address"].append(((*here, "address"), ip(lease.address)))
        rooms["mac"].append(((*here, "mac"), lease.mac))
        rooms["hostname"].append(((*here, "hostname"), lease.hostname or name))
    for kind, entries in rooms.items():
        yield from twice(entries, {"mac": "the MAC address"}.get(kind, f"the {kind}"))


# DNS ---------------------------------------------------------------------------------------------


def _names(lab: Lab) -> Iterator[Fault]:
    machines = [*lab.hosts, *lab.vms]
    for server_name, server in lab.dns.items():
        path = ("dns", server_name, "overrides")
        names: list[tuple[Steps, str]] = []
        for name, each in server.overrides.items():
            here = (*path, name)
            if bool(each.addresses) == (each.machine is not None):
                yield Fault(here, "a name has addresses, or the machine whose they are")
            if each.machine is not None and each.machine not in machines:
                yield unknown((*here, "machine"), each.machine, machines, "host or VM")
            elif each.machine in lab.hosts and not of_host(each.machine, lab.hosts[each.machine]):
                what = f"{each.machine} has no address that is written out; write addresses"
                yield Fault((*here, "machine"), what)
            names.append((here, name))
            names += [((*here, "aliases", i), alias) for i, alias in enumerate(each.aliases)]
        yield from twice(names, "the name")
