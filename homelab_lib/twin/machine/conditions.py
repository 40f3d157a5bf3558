"""`test`: whether something holds. And the parts of a path.

Source: POSIX.1-2024, test; messages as dash prints them.
"""

import posixpath

from homelab_lib.twin.machine.entry import PASS, READ, WRITE, Entry, FileError, Who
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.usage import Usage, misused

conditions = Commands()

_KINDS = {
    "-f": "file",
    "-d": "dir",
    "-h": "link",
    "-L": "link",
    "-p": "pipe",
    "-S": "socket",
    "-b": "block device",
    "-c": "character device",
}
_RIGHTS = {"-r": READ, "-w": WRITE, "-x": PASS}
_BITS = {"-u": 0o4000, "-g": 0o2000, "-k": 0o1000}
_FILES = {"-e", "-s", "-O", "-G", *_KINDS, *_RIGHTS, *_BITS}
_NUMBERS = {"-eq", "-ne", "-gt", "-lt", "-ge", "-le"}
_PAIRS = {"-nt", "-ot", "-ef"}
_TEXTS = {"=", "==", "!=", "<", ">"}
_MOST = 2**63


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
        case ["!", word]:
            return not word
        case [_, operator, _] if operator in _NUMBERS | _PAIRS | _TEXTS:
            return _compared(machine, call, *words)
        case ["-n" | "-z" as flag, word]:
            return bool(word) == (flag == "-n")
        case ["-t", number]:
            return bool(_number(number)) and False  # nothing here is a terminal
        case [flag, word] if flag in _FILES:
            return _of_a_file(machine, call, flag, word)
        case ["(", word, ")"]:
            return bool(word)
        case ["!", *rest]:
            return not _holds(machine, call, rest)
        case [word, operator] if operator in _NUMBERS | _PAIRS | _TEXTS:
            raise _Unknown(f"{operator}: argument expected")
    for joint in ("-o", "-a"):
        if joint in words[1:-1]:
            place = words.index(joint, 1)
            first = _holds(machine, call, words[:place])
            second = _holds(machine, call, words[place + 1 :])
            return first or second if joint == "-o" else first and second
    culprit = words[1] if words[0] in _FILES and len(words) > 2 else words[0]
    if len(words) > 3 and words[1] in _NUMBERS | _PAIRS | _TEXTS:
        culprit = words[2]
    raise _Unknown(f"{culprit}: unexpected operator")


def _compared(machine: Machine, call: Call, a: str, operator: str, b: str) -> bool:
    if operator in _TEXTS:
        signs = {"=": a == b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b}
        return signs[operator]
    if operator in _PAIRS:
        one, other = (_looked_at(machine, call, word) for word in (a, b))
        if operator == "-ef":
            return one is not None and one is other
        newer, older = (one, other) if operator == "-nt" else (other, one)
        return bool(newer and older and newer.mtime_s > older.mtime_s)
    x, y = _number(a), _number(b)
    numbers = {"-eq": x == y, "-ne": x != y, "-gt": x > y, "-lt": x < y}
    return (numbers | {"-ge": x >= y, "-le": x <= y})[operator]


def _looked_at(machine: Machine, call: Call, word: str, *, follow: bool = True) -> Entry | None:
    try:
        return machine.files.entry(call.path(word), machine.who(call), follow=follow)
    except FileError:
        return None


def _of_a_file(machine: Machine, call: Call, flag: str, word: str) -> bool:
    entry = _looked_at(machine, call, word, follow=flag not in ("-L", "-h")) if word else None
    return entry is not None and _is(entry, flag, machine.who(call))


def _is(entry: Entry, flag: str, who: Who) -> bool:
    if flag in _KINDS:
        return entry.kind == _KINDS[flag]
    if flag in _RIGHTS:
        return who.may(entry, _RIGHTS[flag])
    if flag in _BITS:
        return bool(entry.mode & _BITS[flag])
    if flag in ("-O", "-G"):
        return entry.user == who.user if flag == "-O" else entry.group == who.group
    return flag == "-e" or entry.size > 0


def _number(word: str) -> int:
    try:
        number = int(word)
    except ValueError:
        raise _Unknown(f"Illegal number: {word}") from None
    if not -_MOST <= number < _MOST:
        raise _Unknown(f"Illegal number: {word}")
    return number


@conditions("basename")
def basename(machine: Machine, call: Call) -> Reply:
    """The last part of a path, without a suffix where one is given."""
    given = Usage("a,multiple s,suffix: z", least=1, in_order=True).of(call)
    several = {"a", "s"} & given.options.keys()
    names, suffix = given.words, given.get("s") or ""
    if not several:
        if len(names) > 2:
            raise misused(call, f"extra operand '{names[2]}'")
        names, suffix = names[:1], "".join(names[1:])
    out = ""
    for name in names:
        last = posixpath.basename(name.rstrip("/")) or ("/" if name else "")
        out += (last.removesuffix(suffix) or last) + "\n"
    return Reply(0, out)


@conditions("dirname")
def dirname(machine: Machine, call: Call) -> Reply:
    """The folders of paths."""
    names = Usage("z", least=1).of(call).words
    folders = [posixpath.dirname(name.rstrip("/") or name[:1]).rstrip("/") for name in names]
    shown = [
        folder or ("/" if name.startswith("/") else ".")
        for folder, name in zip(folders, names, strict=True)
    ]
    return Reply(0, "".join(f"{each}\n" for each in shown))
