"""How a notebook shows a table: text on the left, numbers on the right, no word broken."""

import re
from html import escape
from typing import TYPE_CHECKING, Any

from homelab_lib.printable import printable

if TYPE_CHECKING:
    import pandas as pd

# A number, with its unit or its odds; what is between two numbers, or none.
_NUMBER = re.compile(
    r"(?!\d+\.\d+\.\d+)"  # an address or a release is text
    r"[-+−~≤≥<>$]?\s?\d[\d,.  ]*(e[-+]?\d+)?(\s?(%|[\w/·²³]{1,6}))*|1 in [\d.,]+( \w+)?"
    r"|nothing|never|–|"
)
_MOST_ROWS = 200


def tidy_tables() -> None:
    """Have the notebook show data frames so; does nothing outside of one."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        formatter = shell.display_formatter.formatters["text/html"]
        formatter.for_type_by_name("pandas", "DataFrame", table_html)


def table_html(frame: "pd.DataFrame") -> str:
    """A data frame as an HTML table.

    Parameters
    ----------
    frame
        Its index stands in the first column, under its name, unless it only counts.
    """
    shown = frame.head(_MOST_ROWS)
    counts = frame.index.name is None and frame.index.dtype.kind == "i"
    named = ["" if name is None else name for name in frame.index.names]
    shown = shown if counts else shown.reset_index(names=named)
    columns = [[_text(value) for value in shown.iloc[:, n]] for n in range(shown.shape[1])]
    right = [bool(cells) and all(map(_NUMBER.fullmatch, cells)) for cells in columns]
    right = [is_right and (n > 0 or counts) for n, is_right in enumerate(right)]
    head = "".join(_cell("th", str(name), at) for name, at in zip(shown, right, strict=True))
    rows = "".join(
        f"<tr>{''.join(_cell('td', text, at) for text, at in zip(row, right, strict=True))}</tr>"
        for row in zip(*columns, strict=True)
    )
    left_out = len(frame) - len(shown)
    more = f"<p>and {left_out} rows more</p>" if left_out else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return printable(f"<div style='overflow-x:auto'>{table}</div>{more}")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:g}"
    return str(value)


def _cell(tag: str, text: str, at_right: bool) -> str:
    where = "right;white-space:nowrap" if at_right else "left"
    return f"<{tag} style='text-align:{where};vertical-align:top'>{escape(text)}</{tag}>"
