"""Slots, lanes and the links that devices share on their way to the processor."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import AdapterPart, GpuPart, NicPart
from homelab_lib.lab.host import Device, Disk, Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.platforms import AccessoryPart, Slot
from homelab_lib.models.pcie import Hop, TrainedLink, headroom, negotiate, payload_gbps

_GIGABIT = 1e9
_PLUGS_INTO = {
    "USB-A 2": {"USB-A 2", "USB-A 3"},
    "USB-A 3": {"USB-A 2", "USB-A 3"},
    "SATA": {"SATA", "SAS"},
}


def _occupied(host: Host) -> dict[str, Device | Disk]:
    """What sits in each slot of a host, by the slot as it is written."""
    inside: list[Device | Disk] = [*host.devices.values(), *host.disks.values()]
    return {each.slot: each for each in inside if each.slot is not None}


def _slots(host: Host) -> dict[str, Slot]:
    """The slots of its board; none where the board isn't described."""
    return host.board.slots if host.board else {}


def _lanes(host: Host, name: str) -> int:
    """Lanes of a board's slot, less those that its neighbours take from it."""
    slot = _slots(host)[name]
    taken = [
        other.lanes or 0
        for other_name, other in _slots(host).items()
        if name in other.shares_with and other_name in _occupied(host)
    ]
    return max((slot.lanes or 0) - sum(taken), 0)


def _slot(host: Host, name: str | None) -> Slot | None:
    """The slot of that name, on the board or on an adapter."""
    if name is None or host.board is None:
        return None
    if name in host.board.slots:
        return host.board.slots[name]
    adapter, _, place = name.partition(".")
    part = host.devices[adapter].part if adapter in host.devices else None
    return part.slots.get(place) if isinstance(part, AdapterPart) else None


def hops(host: Host, name: str | None) -> list[Hop]:
    """The passive hops from the processor's side to a slot.

    Parameters
    ----------
    host
        The machine.
    name
        The slot, as a device names it: ``PCIE1``, ``split.2``.

    Returns
    -------
    list of Hop
        The board's slot first. Empty where the slot has no PCI Express.
    """
    slot = _slot(host, name)
    if slot is None or name is None:
        return []
    if name in _slots(host):
        lanes = _lanes(host, name)
        return [Hop(name, slot.generation, lanes)] if slot.generation and lanes else []
    adapter = host.devices[name.partition(".")[0]]
    found = hops(host, adapter.slot)
    if found and isinstance(adapter.part, AdapterPart) and adapter.part.pcie is not None:
        found.append(Hop(adapter.name, adapter.part.pcie.generation, adapter.part.pcie.lanes))
    if found and slot.generation and slot.lanes:
        found.append(Hop(name, slot.generation, slot.lanes))
    return found


def link_of(host: Host, device: Device | Disk) -> TrainedLink | None:
    """What a device's link trains to, through all adapters; None where nothing is known.

    Parameters
    ----------
    host
        The machine it is in.
    device
        The card or drive.
    """
    pcie = getattr(device.part, "pcie", None)
    path = hops(host, device.slot)
    if pcie is None or not path:
        return None
    return negotiate(*path, Hop(device.name, pcie.generation, pcie.lanes))


@rule("device-without-slot")
def has_slot(lab: Lab) -> Iterator[Finding]:
    """A card that is in no slot, or in one whose lanes its neighbours take."""
    for host in lab.hosts.values():
        for device in host.devices.values():
            if isinstance(device.part, AccessoryPart) or host.board is None:
                continue
            subject = f"hosts.{host.name}.devices.{device.name}"
            if device.slot is None:
                free = _free_slot(host, device)
                changes = ((f"{subject}.slot", free),) if free else ()
                title = f"slot {free} is free" if free else "leave another card out"
                yield Finding(
                    "device-without-slot",
                    "note" if free else "stops",
                    subject,
                    f"Nothing says in which slot of {host.name} the {device.part.title} sits.",
                    evidence=(fact(host.board, f"slots {', '.join(host.board.slots)}"),),
                    fix=Fix(title, changes=changes),
                )
            elif device.slot in host.board.slots:
                slot = host.board.slots[device.slot]
                if slot.lanes and not _lanes(host, device.slot):
                    yield Finding(
                        "device-without-slot",
                        "stops",
                        subject,
                        f"Slot {device.slot} of {host.board.title} has no lanes left: another "
                        "slot that is in use takes them.",
                        0,
                        "lanes",
                        (fact(host.board, f"{device.slot} shares its lanes"),),
                    )


def _form(part: object) -> str | None:
    return getattr(part, "fits", None) or ("PCIe" if isinstance(part, GpuPart) else None)


def _free_slot(host: Host, device: Device) -> str | None:
    """The widest slot of the board where nothing sits, and that loses nobody a lane."""
    used, form = _occupied(host), _form(device.part)
    free = [
        (slot.lanes or 0, name)
        for name, slot in _slots(host).items()
        if name not in used and slot.form == form and not set(slot.shares_with) & set(used)
        and _lanes(host, name)
    ]  # fmt: skip
    return max(free)[1] if free else None


@rule("slot-does-not-fit")
def fits_slot(lab: Lab) -> Iterator[Finding]:
    """A card or drive of another form than its slot, or longer than its slot."""
    for host in lab.hosts.values():
        for kind, inside in (("devices", host.devices), ("disks", host.disks)):
            for each in inside.values():
                slot, form = _slot(host, each.slot), _form(each.part)
                if slot is None or form is None:
                    continue
                length = getattr(getattr(each.part, "pcie", None), "lanes", 1)
                too_long = form == "PCIe" and length > (slot.mechanical_lanes or length)
                if too_long or slot.form not in _PLUGS_INTO.get(form, {form}):
                    made = f"{form} x{length}" if too_long else form
                    there = f"{slot.form} x{slot.mechanical_lanes}" if too_long else slot.form
                    yield Finding(
                        "slot-does-not-fit",
                        "stops",
                        f"hosts.{host.name}.{kind}.{each.name}",
                        f"{each.part.title} is made for {made}, and {each.slot} of {host.name} "
                        f"is {there}.",
                        evidence=(fact(each.part, f"fits {made}"),),
                    )


@rule("slot-can-not-split")
def splits(lab: Lab) -> Iterator[Finding]:
    """An adapter that needs its slot's lanes split in a way the firmware does not offer."""
    for host in lab.hosts.values():
        for device in host.devices.values():
            mode = device.part.needs_mode if isinstance(device.part, AdapterPart) else None
            slot = _slot(host, device.slot)
            if mode and slot is not None and mode not in slot.modes:
                offered = ", ".join(slot.modes) or "none"
                yield Finding(
                    "slot-can-not-split",
                    "stops",
                    f"hosts.{host.name}.devices.{device.name}",
                    f"{device.part.title} needs {device.slot} split {mode}; the firmware of "
                    f"{host.name} offers {offered}.",
                    evidence=(fact(device.part, f"needs {mode}"),),
                )


def _nics(host: Host) -> Iterator[tuple[str, NicPart, list[Hop]]]:
    """Every network chip that a port of the host uses, with the hops to it."""
    slots = {device.part.id: device for device in host.devices.values()}
    for name, part in {port.part.id: port.part for port in host.ports.values()}.items():
        device = slots.get(name)
        subject = f"devices.{device.name}" if device else "board"
        yield f"hosts.{host.name}.{subject}", part, hops(host, device.slot) if device else []


@rule("link-below-nic")
def nic_has_lanes(lab: Lab) -> Iterator[Finding]:
    """A network card whose PCI Express link carries less than its ports."""
    for host in lab.hosts.values():
        for subject, part, path in _nics(host):
            if part.pcie is None:
                continue
            link = negotiate(*path, Hop(part.id, part.pcie.generation, part.pcie.lanes))
            ports = [port for port in host.ports.values() if port.part.id == part.id]
            used = [p for p in ports if _wired(lab, host, p.name)] or ports[:1]
            needed = len(used) * max(part.speeds_bps) / _GIGABIT
            carried = payload_gbps(link.gen, link.lanes)
            if headroom(carried.upper, needed) >= 1:
                continue
            yield Finding(
                "link-below-nic",
                "costs",
                subject,
                f"{part.title} has {needed:g} Gb/s outside and trains to PCI Express {link.gen}.0 "
                f"x{link.lanes}: {carried.lower:.2f} to {carried.upper:.2f} Gb/s of payload.",
                carried.upper,
                "Gb/s",
                (
                    fact(part, f"PCI Express {part.pcie.generation}.0 x{part.pcie.lanes}"),
                    f"Held down by {link.limited_by}; payload at 256 bytes.",
                ),
                _wider(host, subject, part, needed),
            )


def _wired(lab: Lab, host: Host, port: str) -> bool:
    return any(f"{host.name}.{port}" in (cable.a, cable.b) for cable in lab.cables)


def _wider(host: Host, subject: str, part: NicPart, needed: float) -> Fix:
    """More lanes in a slot of this host that is free, where that is enough."""
    device = next((d for d in host.devices.values() if d.part.id == part.id), None)
    if device is not None:
        free = _free_slot(host, device)
        path = hops(host, free) if free else []
        if path and part.pcie is not None:
            link = negotiate(*path, Hop(part.id, part.pcie.generation, part.pcie.lanes))
            if payload_gbps(link.gen, link.lanes).upper >= needed:
                return Fix(f"slot {free}", changes=((f"{subject}.slot", free),))
    return Fix(f"a card of a later PCI Express generation, or all lanes of the slot: {needed:g} "
               "Gb/s in the lanes there are")  # fmt: skip


@rule("link-below-need")
def budgets_met(lab: Lab) -> Iterator[Finding]:
    """A device that needs more than its link carries, by the document's own analysis."""
    for index, row in enumerate(lab.link_budgets):
        link = _of_row(lab, row.device)
        if link is None:
            continue
        carried = payload_gbps(link.gen, link.lanes).upper * _GIGABIT / 8
        if carried < row.needed_bytes_per_s:
            yield Finding(
                "link-below-need",
                "costs",
                f"link_budgets.{index}",
                f"{row.device} is said to need {row.needed_bytes_per_s / 1e9:g} GB/s; PCI Express "
                f"{link.gen}.0 x{link.lanes} carries {carried / 1e9:.2f} GB/s at most.",
                carried,
                "B/s",
                (f"Held down by {link.limited_by}.", f'The document: "{row.verdict}".'),
            )


@rule("link-slower-than-claimed")
def budgets_right(lab: Lab) -> Iterator[Finding]:
    """A link that trains to less than the document's bandwidth analysis has it give."""
    for index, row in enumerate(lab.link_budgets):
        link = _of_row(lab, row.device)
        if link is None:
            continue
        given = link.raw_gbps * _GIGABIT / 8
        if given < 0.95 * row.provided_bytes_per_s:
            yield Finding(
                "link-slower-than-claimed",
                "costs",
                f"link_budgets.{index}",
                f"{row.link} is said to give {row.device} {row.provided_bytes_per_s / 1e9:g} GB/s; "
                f"the link trains to PCI Express {link.gen}.0 x{link.lanes}, {given / 1e9:.2f} "
                "GB/s before packet overhead.",
                given,
                "B/s",
                (f"Held down by {link.limited_by}.",),
                Fix(
                    "reckon with what it trains to",
                    changes=((f"link_budgets.{index}.provided_bytes_per_s", round(given)),),
                ),
            )


def _of_row(lab: Lab, name: str) -> TrainedLink | None:
    host, _, device = name.partition(".")
    found = lab.hosts[host].devices.get(device)
    return link_of(lab.hosts[host], found) if found else None


@rule("uplink-shared")
def uplinks_suffice(lab: Lab) -> Iterator[Finding]:
    """A controller or chipset whose uplink carries less than what hangs on it."""
    for host in lab.hosts.values():
        if host.board is None:
            continue
        for name, uplink in host.board.uplinks.items():
            if not uplink.generation or not uplink.lanes:
                continue
            demands = dict(_behind(lab, host, name))
            carried = payload_gbps(uplink.generation, uplink.lanes).upper
            wanted = sum(demands.values())
            if wanted <= carried:
                continue
            disks = [demand for demand in demands if demand in host.disks]
            yield Finding(
                "uplink-shared",
                "costs" if len(disks) == len(demands) else "note",
                f"hosts.{host.name}.board",
                f"{', '.join(demands)} share the uplink of {uplink.title}: {wanted:.1f} Gb/s "
                f"together, and {carried:.1f} Gb/s (PCI Express {uplink.generation}.0 "
                f"x{uplink.lanes}) for all.",
                carried,
                "Gb/s",
                (
                    fact(host.board, f"{uplink.title} hangs on x{uplink.lanes}"),
                    *(f"{demand}: {gbps:.2f} Gb/s" for demand, gbps in demands.items()),
                ),
            )


def _behind(lab: Lab, host: Host, uplink: str) -> Iterator[tuple[str, float]]:
    """What hangs on an uplink, and how much each could take alone [Gb/s]."""
    for slot, each in _occupied(host).items():
        if slot not in _slots(host) or _slots(host)[slot].uplink != uplink:
            continue
        link = link_of(host, each)
        rate = getattr(each.part, "outer_bytes_per_s", None)
        if link is not None:
            yield each.name, payload_gbps(link.gen, link.lanes).upper
        elif rate:
            yield each.name, rate * 8 / _GIGABIT
    nics = host.board.nics if host.board else {}
    for port in host.ports.values():
        if nics.get(port.part.id) == uplink and _wired(lab, host, port.name):
            yield port.name, max(port.speeds_bps) / _GIGABIT
