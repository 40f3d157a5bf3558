"""Phases, purchases, sales, decisions."""

from collections.abc import Iterator

from pydantic import BaseModel

from homelab_lib.lab.base import Made
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part
from homelab_lib.lab.project import Task


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _phases(lab)
    yield from _goods(lab)
    ids = (((("decisions", i, "id")), each.id) for i, each in enumerate(lab.decisions))
    yield from twice(ids, "the id")
    for index, each in enumerate(lab.leave_standalone):
        if each.host not in lab.hosts:
            yield unknown(("leave_standalone", index, "host"), each.host, lab.hosts, "host")
    for room in ("phases", "purchases", "sales", "inference_options"):
        names = (((room, i, "name"), each.name) for i, each in enumerate(getattr(lab, room)))
        yield from twice(names, "the name")


def _phases(lab: Lab) -> Iterator[Fault]:
    machines = [*lab.hosts, *lab.vms]
    for index, phase in enumerate(lab.phases):
        yield from _tasks(("phases", index, "tasks"), phase.tasks, machines)
    numbers = [phase.number for phase in lab.phases]
    yield from twice(((("phases", i, "number"), n) for i, n in enumerate(numbers)), "the phase")
    if numbers != sorted(numbers):
        yield Fault(("phases",), f"phases stand in the order {numbers}; write them in their order")
    for path, thing, number in _belonging((), lab):
        if number not in numbers:
            yield unknown((*path, "phase"), number, numbers, "phase")
        elif isinstance(thing, Made) and thing.exists:
            what = f"it exists already, so that phase {number} can't make it"
            yield Fault((*path, "phase"), what)


def _belonging(path: Steps, value: object) -> Iterator[tuple[Steps, BaseModel, int]]:
    """Everything that says which phase it belongs to, wherever it stands."""
    if isinstance(value, Part | Catalog):
        return
    if isinstance(value, BaseModel):
        phase = getattr(value, "phase", None)
        if phase is not None:
            yield path, value, phase
        below: list[tuple[str | int, object]] = [
            (name, getattr(value, name)) for name in type(value).model_fields
        ]
    elif isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, tuple):
        below = list(enumerate(value))
    else:
        return
    for step, each in below:
        if isinstance(each, BaseModel | dict | tuple):
            yield from _belonging((*path, step), each)


def _tasks(path: Steps, tasks: tuple[Task, ...], machines: list[str]) -> Iterator[Fault]:
    names = (((*path, i, "name"), task.name) for i, task in enumerate(tasks))
    yield from twice(names, "the name")
    for index, task in enumerate(tasks):
        yield from each_known((*path, index, "hosts"), task.hosts, machines, "host or VM")
        yield from _tasks((*path, index, "tasks"), task.tasks, machines)


def _goods(lab: Lab) -> Iterator[Fault]:
    parts: dict[str, Part] = {}
    for name, host in lab.hosts.items():
        parts |= {f"{name}.{disk}": each.part for disk, each in host.disks.items()}
        parts |= {f"{name}.{device}": each.part for device, each in host.devices.items()}
    places = [*lab.hosts, *lab.switches, *parts, *(cable.name for cable in lab.cables)]
    for index, purchase in enumerate(lab.purchases):
        yield from each_known(
            ("purchases", index, "used_in"), purchase.used_in, places, "host, device, disk or cable"
        )
    for index, sale in enumerate(lab.sales):
        path = ("sales", index, "taken_from")
        there = parts.get(sale.taken_from)
        if there is None:
            yield unknown(path, sale.taken_from, parts, "device or disk")
        elif there.id != sale.part.id:
            yield Fault(path, f"{sale.taken_from} is {there.id!r}, not {sale.part.id!r}")
