"""How a GNU program is called: its options and words, or what it says to a call that is wrong.

Source: getopt_long(3); messages as glibc and GNU coreutils 9 print them.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from homelab_lib.twin.machine.program import Call, Reply

_PLAIN = re.compile(r"[\w%+,./@^-][\w%+,./@~#-]*", re.ASCII)
_BETWEEN_DOUBLE_QUOTES = re.compile(r"[\w%+,./:=@' -]*", re.ASCII)
_C_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}


class Misused(Exception):
    """A program that was called wrongly.

    Parameters
    ----------
    reply
        Its complaint.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.err.decode(errors="replace"))
        self.reply = reply


@dataclass(frozen=True)
class Given:
    """What a program was given.

    Parameters
    ----------
    words
        Its operands, in order.
    options
        The last value of each option by its first name; empty for a flag.
    all
        Every option with its value, in order.
    """

    words: list[str]
    options: dict[str, str] = field(default_factory=dict)
    all: list[tuple[str, str]] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.options

    def get(self, name: str) -> str | None:
        return self.options.get(name)


@dataclass(frozen=True)
class Usage:
    """Which options a program has.

    Parameters
    ----------
    options
        ``m,mode:`` takes a value, ``backup?`` may be given one, ``p,parents`` takes none; the first
        name is what the program calls it.
    least, most
        How many operands there must and may be; None: as many as one likes.
    operand
        What it calls one that is missing.
    status
        With what it ends where it is called wrongly.
    in_order
        Options come before the first operand only.
    """

    options: str = ""
    least: int = 0
    most: int | None = None
    operand: str = "operand"
    status: int = 1
    in_order: bool = False

    def of(self, call: Call) -> Given:
        """What a call gives it.

        Raises
        ------
        Misused
            It is called wrongly.
        """
        given = self._parsed(call)
        if len(given.words) < self.least:
            if given.words and self.operand == "file operand":
                what = f"missing destination file operand after {quoted(given.words[-1], call)}"
            elif given.words:
                what = f"missing operand after {quoted(given.words[-1], call)}"
            else:
                what = f"missing {self.operand}"
            raise misused(call, what, self.status)
        if self.most is not None and len(given.words) > self.most:
            raise misused(
                call, f"extra operand {quoted(given.words[self.most], call)}", self.status
            )
        return given

    def _parsed(self, call: Call) -> Given:
        given, rest = Given([]), list(call.argv[1:])
        while rest:
            word = rest.pop(0)
            if word == "--":
                given.words.extend(rest)
                break
            if word == "-" or not word.startswith("-"):
                given.words.append(word)
                if self.in_order:
                    given.words.extend(rest)
                    break
            elif word.startswith("--"):
                self._long(call, word, rest, given)
            else:
                self._short(call, word[1:], rest, given)
        return given

    def _long(self, call: Call, word: str, rest: list[str], given: Given) -> None:
        name, equals, value = word[2:].partition("=")
        first, kind = self._known.get(name, ("", ""))
        if not first or len(name) == 1:
            raise misused(call, f"unrecognized option '--{name}{equals}{value}'", self.status)
        if equals and not kind:
            raise misused(call, f"option '--{name}' doesn't allow an argument", self.status)
        if kind == ":" and not equals:
            if not rest:
                raise misused(call, f"option '--{name}' requires an argument", self.status)
            value = rest.pop(0)
        given.options[first] = value
        given.all.append((first, value))

    def _short(self, call: Call, letters: str, rest: list[str], given: Given) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            first, kind = self._known.get(letter, ("", ""))
            if not first:
                raise misused(call, f"invalid option -- '{letter}'", self.status)
            value = ""
            if kind == ":":
                if not (letters or rest):
                    what = f"option requires an argument -- '{letter}'"
                    raise misused(call, what, self.status)
                value, letters = letters or rest.pop(0), ""
            given.options[first] = value
            given.all.append((first, value))

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for each in self.options.split():
            kind = each[-1] if each[-1] in ":?" else ""
            names = each.removesuffix(kind).split(",") if kind else each.split(",")
            found |= dict.fromkeys(names, (names[0], kind))
        return found


def misused(call: Call, what: str, status: int = 1) -> Misused:
    """A complaint that points to the program's help."""
    name = call.argv[0]
    return Misused(
        Reply(status, stderr=f"{name}: {what}\nTry '{name} --help' for more information.\n")
    )


def quoted(name: str, call: Call) -> str:
    """A file's name as GNU programs quote it within a sentence."""
    raw = name.encode(errors="surrogateescape")
    if any(byte < 32 or byte == 127 or (byte > 127 and _ascii_only(call)) for byte in raw):
        return _escaped(raw, ascii_only=_ascii_only(call))
    if "'" in name and _BETWEEN_DOUBLE_QUOTES.fullmatch(name):
        return f'"{name}"'
    return "'" + name.replace("'", "'\\''") + "'"


def named(name: str, call: Call) -> str:
    """A file's name as GNU programs print it in front of a colon: quoted where it needs it."""
    plain = _PLAIN.fullmatch(name) or (not _ascii_only(call) and name.isalnum())
    return name if plain else quoted(name, call)


def _ascii_only(call: Call) -> bool:
    words = [call.env[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if call.env.get(key)]
    return words[:1] in (["C"], ["POSIX"])


def _escaped(raw: bytes, *, ascii_only: bool) -> str:
    """``'new'$'\\n''line'``: what can't be shown stands in quotes of its own."""
    parts = re.split(rb"([\x00-\x1f\x7f-\xff]+)" if ascii_only else rb"([\x00-\x1f\x7f]+)", raw)
    out = ""
    for number, part in enumerate(parts):
        if number % 2:
            shown = (f"\\{_C_ESCAPES[b]}" if b in _C_ESCAPES else f"\\{b:03o}" for b in part)
            out += f"$'{''.join(shown)}'"
        elif part or not number:
            text = part.decode(errors="surrogateescape").replace("'", "'\\''")
            out += f"'{text}'"
    return out
