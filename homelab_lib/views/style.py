"""How every figure of the house looks, and that it comes out the same each time."""

import base64
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from math import log10
from typing import TYPE_CHECKING, Any

from homelab_lib.printable import printable

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PAPER, INK, QUIET, GRID = "#ffffff", "#263238", "#5b7480", "#eceff1"
# Blue is well, orange is not, the darker the more so: whoever sees no red or green tells them
# apart, and on paper the hatching does. White text can be read on each.
GOOD, BUSY, WARN, BAD, SOFT = "#0b3f75", "#1f78c1", "#b8560a", "#7f2704", "#8e55a8"
PALE = {
    GOOD: "#d3e4f3", WARN: "#fbe0c8", BAD: "#f3c9a8", SOFT: "#f3e5f5", QUIET: "#eceff1",
}  # fmt: skip
HATCH = {GOOD: "", BUSY: "", SOFT: "..", WARN: "///", BAD: "xxx", QUIET: ""}

_RC: dict[Any, object] = {  # matplotlib would have each key as a Literal
    "svg.hashsalt": "homelab",  # element ids are random without it
    "svg.fonttype": "none",  # text stays text: searchable, and small
    "text.parse_math": False,  # "$5 or $6" is no formula
    "figure.facecolor": PAPER,  # a figure brings its own paper, and so is read on a dark page
    "savefig.facecolor": PAPER,
    "hatch.linewidth": 0.6,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw within this, and the figure is in the house's style."""
    import matplotlib as mpl

    with mpl.rc_context(_RC):
        yield


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def powers_of_ten(axis: "Axis") -> None:
    """Label a logarithmic axis in plain text, ``10⁻³``: no text here is read as a formula."""
    axis.set_major_formatter(
        lambda value, _: f"10{str(round(log10(value))).translate(_RAISED)}" if value > 0 else ""
    )


def svg(figure: "Figure") -> str:
    """The figure as an SVG document without a date, closed afterwards."""
    buffer = StringIO()
    with house_style(), warnings.catch_warnings():
        # The text stays text, and whoever shows it has fonts of their own; only its width is
        # guessed where ours lacks a character.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    figure.clear()
    return printable(buffer.getvalue())


class Drawing:
    """An SVG that a notebook shows and nbval compares."""

    def __init__(self, document: str, title: str) -> None:
        self.document = document
        self.title = title

    def __repr__(self) -> str:
        return f"<drawing: {self.title}>"

    def _repr_html_(self) -> str:
        """The same as a picture: JupyterLab shows no SVG of a notebook it does not trust yet."""
        data = base64.b64encode(self._repr_svg_().encode()).decode()
        return f'<img alt="{escape(self.title)}" src="data:image/svg+xml;base64,{data}">'

    def _repr_svg_(self) -> str:
        return self.document[self.document.index("<svg") :]
