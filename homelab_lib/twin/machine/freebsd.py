"""Programs that FreeBSD has and Linux has not: cards, drives, neighbours, listeners.

Sources: pciconf(8), geom(8), arp(8), sockstat(1) of FreeBSD 14; outputs of OPNsense machines.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.wiring.cables import cable_speed

freebsd = Commands()

_ROOT = (
    "hostb0@pci0:0:0:0:\tclass=0x060000 rev=0x02 hdr=0x00 vendor=0x8086 device=0x4650 "
    "subvendor=0x1043 subdevice=0x8882\n    vendor     = 'Intel Corporation'\n"
    "    class      = bridge\n    subclass   = HOST-PCI\n"
)
_MEDIA = {2500: "2500Base-T", 5000: "5000Base-T", 10000: "10Gbase-T"}
_VENDORS = {"8086": "Intel Corporation", "10ec": "Realtek Semiconductor Co., Ltd."}


@freebsd("pciconf")
def pciconf(machine: Machine, call: Call) -> Reply:
    """Cards; of a seeded machine, in the real one's own words."""
    words, options = operands(call)
    if words or "-l" not in options:
        return Reply(1, stderr="usage: pciconf -l [-BbcDeVv] [device]\n")
    return machine.said(*call.argv) or Reply(0, _ROOT + "".join(map(_card, machine.bus)))


def _card(each: Function) -> str:
    maker, device = each.id.split(":")
    bus, slot, function = (int(part, 16) for part in re.split("[:.]", each.slot)[1:])
    name = each.interface or f"none{bus}"
    size, could = (f"{rate:.1f}" for rate in (each.speed_gtps, each.could_gtps))
    kind, below = ("mass storage", "NVM") if each.class_code == "0108" else ("network", "ethernet")
    return (
        f"{name}@pci0:{bus}:{slot}:{function}:\tclass=0x{each.class_code}00 rev=0x02 hdr=0x00 "
        f"vendor=0x{maker} device=0x{device} subvendor=0x{maker} subdevice=0x0000\n"
        f"    vendor     = '{_VENDORS.get(maker, maker)}'\n    device     = '{each.title}'\n"
        f"    class      = {kind}\n    subclass   = {below}\n"
        f"    cap 10[a0] = PCI-Express 2 endpoint max data 256(2048) FLR NS\n"
        f"                 link x{each.lanes}(x{each.could_lanes}) speed {size}({could})\n"
    )


@freebsd("geom")
def geom(machine: Machine, call: Call) -> Reply:
    """Drives; of a seeded machine, in the real one's own words."""
    if call.argv[1:] != ("disk", "list"):
        return Reply(1, stderr="geom: Unknown class or command.\n")
    return machine.said("geom", "disk", "list") or Reply(0, "".join(_drives(machine)))


def _drives(machine: Machine) -> Iterator[str]:
    for number, row in enumerate(each for each in machine.blocks if each["type"] == "disk"):
        kind = "nda" if row["name"].startswith("nvme") else "da" if row["tran"] == "usb" else "ada"
        name = f"{kind}{number}"
        sectors = row["size"] // row["log-sec"]
        yield (
            f"Geom name: {name}\nProviders:\n1. Name: {name}\n"
            f"   Mediasize: {row['size']} ({row['size'] / 1e9:.0f}G)\n"
            f"   Sectorsize: {row['log-sec']}\n   Mode: r1w1e2\n   descr: {row['model'] or name}\n"
            f"   ident: {row['serial'] or '(null)'}\n   rotationrate: 0\n"
            f"   fwsectors: 63\n   fwheads: {sectors % 255 or 255}\n\n"
        )


@freebsd("arp")
def arp(machine: Machine, call: Call) -> Reply:
    """Neighbours: who is reached without a router. The real ones are not asked for: what an
    address resolves to is a matter of the moment."""
    words, options = operands(call)
    if words or "-a" not in options:
        return Reply(1, stderr="usage: arp [-n] [-i interface] -a\n")
    return Reply(0, "".join(f"{line}\n" for line in _neighbours(machine)))


def _neighbours(machine: Machine) -> Iterator[str]:
    for own in machine.interfaces:
        if not own.cidr:
            continue
        yield f"? ({own.address}) at {own.mac} on {own.name} permanent [ethernet]"
        network = ipaddress.ip_interface(own.cidr).network
        for other in _interfaces_beside(machine):
            near = ipaddress.ip_address(other.address) in network
            if near and not machine.world.reach(machine, other.address, 0):
                left = "expires in 1200 seconds [ethernet]"
                yield f"? ({other.address}) at {other.mac} on {own.name} {left}"


def _interfaces_beside(machine: Machine) -> Iterator[Interface]:
    for other in machine.world.machines.values():
        if other is not machine:
            yield from (each for each in other.interfaces if each.cidr)


@freebsd("ifconfig")
def ifconfig(machine: Machine, call: Call) -> Reply:
    """One interface; of a seeded machine, in the real one's own words."""
    said = machine.said(*call.argv)
    if said is not None:
        return said
    name = (call.argv[1:] or ("",))[0]
    mine = [each for each in machine.interfaces if each.name == name]
    ports = machine.world.lab.hosts[machine.name].ports
    port = next((p for p, each in ports.items() if each.interface == name), None)
    if not mine and port is None:
        return Reply(1, stderr=f"ifconfig: interface {name} does not exist\n")
    addresses = [each.cidr for each in mine if each.cidr]
    mac, mtu = (mine[0].mac, mine[0].mtu) if mine else ("", 1500)
    media = medium(machine, port) if port else ""
    return Reply(0, device(name, mac, mtu, addresses, media=media, active=bool(media)))


def device(
    name: str,
    mac: str,
    mtu: int,
    addresses: Iterable[str],
    *,
    media: str,
    active: bool,
    up: bool = True,
    description: str = "",
    vlan: str = "",
) -> str:
    """A device as `ifconfig` shows it.

    Parameters
    ----------
    name, mac, mtu, addresses
        What it is called, its hardware address, its largest packet [bytes], and its addresses with
        their prefix lengths.
    media
        How fast it came up: ``2500Base-T``; empty for not at all.
    active, up
        Whether somebody is at the other end, and whether it is switched on.
    description, vlan
        What somebody has called it; of a VLAN its tag and parent, as the line has them.
    """
    flags = f"1008843<{_FLAGS}>" if up else "1008802<BROADCAST,SIMPLEX,MULTICAST>"
    out = f"{name}: flags={flags} metric 0 mtu {mtu}\n"
    out += f"\tdescription: {description}\n" if description else ""
    out += f"\toptions={_OPTIONS}\n"
    out += f"\tether {mac}\n" if mac else ""
    for each in map(ipaddress.ip_interface, addresses):
        network = each.network
        if isinstance(network, ipaddress.IPv6Network):
            out += f"\tinet6 {each.ip} prefixlen {network.prefixlen}\n"
        else:
            mask = f"0x{int(network.netmask):08x}"
            out += f"\tinet {each.ip} netmask {mask} broadcast {network[-1]}\n"
    out += f"\tgroups: vlan\n\tvlan: {vlan}\n" if vlan else ""
    shown = f" ({media} <full-duplex>)" if media else ""
    out += f"\tmedia: Ethernet autoselect{shown}\n"
    out += f"\tstatus: {'active' if active else 'no carrier'}\n"
    return out + "\tnd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>\n"


_FLAGS = "UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP"
_OPTIONS = "4e527bb<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,JUMBO_MTU,WOL_MAGIC,VLAN_HWFILTER>"


def medium(machine: Machine, port: str) -> str:
    """How fast a port came up: ``2500Base-T``; empty where its cable carries nothing."""
    speed = _mbps(machine, f"{machine.name}.{port}")
    return _MEDIA.get(speed, f"{speed}baseT") if speed else ""


def _mbps(machine: Machine, end: str) -> int:
    """What the cable in a port comes up at [Mb/s]."""
    lab = machine.world.lab
    speeds = (cable_speed(lab, each).speed_bps for each in lab.cables if end in (each.a, each.b))
    return next((int(speed / 1e6) for speed in speeds), 0)


@freebsd("sockstat")
def sockstat(machine: Machine, call: Call) -> Reply:
    """Listening sockets; of a seeded machine, in the real one's own words."""
    said = machine.said(*call.argv)
    if said is not None:
        return said
    rows = [
        ("root", "daemon", str(1000 + port), "tcp4", port)
        for port, listens in sorted(machine.listeners.items())
        if listens()
    ]
    return Reply(0, listeners(rows))


def listeners(rows: Iterable[tuple[str, str, str, str, int]]) -> str:
    """Those who listen as `sockstat` shows them: user, program, process, protocol, port."""
    head = "USER     COMMAND    PID   FD  PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n"
    return head + "".join(
        f"{user:<8} {program:<10} {process:<5} 4   {protocol:<6} *:{port:<19} *:*\n"
        for user, program, process, protocol, port in rows
    )
