"""`find`: paths below folders. What of it people use; the rest is refused by name.

Source: POSIX.1-2024, find; the extensions and messages are GNU findutils 4's.
"""

import fnmatch
import posixpath
import re
from dataclasses import dataclass

from homelab_lib.twin.machine.entry import Entry, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.usage import quoted

finding = Commands()

_LETTERS = {"file": "f", "dir": "d", "link": "l", "pipe": "p", "socket": "s"}
_LETTERS |= {"character device": "c", "block device": "b"}
_TAKES = ("-name", "-path", "-type", "-maxdepth", "-mindepth", "-user", "-group", "-perm",
          "-size")  # fmt: skip
_FLAGS = ("-print", "-print0", "-empty", "-xdev", "-mount", "-not", "!")


@dataclass(frozen=True)
class _Wanted:
    tests: list[tuple[str, str, bool]]
    least: int
    most: int
    end: str


@finding("find")
def find(machine: Machine, call: Call) -> Reply:
    """Paths below folders, by name, type, depth and owner."""
    words = [word for word in call.argv[1:] if word not in ("-H", "-P")]
    words, program = _carried_out(words)
    start = next((i for i, w in enumerate(words) if w[:1] in ("-", "!", "(")), len(words))
    try:
        wanted = _wanted(words[start:])
    except ValueError as error:
        return Reply(1, stderr=f"find: {error}\n")
    out, err = "", ""
    for root in words[:start] or ["."]:
        try:
            machine.files.stat(call.path(root), machine.who(call), follow=False)
        except FileError as error:
            err += f"find: {quoted(root, call)}: {error.says}\n"
            continue
        more, said = _below(machine, call, root, 0, wanted)
        out, err = out + more, err + said
    if program is None:
        return Reply(1 if err else 0, out, err)
    if program[-2:] != ["{}", "+"]:
        return Reply(1, stderr="find: missing argument to `-exec'\n")
    paths = out.splitlines()
    if not paths:
        return Reply(1 if err else 0, "", err)
    reply = machine.call(call.other(*program[:-2], *paths)).finished()
    return Reply(1 if err or reply.status else 0, reply.out, err.encode() + reply.err)


def _carried_out(words: list[str]) -> tuple[list[str], list[str] | None]:
    """What a call looks for, and what it does with all of that at once; None for nothing."""
    if "-exec" not in words:
        return words, None
    at = words.index("-exec")
    return words[:at], words[at + 1 :]


def _wanted(words: list[str]) -> _Wanted:
    tests, least, most, end, negated = [], 0, 2**31, "\n", False
    rest = iter(words)
    for word in rest:
        if word in _FLAGS:
            end = "\0" if word == "-print0" else end
            if word == "-empty":
                tests.append((word, "", negated))
        elif word in _TAKES:
            value = next(rest, None)
            if value is None:
                raise ValueError(f"missing argument to `{word}'")
            if word == "-maxdepth":
                most = int(value)
            elif word == "-size" and not re.fullmatch(r"[+-]?\d+[ckMG]", value):
                raise ValueError(f"this twin knows sizes with c, k, M or G, and not `{value}'")
            elif word == "-mindepth":
                least = int(value)
            else:
                tests.append((word, value, negated))
        else:
            raise ValueError(f"unknown predicate `{word}'")
        negated = word in ("-not", "!")
    return _Wanted(tests, least, most, end)


def _below(
    machine: Machine, call: Call, shown: str, depth: int, wanted: _Wanted
) -> tuple[str, str]:
    files, who, path = machine.files, machine.who(call), call.path(shown)
    entry = files.stat(path, follow=False)
    out, err = "", ""
    fits = all(
        _fits(machine, entry, path, shown, name, value) != negated
        for name, value, negated in wanted.tests
    )
    if fits and wanted.least <= depth:
        out += f"{shown}{wanted.end}"
    if entry.kind != "dir" or depth >= wanted.most:
        return out, err
    try:
        names = files.listdir(path, who)
    except FileError as error:
        return out, f"find: {quoted(shown, call)}: {error.says}\n"
    for name in names:
        more, said = _below(machine, call, f"{shown.rstrip('/')}/{name}", depth + 1, wanted)
        out, err = out + more, err + said
    return out, err


def _fits(machine: Machine, entry: Entry, path: str, shown: str, test: str, value: str) -> bool:
    match test:
        case "-name":
            return fnmatch.fnmatchcase(posixpath.basename(shown.rstrip("/")) or shown, value)
        case "-path":
            return fnmatch.fnmatchcase(shown, value)
        case "-type":
            return _LETTERS[entry.kind] == value
        case "-user":
            return entry.user == machine.accounts.user_called(value)
        case "-group":
            return entry.group == machine.accounts.group_called(value)
        case "-perm":
            return entry.mode == int(value, 8)
        case "-size":
            unit = {"c": 1, "k": 2**10, "M": 2**20, "G": 2**30}[value[-1]]
            units, wanted = -(-entry.size // unit), int(value[:-1].lstrip("+-"))
            return {"+": units > wanted, "-": units < wanted}.get(value[0], units == wanted)
    empty = not machine.files.listdir(path) if entry.kind == "dir" else not entry.size
    return empty and entry.kind in ("dir", "file")
