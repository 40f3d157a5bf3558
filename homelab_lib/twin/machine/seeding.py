"""Makes a twin's machine what a real one says it is.

The twin names the reading commands that it needs to become a host; somebody else runs them; here
their raw output is read. Files are asked for only when the rehearsal looks at them.
"""

import json
from typing import Any

from homelab_lib.twin.machine.files import Entry, FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.machine.unit import Unit

_KINDS = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "dir",
    "symbolic link": "link",
}
_UNITS = ("qemu-guest-agent",)
_LARGEST_READ_BYTES = 2**20  # what is larger is known by its digest alone


def lines_of(ask: Ask, host: str, *argv: str) -> list[str] | None:
    """What a command prints, line by line; None where it can't be asked or fails."""
    answer = ask(host, argv)
    if answer is None or answer[0] != 0:
        return None
    return answer[1].splitlines()


def json_of(ask: Ask, host: str, *argv: str) -> Any:
    """What a command prints, as JSON; None where it gives none."""
    answer = ask(host, argv)
    if answer is None or answer[0] != 0:
        return None
    try:
        return json.loads(answer[1])
    except ValueError:
        return None


def seed_machine(machine: Machine, ask: Ask) -> bool:
    """What every Unix tells of itself; False where nobody answers."""
    kernel = lines_of(ask, machine.name, "uname", "-r")
    if not kernel:
        return False
    machine.kernel = kernel[0]
    processors = lines_of(ask, machine.name, "nproc")
    if processors and processors[0].isdigit():
        machine.threads = int(processors[0])
    packages = lines_of(ask, machine.name, "dpkg-query", "-W", "-f", "${Package}\t${Version}\n")
    if packages is not None:
        machine.packages = dict(line.partition("\t")[::2] for line in packages)
    accounts = lines_of(ask, machine.name, "getent", "passwd")
    machine.accounts |= {line.partition(":")[0] for line in accounts or ()}
    modules = lines_of(ask, machine.name, "lsmod")
    machine.modules |= {line.split()[0] for line in (modules or [""])[1:] if line.split()}
    for name in (*_UNITS, *machine.world.units):
        _seed_unit(machine, name, ask)
    machine.files = FileSystem(loader=lambda path: load(ask, machine.name, path))
    for folder in ("/tmp", machine.home):
        machine.files.mkdir(folder, parents=True)
    machine.ask = ask
    return True


def _seed_unit(machine: Machine, name: str, ask: Ask) -> None:
    words = [
        w for p in ("LoadState", "ActiveState", "SubState", "UnitFileState") for w in ("-p", p)
    ]
    shown = lines_of(ask, machine.name, "systemctl", "show", f"{name}.service", *words)
    state = dict(line.partition("=")[::2] for line in shown or ())
    if state.get("LoadState") != "loaded":
        return
    unit = machine.world.units.get(name, lambda: Unit(name))()
    unit.active, unit.sub = state.get("ActiveState", "inactive"), state.get("SubState", "dead")
    unit.enabled = state.get("UnitFileState") == "enabled"
    machine.units[name] = unit


def load(ask: Ask, host: str, path: str) -> Entry | None:
    """A file of the real host: its facts, its digest, and its text where it is small."""
    shown = ask(host, ("stat", "-c", "%F|%a|%U|%G|%s", "--", path))
    if shown is None or shown[0] != 0:
        return None
    kind, mode, user, group, size = shown[1].strip().split("|")
    if kind not in _KINDS:
        return None
    entry = Entry(_KINDS[kind], mode=int(mode, 8), user=user, group=group)
    if entry.kind == "link":
        target = ask(host, ("readlink", "--", path))
        entry.data = (target[1].strip() if target else "").encode()
    elif entry.kind == "file":
        _fill(entry, ask, host, path, int(size))
    return entry


def _fill(entry: Entry, ask: Ask, host: str, path: str, size: int) -> None:
    digest = lines_of(ask, host, "sha256sum", "--", path)
    if digest:
        entry.digest = digest[0].split()[0].lstrip("\\")
    entry.size_bytes = size
    if size <= _LARGEST_READ_BYTES:
        text = ask(host, ("cat", "--", path))
        entry.data = text[1].encode() if text else b""
