"""`sed`: lines edited as they pass. What of it one-liners use; the rest is refused by name.

Source: POSIX.1-2024, sed; the extensions and messages are GNU sed 4's.
"""

import re
from dataclasses import dataclass

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.patterns import BadPattern, compiled
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.textutils import read_of
from homelab_lib.twin.machine.usage import Misused, Usage

sed_programs = Commands()

_SED = Usage("n,quiet,silent e,expression: E,r,regexp-extended i,in-place? s,separate")
_NUMBER = re.compile(r"\d+")


class _Bad(ValueError):
    """A script that is none; its text says where and why."""


@dataclass
class _Edit:
    """One command with the lines that it is for."""

    name: str
    first: "int | str | re.Pattern[str] | None" = None
    last: "int | str | re.Pattern[str] | None" = None
    negated: bool = False
    pattern: "re.Pattern[str] | None" = None
    text: str = ""
    flags: str = ""
    inside: bool = False  # between its first and its last line

    def wants(self, number: int, line: str, is_last: bool) -> bool:
        return self._fits(number, line, is_last) != self.negated

    def _fits(self, number: int, line: str, is_last: bool) -> bool:
        if self.first is None:
            return True
        if self.last is None:
            return _at(self.first, number, line, is_last)
        if self.inside:
            ends = self.last
            over = isinstance(ends, int) and number >= ends
            self.inside = not (over or _at(ends, number, line, is_last))
            return not (isinstance(ends, int) and number > ends)
        if _at(self.first, number, line, is_last):
            self.inside = not (isinstance(self.last, int) and self.last <= number)
            return True
        return False


def _at(where: "int | str | re.Pattern[str]", number: int, line: str, is_last: bool) -> bool:
    if isinstance(where, int):
        return number == where
    return is_last if isinstance(where, str) else bool(where.search(line))


class _Script:
    """Reads a script, command by command."""

    def __init__(self, text: str, *, extended: bool) -> None:
        self._text, self._place, self._extended = text, 0, extended

    def edits(self) -> list[_Edit]:
        found: list[_Edit] = []
        while True:
            self._skip(" \t\n;")
            if self._place >= len(self._text):
                return found
            found.append(self._edit())

    def _bad(self, why: str) -> _Bad:
        return _Bad(f"-e expression #1, char {min(self._place, len(self._text))}: {why}")

    def _skip(self, chars: str) -> None:
        while self._place < len(self._text) and self._text[self._place] in chars:
            self._place += 1

    def _take(self) -> str:
        char = self._text[self._place : self._place + 1]
        self._place += 1
        return char

    def _address(self) -> "int | str | re.Pattern[str] | None":
        if found := _NUMBER.match(self._text, self._place):
            self._place = found.end()
            return int(found[0])
        char = self._text[self._place : self._place + 1]
        if char == "$":
            self._place += 1
            return "$"
        if char == "/":
            self._place += 1
            return self._pattern(self._until("/", "unterminated address regex"), 0)
        return None

    def _pattern(self, text: str, flags: int) -> "re.Pattern[str]":
        try:
            return compiled(text, extended=self._extended, flags=flags)
        except BadPattern as error:
            raise self._bad(str(error)) from None

    def _until(self, mark: str, complaint: str) -> str:
        out = ""
        while self._place < len(self._text):
            char = self._take()
            if char == mark:
                return out
            if char == "\\" and self._place < len(self._text):
                following = self._take()
                out += following if following == mark else f"\\{following}"
            else:
                out += char
        raise self._bad(complaint)

    def _edit(self) -> _Edit:
        edit = _Edit("", self._address())
        if self._text[self._place : self._place + 1] == ",":
            self._place += 1
            edit.last = self._address()
            if edit.last is None:
                raise self._bad("unexpected `,'")
        self._skip(" \t")
        while self._text[self._place : self._place + 1] == "!":
            self._place += 1
            edit.negated = True
        self._skip(" \t")
        edit.name = self._take()
        if edit.name == "s":
            self._substitution(edit)
        elif edit.name in ("a", "i", "c"):
            self._skip(" \t\\\n")
            end = self._text.find("\n", self._place)
            end = len(self._text) if end < 0 else end
            edit.text, self._place = self._text[self._place : end], end
        elif edit.name == "":
            raise self._bad("missing command")
        elif edit.name in "{}:bDgGhHlnNPrRtTwWxyz":
            raise _Bad(f"this twin does not know `{edit.name}'")
        elif edit.name not in ("d", "p", "q", "="):
            raise self._bad(f"unknown command: `{edit.name}'")
        self._end()
        return edit

    def _end(self) -> None:
        self._skip(" \t")
        if self._place < len(self._text) and self._text[self._place] not in ";\n":
            self._place += 1
            raise self._bad("extra characters after command")

    def _substitution(self, edit: _Edit) -> None:
        mark = self._take()
        complaint = "unterminated `s' command"
        pattern, edit.text = self._until(mark, complaint), self._until(mark, complaint)
        while (char := self._text[self._place : self._place + 1]) and char not in " ;\n":
            if char not in "gpIi" and not char.isdigit():
                self._place += 1
                raise self._bad("unknown option to `s'")
            edit.flags += self._take()
        ignoring = re.IGNORECASE if "i" in edit.flags.lower() else 0
        edit.pattern = self._pattern(pattern, ignoring)


@sed_programs("sed")
def sed(machine: Machine, call: Call) -> Reply:
    """Edit lines as they pass, or in their files (``-i``)."""
    given = _SED.of(call)
    scripts = [value for name, value in given.all if name == "e"]
    if not scripts and not given.words:
        raise Misused(Reply(1, stderr="Usage: sed [OPTION]... {script-only-if-no-other-script}\n"))
    text = "\n".join(scripts or [given.words.pop(0)])
    try:
        edits = _Script(text, extended="E" in given).edits()
    except _Bad as error:
        return fails(call, str(error))
    who, out, err, status = machine.who(call), b"", "", 0
    texts: list[tuple[str, bytes]] = []
    for word in given.words or ["-"]:
        try:
            texts.append((word, read_of(machine, call, word)))
        except FileError as error:
            folder = error.says == "Is a directory"
            status = max(status, 4 if folder else 2)
            why = "read error on {}: {}" if folder else "can't read {}: {}"
            err += f"sed: {why.format(word, error.says)}\n"
    if "i" not in given:
        out = _edited(b"".join(data for _, data in texts), edits, quiet="n" in given)
        return Reply(status, out, err)
    for word, data in texts:
        machine.files.write(call.path(word), _edited(data, edits, quiet="n" in given), who)
    return Reply(status, out, err)


def _edited(data: bytes, edits: list[_Edit], *, quiet: bool) -> bytes:
    lines = data.decode(errors="surrogateescape").splitlines(keepends=True)
    out = ""
    for edit in edits:
        edit.inside = False
    for number, whole in enumerate(lines, 1):
        line = whole.removesuffix("\n")
        end = whole[len(line) :]
        line, before, after, goes_on, shown = _one(line, number, number == len(lines), edits)
        out += before
        if shown and not quiet:
            out += line + (end if not after else "\n")
        out += after
        if not goes_on:
            break
    return out.encode(errors="surrogateescape")


def _one(
    line: str, number: int, is_last: bool, edits: list[_Edit]
) -> tuple[str, str, str, bool, bool]:
    """A line after its edits, what comes before and after it, and whether to go on and show it."""
    before, after = "", ""
    for edit in edits:
        if not edit.wants(number, line, is_last):
            continue
        match edit.name:
            case "s":
                line, done = _substituted(line, edit)
                before += f"{line}\n" if done and "p" in edit.flags else ""
            case "p":
                before += f"{line}\n"
            case "=":
                before += f"{number}\n"
            case "i":
                before += f"{edit.text}\n"
            case "a":
                after += f"{edit.text}\n"
            case "d":
                return line, before, after, True, False
            case "c":
                return line, before + f"{edit.text}\n", after, True, False
            case "q":
                return line, before, after, False, True
    return line, before, after, True, True


def _substituted(line: str, edit: _Edit) -> tuple[str, bool]:
    assert edit.pattern is not None
    digits = "".join(c for c in edit.flags if c.isdigit())
    nth, count, out, place = int(digits or 1), 0, "", 0
    for found in edit.pattern.finditer(line):
        count += 1
        if count < nth:
            continue
        out += line[place : found.start()] + _replacement(edit.text, found)
        place = found.end()
        if "g" not in edit.flags:
            break
    return out + line[place:], count >= nth


def _replacement(text: str, found: "re.Match[str]") -> str:
    def value(part: "re.Match[str]") -> str:
        if part[0] == "&":
            return found[0]
        char = part[1]
        if char.isdigit():
            return found[int(char)] or ""
        return "\n" if char == "n" else "\t" if char == "t" else char

    return re.sub(r"\\(.)|&", value, text, flags=re.DOTALL)
