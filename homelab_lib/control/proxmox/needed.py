"""What a node itself needs of a PCI or USB device: disks in use on it, network cards that it uses.

The links in sysfs say on which device a disk or an interface hangs: ``/sys/block/sda`` leads to
``…/0000:01:00.0/host0/…/block/sda``, and on USB to ``…/0000:00:14.0/usb2/2-1/2-1:1.0/host6/…``; an
NVMe disk that several controllers may reach hangs on its subsystem, which has links to these
(sysfs(5), the kernel's Documentation/ABI). Interfaces: `PVE::INotify`, `PVE::API2::Network`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.linux import read_file
from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Result

_DISKS: Shape = [{"devpath": str, "used?": str, "serial?": str}]
_BELOW = ("bridge_ports", "slaves", "ovs_ports", "ovs_bonds", "vlan-raw-device")
_OWN = ("cidr?", "cidr6?", "method?", "method6?")
_NETWORKS: Shape = [
    {"iface": str, "type": str, "altnames?": [str]}
    | dict.fromkeys((*_OWN, *(f"{key}?" for key in _BELOW)), str)
]
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
    used = list(_used(host, node))
    return {slot: [says for says, places in used if f"/{slot}." in places] for slot in slots}


def slot_of_drive(host: Host, node: str, serial: str) -> str:
    """The device that an NVMe drive is: ``0000:05:00``; empty where the node sees no such drive.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    serial
        The drive's serial number.
    """
    for row in api(host, f"/nodes/{node}/disks/list", shape=_DISKS):
        if row.get("serial") == serial:
            path = f"/sys/block/{row['devpath'].rpartition('/')[2]}"
            places = _ways_to(host, host.read("readlink", path))
            found = _ADDRESS.findall(places)
            return found[-1] if found else ""
    return ""


def needs_usb(host: Host, node: str, device: str) -> list[str]:
    """What the node would lose with USB devices of a kind, in words.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    device
        Maker and product: ``10c4:ea60``.
    """
    return [
        says
        for says, places in _used(host, node)
        if (found := _ON_USB.search(places)) and _maker_and_product(host, found[1]) == device
    ]


def _maker_and_product(host: Host, port: str) -> str:
    folder = f"/sys/bus/usb/devices/{port}"
    return ":".join(read_file(host, f"{folder}/{key}").strip() for key in ("idVendor", "idProduct"))


def _used(host: Host, node: str) -> Iterator[tuple[str, str]]:
    """What the node uses, in words, and where in sysfs it hangs, a line for each way to it."""
    for row in api(host, f"/nodes/{node}/disks/list", shape=_DISKS):
        if used := row.get("used"):
            path = f"/sys/block/{row['devpath'].rpartition('/')[2]}"
            yield f"disk {row['devpath']} ({used})", _ways_to(host, host.read("readlink", path))
    rows = api(host, f"/nodes/{node}/network", shape=_NETWORKS)
    for row in rows:
        for name in _cards(row):
            # One that is configured may be gone; and it may stand there by another of its names.
            links = (f"/sys/class/net/{each}" for each in _names(rows, name))
            places = [host.read("readlink", each, ok=(0, 1)).stdout for each in links]
            yield f"network card {name} (of {row['iface']})", "".join(places)


def _ways_to(host: Host, link: Result) -> str:
    """Where a disk hangs: on its controller, or on each of the controllers that reach it."""
    found = _SUBSYSTEM.match(link.stdout)
    if found is None:
        return link.stdout
    words = ("find", f"/sys/{found[1]}", "-maxdepth", "1", "-type", "l", "-name", "nvme*")
    return host.read("readlink", *host.read(*words).stdout.split()).stdout


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
