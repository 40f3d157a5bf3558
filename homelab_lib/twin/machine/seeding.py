"""Makes a twin's machine what a real one says it is.

The twin names the reading commands that it needs to become a host; somebody else runs them; here
their raw output is read. Files are asked for only when the rehearsal looks at them.
"""

import json
import stat
from typing import Any

from homelab_lib.twin.machine.files import Entry, FileError, FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.machine.unit import Unit

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
_ENGLISH = ("env", "LC_ALL=C")  # what is not there is said in words alone
_ABSENT = (": No such file or directory", ": Not a directory")
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
    _seed_login(machine, ask)
    modules = lines_of(ask, machine.name, "lsmod")
    machine.modules |= {line.split()[0] for line in (modules or [""])[1:] if line.split()}
    for name in (*_UNITS, *machine.world.units):
        _seed_unit(machine, name, ask)
    machine.files = FileSystem(loader=lambda path: load(ask, machine.name, path))
    machine.ask = ask
    return True


def _seed_login(machine: Machine, ask: Ask) -> None:
    """Home and primary group of the account that logs in; a directory need not list it."""
    user = machine.user
    for line in lines_of(ask, machine.name, "getent", "passwd", user) or ():
        machine.homes[user] = line.split(":")[5]
    for group in lines_of(ask, machine.name, "id", "-gn", user) or ():
        machine.groups[user] = group
        machine.accounts.add(group)


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
    """A file of the real host: its facts, its digest, and its text where it is small.

    Raises
    ------
    FileError
        The host can't tell what is there; that is not nothing.
    """
    shown = ask(host, (*_ENGLISH, "stat", "-c", "%f|%a|%U|%G|%s", "--", path))
    if shown is not None and shown[0] != 0 and shown[2].rstrip().endswith(_ABSENT):
        return None
    raw, mode, user, group, size = _said(shown).strip().split("|")
    kind = _KINDS.get(stat.S_IFMT(int(raw, 16)))
    if kind is None:
        raise FileError("No such device or address")  # a pipe, a socket: nothing the twin has
    entry = Entry(kind, mode=int(mode, 8), user=user, group=group)
    if kind == "link":
        entry.data = _said(ask(host, ("readlink", "--", path))).strip().encode()
    elif kind == "file":
        digest = _said(ask(host, ("sha256sum", "--", path))).split()
        entry.digest = digest[0].lstrip("\\")
        entry.size_bytes = int(size)
        if entry.size_bytes <= _LARGEST_READ_BYTES:
            entry.data = _said(ask(host, ("cat", "--", path))).encode()
    return entry


def _said(answer: tuple[int, str, str] | None) -> str:
    """What a command printed that has to go well."""
    if answer is None:
        raise FileError("Host is down")
    if answer[0] != 0:
        says = answer[2].strip().rpartition(": ")[2]
        raise FileError(says or "Input/output error")
    return answer[1]
