"""Makes a twin's machine what a real one says it is.

The twin names the reading commands that it needs to become a host; somebody else runs them; here
their raw output is read. Files are asked for only when the rehearsal looks at them.
"""

import re
import stat
from collections.abc import Container, Sequence
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.errors import HomelabError
from homelab_lib.twin.machine import unit_files
from homelab_lib.twin.machine.entry import KINDS, NOT_FOLDER, NOTHING, UNREADABLE, Entry, FileError
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Reply
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.machine.tree import Loader
from homelab_lib.twin.machine.unit import Unit

_FORM = r"%f|%U|%G|%s|%n\0"  # names may hold anything but a NUL
_RECORD = re.compile(r"([0-9a-f]{1,8})\|([^|]+)\|([^|]+)\|([0-9]{1,20})\|([^\0]+)\0")
_DIGEST = re.compile(r"\\?([0-9a-f]{64})\b")
_ENGLISH = ("env", "LC_ALL=C")  # what is not there is said in words alone
_UNITS = ("qemu-guest-agent",)
_NO_PROGRAM = 127
_NO_SUCH_KEY = 2  # getent's
ABSENT = r": No such file or directory$"
"""What coreutils and findutils complain of where a file is not there."""
_NOWHERE = r"which: no \S+ in "  # GNU's; Debian's and BusyBox' say nothing
_LARGEST_READ_BYTES = 2**20  # what is larger is known by its digest alone
NOT_ASKED = "the real host could not be asked"


def printed(
    ask: Ask, host: str, *argv: str, ok: Container[int] = (0,), lacks: str = ""
) -> str | None:
    """What a command prints.

    Parameters
    ----------
    ok
        The exit statuses with which it has answered.
    lacks
        A regular expression of what it complains of, with status 1, where a thing is not there;
        it may say nothing. Any other complaint is none of that.

    Returns
    -------
    str or None
        None where nobody answers, or where the host has no such program.

    Raises
    ------
    HomelabError
        It failed: that is not "there is nothing".
    """
    answer = ask(host, argv)
    if answer is None or answer[0] == _NO_PROGRAM:
        return None
    status, out, err = answer
    if status not in ok and not (lacks and status == 1 and _only_lacks(err, lacks)):
        said = err.strip() or out.strip() or "nothing"
        raise HomelabError(
            f"{host} does not answer: the command ended with status {status} and said "
            f"{said[-300:]!r}",
            where=f"{host}: {' '.join(argv)}",
            fix="run that command there as root, and see to what it complains of",
        )
    return out


def _only_lacks(complaint: str, lacks: str) -> bool:
    """Whether each line says so, but for what `sudo` warns of before it goes on."""
    said = [line for line in complaint.splitlines() if not line.startswith("sudo: ")]
    return all(re.search(lacks, line) for line in said)


def lines_of(
    ask: Ask, host: str, *argv: str, ok: Container[int] = (0,), lacks: str = ""
) -> list[str] | None:
    """The same line by line."""
    text = printed(ask, host, *argv, ok=ok, lacks=lacks)
    return None if text is None else text.splitlines()


def json_of(
    ask: Ask, host: str, *argv: str, shape: Shape = object, ok: Container[int] = (0,)
) -> Any:
    """The same as JSON of a shape; see `answers`."""
    text = printed(ask, host, *argv, ok=ok)
    if text is None:
        return None
    return answers.understood(text, shape, host=host, line=" ".join(argv))


def _release(machine: Machine, ask: Ask) -> tuple[str, str, str]:
    """Which distribution it says that it is, by its ID, version and title."""
    lines = lines_of(ask, machine.name, "cat", "/etc/os-release", lacks=ABSENT) or ()
    told = {key: value.strip("'\"") for key, _, value in (line.partition("=") for line in lines)}
    if "ID" not in told:
        return machine.os_release
    return told["ID"], told.get("VERSION_ID", ""), told.get("PRETTY_NAME", told["ID"])


def seed_machine(machine: Machine, ask: Ask) -> bool:
    """What every Unix tells of itself; False where nobody answers."""
    kernel = lines_of(ask, machine.name, "uname", "-r")
    if not kernel:
        return False
    machine.kernel = kernel[0]
    machine.os_release = _release(machine, ask)
    machine.sysctl.clear()  # it is asked for each that somebody wants to know
    processors = _told(machine, ask, "nproc")
    if processors and processors[0].isdigit():
        machine.threads = int(processors[0])
    packages = _told(machine, ask, "dpkg-query", "-W", "-f", r"${Package}\t${Version}\n")
    machine.packages = dict(line.partition("\t")[::2] for line in packages or ())
    if packages is None:  # not a Debian, say; what fetches files may be there all the same
        # One by one: of several, GNU's ends with how many are nowhere.
        for name in ("curl", "wget"):
            if lines_of(ask, machine.name, "which", name, lacks=_NOWHERE):
                machine.packages[name] = ""
    users, groups = (_told(machine, ask, "getent", base) for base in ("passwd", "group"))
    machine.accounts.read(users or (), groups or ())
    _seed_login(machine, ask)
    modules = _told(machine, ask, "lsmod")
    machine.modules |= {line.split()[0] for line in (modules or [])[1:] if line.split()}
    for name in (*_UNITS, *machine.world.units):
        if "systemctl" not in machine.refused:
            seed_unit(machine, name, ask)
    machine.files = FileSystem(loader=loader(ask, machine.name))
    machine.ask = ask
    for name in ("zfs", "exports", "samba"):
        machine.kept.pop(name, None)  # it is asked for these when somebody wants to know
    for package in machine.packages.keys() & machine.world.services.keys():
        for unit in machine.world.services[package](machine):
            machine.units[unit.name] = unit
            seed_unit(machine, unit.name, ask)
            unit_files.resumed(machine, unit)
    return True


def _told(machine: Machine, ask: Ask, *argv: str) -> list[str] | None:
    """What a program prints; None where the host does not have it, as then its twin does not."""
    lines = lines_of(ask, machine.name, *argv)
    if lines is None:
        said = f"{argv[0]}: the real host has no such program, or does not answer\n"
        machine.refused[argv[0]] = Reply(127, stderr=said)
    return lines


def _seed_login(machine: Machine, ask: Ask) -> None:
    """The account that logs in, and its first group; a directory need not list them."""
    known = lines_of(ask, machine.name, "getent", "passwd", machine.user, ok=(0, _NO_SUCH_KEY))
    group = lines_of(ask, machine.name, "id", "-gn", machine.user) if known else None
    if known and group:
        gid = [*known[0].split(":"), *[""] * 4][3]
        machine.accounts.read(known, [f"{group[0]}:x:{gid}:"])


def seed_unit(machine: Machine, name: str, ask: Ask) -> None:
    """How a service is there; nothing where it is not."""
    words = [
        w for p in ("LoadState", "ActiveState", "SubState", "UnitFileState") for w in ("-p", p)
    ]
    shown = _told(machine, ask, "systemctl", "show", f"{name}.service", *words)
    state = dict(line.partition("=")[::2] for line in shown or ())
    if state.get("LoadState") != "loaded":
        return
    make = machine.world.units.get(name, lambda: Unit(name))
    unit = machine.units.get(name) or make()
    unit.active, unit.sub = state.get("ActiveState", "inactive"), state.get("SubState", "dead")
    unit.enabled = state.get("UnitFileState") == "enabled"
    machine.units[name] = unit


def loader(ask: Ask, host: str, root: str = "") -> Loader:
    """Asks a real host for files: their facts, their digests, and their text where it is small.

    Parameters
    ----------
    root
        Where the file system is mounted on the host.
    """

    def load(paths: Sequence[str]) -> dict[str, Entry | FileError]:
        places = {f"{root}{path}": path for path in paths}
        try:
            shown = ask(host, (*_ENGLISH, "stat", "--printf", _FORM, "--", *places))
        except HomelabError as error:
            return {path: FileError(error.what) for path in paths}
        if shown is None:
            return {path: FileError(NOT_ASKED) for path in paths}
        found: dict[str, Entry | FileError] = {}
        for record in _RECORD.finditer(shown[1]):
            raw, user, group, size, place = record.groups()
            kind, mode = KINDS.get(stat.S_IFMT(int(raw, 16))), stat.S_IMODE(int(raw, 16))
            if kind is None or place not in places:
                continue  # said of a path that was not asked for, or of no kind that there is
            entry = Entry(kind, mode=mode, user=user, group=group)
            entry.size_bytes = int(size) if kind == "file" else None
            found[places[place]] = filled(entry, ask, host, place)
        missing = [path for path in places.values() if path not in found]
        return found | _missing(shown, missing)

    return load


def _missing(shown: tuple[int, str, str], paths: Sequence[str]) -> dict[str, FileError]:
    """Why each of these could not be looked at; nothing of those that the host says are not there.

    `stat` complains of each that fails, in their order and however it quotes them. Whatever else
    a host says, or nothing, is no such word.
    """
    said = [line for line in shown[2].splitlines() if line.startswith("stat: ")]
    if len(said) != len(paths):
        why = next(iter((shown[2].strip() or shown[1].strip()).splitlines()), "it says nothing")
        return {path: FileError(f"{NOT_ASKED}: {why[:200]}") for path in paths}
    whys = {path: line.rpartition(": ")[2] for path, line in zip(paths, said, strict=True)}
    return {path: FileError(why) for path, why in whys.items() if why not in (NOTHING, NOT_FOLDER)}


def filled(
    entry: Entry, ask: Ask, host: str, path: str, *, digest: Sequence[str] = ("sha256sum", "--")
) -> Entry | FileError:
    """A file or a link with what is in it: of a large file its digest alone.

    Parameters
    ----------
    digest
        What prints a file's SHA-256, first of all.
    """
    try:
        if entry.kind == "link":
            entry.data = _said(ask(host, ("readlink", "--", path))).removesuffix("\n").encode()
        elif entry.kind == "file":
            said = _DIGEST.match(_said(ask(host, (*digest, path))))
            if said is None:
                return FileError(UNREADABLE)
            entry.digest = said[1]
            if (entry.size_bytes or 0) <= _LARGEST_READ_BYTES:
                entry.data = _said(ask(host, ("cat", "--", path))).encode()
    except FileError as error:
        return error
    except HomelabError as error:
        return FileError(error.what)
    return entry


def _said(answer: tuple[int, str, str] | None) -> str:
    """What a command printed that has to go well.

    Raises
    ------
    FileError
        It did not; that is not nothing.
    """
    if answer is None:
        raise FileError(NOT_ASKED)
    if answer[0] != 0:
        raise FileError(answer[2].strip().rpartition(": ")[2] or UNREADABLE)
    return answer[1]
