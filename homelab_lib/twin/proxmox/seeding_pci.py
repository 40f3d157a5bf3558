"""Makes the bus and the boot loader of a twin's node what a real one says they are."""

import re
from collections.abc import Callable
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.twin.machine.seeding import printed
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.pci import PciFunction

_ROWS: Shape = [{"id": str, "class": str, "vendor": str, "device": str, "iommugroup?": whole}]
_MAPPINGS: Shape = [{"id": str, "map": [str]}]
_HEAD = re.compile(r"(?:([0-9a-f]{4,}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ")
_EARLY = ("/etc/modprobe.d/homelab-vfio.conf", "/etc/modprobe.d/vfio.conf")
_NONE = 2  # the exit status of proxmox-boot-tool where nothing is its own
_UNKNOWN_BYTES = 2**40

Get = Callable[..., Any]


def asked_later(node: ProxmoxNode, ask: Ask, get: Get) -> dict[str, Callable[[], None]]:
    """How the real node is asked for its bus, its mappings and its boot loader."""
    return {
        "pci": lambda: _functions(node, ask, get),
        "mappings": lambda: _mappings(node, get),
        "boot": lambda: _boot_loader(node, ask),
    }


def _functions(node: ProxmoxNode, ask: Ask, get: Get) -> None:
    """Its functions with their groups, and which driver has each."""
    words = ("--pci-class-blacklist", "")
    rows = get(f"/nodes/{node.node}/hardware/pci", *words, shape=_ROWS)
    drivers = _drivers(printed(ask, node.name, "lspci", "-Dnnk") or "")
    cards = {card.address for card in node.cards}
    node.pci, node.card_rows = [], {}
    for row in rows:
        row = {"iommugroup": -1, **row}
        driver, module = drivers.get(row["id"], ("", ""))
        if row["id"] in cards:
            node.card_rows[row["id"]] = row
        else:
            node.pci.append(PciFunction(row, module, driver))
    node.iommu_in_firmware = any(row.get("iommugroup", -1) >= 0 for row in rows)
    node.early = {path: text for path in _EARLY if (text := node.files.text(path))}


def _drivers(text: str) -> dict[str, tuple[str, str]]:
    """By function: the driver that has it, and the one that would take it at a boot."""
    found: dict[str, tuple[str, str]] = {}
    here = ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            here = f"{head[1] or '0000'}:{head[2]}"
            found[here] = ("", "")
            continue
        name, _, value = line.strip().partition(": ")
        if name == "Kernel driver in use" and here:
            found[here] = (value, found[here][1])
        elif name == "Kernel modules" and here:
            found[here] = (found[here][0], _module(found[here][0], value))
    # What has no module of its own keeps the driver that is built in.
    return {a: (driver, module or driver) for a, (driver, module) in found.items()}


def _module(driver: str, modules: str) -> str:
    """Of several that would, the one that has it; else the last, which udev loads last."""
    names = modules.replace(",", " ").split()
    return driver if driver in names else names[-1]


def _mappings(node: ProxmoxNode, get: Get) -> None:
    rows = get("/cluster/mapping/pci", shape=_MAPPINGS)
    node.mappings = {
        row["id"]: {key: value for key, value in row.items() if key not in ("id", "digest")}
        for row in rows
    }


def _boot_loader(node: ProxmoxNode, ask: Ask) -> None:
    said = printed(ask, node.name, "proxmox-boot-tool", "status", ok=(0, _NONE)) or ""
    node.managed = "is configured with: " in said
    of_systemd = re.search(r"is configured with: .*(uefi|systemd-boot) \(versions", said)
    node.loader = "uefi" if of_systemd else "grub"
    node.boot_partition_bytes = _UNKNOWN_BYTES  # who asks for its size is told the real one's
