"""Whose address is which: what several checks ask of a lab."""

import ipaddress
from collections.abc import Iterator

from homelab_lib.lab.checks.fault import Fault
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def of_host(name: str, host: Host) -> list[tuple[Steps, str]]:
    """Every address of a host that is written out, with its place."""
    found: list[tuple[Steps, str]] = []
    for room, attached in (("ports", host.ports), ("bonds", host.bonds)):
        for port, each in attached.items():
            path = ("hosts", name, room, port)
            found += [
                ((*path, "address", index), cidr)
                for index, cidr in enumerate(each.on_untagged)
                if "/" in cidr
            ]
            found += [
                ((*path, "addresses", id_, index), cidr)
                for id_, written in each.on_tagged.items()
                for index, cidr in enumerate(written)
                if "/" in cidr
            ]
    return found


def fixed(lab: Lab) -> list[tuple[Steps, str]]:
    """Every address of hosts, switches and guests that is written out, with its place."""
    found = [entry for name, host in lab.hosts.items() for entry in of_host(name, host)]
    found += [
        (("switches", name, "address"), switch.address)
        for name, switch in lab.switches.items()
        if switch.address
    ]
    return found + [
        (path, address) for path, _, address in of_guests(lab) if address and address != "dhcp"
    ]


def of_guests(lab: Lab) -> Iterator[tuple[Steps, int, str | None]]:
    """Each network card of the VMs and containers: its address's place, its VLAN, its address."""
    for room, guests in (("vms", lab.vms), ("containers", lab.containers)):
        for name, guest in guests.items():
            yield (room, name, "address"), guest.vlan, guest.address
            for card, nic in guest.nics.items():
                yield (room, name, "nics", card, "address"), nic.vlan, nic.address


def ip(cidr: str) -> IpAddress:
    """The address itself, without its prefix length."""
    return ipaddress.ip_interface(cidr).ip


def subnets(lab: Lab) -> dict[IpNetwork, int]:
    """Every subnet of the VLANs, with the VLAN's number."""
    return {
        ipaddress.ip_network(subnet): id_
        for id_, vlan in lab.vlans.items()
        for subnet in vlan.subnets
    }


def in_vlan(path: Steps, address: str, id_: int, lab: Lab) -> Iterator[Fault]:
    """An address, with prefix length or without, fits a subnet of its VLAN."""
    if id_ not in lab.vlans:
        return  # said already
    interface = ipaddress.ip_interface(address)
    own = [ipaddress.ip_network(subnet) for subnet in lab.vlans[id_].subnets]
    subnet = next((each for each in own if each.version == interface.version), None)
    if subnet is None:
        return  # a second family of addresses beside the described one
    if interface.ip not in subnet:
        yield Fault(path, f"{address} is outside of {subnet}, the subnet of VLAN {id_}")
    elif "/" in address and interface.network != subnet:
        yield Fault(path, f"{address} has another prefix length than {subnet} of VLAN {id_}")
    elif (
        subnet.version == 4
        and subnet.prefixlen < subnet.max_prefixlen - 1
        and interface.ip in (subnet.network_address, subnet.broadcast_address)
    ):
        yield Fault(path, f"{interface.ip} is the subnet's own or its broadcast address")
