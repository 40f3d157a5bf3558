"""Unit files of an administrator's own: read when systemd is told to, run when it starts them.

Source: systemd.service(5), systemd.unit(5); systemd's `unit_need_daemon_reload`.
"""

import re
import shlex
from functools import partial

from homelab_lib.twin.machine.calendar import elapses_s
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.unit import Unit

FOLDER = "/etc/systemd/system"
DROPIN = "homelab.conf"
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
    for path in machine.files.walk(FOLDER):
        folder, _, file = path.rpartition("/")
        name = folder.removeprefix(f"{FOLDER}/").removesuffix(".service.d")
        if file == DROPIN and name in machine.units:
            _read_dropin(machine, machine.units[name])


def _laid_over(machine: Machine, name: str) -> str:
    """What is laid over a unit's file, as far as anybody here does: one file, of this name."""
    path = f"{FOLDER}/{whole(name)}.d/{DROPIN}"
    return machine.files.text(path) if machine.files.exists(path) else ""


def _read_dropin(machine: Machine, unit: Unit) -> None:
    laid = _laid_over(machine, unit.name)
    if laid != unit.dropin:
        unit.dropin, unit.on_start = laid, partial(_started, text=f"{unit.source}{laid}")


def _read(unit: Unit, text: str) -> None:
    """What a unit does by its file."""
    unit.dropin = ""
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
    resumed(machine, unit)
    return unit


def resumed(machine: Machine, unit: Unit) -> None:
    """Have a unit of a seeded machine do what its files say, if it runs there."""
    path = f"{FOLDER}/{whole(unit.name)}"
    if machine.files.exists(path):
        _read(unit, machine.files.text(path))
    _read_dropin(machine, unit)
    if (unit.source or unit.dropin) and unit.active == "active":
        unit.on_start(machine)


def unread(machine: Machine, unit: Unit) -> bool:
    """Whether a unit's file, or what is laid over it, is another than systemd has read. A file that
    takes the place of a package's is not noticed."""
    path = f"{FOLDER}/{whole(unit.name)}"
    file = bool(unit.source) and machine.files.text(path) != unit.source
    return file or _laid_over(machine, unit.name) != unit.dropin


def _started(machine: Machine, text: str) -> str:
    """Run what a unit file says; why that failed, or nothing."""
    variables = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
    for key in ("ExecStart", "ExecStartPost"):
        lines = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
        while "" in lines:  # an empty one takes back those before it
            del lines[: lines.index("") + 1]
        for line in lines:
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
