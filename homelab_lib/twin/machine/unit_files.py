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
