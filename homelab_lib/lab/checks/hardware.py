"""Hosts: what sits where, and names that must be unique."""

from collections.abc import Collection, Iterator

from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.devices import AdapterPart
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab


def devices(lab: Lab) -> Collection[str]:
    """What a reference to a device may name: ``host.device``, ``host.cpu``."""
    return [
        f"{name}.{device}"
        for name, host in lab.hosts.items()
        for device in (*host.devices, *(("cpu",) if host.cpu else ()))
    ]


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _names(lab)
    for name, host in lab.hosts.items():
        path = ("hosts", name)
        yield from _slots(path, host)
        yield from _processors(path, host)
        yield from each_known((*path, "tools"), host.tools, lab.downloads, "download")
        if host.os.kind == "other" and not host.os.title:
            yield Fault((*path, "os"), "say what it is called: title: RouterOS")
        interfaces: list[tuple[Steps, str | None]] = [
            ((*path, "ports", port, "interface"), each.interface)
            for port, each in host.ports.items()
        ]
        interfaces += [((*path, "bonds", name), name) for name in host.bonds]
        yield from twice(interfaces, "the interface")
    serials = (
        (("hosts", name, "disks", disk, "serial"), each.serial)
        for name, host in lab.hosts.items()
        for disk, each in host.disks.items()
    )
    yield from twice(serials, "the serial number")


def _names(lab: Lab) -> Iterator[Fault]:
    """A name means one machine: runbooks, known_hosts and cables go by it."""
    rooms = ("hosts", "vms", "containers", "switches")
    names = (((room, name), name) for room in rooms for name in getattr(lab, room))
    yield from twice(names, "the machine name")


def _processors(path: Steps, host: Host) -> Iterator[Fault]:
    here = (*path, "cpu_count")
    if host.cpu is None and "cpu_count" in host.model_fields_set:
        yield Fault(here, "say which processor it is: cpu")
    elif host.board is not None and host.cpu_count > host.board.sockets:
        board = f"{host.board.id} takes {host.board.sockets}"
        yield Fault(here, f"{host.cpu_count} processors are too many: {board}")


def _slots(path: Steps, host: Host) -> Iterator[Fault]:
    slots = _all_slots(host)
    places = [
        ((*path, room, name, "slot"), each.slot)
        for room, things in (("devices", host.devices), ("disks", host.disks))
        for name, each in things.items()
    ]
    places += [
        ((*path, "devices", name, "more_slots", index), slot)
        for name, device in host.devices.items()
        for index, slot in enumerate(device.more_slots)
    ]
    yield from twice(places, "the slot")
    if host.board is not None:
        for place, slot in places:
            if slot is not None and slot not in slots:
                yield unknown(place, slot, slots, "slot")
    yield from _circles(path, host)


def _all_slots(host: Host) -> list[str]:
    """Slots of the board, and of the adapters in them as ``adapter.slot``."""
    own = list(host.board.slots) if host.board is not None else []
    return own + [
        f"{name}.{slot}"
        for name, device in host.devices.items()
        if isinstance(device.part, AdapterPart)
        for slot in device.part.slots
    ]


def _circles(path: Steps, host: Host) -> Iterator[Fault]:
    """An adapter that sits, over others, in itself."""
    for name in host.devices:
        seen, at = [name], name
        while (slot := host.devices[at].slot) and (above := slot.partition(".")[0]) != slot:
            if above == name:
                yield Fault((*path, "devices", name, "slot"), f"{name!r} sits in itself")
            if above in seen or above not in host.devices:
                break
            seen.append(above)
            at = above
