"""What a node itself needs of a PCI or USB device: disks in use on it, network cards that it uses.

The links in sysfs say on which device a disk or an interface hangs: ``/sys/block/sda`` leads to
``…/0000:01:00.0/host0/…/block/sda``, and on USB to ``…/0000:00:14.0/usb2/2-1/2-1:1.0/host6/…``; an
NVMe disk that several controllers may reach hangs on its subsystem, which has links to these
(sysfs(5), the kernel's Documentation/ABI). Interfaces: `PVE::INotify`, `PVE::API2::Network`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.linux import read_file
from homelab_lib.control.proxmox.api import api
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host

_DISKS: Shape = [{"devpath": str, "used?": str, "serial?": str}]
_BELOW = ("bridge_ports", "slaves", "ovs_ports", "ovs_bonds", "vlan-raw-device")
_OWN = ("cidr?", "cidr6?", "method?", "method6?")
_NETWORKS: Shape = [
    {"iface": str, "type": str, "altnames?": [str]}
    | dict.fromkeys((*_OWN, *(f"{key}?" for key in _BELOW)), str)
]
_NET = "/sys/class/net"
_BY_ITSELF = ("dhcp", "auto")
_SUBSYSTEM = re.compile(r"\.\./(devices/virtual/nvme-subsystem/[^/]+)/")
_ADDRESS = re.compile(r"/([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2})\.[0-7](?=/)")
_ON_USB = re.compile(r"/(\d+-[\d.]+)/\1:")  # a device, and one of its interfaces


def needs(host: Host, node: str, slots: Iterable[str]) -> dict[str, list[str]]:
    """What the node would lose with each of some devices, in words.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    slots
        The devices, without their functions: ``0000:01:00``.
    """
    used = _used(host, node)
    return {slot: [says for says, places in used if f"/{slot}." in places] for slot in slots}


def slots_of_drives(host: Host, node: str, serials: Collection[str]) -> dict[str, str]:
    """The device that each NVMe drive is, by its serial number: ``0000:05:00``; of a drive that the
    node does not see, nothing.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    serials
        The drives' serial numbers.

    Raises
    ------
    StepFailed
        Two drives have one number.
    """
    rows = [
        row
        for row in _disks(host, node)
        if row["devpath"].startswith("/dev/nvme") and row.get("serial") in serials
    ]
    found: dict[str, str] = {}
    for row, places in zip(rows, _disk_places(host, rows), strict=True):
        serial, slots = row["serial"], _ADDRESS.findall(places)
        if slots and found.setdefault(serial, slots[-1]) != slots[-1]:
            raise StepFailed(
                f"drives at {found[serial]} and {slots[-1]} both say that they are {serial}",
                where=host.name,
                fix="nobody can tell which is meant: take the other one out",
            )
    return found


def needs_usb(host: Host, node: str, devices: Iterable[str]) -> dict[str, list[str]]:
    """What the node would lose with USB devices of each of some kinds, in words.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    devices
        Makers and products: ``10c4:ea60``.
    """
    lost: dict[str, list[str]] = {device: [] for device in devices}
    for says, places in _used(host, node):
        if found := _ON_USB.search(places):
            lost.setdefault(_maker_and_product(host, found[1]), []).append(says)
    return lost


def _maker_and_product(host: Host, port: str) -> str:
    folder = f"/sys/bus/usb/devices/{port}"
    return ":".join(read_file(host, f"{folder}/{key}").strip() for key in ("idVendor", "idProduct"))


def _disks(host: Host, node: str) -> list[dict[str, Any]]:
    # Nobody here wants to know how they are, and to be asked for that wakes those that sleep.
    found: list[dict[str, Any]] = api(
        host, f"/nodes/{node}/disks/list", "--skipsmart", "1", shape=_DISKS
    )
    return found


def _used(host: Host, node: str) -> list[tuple[str, str]]:
    """What the node uses, in words, and where in sysfs it hangs, a line for each way to it."""
    disks = [row for row in _disks(host, node) if row.get("used")]
    rows = api(host, f"/nodes/{node}/network", shape=_NETWORKS)
    cards = [(name, row["iface"]) for row in rows for name in _cards(row)]
    there = host.read("find", _NET, "-maxdepth", "1", "-type", "l").stdout.split()
    # One that is configured may be gone; and it may stand there by another of its names.
    links = [[e for n in _names(rows, name) if (e := f"{_NET}/{n}") in there] for name, _ in cards]
    leads = iter(_links(host, [link for each in links for link in each]))
    return [
        (f"disk {row['devpath']} ({row['used']})", places)
        for row, places in zip(disks, _disk_places(host, disks), strict=True)
    ] + [
        (f"network card {name} (of {above})", "\n".join(next(leads) for _ in each))
        for (name, above), each in zip(cards, links, strict=True)
    ]


def _links(host: Host, paths: Sequence[str]) -> list[str]:
    """Where links lead; each has to be one."""
    return host.read("readlink", *paths).stdout.splitlines() if paths else []


def _disk_places(host: Host, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where disks hang: on their controller, or on each of the controllers that reach them."""
    places = _links(host, [f"/sys/block/{row['devpath'].rpartition('/')[2]}" for row in rows])
    shared = {place: f"/sys/{found[1]}" for place in places if (found := _SUBSYSTEM.match(place))}
    if not shared:
        return places
    words = ("-maxdepth", "1", "-type", "l", "-name", "nvme*")
    ways = host.read("find", *sorted(set(shared.values())), *words).stdout.split()
    leads = list(zip(ways, _links(host, ways), strict=True))
    return [
        "\n".join(to for way, to in leads if way.startswith(f"{shared[place]}/"))
        if place in shared
        else place
        for place in places
    ]


def _cards(row: Mapping[str, str]) -> Iterator[str]:
    """What an interface stands on, and a card by which the node itself is in a network."""
    for name in " ".join(row.get(key, "") for key in _BELOW).split():
        yield name.partition(".")[0]
    has = row.get("cidr") or row.get("cidr6")
    asks = row.get("method") in _BY_ITSELF or row.get("method6") in _BY_ITSELF
    if row["type"] == "eth" and (has or asks):
        yield row["iface"]


def _names(rows: list[dict[str, Any]], name: str) -> list[str]:
    """All names that an interface goes by: Proxmox takes any of them in its configuration."""
    return [
        name,
        *(each["iface"] for each in rows if name in each.get("altnames", ())),
        *(other for each in rows if each["iface"] == name for other in each.get("altnames", ())),
    ]
