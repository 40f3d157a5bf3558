"""What of this project is about each row of the design: its steps, what judges it, or why nothing
is and does."""

import re
from collections.abc import Iterable
from html import escape

from homelab_lib.lab import Lab
from homelab_lib.lab.coverage import Coverage
from homelab_lib.views.page import table

_HEAD = ("the design says", "steps", "judged by", "left out")
_DRAWN = re.compile(r"[│├└┬┘─┼◄►\s]+")
_LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")


def coverage(lab: Lab) -> str:
    """A table for each section of the design, and one for the services, each to be opened; empty
    for a lab without a design that says anything.

    Parameters
    ----------
    lab
        The lab.
    """
    if not lab.claims:
        return ""
    parts = [
        _folded(section, ((c.quote, c.covered) for c in lab.claims if c.section == section))
        for section in dict.fromkeys(claim.section for claim in lab.claims)
    ]
    services = ((each.title, each.covered) for each in lab.services.values())
    head = "<h2>What is about each row of the design</h2>"
    return "\n".join([head, *parts, _folded("Services", services)])


def _folded(title: str, rows: Iterable[tuple[str, Coverage | None]]) -> str:
    cells = [(plain(words), *_about(covered)) for words, covered in rows]
    said = f"{title} ({len(cells)})"
    return f"<details><summary>{escape(said)}</summary>{table(_HEAD, cells)}</details>"


def _about(covered: Coverage | None) -> tuple[str, str, str]:
    if covered is None:
        return "", "", "nothing is said of it yet"
    judges = ", ".join((*covered.models, *covered.rules))
    return ", ".join(covered.steps), judges, covered.left_out


def plain(quote: str) -> str:
    """A quote without the marks of tables, links and drawings."""
    first, *others = (cell.strip() for cell in quote.strip("| ").split("|"))
    words = f"{first}: {', '.join(filter(None, others))}" if others else first
    return _DRAWN.sub(" ", _LINK.sub(r"\1", words.replace("**", "").replace("`", ""))).strip()
