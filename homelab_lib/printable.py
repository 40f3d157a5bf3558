"""Text from elsewhere, made fit for a terminal and a page.

A terminal obeys what it is sent: an error message of a host can write the clipboard, clear the
screen, or print over what stood there. Marks for the direction of writing let a line read other
than it is. Here they all become visible.

Source: ECMA-48 (control functions); Unicode TR 36, 2.8 (bidirectional spoofing).
"""

import re

_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # all controls but tab and newline
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # unseen, or turning the line about
    "\ud800-\udfff]"  # halves of a character, which can't be printed at all
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def printable(text: str, *, one_line: bool = False) -> str:
    """`text` with everything that a terminal would obey spelt out, as ``\\x1b`` is.

    Parameters
    ----------
    text
        Text of any origin. Line ends of other systems become newlines.
    one_line
        Spell out newlines and tabs, too.
    """
    text = _ACTIVE.sub(_spelt, text.replace("\r\n", "\n"))
    return text.replace("\n", "\\n").replace("\t", "\\t") if one_line else text


def without_colours(text: str) -> str:
    """`text` without the codes that colour it, as IPython puts them into a traceback."""
    return _COLOURS.sub("", text)


def _spelt(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
