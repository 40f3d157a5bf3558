"""The PCI functions of a node: what shares an IOMMU group, and on which the host has its console.

When a VM starts, Proxmox takes every function of the card's IOMMU group from its driver but for
bridges, whatever the host does with it: `pci_dev_group_bind_to_vfio` (pve-common). So what else is
in there is looked at first. The kernel of Proxmox has its framebuffers built in (simpledrm), and
says in ``/proc/iomem`` in which card's memory the firmware's console lies.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from homelab_lib.answers import Shape, whole
from homelab_lib.control.linux import read_file
from homelab_lib.control.linux.pci import Card, parse
from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Host

HELD = "vfio-pci"
"""The driver that keeps a function for a VM."""
NO_GROUP = -1
_SHAPE: Shape = [
    {
        "id": str,
        "class": str,
        "vendor": str,
        "device": str,
        "iommugroup?": whole,
        "device_name?": str,
        "subsystem_vendor?": str,
        "subsystem_device?": str,
    }
]
_BRIDGE = "06"
_VGA = "0300"
_IN_MEMORY = re.compile(r"^( *)[0-9a-f]+-[0-9a-f]+ : (.*)$")
_FRAMEBUFFER = re.compile(r"BOOTFB|simpledrm|simple-framebuffer|efifb|vesafb")
_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True)
class Function:
    """One PCI function.

    Parameters
    ----------
    address
        ``0000:03:00.0``
    id, subsystem
        Maker and device, and those of the card it is on, empty where it has none: ``1002:744c``.
    class_code
        ``0300`` for a graphics card with a VGA part, ``0604`` for a bridge.
    title
        What Proxmox calls it.
    group
        Its IOMMU group; `NO_GROUP` where there is no IOMMU.
    driver, modules
        The driver that has it, empty for none; and those that would take it.
    """

    address: str
    id: str
    subsystem: str
    class_code: str
    title: str
    group: int
    driver: str = ""
    modules: tuple[str, ...] = ()

    @property
    def slot(self) -> str:
        """The card that it is a function of: ``0000:03:00``."""
        return self.address.rpartition(".")[0]

    def __str__(self) -> str:
        used = f", used by {self.driver}" if self.driver else ""
        return f"{self.address} {self.title or self.id}{used}"


def functions(host: Host, node: str) -> list[Function]:
    """All functions of a node, bridges among them.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    words = ("--pci-class-blacklist", "")
    rows = api(host, f"/nodes/{node}/hardware/pci", *words, shape=_SHAPE)
    cards = {card.slot: card for card in driven_cards(host)}
    nobody = Card("", "", "", "")
    found = [
        Function(
            row["id"],
            _pair(row["vendor"], row["device"]),
            _pair(row.get("subsystem_vendor", ""), row.get("subsystem_device", "")),
            row["class"].removeprefix("0x")[:4],
            row.get("device_name", ""),
            row.get("iommugroup", NO_GROUP),
            cards.get(row["id"], nobody).driver,
            cards.get(row["id"], nobody).modules,
        )
        for row in rows
    ]
    return sorted(found, key=lambda each: each.address)


def driven_cards(host: Host) -> list[Card]:
    """The functions that are no bridges, each with its driver, as `lspci` has them."""
    return parse(host.read("lspci", "-Dnnk", sudo=True).stdout)


def _pair(vendor: str, device: str) -> str:
    """``0x1002`` and ``0x744C`` as a mapping has to have them: sysfs's small letters count."""
    return f"{vendor[2:]}:{device[2:]}".lower() if vendor and device else ""


def of_slot(every: Sequence[Function], slot: str) -> list[Function]:
    """The functions of a card; a graphics card has one for its sound, too."""
    return [each for each in every if each.slot == slot]


def strangers(every: Sequence[Function], slot: str) -> list[Function]:
    """What a VM with this card would take along: the others of its IOMMU groups, less bridges."""
    groups = {each.group for each in of_slot(every, slot)} - {NO_GROUP}
    return [
        each
        for each in every
        if each.group in groups and each.slot != slot and each.class_code[:2] != _BRIDGE
    ]


def consoles(host: Host, every: Sequence[Function]) -> dict[str, str]:
    """The cards on which the host's console is, by slot, and how that shows."""
    found = {}
    for each in every:
        flag = f"/sys/bus/pci/devices/{each.address}/boot_vga"
        if each.class_code == _VGA and read_file(host, flag).strip() == "1":
            found[each.slot] = "the firmware started with its picture on it (boot_vga is 1)"
    for address, name in framebuffers(read_file(host, "/proc/iomem")).items():
        found[address.rpartition(".")[0]] = f"the kernel's framebuffer {name} lies in its memory"
    return found


def framebuffers(iomem: str) -> Mapping[str, str]:
    """In whose memory a framebuffer lies, and its name, by what ``/proc/iomem`` says."""
    return dict(_framebuffers(iomem))


def _framebuffers(iomem: str) -> Iterator[tuple[str, str]]:
    above: list[tuple[int, str]] = []
    for line in iomem.splitlines():
        match = _IN_MEMORY.match(line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2].strip()
        above = [each for each in above if each[0] < depth]
        if _FRAMEBUFFER.search(name):
            owner = next((n for _, n in reversed(above) if _ADDRESS.fullmatch(n)), "")
            if owner:
                yield owner, name
        above.append((depth, name))
