"""Tables as the programs of util-linux print them: trees, pairs, raw lines, JSON.

Source: libsmartcols; scols-filter(5), findmnt(8), lsblk(8).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""Values by the names of columns in small letters; ``children`` has the rows below it."""


_LEAST = {"size": 5}  # characters that a column has at least


@dataclass(frozen=True)
class Look:
    """How a table is shown.

    Parameters
    ----------
    columns
        Names of the columns, in small letters.
    right
        Those that are aligned to the right.
    headings
        Whether their names stand above them.
    form
        ``table``, ``list`` (no tree), ``raw``, ``pairs`` or ``json``.
    ascii_only
        Whether a tree is drawn with ``|-``, as in the C locale.
    """

    columns: tuple[str, ...]
    right: frozenset[str] = frozenset()
    headings: bool = True
    form: str = "table"
    ascii_only: bool = True


def printed(name: str, rows: Sequence[Row], look: Look) -> str:
    """The table as text; `name` is what its rows are called in JSON."""
    if look.form == "json":
        shown = [_chosen(row, look) for row in rows]
        return json.dumps({name: shown}, indent=3, ensure_ascii=False) + "\n"
    flat = list(_flat(rows, look))
    if look.form == "pairs":
        return "".join(
            " ".join(f'{k.upper()}="{v}"' for k, v in row.items()) + "\n" for row in flat
        )
    heads = {column: column.upper() for column in look.columns}
    if look.form == "raw":
        lines = [heads, *flat] if look.headings else flat
        return "".join(" ".join(row.values()) + "\n" for row in lines)
    return _table(heads, flat, look)


def _chosen(row: Row, look: Look) -> Row:
    """Of a row for JSON, what was asked for."""
    shown = {column: row.get(column) for column in look.columns}
    if look.form == "json" and row.get("children"):
        shown["children"] = [_chosen(child, look) for child in row["children"]]
    return shown


def _flat(rows: Sequence[Row], look: Look, above: str = "", top: bool = True) -> Iterator[Row]:
    """The rows as text, each below what it belongs to."""
    branch, last, straight = ("|-", "`-", "| ") if look.ascii_only else ("├─", "└─", "│ ")
    for number, row in enumerate(rows):
        ends = number == len(rows) - 1
        mark = "" if top or look.form != "table" else above + (last if ends else branch)
        cells = {column: _cell(row.get(column), look) for column in look.columns}
        if look.columns:
            cells[look.columns[0]] = mark + cells[look.columns[0]]
        yield cells
        below = "" if top else above + ("  " if ends else straight)
        yield from _flat(row.get("children") or (), look, below, top=False)


def _cell(value: object, look: Look) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        joint = r"\x0a" if look.form in ("raw", "pairs") else "\n"
        return joint.join(str(each) for each in value if each is not None)
    return str(value)


def _table(heads: dict[str, str], rows: Sequence[Row], look: Look) -> str:
    shown = [heads, *rows] if look.headings else list(rows)
    widths = {  # headings count even where they are not shown
        column: max(
            _LEAST.get(column, 0),
            *(len(part) for row in (heads, *rows) for part in row[column].split("\n")),
        )
        for column in look.columns
    }
    out = ""
    for row in shown:
        cells = {column: row[column].split("\n") for column in look.columns}
        for number in range(max(map(len, cells.values()), default=0)):
            parts = [_padded(cells[c], number, widths[c], c, look) for c in look.columns]
            out += " ".join(parts) + "\n"
    return out


def _padded(cell: list[str], number: int, width: int, column: str, look: Look) -> str:
    text = cell[number] if number < len(cell) else ""
    if column in look.right:
        return text.rjust(width)
    return text if column == look.columns[-1] else text.ljust(width)


def human(size_bytes: int) -> str:
    """``54.5M``: a size as util-linux prints it."""
    power = min(max((size_bytes.bit_length() - 1) // 10, 0), 6)
    whole, rest = divmod(size_bytes, 1 << 10 * power)
    tenths = (rest * 1000 // (1 << 10 * power) + 50) // 100
    if tenths == 10:
        whole, tenths = whole + 1, 0
    shown = f"{whole}.{tenths}" if tenths else str(whole)
    return f"{shown}{'BKMGTPE'[power]}"
