"""`test`: whether something holds. And the parts of a path.

Source: POSIX.1-2024, test.
"""

import posixpath

from homelab_lib.twin.machine.entry import PASS, READ, WRITE, Entry, FileError, Who
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

conditions = Commands()

_KINDS = {"-f": "file", "-d": "dir", "-h": "link", "-L": "link"}
_RIGHTS = {"-r": READ, "-w": WRITE, "-x": PASS}
_FILES = {"-e", "-s", "-O", "-G", *_KINDS, *_RIGHTS}
_NUMBERS = {"-eq", "-ne", "-gt", "-lt", "-ge", "-le"}


class _Unknown(Exception):
    """No condition that we know."""


@conditions("test", "[")
def test(machine: Machine, call: Call) -> Reply:
    """Whether something holds."""
    words = list(call.argv[1:])
    if call.argv[0] == "[":
        if words[-1:] != ["]"]:
            return Reply(2, stderr="sh: 1: [: missing ]\n")
        words.pop()
    try:
        return Reply(0 if _holds(machine, call, words) else 1)
    except (_Unknown, ValueError) as error:
        return Reply(2, stderr=f"sh: 1: {call.argv[0]}: {error}\n")


def _holds(machine: Machine, call: Call, words: list[str]) -> bool:
    match words:
        case []:
            return False
        case [word]:
            return bool(word)
        case ["-n" | "-z" as flag, word]:
            return bool(word) == (flag == "-n")
        case [flag, word] if flag in _FILES:
            who = machine.who(call)
            try:
                path = call.path(word)
                entry = machine.files.entry(path, who, follow=flag not in ("-L", "-h"))
            except FileError:
                return False
            return entry is not None and _is(entry, flag, who)
        case [a, "=" | "==" | "!=" as operator, b]:
            return (a == b) == (operator != "!=")
        case [a, operator, b] if operator in _NUMBERS:
            x, y = _number(a), _number(b)
            signs = {"-eq": x == y, "-ne": x != y, "-gt": x > y, "-lt": x < y}
            return (signs | {"-ge": x >= y, "-le": x <= y})[operator]
        case ["!", *rest]:
            return not _holds(machine, call, rest)
    for joint in ("-o", "-a"):
        if joint in words[1:-1]:
            place = words.index(joint, 1)
            first = _holds(machine, call, words[:place])
            second = _holds(machine, call, words[place + 1 :])
            return first or second if joint == "-o" else first and second
    raise _Unknown(f"{words[0]}: unexpected operator")


def _is(entry: Entry, flag: str, who: Who) -> bool:
    if flag in _KINDS:
        return entry.kind == _KINDS[flag]
    if flag in _RIGHTS:
        return who.may(entry, _RIGHTS[flag])
    if flag in ("-O", "-G"):
        return entry.user == who.user if flag == "-O" else entry.group == who.group
    return flag == "-e" or entry.size > 0


def _number(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise _Unknown(f"Illegal number: {word}") from None


@conditions("basename", "dirname")
def dirname(machine: Machine, call: Call) -> Reply:
    """A part of a path."""
    words, _ = operands(call)
    part = posixpath.dirname if call.argv[0].endswith("dirname") else posixpath.basename
    return Reply(0, (part(words[0].rstrip("/") or "/") or ".") + "\n")
