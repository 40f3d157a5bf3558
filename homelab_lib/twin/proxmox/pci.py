"""A node's PCI functions: their IOMMU groups, who has them, and what takes them when it boots.

Sources: `PVE::SysFSTools` (pve-common 9.2), `PVE::API2::Hardware::PCI`; vfio-pci's documentation;
lspci(8). The numbers of a card's sound are those of its chip in pciutils' table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.lspci import lspci as show
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.card import Card
from homelab_lib.twin.proxmox.node import HELD, ProxmoxNode

pci_programs = Commands()

_SOUND = {"10de": "10de:22bb", "1002:744c": "1002:ab30", "1002": "1002:ab28"}
_HEAD = re.compile(r"((?:[0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ")
_VENDORS = {"0x1d6a": "Aquantia Corp.", "0x10ec": "Realtek Semiconductor Co., Ltd."}
_FIRST_GROUP = 14
_OWN_CONTROLLER = "0000:00:17.0"
_LINK = (16.0, 16, 16.0, 16)
_ON_THE_CHIP = {
    "AMD": Function("", "0000:7a:00.0", "1002:13c0", "0300", "Granite Ridge [Radeon Graphics]",
                    "amdgpu", "", *_LINK),
    "Intel": Function("", "0000:00:02.0", "8086:4680", "0300", "AlderLake-S GT1", "i915", "",
                      *_LINK),
}  # fmt: skip
"""By maker: the graphics of a processor, where a board shows its own picture if it may."""


@dataclass
class PciFunction:
    """One PCI function of a node.

    Parameters
    ----------
    row
        As the API lists it, its IOMMU group among the rest.
    module
        What takes it when the node boots; empty for nothing.
    driver
        What has it now.
    device
        What the lab calls its card; empty for none of it.
    """

    row: dict[str, Any]
    module: str
    driver: str
    device: str = ""

    @property
    def address(self) -> str:
        """``0000:03:00.0``"""
        return str(self.row["id"])

    @property
    def slot(self) -> str:
        """The card: ``0000:03:00``."""
        return self.address.rpartition(".")[0]

    @property
    def id(self) -> str:
        """Maker and device: ``1002:744c``."""
        return f"{self.row['vendor'][2:]}:{self.row['device'][2:]}"

    @property
    def group(self) -> int:
        return int(self.row["iommugroup"])

    @property
    def bridge(self) -> bool:
        """Whether it is one between buses, which nobody takes."""
        return str(self.row["class"]).startswith("0x0604")


def furnish(node: ProxmoxNode) -> None:
    """Give a node that the lab describes its functions: cards with their sound, the processor's own
    graphics where the host's console is, and the network cards."""
    own = list(_of_the_processor(node))
    node.bus = [*_with_sound(node), *own]
    places = {card.name: card.address for card in node.cards}
    node.bus = [replace(each, slot=places.get(each.interface, each.slot)) for each in node.bus]
    node.pci = list(_functions(node))
    drawing = [f for f in node.pci if f.row["class"] == "0x030000"]
    boot_vga = next((each.slot for each in own), drawing[0].address if drawing else "")
    for each in drawing:
        flag = int(each.address == boot_vga)
        node.files.put(f"/sys/bus/pci/devices/{each.address}/boot_vga", f"{flag}\n")
    node.files.put("/proc/iomem", _memory(boot_vga))
    _hang(node)


def _hang(node: ProxmoxNode) -> None:
    """Where each disk and each network card hangs, as sysfs has it."""
    host = node.world.lab.hosts[node.name]
    slots = {each.name: each.slot for each in node.bus}
    for disk, row in zip(host.disks.values(), node.disk_rows, strict=False):
        name, above = row["devpath"].rpartition("/")[2], disk.slot or ""
        while (card := above.partition(".")[0]) in host.devices and card not in slots:
            above = host.devices[card].slot or ""
        where = slots.get(above.partition(".")[0], _OWN_CONTROLLER)
        target = f"../devices/pci0000:00/{where}/host0/target0:0:0/0:0:0:0/block/{name}"
        if disk.name in slots:  # it is a device of its own
            target = f"../devices/pci0000:00/{slots[disk.name]}/nvme/{name[:-2]}/{name}"
        _link(node, f"/sys/block/{name}", target)
    for card in node.cards:
        target = f"../../devices/pci0000:00/{card.address}/net/{card.name}"
        _link(node, f"/sys/class/net/{card.name}", target)


def _link(node: ProxmoxNode, path: str, target: str) -> None:
    node.files.mkdir(path.rpartition("/")[0], parents=True)
    if node.files.entry(path, follow=False) is None:
        node.files.link(path, target)


def _with_sound(node: ProxmoxNode) -> Iterator[Function]:
    for each in node.bus:
        yield each
        sound = _SOUND.get(each.id) or _SOUND.get(each.id[:4])
        if each.class_code == "0300" and sound:
            yield replace(
                each,
                slot=f"{each.slot[:-1]}1",
                id=sound,
                class_code="0403",
                title="HDMI/DP Audio",
                driver="snd_hda_intel",
                window_bytes=0,
                could_window_bytes=0,
            )


def _of_the_processor(node: ProxmoxNode) -> Iterator[Function]:
    cpu = node.world.lab.hosts[node.name].cpu
    if cpu is not None and cpu.graphics is not None:
        yield from (each for maker, each in _ON_THE_CHIP.items() if maker in cpu.title)


def _functions(node: ProxmoxNode) -> Iterator[PciFunction]:
    """Each card of the bus in a group of its own, with the port that it is behind. Network cards
    are the node's own, in the groups before these."""
    from_cards = {card.address: card for card in node.cards}
    group = _FIRST_GROUP + len(node.cards)
    slots: dict[str, int] = {}
    for each in node.bus:
        if each.slot in from_cards:
            continue
        slot = each.slot.rpartition(".")[0]
        if slot not in slots:
            slots[slot], group = group, group + 1
            port = _row(f"0000:00:{len(slots):02x}.1", "0x060400", "1022:14db", "GPP Bridge",
                        slots[slot])  # fmt: skip
            yield PciFunction(port, "pcieport", "pcieport")
        row = _row(each.slot, f"0x{each.class_code}00", each.id, each.title, slots[slot])
        yield PciFunction(row, each.driver, each.driver, each.name)


def _row(address: str, kind: str, identity: str, title: str, group: int) -> dict[str, Any]:
    maker, _, device = identity.partition(":")
    row: dict[str, Any] = {"id": address, "class": kind}
    row |= {"vendor": f"0x{maker}", "device": f"0x{device}", "device_name": title}
    row |= {"vendor_name": {"10de": "NVIDIA Corporation", "1002": "AMD"}.get(maker, maker)}
    row |= {"iommugroup": group, "subsystem_vendor": "0x1458"}
    return row | {"subsystem_device": f"0x{2300 + group:04x}"}


def _memory(console: str) -> str:
    """Where the firmware left its picture: in the memory of the card with the console."""
    lines = ["00000000-00000fff : Reserved", "e0000000-efffffff : PCI Bus 0000:00"]
    if console:
        lines += [f"  e0000000-e00fffff : {console}", "    e0000000-e00effff : BOOTFB"]
    return "".join(f"{line}\n" for line in lines)


def iommu_on(node: ProxmoxNode) -> bool:
    """Whether its kernel has an IOMMU: the firmware's switch, and for Intel's before Linux 6.8 an
    option, too."""
    words = node.files.text("/proc/cmdline").split()
    off = {"iommu=off", "amd_iommu=off", "intel_iommu=off"} & set(words)
    asked = "intel_iommu=on" in words or _numbers(node.kernel)[:2] >= (6, 8)
    intel = "intel" in node.cpu_model.lower()
    return node.iommu_in_firmware and not off and (asked or not intel)


def _numbers(kernel: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", kernel))


def rows(node: ProxmoxNode) -> list[dict[str, Any]]:
    """As the API lists them; without an IOMMU there are no groups."""
    node.learn("pci")
    found = [
        _of_card(card, _FIRST_GROUP + place) | node.card_rows.get(card.address, {})
        for place, card in enumerate(node.cards)
    ]
    found += [dict(each.row) for each in node.pci]
    return found if iommu_on(node) else [row | {"iommugroup": -1} for row in found]


def _of_card(card: Card, group: int) -> dict[str, Any]:
    return {
        "id": card.address,
        "class": "0x020000",
        "vendor": card.vendor,
        "device": card.device,
        "vendor_name": _VENDORS.get(card.vendor, "Intel Corporation"),
        "device_name": card.title,
        "iommugroup": group,
    }


def boots(node: ProxmoxNode) -> None:
    """Who takes each function as the node boots: vfio-pci those whose numbers its initial file
    system names, where it comes before their own driver."""
    node.learn("pci")
    node.used.clear()
    text = "\n".join(node.early.values())
    ids = {i for line in re.findall(r"(?m)^options vfio-pci .*?\bids=(\S+)", text)
           for i in line.split(",")}  # fmt: skip
    later = set(re.findall(r"(?m)^softdep (\S+) pre: vfio-pci", text))
    for each in node.pci:
        kept = each.id in ids and (each.module in later or not each.module)
        each.driver = HELD if kept else each.module


@pci_programs("lspci")
def lspci(node: ProxmoxNode, call: Call) -> Reply:
    """The cards, each with the driver that has it now, whatever it had when it was asked first."""
    reply = show(node, call)
    if reply.status or not any("k" in w or "v" in w for w in call.argv[1:] if w.startswith("-")):
        return reply
    node.learn("pci")
    drivers = {f.address: f.driver for f in node.pci}
    lines: list[str] = []
    here, told = "", False
    for line in reply.out.decode(errors="replace").splitlines():
        if head := _HEAD.match(line):
            here, told = head[1] if head[1].count(":") == 2 else f"0000:{head[1]}", False
        word = line.strip().partition(":")[0]
        driver = drivers.get(here, "")
        if here in drivers and word == "Kernel driver in use":
            continue
        if driver and word == "Kernel modules" and not told:
            lines.append(f"\tKernel driver in use: {driver}")
            told = True
        lines.append(line)
    return Reply(0, "".join(f"{line}\n" for line in lines))
