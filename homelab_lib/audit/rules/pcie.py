"""Slots, lanes and the links that devices share on their way to the processor."""

from collections.abc import Iterable, Iterator

from homelab_lib.audit.assumptions import assumptions
from homelab_lib.audit.facts_media import stream_facts
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.called import devices
from homelab_lib.lab.devices import AdapterPart, GpuPart
from homelab_lib.lab.host import Device, Disk, Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.platforms import AccessoryPart, Slot
from homelab_lib.models.pcie import TrainedLink, headroom
from homelab_lib.wiring.pcie_link import carries, lanes_left, link_of, link_of_port, told
from homelab_lib.wiring.pcie_tree import shared_links

_GIGABIT = 1e9
_FEW = 6  # devices that a sentence still names
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


def _slot(host: Host, name: str | None) -> Slot | None:
    """The slot of that name, on the board or on an adapter."""
    if name is None or host.board is None:
        return None
    if name in host.board.slots:
        return host.board.slots[name]
    adapter, _, place = name.partition(".")
    part = host.devices[adapter].part if adapter in host.devices else None
    return part.slots.get(place) if isinstance(part, AdapterPart) else None


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
                if slot.lanes and not lanes_left(host, device.slot)[0]:
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
        and lanes_left(host, name)[0]
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


@rule("link-below-nic")
def nic_has_lanes(lab: Lab) -> Iterator[Finding]:
    """A network card whose PCI Express link carries less than its ports."""
    for host in lab.hosts.values():
        cards = {device.part.id: device for device in host.devices.values()}
        for part_id, port in {port.part.id: port for port in host.ports.values()}.items():
            part, device, link = port.part, cards.get(part_id), link_of_port(host, port.name)
            carried = carries(link) if link else None
            if part.pcie is None or link is None or carried is None:
                continue
            ports = [port for port in host.ports.values() if port.part.id == part.id]
            used = [p for p in ports if _wired(lab, host, p.name)] or ports[:1]
            needed = len(used) * max(part.speeds_bps) / _GIGABIT
            if headroom(carried.upper, needed) >= 1:
                continue
            subject = f"hosts.{host.name}." + (f"devices.{device.name}" if device else "board")
            yield Finding(
                "link-below-nic",
                "costs",
                subject,
                f"{part.title} has {needed:g} Gb/s outside and trains to PCI Express {link.gen}.0 "
                f"x{link.lanes}: {told(carried)}.",
                carried.upper,
                "Gb/s",
                (
                    fact(part, f"PCI Express {part.pcie.generation}.0 x{part.pcie.lanes}"),
                    f"Held down by {link.limited_by}.",
                ),
                _wider(host, device, needed),
            )


def _wired(lab: Lab, host: Host, port: str) -> bool:
    return any(f"{host.name}.{port}" in (cable.a, cable.b) for cable in lab.cables)


def _wider(host: Host, device: Device | None, needed: float) -> Fix:
    """More lanes in a slot of this host that is free, where that is enough."""
    free = _free_slot(host, device) if device else None
    if device is not None and free is not None:
        link = link_of(host, device, slot=free)
        carried = carries(link) if link else None
        if carried is not None and carried.upper >= needed:
            path = f"hosts.{host.name}.devices.{device.name}.slot"
            return Fix(f"slot {free}", changes=((path, free),))
    return Fix(f"a card of a later PCI Express generation, or all lanes of the slot: {needed:g} "
               "Gb/s in the lanes there are")  # fmt: skip


@rule("link-below-need")
def budgets_met(lab: Lab) -> Iterator[Finding]:
    """A device that needs more than its link carries, by the document's own analysis."""
    for index, row in enumerate(lab.link_budgets):
        link = _of_row(lab, row.device)
        band = carries(link) if link else None
        if link is None or band is None or row.needed_bytes_per_s is None:
            continue
        carried = band.upper * _GIGABIT / 8
        if carried < row.needed_bytes_per_s:
            yield Finding(
                "link-below-need",
                "costs",
                f"link_budgets.{index}",
                f"{devices(lab)[row.device]} is said to need {row.needed_bytes_per_s / 1e9:g} "
                f"GB/s; PCI Express {link.gen}.0 x{link.lanes} carries {told(band, 8, 'GB/s')}.",
                carried,
                "B/s",
                (f"Held down by {link.limited_by}.", f'The document: "{row.verdict}".'),
            )


@rule("ideal-without-basis")
def ideals_have_reasons(lab: Lab) -> Iterator[Finding]:
    """A bandwidth called ideal for a card that no stream the document promises comes near."""
    for index, row in enumerate(lab.link_budgets):
        needs = [each.link_bps / 8 for each in stream_facts(lab) if each.device == row.device]
        if row.ideal_bytes_per_s is None or not needs or max(needs) >= row.ideal_bytes_per_s:
            continue
        yield Finding(
            "ideal-without-basis",
            "note",
            f"link_budgets.{index}",
            f"{row.ideal_bytes_per_s / 1e9:g} GB/s are called ideal for "
            f"{devices(lab).get(row.device, row.device)}; what is promised of it moves "
            f"{max(needs) / 1e9:.2f} GB/s over its link, since only compressed video crosses it. "
            "It is no need, and nothing is short by it.",
            max(needs),
            "B/s",
            fix=Fix("leave it out", changes=((f"link_budgets.{index}.ideal_bytes_per_s", None),)),
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
                f"{row.link} is said to give {devices(lab)[row.device]} "
                f"{row.provided_bytes_per_s / 1e9:g} GB/s; "
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
    """A controller, chipset, adapter or expander whose uplink carries less than hangs on it."""
    for host in lab.hosts.values():
        for shared in shared_links(lab, host.name):
            takes = {name: gbps for name, gbps in shared.takes.items() if gbps}
            wanted = sum(takes.values())
            if not shared.payload.upper or wanted <= shared.payload.upper:
                continue
            device = host.devices.get(shared.name)
            part = device.part if device else host.board
            names = ", ".join(takes) if len(takes) <= _FEW else f"{len(takes)} devices"
            carried = f"{shared.payload.upper:.1f} Gb/s"
            if (link := shared.link) is not None:
                carried = f"PCI Express {link.gen}.0 x{link.lanes}: {told(shared.payload)}"
            yield Finding(
                "uplink-shared",
                "costs" if set(takes) <= set(host.disks) else "note",
                f"hosts.{host.name}." + (f"devices.{shared.name}" if device else "board"),
                f"{names} share the uplink of {shared.title}: {wanted:.1f} Gb/s together, and "
                f"{carried} for all.",
                shared.payload.upper,
                "Gb/s",
                (
                    *([fact(part, f"the uplink of {shared.title}")] if part else []),
                    *(f"{name}: {gbps:.2f} Gb/s" for name, gbps in takes.items()),
                ),
                _more_lanes(host, device, wanted),
                assumptions(lab, _places(host, takes)),
            )


def _places(host: Host, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f"hosts.{host.name}.{'disks' if name in host.disks else 'devices'}.{name}"


def _more_lanes(host: Host, device: Device | None, wanted: float) -> Fix | None:
    """A free slot in which an adapter has room for all that hangs on it."""
    free = _free_slot(host, device) if device else None
    link = link_of(host, device, slot=free) if device and free else None
    carried = carries(link) if link else None
    if device is None or carried is None or carried.upper < wanted:
        return None
    return Fix(f"slot {free}", changes=((f"hosts.{host.name}.devices.{device.name}.slot", free),))
