"""Unit files of an administrator's own: read when systemd is told to, run when it starts them.

Source: systemd.service(5), systemd.unit(5).
"""

import re
import shlex
from functools import partial

from homelab_lib.twin.machine.calendar import elapses_s
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.unit import Unit

FOLDER = "/etc/systemd/system"
_ASKED = ("LoadState", "ActiveState", "SubState", "UnitFileState")


def reload(machine: Machine) -> None:
    """Read the unit files anew."""
    for path in machine.files.walk(FOLDER):
        folder, _, file = path.rpartition("/")
        if folder != FOLDER or not file.endswith((".service", ".timer")):
            continue
        name = file.removesuffix(".service")
        unit = machine.units.setdefault(name, Unit(name))
        if not unit.transient:
            _read(unit, machine.files.text(path))


def _read(unit: Unit, text: str) -> None:
    """What a unit does by its file."""
    if "OnCalendar=" in text:
        unit.source, unit.on_start = text, partial(_waits, unit=unit, text=text)
    elif "ExecStart=" in text:
        unit.source, unit.on_start = text, partial(_started, text=text)
        unit.oneshot = "Type=oneshot" in text.splitlines()


def whole(name: str) -> str:
    """A unit's name with its kind."""
    return name if name.endswith(".timer") else f"{name}.service"


def found(machine: Machine, name: str) -> Unit | None:
    """A unit, or what the real host behind a seeded machine says of it; None for none."""
    if name in machine.units or machine.ask is None:
        return machine.units.get(name)
    words = [word for key in _ASKED for word in ("-p", key)]
    said = machine.said("systemctl", "show", whole(name), *words)
    if said is None or said.status:
        return None
    told = dict(line.partition("=")[::2] for line in said.out.decode().splitlines())
    if told.get("LoadState") != "loaded":
        return None
    unit = Unit(name, told.get("ActiveState", "inactive"), told.get("SubState", "dead"))
    unit.enabled = told.get("UnitFileState") == "enabled"
    machine.units[name] = unit
    path = f"{FOLDER}/{whole(name)}"
    if machine.files.exists(path):
        _read(unit, machine.files.text(path))
        if unit.active == "active":
            unit.on_start(machine)  # what it does while it runs
    return unit


def unread(machine: Machine, unit: Unit) -> bool:
    """Whether a unit's file is another than systemd has read."""
    path = f"{FOLDER}/{whole(unit.name)}"
    return bool(unit.source) and machine.files.text(path) != unit.source


def _started(machine: Machine, text: str) -> str:
    """Run what a unit file says; why that failed, or nothing."""
    variables = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
    for key in ("ExecStart", "ExecStartPost"):
        for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE):
            said = line.lstrip("+-@:!")
            words = tuple(shlex.split(said.replace("%%", "%").replace("$$", "$")))
            reply = machine.call(Call(words, env=dict(variables))).finished()
            if reply.status and "-" not in line.removesuffix(said):
                return reply.err.decode(errors="replace") or f"{key} failed\n"
    return ""


def _waits(machine: Machine, *, unit: Unit, text: str) -> str:
    """A timer: it starts its service each time that it elapses, until it is stopped."""
    events = re.findall(r"^OnCalendar=(.*)$", text, re.MULTILINE)
    begun = unit.starts
    service = unit.name.removesuffix(".timer")

    def elapses() -> None:
        if machine.units.get(unit.name) is not unit or unit.active != "active":
            return
        if unit.starts != begun or not machine.up:
            return
        if (started := machine.units.get(service)) is not None:
            started.start(machine)
        wait()

    def wait() -> None:
        now_s = machine.now_s()
        moments = [elapses_s(event, now_s) for event in events]
        due = min((each for each in moments if each is not None), default=None)
        if due is not None:
            machine.world.after(due - now_s, elapses, label=unit.name)

    try:
        wait()
    except ValueError as error:
        return f"{error}\n"
    return ""
