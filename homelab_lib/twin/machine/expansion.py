"""What a word stands for: parameters, commands, arithmetic, fields, paths.

Source: POSIX.1-2024, Shell Command Language, 2.6.
"""

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from homelab_lib.twin.machine.account import User
from homelab_lib.twin.machine.arithmetic import calculate
from homelab_lib.twin.machine.entry import FileError, Who
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.lexer import Syntax, after, after_quote
from homelab_lib.twin.machine.matching import by_bytes, without

_PARAMETER = re.compile(r"[A-Za-z_]\w*|[0-9]|[?#$@*!-]")
_LONG = re.compile(
    r"(?P<length>#)?(?P<name>[A-Za-z_]\w*|\d+|[?#$@*])(?P<how>:?[-=+?]|%%|%|##|#)?(?P<word>.*)",
    re.DOTALL,
)
_GLOB = re.compile(r"[*?\[]")


class Unset(Exception):
    """A parameter that must be there is not."""


@dataclass
class Variables:
    """What a shell remembers: variables, arguments, the last status.

    Parameters
    ----------
    values
        Variables by name.
    arguments
        ``$0 $1 …``
    status
        Of the last command.
    strict
        ``set -u``: a missing one is an error.
    """

    values: dict[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ("sh",)
    status: int = 0
    substituted: bool = False
    strict: bool = False

    def get(self, name: str) -> str | None:
        """The value of a parameter; None where it is not set."""
        if name.isdigit():
            number = int(name)
            return self.arguments[number] if number < len(self.arguments) else None
        special = {"?": str(self.status), "#": str(len(self.arguments) - 1), "$": "4242", "-": ""}
        if name in special:
            return special[name]
        if name in ("@", "*"):
            return " ".join(self.arguments[1:])
        return self.values.get(name)


class Piece(NamedTuple):
    """A part of a word: what was quoted is no pattern, what was put in is split."""

    text: str
    quoted: bool = False
    put_in: bool = False


@dataclass
class Expansion:
    """Expands words.

    Parameters
    ----------
    variables
        The shell's.
    run
        What a script prints.
    files, users, who, cwd
        Where patterns and homes are looked for.
    """

    variables: Variables
    run: Callable[[str], str]
    files: FileSystem
    users: Mapping[str, User]
    who: Who
    cwd: str

    def fields(self, word: str) -> list[str]:
        """The words that a word stands for: none, one or several."""
        found: list[str] = []
        for pieces in self._split(list(self._pieces(word))):
            found += self._paths(pieces)
        return found

    def text(self, word: str) -> str:
        """A word where it stays one: in an assignment, behind a redirection."""
        pieces = self._pieces(word)
        return "".join(" " if piece is _NEXT_FIELD else piece.text for piece in pieces)

    def pattern(self, word: str) -> str:
        """A word as a pattern for `fnmatch`."""
        return "".join(map(_escaped, self._pieces(word)))

    def document(self, body: str) -> str:
        """The text of a here-document, whose first line is its lexer's mark."""
        mark, _, text = body.partition("\n")
        return text if mark else self._between_quotes(text, keep="$`\\\n")

    # ------------------------------------------------------------------- pieces

    def _pieces(self, word: str) -> Iterator[Piece]:
        place = 0
        if tilde := re.match(r"~([a-z_][\w-]*)?(?=/|$)", word):
            user = self.users.get(tilde[1] or "")
            home = user.home if user else self.variables.get("HOME") or ""
            yield Piece(tilde[0] if tilde[1] and not user else home, quoted=True)
            place = tilde.end()
        while place < len(word):
            char, end = word[place], after(word, place)
            if char == "'":
                yield Piece(word[place + 1 : end - 1], quoted=True)
            elif char == '"':
                end = after_quote(word, place)
                yield from self._quoted(word[place + 1 : end - 1])
            elif char == "\\":
                if word[place + 1 : end] != "\n":
                    yield Piece(word[place + 1 : end], quoted=True)
            elif char in "$`":
                value, end = self._dollar(word, place)
                yield Piece(value, put_in=True)
            else:
                yield Piece(char)
            place = end

    def _quoted(self, inner: str) -> Iterator[Piece]:
        first, *others = map(self._between_quotes, _around_arguments(inner))
        if not others:
            yield Piece(first, quoted=True)
            return
        text, arguments = first, self.variables.arguments[1:]
        for other in others:
            for number, argument in enumerate(arguments):
                if number:
                    yield Piece(text, quoted=True)
                    yield _NEXT_FIELD
                    text = ""
                text += argument
            text += other
        if text or arguments or len(others) > 1:
            yield Piece(text, quoted=True)

    def _between_quotes(self, text: str, keep: str = '"$`\\\n') -> str:
        out, place = "", 0
        while place < len(text):
            char = text[place]
            if char == "\\" and text[place + 1 : place + 2] and text[place + 1] in keep:
                out += "" if text[place + 1] == "\n" else text[place + 1]
                place += 2
            elif char in "$`":
                value, place = self._dollar(text, place)
                out += value
            else:
                out += char
                place += 1
        return out

    def _split(self, pieces: list[Piece]) -> list[list[Piece]]:
        """Fields: what was not quoted is split where the separators are."""
        separators = self.variables.get("IFS")
        separators = " \t\n" if separators is None else separators
        found: list[list[Piece]] = []
        open_field: list[Piece] | None = None
        for piece in pieces:
            if piece is _NEXT_FIELD:
                found, open_field = [*found, open_field or []], None
                continue
            parts = [piece.text]
            if piece.put_in and separators:
                parts = re.split(f"[{re.escape(separators)}]+", piece.text)
            for number, part in enumerate(parts):
                if number and open_field is not None:
                    found, open_field = [*found, open_field], None
                if part or piece.quoted:
                    open_field = [*(open_field or []), piece._replace(text=part)]
        return found if open_field is None else [*found, open_field]

    def _paths(self, pieces: list[Piece]) -> list[str]:
        """The paths that fit a pattern; the word itself where none does, or where it is none."""
        plain = "".join(piece.text for piece in pieces)
        if not any(not piece.quoted and _GLOB.search(piece.text) for piece in pieces):
            return [plain]
        pattern = "".join(map(_escaped, pieces))
        found = ["/" if pattern.startswith("/") else ""]
        for part in filter(None, pattern.split("/")):
            found = [
                posixpath.join(place, name)
                for place in found
                for name in self._named(posixpath.join(self.cwd, place), part)
            ]
        return sorted(found) or [plain]

    def _named(self, folder: str, part: str) -> list[str]:
        if not _GLOB.search(part):
            there = self.files.entry(posixpath.join(folder, part), self.who, follow=False)
            return [part] if there else []
        try:
            names = self.files.listdir(folder, self.who)
        except FileError:
            return []
        hidden = part.startswith(".")
        return [n for n in names if fnmatch.fnmatchcase(n, part) and n.startswith(".") <= hidden]

    # --------------------------------------------------------------- parameters

    def _dollar(self, text: str, place: int) -> tuple[str, int]:
        """The value of what begins at `place`, and the place after it."""
        end = after(text, place)
        if text[place] == "`":
            return self._command(text[place + 1 : end - 1].replace("\\`", "`")), end
        if text.startswith("$((", place) and text[end - 2] == ")":
            return self._arithmetic(text[place + 3 : end - 2]), end
        if text.startswith("$(", place):
            return self._command(text[place + 2 : end - 1]), end
        if text.startswith("${", place):
            return self._long(text[place + 2 : end - 1]), end
        found = _PARAMETER.match(text, place + 1)
        if found is None:
            return "$", place + 1
        return self._value(found[0]), found.end()

    def _value(self, name: str) -> str:
        value = self.variables.get(name)
        if value is None and self.variables.strict:
            raise Unset(f"{name}: parameter not set")
        return value or ""

    def _command(self, script: str) -> str:
        return self.run(script).rstrip("\n")

    def _long(self, inner: str) -> str:
        """``${…}``"""
        found = _LONG.fullmatch(inner)
        if found is None or (found["word"] and not found["how"]):
            raise Syntax("Bad substitution")
        name, how = found["name"], found["how"] or ""
        if found["length"]:
            return str(len(by_bytes(self._value(name))))
        value = self.variables.get(name)
        if how.lstrip(":") in ("-", "=", "+", "?") and how:
            missing = value is None or (how.startswith(":") and not value)
            return self._default(name, value, how[-1], found["word"], missing=missing)
        if not how:
            return self._value(name)
        return without(self._value(name), self.pattern(found["word"]), how)

    def _default(self, name: str, value: str | None, how: str, word: str, *, missing: bool) -> str:
        if how == "+":
            return "" if missing else self.text(word)
        if not missing:
            return value or ""
        if how == "?":
            raise Unset(f"{name}: {self.text(word) or 'parameter not set'}")
        if how == "=":
            self.variables.values[name] = self.text(word)
        return self.text(word)

    def _arithmetic(self, text: str) -> str:
        text = self._between_quotes(text)
        text = re.sub(r"[A-Za-z_]\w*", lambda found: self._value(found[0]) or "0", text)
        return str(calculate(text))


_NEXT_FIELD = Piece("", quoted=True)


def _around_arguments(inner: str) -> list[str]:
    """What stands around each ``$@`` between double quotes, but for those in commands."""
    parts, place, begin = [], 0, 0
    while place < len(inner):
        if inner.startswith("$@", place):
            parts.append(inner[begin:place])
            begin = place = place + 2
        elif inner[place] in "\\$`":
            place = after(inner, place)
        else:
            place += 1
    return [*parts, inner[begin:]]


def _escaped(piece: Piece) -> str:
    return re.sub(r"([*?\[])", r"[\1]", piece.text) if piece.quoted else piece.text
