"""The PCI Express tree of a host: what each device could have, what it gets, what it shares."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.devices import (
    AcceleratorPart,
    AdapterPart,
    BackplanePart,
    DiskPart,
    GpuPart,
    HbaPart,
    NicPart,
)
from homelab_lib.lab.host import Device, Host
from homelab_lib.lab.part import PcieLink
from homelab_lib.models.pcie import Payload, TrainedLink, shared_gbps
from homelab_lib.wiring.pcie_link import carries, is_switch, link_of, uplinks_above, way_to

_SAS_LANES = 4
_SAS_CODING = 8 / 10  # SAS to 12 Gb/s: SPL-3, §5.2


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
    def payload(self) -> Payload | None:
        """Payload of its link, what is sure and the ceiling [Gb/s]."""
        return carries(self.gets) if self.gets else None

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
    payload
        What it is sure to carry in one direction, and its ceiling; 0 where not known [Gb/s].
    takes, gets
        By device: what it takes alone, and what is left when all go at once [Gb/s].
    """

    host: str
    name: str
    title: str
    link: TrainedLink | None
    payload: Payload
    takes: dict[str, float]
    gets: dict[str, float]

    @property
    def carries_gbps(self) -> float:
        """What it is sure to carry in one direction; 0 where that is not known [Gb/s]."""
        return self.payload.lower

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
        names = uplinks_above(host, uplink)
        yield Leaf(
            host.name, port.name, port.part.title, "nic", names, names, end, end, speed, speed
        )


def _in_slots(lab: Lab, host: Host) -> Iterator[Leaf]:
    budgets = {
        row.device: row.needed_bytes_per_s * 8 / 1e9
        for row in lab.link_budgets
        if row.needed_bytes_per_s
    }
    for name, item in (host.devices | host.disks).items():
        part = item.part
        if isinstance(part, AdapterPart) or not isinstance(
            part, GpuPart | NicPart | AcceleratorPart | DiskPart
        ):
            continue
        way = way_to(host, item.slot)
        could, gets = _link(part.title, part.pcie), link_of(host, item)
        kind, takes, needs = _demand(part, gets)
        needs = budgets.get(f"{host.name}.{name}", needs)
        yield Leaf(
            host.name,
            name,
            part.title,
            kind,
            way.path,
            way.uplinks,
            could,
            gets,
            takes,
            needs,
            way.note,
        )


def _demand(
    part: GpuPart | NicPart | AcceleratorPart | DiskPart, gets: TrainedLink | None
) -> tuple[str, float, float | None]:
    """What it is, the most it moves, and what it has to have [Gb/s]."""
    payload = carries(gets) if gets else None
    sure = payload.lower if payload else 0.0
    if isinstance(part, NicPart):
        speed = max(part.speeds_bps) / 1e9
        return "nic", min(speed * part.port_count, sure or speed), speed * part.port_count
    if isinstance(part, DiskPart):
        rate = (part.outer_bytes_per_s or 0) * 8 / 1e9
        return "nvme" if part.pcie else "disk", rate or sure, None
    return "gpu" if isinstance(part, GpuPart) else "accelerator", sure, None


def _link(name: str, link: PcieLink | None) -> TrainedLink | None:
    return TrainedLink(link.generation, link.lanes, name) if link else None


def shared_links(lab: Lab, host: str) -> list[Shared]:
    """The links of a host that several devices share, with everybody's part of them.

    They are the board's uplinks, and those of adapters: of a host bus adapter or a card with a
    switch to its slot, of an expander to its host bus adapter.

    Parameters
    ----------
    lab, host
        The lab, and which of its hosts.
    """
    machine = lab.hosts[host]
    everything = leaves(lab, host)
    found = []
    for name, uplink in (machine.board.uplinks if machine.board else {}).items():
        link = None
        if uplink.generation and uplink.lanes:
            link = TrainedLink(uplink.generation, uplink.lanes, name)
        takes = {leaf.name: leaf.takes_gbps for leaf in everything if name in leaf.path}
        found.append(_shared(host, name, uplink.title, link, carries(uplink), takes))
    for device in machine.devices.values():
        takes = {leaf.name: leaf.takes_gbps for leaf in everything if device.name in leaf.path}
        if not isinstance(device.part, AdapterPart) or not takes:
            continue
        if isinstance(device.part, HbaPart) or is_switch(device.part):
            link = link_of(machine, device)
            payload = carries(link) if link else None
            found.append(_shared(host, device.name, device.part.title, link, payload, takes))
        elif isinstance(device.part, BackplanePart) and device.part.expander_chip:
            rate = _sas_gbps(machine, device, device.part)
            payload = Payload(rate, rate) if rate else None
            title = f"{device.part.title}, its SAS lanes"
            found.append(_shared(host, device.name, title, None, payload, takes))
    return [each for each in found if each.takes]


def _sas_gbps(host: Host, device: Device, part: BackplanePart) -> float:
    """What the cables between an expander and its host bus adapter carry; 0 where not known."""
    adapter = host.devices.get((device.slot or "").partition(".")[0])
    if adapter is None or not isinstance(adapter.part, HbaPart | BackplanePart):
        return 0.0
    lanes = _SAS_LANES * (1 + len(device.more_slots))
    return min(adapter.part.link_bps, part.link_bps) / 1e9 * _SAS_CODING * lanes


def _shared(
    host: str,
    name: str,
    title: str,
    link: TrainedLink | None,
    payload: Payload | None,
    takes: dict[str, float],
) -> Shared:
    gets = shared_gbps(payload.lower, takes) if payload else dict(takes)
    return Shared(host, name, title, link, payload or Payload(0.0, 0.0), takes, gets)


def common_uplink(lab: Lab, host: str, disks: Collection[str]) -> tuple[str, float]:
    """The narrowest link that all of these disks hang on, and what it is sure to carry [bytes/s].

    Infinite where they share none that is known.
    """
    common = [
        link
        for link in shared_links(lab, host)
        if link.carries_gbps and set(disks) <= link.takes.keys()
    ]
    if not common:
        return "", float("inf")
    least = min(common, key=lambda link: link.carries_gbps)
    return least.title, least.carries_gbps * 1e9 / 8
