"""What sits on a machine's PCI Express bus, and the links it came up with.

The lab says what is in which slot, the model what that trains to. A fault changes what is here:
a card that came up narrow, a firmware without Resizable BAR.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.devices import AcceleratorPart, GpuPart, HbaPart, NicPart
from homelab_lib.models.pcie import TrainedLink, lane_gtps
from homelab_lib.wiring.pcie_tree import Leaf, leaves

_CLASSES = {"gpu": "0300", "nic": "0200", "accelerator": "0b40"}
_PARTS = {"gpu": GpuPart, "nic": NicPart, "accelerator": AcceleratorPart}
_NVME_ID = "144d:a80a"  # of all of them, as where somebody has bought several alike
SMALL_WINDOW_BYTES = 256 * 2**20


@dataclass
class Function:
    """One function of a card.

    Parameters
    ----------
    name
        What the lab calls the device or port.
    slot
        ``0000:03:00.0``
    id, class_code, title
        Maker and device, what it is, and what it is called.
    driver
        Linux' driver; empty for none.
    interface
        Of a network card's function, what the system calls it.
    speed_gtps, lanes
        Its link [GT/s].
    could_gtps, could_lanes
        What its own end can do [GT/s].
    window_bytes, could_window_bytes
        Its memory's window now, and the largest it could be; 0 for none [bytes].
    """

    name: str
    slot: str
    id: str
    class_code: str
    title: str
    driver: str
    interface: str
    speed_gtps: float
    lanes: int
    could_gtps: float
    could_lanes: int
    window_bytes: int = 0
    could_window_bytes: int = 0


def on_bus(lab: Lab, host: str) -> Iterator[Function]:
    """The functions on a host's bus, as far as the catalog knows what they say they are.

    Parameters
    ----------
    lab, host
        The lab, and which of its hosts.
    """
    bus = 0
    for leaf in _ends(lab, host):
        part = _part(lab, host, leaf)
        if part is None or not part.pci_ids or leaf.could is None:
            continue
        bus += 3 if has_switch(part.pci_ids[0], _CLASSES[leaf.kind]) else 1
        gets = leaf.gets or leaf.could
        window, could = _windows(lab, host, part)
        for number, interface in enumerate(_interfaces(lab, host, leaf, part)):
            yield Function(
                leaf.name,
                f"0000:{bus:02x}:00.{number}",
                part.pci_ids[0],
                _CLASSES[leaf.kind],
                part.title,
                _driver(part),
                interface,
                lane_gtps(gets.gen),
                gets.lanes,
                lane_gtps(leaf.could.gen),
                leaf.could.lanes,
                window,
                could,
            )
    yield from _controllers(lab, host, bus)


def _controllers(lab: Lab, host: str, bus: int) -> Iterator[Function]:
    """The adapters of disks, and NVMe drives; nobody asks here for their links."""
    for name, device in lab.hosts[host].devices.items():
        part = device.part
        if not isinstance(part, HbaPart) or not part.pci_ids or part.pcie is None:
            continue
        bus += 1
        rate, lanes = lane_gtps(part.pcie.generation), part.pcie.lanes
        yield Function(
            name,
            f"0000:{bus:02x}:00.0",
            part.pci_ids[0],
            "0107",
            part.title,
            part.driver or "",
            "",
            rate,
            lanes,
            rate,
            lanes,
        )
    for name, disk in lab.hosts[host].disks.items():
        link = disk.part.pcie
        if link is not None:
            bus += 1
            rate, lanes = lane_gtps(link.generation), link.lanes
            place = f"0000:{bus:02x}:00.0"
            yield Function(
                *(name, place, _NVME_ID, "0108", disk.part.title, "nvme", ""),
                *(rate, lanes, rate, lanes),
            )


def _ends(lab: Lab, host: str) -> Iterator[Leaf]:
    """What is on the bus; where nobody knows the board, each card has the link that it can have."""
    machine = lab.hosts[host]
    if machine.board is not None:
        yield from leaves(lab, host)
        return
    cards = {item.part.id for item in machine.devices.values()}
    ports = {name: port for name, port in machine.ports.items() if port.part.id not in cards}
    for name, item in (machine.devices | ports).items():
        part = item.part
        kind = next((kind for kind, of in _PARTS.items() if isinstance(part, of)), "")
        if kind and isinstance(part, NicPart | GpuPart | AcceleratorPart) and part.pcie:
            link = TrainedLink(part.pcie.generation, part.pcie.lanes, part.title)
            yield Leaf(host, name, part.title, kind, (), (), link, link, 0.0)


def has_switch(card_id: str, class_code: str) -> bool:
    """Whether a card has a PCI Express switch of its own: two bridges in front of its chip."""
    on_the_chip = card_id in ("1002:13c0", "8086:4680")
    return class_code == "0300" and card_id[:4] in ("8086", "1002") and not on_the_chip


def _part(lab: Lab, host: str, leaf: Leaf) -> NicPart | GpuPart | AcceleratorPart | None:
    machine = lab.hosts[host]
    if leaf.name in machine.devices:
        part = machine.devices[leaf.name].part
        return part if isinstance(part, NicPart | GpuPart | AcceleratorPart) else None
    return machine.ports[leaf.name].part if leaf.name in machine.ports else None


def _interfaces(lab: Lab, host: str, leaf: Leaf, part: object) -> list[str]:
    """What the system calls each function; one without a name for what is no network card."""
    ports = lab.hosts[host].ports
    if not isinstance(part, NicPart):
        return [""]
    if leaf.name in ports:
        return [ports[leaf.name].interface or ""]
    named = [each.interface or "" for each in ports.values() if each.part.id == part.id]
    return [*named, *[""] * part.port_count][: part.port_count]


def _windows(lab: Lab, host: str, part: object) -> tuple[int, int]:
    """Whether the firmware resizes is taken for granted where nobody knows."""
    if not isinstance(part, GpuPart):
        return 0, 0
    could = 1 << (part.vram_bytes - 1).bit_length()
    board = lab.hosts[host].board
    resized = board is None or board.resizable_bar is not False
    return (could if resized else SMALL_WINDOW_BYTES), could


def _driver(part: NicPart | GpuPart | AcceleratorPart) -> str:
    if isinstance(part, GpuPart):
        return {"NVIDIA": "nouveau", "AMD": "amdgpu", "Intel": "xe"}[part.vendor]
    return (part.driver or "") if isinstance(part, NicPart) else ""
