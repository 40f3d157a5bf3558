"""Regular expressions of POSIX, basic and extended, as Python's.

Source: POSIX.1-2024, Regular Expressions; the extensions are GNU's.
"""

import re

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\v",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "cntrl": r"\x00-\x1f\x7f",
    "print": " -~",
    "graph": "!-~",
}
_SPECIAL = "(){}+?|"


class BadPattern(ValueError):
    """No regular expression; its text is what GNU's library says."""


def compiled(pattern: str, *, extended: bool, flags: int = 0) -> "re.Pattern[str]":
    """A pattern of POSIX.

    Parameters
    ----------
    pattern
        As it is given to a program.
    extended
        ``grep -E``; else a basic one, where ``\\(`` is special and ``(`` is not.
    flags
        Of Python's `re`.

    Raises
    ------
    BadPattern
        It is none.
    """
    out, place, depth = "", 0, 0
    while place < len(pattern):
        char = pattern[place]
        if char == "[":
            bracket, place = _bracket(pattern, place)
            out += bracket
            continue
        escaped = char == "\\"
        if escaped:
            if place + 1 == len(pattern):
                raise BadPattern("Trailing backslash")
            place += 1
            char = pattern[place]
        place += 1
        if char in _SPECIAL and escaped != extended:
            depth += (char == "(") - (char == ")")
            if depth < 0 or (char == ")" and not extended and depth < 0):
                raise BadPattern("Unmatched ) or \\)")
            out += char
        elif char == "*" and not escaped:
            starts = not out or out.endswith(("(", "|")) or out == "^"
            out += r"\*" if starts else "*"
        elif char == "^" and not escaped:
            begins = extended or not out or out.endswith(("(", "|"))
            out += "^" if begins else r"\^"
        elif char == "$" and not escaped:
            rest = pattern[place:]
            ends = extended or not rest or rest.startswith((r"\)", r"\|"))
            out += r"(?!\n)\Z" if ends else r"\$"
        elif escaped and (char in "bBwWsS" or char.isdigit()):
            out += f"\\{char}"
        elif escaped and char in "<>":
            out += r"\b"
        elif escaped and char == "n":
            out += r"\n"
        elif char == "." and not escaped:
            out += "."
        else:
            out += re.escape(char)
    if depth:
        raise BadPattern("Unmatched ( or \\(")
    try:
        return re.compile(out, flags)
    except re.error:
        raise BadPattern("Invalid regular expression") from None


def _bracket(pattern: str, place: int) -> tuple[str, int]:
    """``[…]`` as Python writes it, and the place after it."""
    end = place + 1
    inner = "["
    if pattern[end : end + 1] == "^":
        inner, end = "[^", end + 1
    first = True
    while end < len(pattern) and (first or pattern[end] != "]"):
        first = False
        named = re.compile(r"\[:(\w+):\]").match(pattern, end)
        if named is not None:
            if named[1] not in _CLASSES:
                raise BadPattern("Invalid character class name")
            inner, end = inner + _CLASSES[named[1]], named.end()
            continue
        char = pattern[end]
        inner += f"\\{char}" if char in "\\[]^&~|" else char
        end += 1
    if end >= len(pattern):
        raise BadPattern("Invalid regular expression")
    return f"{inner}]", end + 1
