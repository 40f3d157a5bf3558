"""What is printed for a person: as wide as the terminal, and in colour where that is wanted.

Source: https://no-color.org (NO_COLOR, whatever its value); ECMA-48, 8.3.117 (SGR).
"""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from homelab_lib.printable import printable

_GREEN, _YELLOW, _RED, _CYAN, _BOLD = "32", "33", "31", "36", "1"
_COLOURS = (  # of a line, by how it begins
    (re.compile(r"\s*(\+\+\+|---) "), _BOLD),
    (re.compile(r"\s*@@ "), _CYAN),
    (re.compile(r"\s*(\+|✓)"), _GREEN),
    (re.compile(r"\s*(~|▲)"), _YELLOW),
    (re.compile(r"\s*(-|✕|! )"), _RED),
    (re.compile(r"(Plan |Read: |Asks: |Apply: |\w[\w-]*: (no changes|not |\d+ to ))"), _BOLD),
)
_PROSE = re.compile(r"  (of these|rests on|[A-Z])|Plan |    what |  where:|  next:")


def show(text: str, *, wraps: bool = True) -> None:
    """Print text; control characters in it are spelt out.

    Parameters
    ----------
    text
        Lines.
    wraps
        Whether prose is broken at the terminal's width. What may be copied never is.
    """
    on_terminal = sys.stdout.isatty()
    coloured = on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for line in printable(text).splitlines():
        for part in _wrapped(line) if wraps and on_terminal else (line,):
            print(_coloured(part, like=line) if coloured else part)


def table(rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Columns side by side; on a terminal that is too narrow the widest one is cut.

    Parameters
    ----------
    rows
        The first one is the head.
    numbers
        Columns whose cells stand to the right.
    """
    cells = [[printable(cell, one_line=True) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sys.stdout.isatty():
        room = width() - 2 * (len(widths) - 1)
        while sum(widths) > room and max(widths) > 8:
            widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        parts = (
            _cut(cell, size).rjust(size) if n in numbers else _cut(cell, size).ljust(size)
            for n, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((80, 24)).columns


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def _wrapped(line: str) -> Iterator[str]:
    if len(line) <= width() or not _PROSE.match(line):
        yield line
        return
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    yield from textwrap.wrap(
        line, max(width(), 20), subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _coloured(part: str, *, like: str) -> str:
    """A line, or a part of one, in the colour of its kind."""
    for begins, colour in _COLOURS:
        if begins.match(like):
            return f"\x1b[{colour}m{part}\x1b[0m"
    return part
