"""What `echo` and `printf` print, the programs and what a shell has built in by these names.

Source: POSIX.1-2024, echo and printf.
"""

import re

_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_DIRECTIVE = re.compile(r"%(?:%|([-+ #0]*)(\*|\d*)(?:\.(\*|\d*))?(.?))", re.DOTALL)
_FOUND = re.compile(r"\\(?:(c)|(0[0-7]{1,3}|[0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_MOST_DIGITS = 4096


class _Stopped(Exception):
    """``\\c``: nothing more is printed."""


def unescaped(text: str, *, stops: bool = False) -> tuple[str, bool]:
    """A text with its escapes resolved, and whether ``\\c`` ended it."""
    out, place = "", 0
    for found in _FOUND.finditer(text):
        out += text[place : found.start()]
        place = found.end()
        if found[1]:
            if stops:
                return out, True
            out += found[0]
        elif found[2]:
            out += bytes([int(found[2], 8) % 256]).decode(errors="surrogateescape")
        elif found[3]:
            out += chr(int(found[3], 16))
        else:
            out += _ESCAPES.get(found[4], found[0])
    return out + text[place:], False


def said(words: tuple[str, ...], *, escapes: bool) -> str:
    """What `echo` prints.

    Parameters
    ----------
    words
        What it is given.
    escapes
        Whether it is dash's own, which resolves escapes.
    """
    bare = words[:1] == ("-n",)
    text = " ".join(words[1:] if bare else words)
    ended = False
    if escapes:
        text, ended = unescaped(text, stops=True)
    return text + ("" if bare or ended else "\n")


def formatted(words: tuple[str, ...]) -> tuple[int, str, str]:
    """What `printf` makes of a format and its values: status, output, complaints."""
    values, out, err = list(words[1:]), "", ""
    while True:
        before, place = len(values), 0
        for found in _DIRECTIVE.finditer(words[0]):
            out += unescaped(words[0][place : found.start()])[0]
            place = found.end()
            if found[0] == "%%":
                out += "%"
                continue
            try:
                text, why = _directive(found, values)
            except _Stopped as stopped:
                return (1 if err else 0), out + str(stopped), err
            except ValueError:
                return 2, out, f"{found[0]}: invalid directive"
            out, err = out + text, why or err
        out += unescaped(words[0][place:])[0]
        if not values or len(values) == before:
            return (1 if err else 0), out, err


def _directive(found: "re.Match[str]", values: list[str]) -> tuple[str, str]:
    flags, width, precision, kind = found[1], found[2], found[3], found[4]
    if width == "*":
        width = str(_number(values.pop(0) if values else "")[0])
    if precision == "*":
        precision = str(_number(values.pop(0) if values else "")[0])
    if not kind or kind not in "sdiuxXobc":
        raise ValueError(kind)
    if max(int(width or 0), int(precision or 0)) > _MOST_DIGITS:
        raise ValueError(width)
    value = values.pop(0) if values else ""
    form = f"%{flags}{width}" + ("" if precision is None else f".{precision}")
    if kind in "diuxXo":
        number, why = _number(value)
        return f"{form}{kind.replace('i', 'd').replace('u', 'd')}" % number, why
    if kind == "c":
        return f"%{flags}{width}s" % value[:1], ""
    if kind == "b":
        text, ended = unescaped(value, stops=True)
        if ended:
            raise _Stopped(f"{form}s" % text)
        return f"{form}s" % text, ""
    return f"{form}s" % value, ""


def _number(text: str) -> tuple[int, str]:
    """The number that a text begins with, and what is wrong with it."""
    if text[:1] in ("'", '"'):
        return (ord(text[1]) if text[1:] else 0), ""
    found = re.match(r"\s*([-+]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)", text)
    if found is None:
        return 0, f"{text}: expected numeric value" if text else ""
    digits = found[2]
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10
    number = int(digits, base) * (-1 if found[1] == "-" else 1)
    rest = text[found.end() :]
    return number, f"{text}: not completely converted" if rest else ""
