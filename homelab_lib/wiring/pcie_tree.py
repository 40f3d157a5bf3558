"""The PCI Express tree of a host: what each device could have, what it gets, what it shares."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.devices import AcceleratorPart, AdapterPart, DiskPart, GpuPart, NicPart
from homelab_lib.lab.host import Device, Disk, Host
from homelab_lib.lab.part import PcieLink
from homelab_lib.lab.platforms import Slot
from homelab_lib.models.pcie import LANES, Hop, TrainedLink, negotiate, payload_gbps, shared_gbps

MPS_BYTES = 128
"""Payload size taken: what small boards and desktops set [bytes]."""


@dataclass(frozen=True)
class Leaf:
    """A device at the end of its branch.

    Parameters
    ----------
    host, name
        The host, and what the lab calls the device.
    title, kind
        What it is: ``gpu``, ``nic``, ``accelerator``, ``nvme``, ``disk`` (SATA or USB: no link of
        its own).
    path
        What lies between it and the processor, from the processor on: shared links, slots,
        adapters.
    shared
        The links among these that other devices share, by name.
    could
        The best its own end can do; None without PCI Express.
    gets
        What the chain of hops trains to; None without PCI Express.
    takes_gbps
        The most it moves in one direction: a port's speed, a disk's outer tracks, else all its
        link is sure to carry; 0 where the catalog has no figure [Gb/s].
    needs_gbps
        What it has to have for what it is for: a network card's ports, or the design's figure;
        None where nothing says so [Gb/s].
    note
        What is odd about it.
    """

    host: str
    name: str
    title: str
    kind: str
    path: tuple[str, ...]
    shared: tuple[str, ...]
    could: TrainedLink | None
    gets: TrainedLink | None
    takes_gbps: float
    needs_gbps: float | None = None
    note: str = ""

    @property
    def payload(self) -> tuple[float, float] | None:
        """Payload of its link, what is sure and the ceiling [Gb/s]."""
        return payload_gbps(self.gets.gen, self.gets.lanes, mps=MPS_BYTES) if self.gets else None

    @property
    def share(self) -> float | None:
        """What it gets of what its own end could have, before packet headers; 1 is all."""
        return self.gets.raw_gbps / self.could.raw_gbps if self.gets and self.could else None

    @property
    def verdict(self) -> str:
        """``short`` of what it needs, ``less`` than it could, ``full``, or ``none`` known."""
        if self.payload is None or self.share is None:
            return "none"
        if self.needs_gbps and self.payload[1] < self.needs_gbps:
            return "short"
        return "full" if self.share >= 1 else "less"


@dataclass(frozen=True)
class Shared:
    """A link that several devices share.

    Parameters
    ----------
    host, name, title
        Where it is, and what it is.
    link
        What it trains to; None where the catalog is silent.
    carries_gbps
        What it is sure to carry in one direction [Gb/s].
    takes, gets
        By device: what it takes alone, and what is left when all go at once [Gb/s].
    """

    host: str
    name: str
    title: str
    link: TrainedLink | None
    carries_gbps: float
    takes: dict[str, float]
    gets: dict[str, float]

    @property
    def oversold(self) -> float:
        """How many times over the link is promised; 1 or less is enough for all."""
        return sum(self.takes.values()) / self.carries_gbps if self.carries_gbps else 0.0


def leaves(lab: Lab, host: str) -> list[Leaf]:
    """The devices of a host with what they get of the bus, in the order of the board's slots.

    Parameters
    ----------
    lab, host
        The lab, and which of its hosts.

    Notes
    -----
    Chips on the board have a link for each of their ports; a card has one for all of them. A slot
    that loses lanes to another that is in use loses as many as that one has.
    """
    machine = lab.hosts[host]
    if machine.board is None:
        return []
    found = [*_in_slots(lab, machine), *_on_board(machine)]
    order = list(machine.board.slots)
    places = {name: place for place, name in enumerate(order)}
    return sorted(found, key=lambda leaf: min((places.get(p, 99) for p in leaf.path), default=99))


def _on_board(host: Host) -> Iterator[Leaf]:
    for port in host.ports.values():
        uplink = host.board.nics.get(port.part.id, "") if host.board else ""
        if uplink == "":
            continue
        end = _link(port.part.title, port.part.pcie)
        speed = max(port.part.speeds_bps) / 1e9
        names = _uplinks(host, uplink)
        yield Leaf(
            host.name, port.name, port.part.title, "nic", names, names, end, end, speed, speed
        )


def _in_slots(lab: Lab, host: Host) -> Iterator[Leaf]:
    budgets = {row.device: row.needed_bytes_per_s * 8 / 1e9 for row in lab.link_budgets}
    for name, item in (host.devices | host.disks).items():
        part = item.part
        if isinstance(part, AdapterPart) or not isinstance(
            part, GpuPart | NicPart | AcceleratorPart | DiskPart
        ):
            continue
        hops, path, uplinks, note = _chain(host, item)
        could = _link(part.title, part.pcie)
        gets = None
        if could is not None and hops:
            gets = negotiate(*hops, Hop(part.title, could.gen, could.lanes))
        kind, takes, needs = _demand(part, gets)
        needs = budgets.get(f"{host.name}.{name}", needs)
        shared = tuple(p for p in path if p in uplinks)
        yield Leaf(host.name, name, part.title, kind, path, shared, could, gets, takes, needs, note)


def _demand(
    part: GpuPart | NicPart | AcceleratorPart | DiskPart, gets: TrainedLink | None
) -> tuple[str, float, float | None]:
    """What it is, the most it moves, and what it has to have [Gb/s]."""
    sure = payload_gbps(gets.gen, gets.lanes, mps=MPS_BYTES).lower if gets else 0.0
    if isinstance(part, NicPart):
        speed = max(part.speeds_bps) / 1e9
        return "nic", min(speed * part.port_count, sure or speed), speed * part.port_count
    if isinstance(part, DiskPart):
        rate = (part.outer_bytes_per_s or 0) * 8 / 1e9
        return "nvme" if part.pcie else "disk", rate or sure, None
    return "gpu" if isinstance(part, GpuPart) else "accelerator", sure, None


def _chain(host: Host, item: Device | Disk) -> tuple[list[Hop], tuple[str, ...], set[str], str]:
    """The passive hops, the names on the way from the processor, the shared links, a note."""
    if item.slot is None:
        return [], (), set(), "the design names no slot"
    slots = host.board.slots if host.board else {}
    hops: list[Hop] = []
    path: list[str] = []
    where = item.slot
    while where not in slots:
        device, _, inner = where.partition(".")
        adapter = host.devices.get(device)
        if adapter is None or not isinstance(adapter.part, AdapterPart) or adapter.slot is None:
            return [], tuple(path), set(), f"nothing is known of slot {where}"
        hops = [*_hop(where, adapter.part.slots.get(inner)), *hops]
        hops = [*_end(device, adapter.part.pcie), *hops]
        path = [device, *path]
        where = adapter.slot
    slot, note = _as_shared(host, where)
    uplinks = _uplinks(host, slot.uplink)
    return [*_hop(where, slot), *hops], (*uplinks, where, *path), set(uplinks), note


def _as_shared(host: Host, name: str) -> tuple[Slot, str]:
    """A board's slot with the lanes that slots in use leave it."""
    slots = host.board.slots if host.board else {}
    used = {str(item.slot).partition(".")[0] for item in (host.devices | host.disks).values()}
    slot = slots[name]
    rivals = [
        r for r, other in slots.items() if r != name and r in used and name in other.shares_with
    ]
    if slot.lanes is None or not rivals:
        return slot, ""
    left = slot.lanes - sum(slots[rival].lanes or 0 for rival in rivals)
    fitting = [lanes for lanes in LANES if lanes <= left]
    if not fitting:
        return slot, f"excluded while {' and '.join(rivals)} is used"
    note = f"{slot.lanes} lanes, less those of {' and '.join(rivals)}"
    return slot.model_copy(update={"lanes": fitting[-1]}), note


def _uplinks(host: Host, name: str | None) -> tuple[str, ...]:
    """The shared links from the processor down to `name`; none for the processor itself."""
    found: list[str] = []
    uplinks = host.board.uplinks if host.board else {}
    while name and name != "cpu" and name in uplinks and name not in found:
        found.insert(0, name)
        name = uplinks[name].upstream
    return tuple(found)


def _hop(name: str, slot: Slot | None) -> list[Hop]:
    if slot is None or slot.generation is None or slot.lanes is None:
        return []
    return [Hop(name, slot.generation, slot.lanes)]


def _end(name: str, link: PcieLink | None) -> list[Hop]:
    return [Hop(name, link.generation, link.lanes)] if link else []


def _link(name: str, link: PcieLink | None) -> TrainedLink | None:
    return TrainedLink(link.generation, link.lanes, name) if link else None


def shared_links(lab: Lab, host: str) -> list[Shared]:
    """The links of a host that several devices share, with everybody's part of them.

    Parameters
    ----------
    lab, host
        The lab, and which of its hosts.
    """
    machine = lab.hosts[host]
    found = []
    everything = leaves(lab, host)
    for name, uplink in (machine.board.uplinks if machine.board else {}).items():
        takes = {leaf.name: leaf.takes_gbps for leaf in everything if name in leaf.path}
        link, carries = None, 0.0
        if uplink.generation and uplink.lanes:
            link = TrainedLink(uplink.generation, uplink.lanes, name)
            carries = payload_gbps(link.gen, link.lanes, mps=MPS_BYTES).lower
        gets = shared_gbps(carries, takes) if link else dict(takes)
        found.append(Shared(host, name, uplink.title, link, carries, takes, gets))
    return [each for each in found if each.takes]
