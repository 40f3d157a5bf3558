"""Programs that look at files: `ls`, `stat`, `readlink`, `realpath`.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import posixpath
import re
from datetime import UTC, datetime

from homelab_lib.twin.machine.entry import LOOP, NOT_FOLDER, NOTHING, Entry, FileError, Who
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.printing import unescaped
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.usage import Usage, misused, named, quoted

listing = Commands()

_LS = Usage(
    "a,all A,almost-all d,directory l 1 R,recursive r,reverse t S h,human-readable i n p F L U s "
    "time-style: color?",
    status=2,
)
_STAT = Usage("c,format: printf: L,dereference f,file-system t,terse cached:")
_READLINK = Usage(
    "f,canonicalize e,canonicalize-existing m,canonicalize-missing n,no-newline v,verbose "
    "q,quiet,silent,s z,zero",
    least=1,
)
_REALPATH = Usage("e,canonicalize-existing m,canonicalize-missing q,quiet s z,zero", least=1)
_KINDS = {
    "file": "regular file",
    "dir": "directory",
    "link": "symbolic link",
    "pipe": "fifo",
    "character device": "character special file",
    "block device": "block special file",
}
_DIRECTIVE = re.compile(r"%[-+ #0']*\d*(?:\.\d+)?([a-zA-Z%])")


@listing("ls")
def ls(machine: Machine, call: Call) -> Reply:
    """Names in folders."""
    given = _LS.of(call)
    who, files = machine.who(call), machine.files
    shown: list[str] = []
    folders: list[str] = []
    out, err, status = "", "", 0
    for word in given.words or ["."]:
        path, itself = call.path(word), {"d", "l"} & given.options.keys()
        try:
            entry = _listed(machine, path, who, follow=not itself)
        except FileError as error:
            err, status = err + f"ls: cannot access {quoted(word, call)}: {error.says}\n", 2
            continue
        is_folder = entry.kind == "dir" and "d" not in given
        (folders if is_folder else shown).append(word)
    long = "l" in given
    for word in sorted(shown):
        out += _row(machine, _listed(machine, call.path(word), who, follow=False), word, long)
    for word in sorted(folders):
        try:
            names = files.listdir(call.path(word), who)
        except FileError as error:
            err += f"ls: cannot open directory {quoted(word, call)}: {error.says}\n"
            status = 2
            continue
        if len(given.words) > 1:
            out += f"\n{word}:\n" if out else f"{word}:\n"
        if "a" in given or "A" in given:
            names = ([".", ".."] if "a" in given else []) + names
        else:
            names = [name for name in names if not name.startswith(".")]
        for name in names:
            inside = posixpath.join(call.path(word), name)
            entry = files.stat(inside, follow=False)
            barred = long and files.stat(call.path(word)).mode and not _passes(machine, call, word)
            if barred:
                continue
            out += _row(machine, entry, name, long)
    return Reply(status, out, err)


def _passes(machine: Machine, call: Call, word: str) -> bool:
    return machine.who(call).may(machine.files.stat(call.path(word)), 1)


def _listed(machine: Machine, path: str, who: Who, *, follow: bool) -> Entry:
    """What stands there; a link that leads nowhere is shown itself."""
    try:
        return machine.files.stat(path, who, follow=follow)
    except FileError as error:
        if error.says != NOTHING:
            raise
        return machine.files.stat(path, who, follow=False)


def _row(machine: Machine, entry: Entry, name: str, long: bool) -> str:
    if not long:
        return f"{name}\n"
    arrow = f" -> {entry.data.decode()}" if entry.kind == "link" else ""
    count = machine.files.names_of(entry)
    day = datetime.fromtimestamp(entry.mtime_s, UTC).strftime("%b %e %H:%M")
    owners = f"{count} {entry.user} {entry.group}"
    return f"{_mode(entry)} {owners} {entry.size} {day} {name}{arrow}\n"


def _mode(entry: Entry) -> str:
    letters = [
        letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx")
    ]
    for bit, place, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if entry.mode & bit:
            letters[place] = letter if letters[place] == "x" else letter.upper()
    return ("-" if entry.kind == "file" else entry.kind[0]) + "".join(letters)


@listing("stat")
def stat(machine: Machine, call: Call) -> Reply:
    """Facts about files, by ``-c`` format."""
    given = _STAT.of(call)
    if not given.words:
        raise misused(call, "missing operand")
    printed = given.get("printf")
    form, end = (printed, "") if printed is not None else (given.get("c"), "\n")
    form = unescaped(form)[0] if printed is not None and form else form
    out, err = "", ""
    for word in given.words:
        path, who = call.path(word), machine.who(call)
        try:
            if word == "":
                raise FileError(NOTHING)
            entry = machine.files.stat(path, who, follow="L" in given)
        except FileError as error:
            err += f"stat: cannot statx {quoted(word, call)}: {error.says}\n"
            continue
        values = _facts(machine, call, entry, word)
        out += _filled(_DEFAULT if form is None else form, values) + end
    return Reply(1 if err else 0, out, err)


_DEFAULT = (
    "  File: %N\n  Size: %s\tBlocks: %b\tIO Block: %o\t%F\nAccess: (0%a/%A)  Uid: (%u/%U)   "
    "Gid: (%g/%G)\nModify: %y"
)


def _filled(form: str, values: dict[str, str]) -> str:
    return _DIRECTIVE.sub(lambda found: values.get(found[1], "?"), form)


def _facts(machine: Machine, call: Call, entry: Entry, word: str) -> dict[str, str]:
    users, groups = machine.accounts.users, machine.accounts.groups
    empty = entry.kind == "file" and not entry.size
    arrow = f" -> {quoted(entry.data.decode(), call)}" if entry.kind == "link" else ""
    moment = datetime.fromtimestamp(entry.mtime_s, UTC)
    return {
        "n": word,
        "N": f"{quoted(word, call)}{arrow}",
        "s": str(entry.size),
        "a": f"{entry.mode:o}",
        "f": f"{entry.raw_mode:x}",
        "A": _mode(entry),
        "U": entry.user if entry.user in users else "UNKNOWN",
        "G": entry.group if entry.group in groups else "UNKNOWN",
        "u": str(users[entry.user].uid) if entry.user in users else entry.user,
        "g": str(groups[entry.group].gid) if entry.group in groups else entry.group,
        "h": str(machine.files.names_of(entry)),
        "b": str(-(-entry.size // 4096) * 8 if entry.kind == "file" else 8),
        "B": "512",
        "o": "4096",
        "Y": str(int(entry.mtime_s)),
        "y": moment.strftime("%Y-%m-%d %H:%M:%S.000000000 +0000"),
        "F": "regular empty file" if empty else _KINDS.get(entry.kind, entry.kind),
        "%": "%",
    }


@listing("readlink", "realpath")
def readlink(machine: Machine, call: Call) -> Reply:
    """Where a link leads; with ``-f``, ``-e`` or ``-m`` where a path does in the end."""
    real = call.argv[0].endswith("realpath")
    given = (_REALPATH if real else _READLINK).of(call)
    out, err, status = "", "", 0
    loud = "v" in given or (real and "q" not in given)
    end = "\0" if "z" in given else "\n"
    for word in given.words:
        try:
            out += _led(machine, call, word, {*given.options} | ({"f"} if real else set())) + end
        except FileError as error:
            status = 1
            err += f"{call.argv[0]}: {named(word, call)}: {error.says}\n" if loud else ""
    if "n" in given and len(given.words) == 1:
        out = out.removesuffix(end)
    return Reply(status, out, err)


def _led(machine: Machine, call: Call, word: str, how: set[str]) -> str:
    files, who, path = machine.files, machine.who(call), call.path(word)
    if "m" in how:
        try:
            return files.resolve(path, who) if path else ""
        except FileError as error:
            if error.says == LOOP:
                raise
            return posixpath.normpath(path)
    if {"f", "e"} & how:
        found = files.resolve(path, who)
        if "e" in how:
            files.stat(path, who)
        return found
    entry = files.stat(path, who, follow=False)
    if path.endswith("/") and entry.kind != "dir":
        raise FileError(NOT_FOLDER)
    if entry.kind != "link":
        raise FileError("Invalid argument")
    return entry.data.decode(errors="surrogateescape")
