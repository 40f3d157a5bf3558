"""Unit files of an administrator's own: read when systemd is told to, run when it starts them.

Source: systemd.service(5), systemd.unit(5).
"""

import re
import shlex
from functools import partial

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.unit import Unit

FOLDER = "/etc/systemd/system"
_ASKED = ("LoadState", "ActiveState", "SubState", "UnitFileState")


def reload(machine: Machine) -> None:
    """Read the unit files anew."""
    for path in machine.files.walk(FOLDER):
        folder, _, file = path.rpartition("/")
        if folder != FOLDER or not file.endswith(".service"):
            continue
        name = file.removesuffix(".service")
        unit = machine.units.setdefault(name, Unit(name))
        text = machine.files.text(path)
        if "ExecStart=" in text and not unit.transient:
            unit.source = text
            unit.on_start = partial(_started, text=text)


def found(machine: Machine, name: str) -> Unit | None:
    """A unit, or what the real host behind a seeded machine says of it; None for none."""
    if name in machine.units or machine.ask is None:
        return machine.units.get(name)
    words = [word for key in _ASKED for word in ("-p", key)]
    said = machine.said("systemctl", "show", f"{name}.service", *words)
    if said is None or said.status:
        return None
    told = dict(line.partition("=")[::2] for line in said.out.decode().splitlines())
    if told.get("LoadState") != "loaded":
        return None
    unit = Unit(name, told.get("ActiveState", "inactive"), told.get("SubState", "dead"))
    unit.enabled = told.get("UnitFileState") == "enabled"
    machine.units[name] = unit
    path = f"{FOLDER}/{name}.service"
    if machine.files.exists(path):
        unit.source = machine.files.text(path)
        unit.on_start = partial(_started, text=unit.source)
        if unit.active == "active":
            _started(machine, unit.source)  # what it does while it runs
    return unit


def unread(machine: Machine, unit: Unit) -> bool:
    """Whether a unit's file is another than systemd has read."""
    path = f"{FOLDER}/{unit.name}.service"
    return bool(unit.source) and machine.files.text(path) != unit.source


def _started(machine: Machine, text: str) -> str:
    """Run what a unit file says; why that failed, or nothing."""
    for key in ("ExecStart", "ExecStartPost"):
        for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE):
            reply = machine.call(Call(tuple(shlex.split(line)))).finished()
            if reply.status:
                return reply.err.decode(errors="replace") or f"{key} failed\n"
    return ""
