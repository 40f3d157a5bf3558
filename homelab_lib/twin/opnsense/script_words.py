"""The words of a PHP script, and what a script is made of.

There are no classes, closures or references of a script's own here: see `script_grammar`.
"""

import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*(?=\?>|\n|$)|\#(?!\[)[^\n]*|/\*.*?\*/)
    |(?P<close>\?>\n?)
    |(?P<variable>\$[A-Za-z_]\w*)
    |(?P<number>\d+\.\d+|0x[0-9a-fA-F]+|\d+)
    |(?P<single>'(?:\\.|[^'\\])*')
    |(?P<double>"(?:\\.|[^"\\])*")
    |(?P<cast>\(\s*(?:string|int|integer|bool|boolean|array|float)\s*\))
    |(?P<name>\\?[A-Za-z_]\w*(?:\\[A-Za-z_]\w*)*)
    |(?P<operator>===|!==|<=>|\?\?=|\?->|->|=>|==|!=|<=|>=|&&|\|\||\?\?|\.=|\+=|-=|\+\+|--|::
        |[-+*/%.=<>!?:;,(){}\[\]$@&|])""",
    re.VERBOSE | re.DOTALL,
)


class ParseError(Exception):
    """A script that PHP, or this part of it, does not take."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what, self.line = what, line


@dataclass(frozen=True)
class Token:
    """A word: what kind it is of, and in which line it stands."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Node:
    """A part of a script: what it is, what belongs to it, and in which line it stands."""

    kind: str
    parts: tuple[Any, ...] = ()
    line: int = 0


@dataclass
class Script:
    """A whole script: what it does, and the functions that it defines."""

    body: list[Node] = field(default_factory=list)
    functions: dict[str, tuple[list[tuple[str, Node | None]], list[Node]]] = field(
        default_factory=dict
    )


def tokens(code: str, line: int) -> list[Token]:
    """The words of code that begins in a line.

    Raises
    ------
    ParseError
        It has a character that is no part of any.
    """
    found: list[Token] = []
    place = 0
    while place < len(code):
        match = _TOKEN.match(code, place)
        if match is None:
            raise ParseError(f'syntax error, unexpected character "{code[place]}"', line)
        kind, text = str(match.lastgroup), match[0]
        if kind == "close":
            found += [Token("operator", ";", line), Token("html", code[match.end() :], line)]
            break
        if kind != "space":
            found.append(Token(kind, text, line))
        line += text.count("\n")
        place = match.end()
    return found
