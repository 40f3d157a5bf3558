"""A device's link to the processor: what it trains to through slots and adapters, and carries.

The one place where that is reckoned: audit, sweep, figures and runbooks ask here.
"""

from dataclasses import dataclass

from homelab_lib.lab.devices import AdapterPart
from homelab_lib.lab.host import Device, Disk, Host
from homelab_lib.lab.part import PcieLink
from homelab_lib.lab.platforms import Slot, Uplink
from homelab_lib.models.pcie import LANES, Hop, Payload, TrainedLink, carried_gbps, negotiate

MPS_BYTES = 256
"""Largest payload of a packet that is taken for the ceiling [bytes]: what desktops and small boards
agree on. What a link is sure to carry does not rest on it."""


def carries(link: TrainedLink | Uplink) -> Payload | None:
    """What a link is sure to carry in one direction, and its ceiling [Gb/s].

    None where the catalog is silent on its generation or its lanes.
    """
    gen = link.gen if isinstance(link, TrainedLink) else link.generation
    return carried_gbps(gen, link.lanes, mps=MPS_BYTES) if gen and link.lanes else None


def told(payload: Payload, per: float = 1.0, unit: str = "Gb/s") -> str:
    """A band in words, with the packet size that its ceiling rests on.

    Parameters
    ----------
    payload
        The band [Gb/s].
    per, unit
        What it is divided by, and the unit of the result: 8 for ``GB/s``.
    """
    low, high = (each / per for each in payload)
    digits = 1 if high >= 10 else 2
    return f"{low:.{digits}f} to {high:.{digits}f} {unit} of payload (MPS {MPS_BYTES})"


@dataclass(frozen=True)
class Way:
    """How a slot is reached.

    Parameters
    ----------
    hops
        Passive hops from the processor's side, the board's slot first, or from the last switch on;
        empty where the slot has no PCI Express or is not known.
    path
        What lies between, by name, from the processor on: shared links, slots, adapters.
    uplinks
        The board's shared links among these.
    note
        What is odd about it.
    """

    hops: tuple[Hop, ...] = ()
    path: tuple[str, ...] = ()
    uplinks: tuple[str, ...] = ()
    note: str = ""


def way_to(host: Host, slot: str | None) -> Way:
    """The way from the processor to a slot, of the board or of an adapter: ``PCIE1``, ``split.2``.

    Parameters
    ----------
    host
        The machine.
    slot
        As a device names it; None where the design does not say.
    """
    if slot is None:
        return Way(note="the design names no slot")
    slots = host.board.slots if host.board else {}
    hops: tuple[Hop, ...] = ()
    behind: tuple[Hop, ...] = ()
    path: tuple[str, ...] = ()
    where = slot
    while where not in slots:
        name, _, inner = where.partition(".")
        adapter = host.devices.get(name)
        if adapter is None or not isinstance(adapter.part, AdapterPart) or adapter.slot is None:
            return Way(path=path, note=f"nothing is known of slot {where}")
        hops = (*_hop(where, adapter.part.slots.get(inner)), *hops)
        if is_switch(adapter.part):
            behind = behind or hops
        else:
            hops = (*_end(name, adapter.part.pcie), *hops)
        path = (name, *path)
        where = adapter.slot
    lanes, note = lanes_left(host, where)
    uplinks = uplinks_above(host, slots[where].uplink)
    path = (*uplinks, where, *path)
    if slots[where].lanes and not lanes:
        return Way((), path, uplinks, note)
    left = slots[where].model_copy(update={"lanes": lanes})
    return Way(behind or (*_hop(where, left), *hops), path, uplinks, note)


def link_of(host: Host, item: Device | Disk, *, slot: str | None = None) -> TrainedLink | None:
    """What a device's link trains to, through all adapters; None where nothing is known.

    Parameters
    ----------
    host
        The machine it is in.
    item
        The card or drive.
    slot
        Where it would be, if not where it is.
    """
    end = getattr(item.part, "pcie", None)
    hops = way_to(host, slot or item.slot).hops
    return negotiate(*hops, *_end(item.part.title, end)) if end is not None and hops else None


def is_switch(part: AdapterPart) -> bool:
    """Whether an adapter has a switch on it: its slots have more lanes than itself."""
    return part.pcie is not None and part.pcie.lanes < sum(
        s.lanes or 0 for s in part.slots.values()
    )


def link_of_port(host: Host, port: str) -> TrainedLink | None:
    """What the link of a port's network chip trains to; None where its maker is silent.

    A chip on the board has all the lanes that it can use.
    """
    part = host.ports[port].part
    if part.pcie is None:
        return None
    device = next((each for each in host.devices.values() if each.part == part), None)
    found = link_of(host, device) if device else None
    return found or TrainedLink(part.pcie.generation, part.pcie.lanes, part.title)


def lanes_left(host: Host, slot: str) -> tuple[int | None, str]:
    """Lanes of a board's slot, less those that its neighbours take, and a word about that.

    None for a slot without PCI Express; 0 while a neighbour that is in use takes them all.
    """
    slots = host.board.slots if host.board else {}
    used = {str(item.slot).partition(".")[0] for item in (host.devices | host.disks).values()}
    lanes = slots[slot].lanes
    rivals = [
        name
        for name, other in slots.items()
        if name != slot and name in used and slot in other.shares_with
    ]
    if lanes is None or not rivals:
        return lanes, ""
    left = lanes - sum(slots[rival].lanes or 0 for rival in rivals)
    fitting = [each for each in LANES if each <= left]
    if not fitting:
        return 0, f"excluded while {' and '.join(rivals)} is used"
    return fitting[-1], f"{lanes} lanes, less those of {' and '.join(rivals)}"


def uplinks_above(host: Host, name: str | None) -> tuple[str, ...]:
    """The board's shared links from the processor down to `name`; none for the processor itself."""
    found: list[str] = []
    uplinks = host.board.uplinks if host.board else {}
    while name and name != "cpu" and name in uplinks and name not in found:
        found.insert(0, name)
        name = uplinks[name].upstream
    return tuple(found)


def _hop(name: str, slot: Slot | None) -> tuple[Hop, ...]:
    if slot is None or slot.generation is None or not slot.lanes:
        return ()
    return (Hop(name, slot.generation, slot.lanes),)


def _end(name: str, link: PcieLink | None) -> tuple[Hop, ...]:
    return (Hop(name, link.generation, link.lanes),) if link else ()
