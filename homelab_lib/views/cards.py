"""Steps as a person reads them: HTML in a notebook, plain text in a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from homelab_lib.printable import printable
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.step import TAKEN, Check
from homelab_lib.units import format_quantity, format_seconds

_MARKS = {
    "already": ("●", "var(--good, #2e7d32)", "already as described; nothing sent"),
    "changed": ("●", "var(--busy, #1565c0)", "brought about"),
    "planned": ("○", "var(--soft, #6a1b9a)", "planned; nothing sent"),
    "drift": ("▲", "var(--warn, #bf360c)", "not as described"),
    "skipped": ("–", "var(--quiet, #546e7a)", "left out"),
    "failed": ("✕", "var(--bad, #c62828)", "failed"),
    "not reached": ("·", "var(--quiet, #546e7a)", "not reached"),
}


@dataclass(frozen=True)
class Card:
    """Something to show, both ways; `about` is what it shows.

    Neither way does it hold anything that a terminal would obey.
    """

    html: str
    text: str
    about: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "html", printable(self.html))
        object.__setattr__(self, "text", printable(self.text))

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def step_card(outcome: StepOutcome, *, evidence: str) -> Card:
    """One step: what was there, what was sent, what holds, what was measured.

    Parameters
    ----------
    outcome
        What came of it.
    evidence
        ``rehearsed`` or ``measured``; stands beside every number.
    """
    mark, colour, meaning = _MARKS[outcome.status]
    took = format_seconds(outcome.end_s - outcome.start_s)
    lines = [f"{mark} {outcome.title} — {meaning} ({took}, {evidence})"]
    parts = [
        f"<h4 style='margin-bottom:0'><span style='color:{colour}'>{mark}</span> "
        f"{escape(outcome.title)}</h4>"
        f"<p style='margin-top:0'>{meaning} · {took} · {escape(evidence)}</p>"
    ]
    if outcome.note:
        lines.append(f"  {outcome.note}")
        parts.append(preformatted(outcome.note))
    rows = []
    for change in outcome.planned:
        lines.append(f"  would: {change.host}: {change.summary}")
        rows.append(("○", change.host, change.resource, change.summary))
    for resource in outcome.resources:
        said = [f"{s.summary} ({s.outcome})" for s in resource.sent] or resource.wants
        said = said or ["as described"]
        lines += [
            f"  {_MARKS[resource.status][0]} {resource.host}: {resource.name}: {t}" for t in said
        ]
        rows += [(_MARKS[resource.status][0], resource.host, resource.name, text) for text in said]
    for check in outcome.checks:
        sign, says = sign_of(check), check.says
        if check.taken and says != TAKEN:
            says = f"{says}; {TAKEN}" if says else TAKEN
        lines.append(f"  {sign} {check.title}" + (f": {says}" if says else ""))
        rows.append((sign, "", check.title, says))
    for number in outcome.measurements:
        value = f"{format_quantity(number.value, number.unit)} ({evidence})"
        if number.predicted is not None:
            value += f"; {format_quantity(number.predicted, number.unit)} (predicted)"
        lines.append(f"  # {number.name}: {value}")
        rows.append(("#", "", number.name, value))
    parts.append(_table(rows))
    return Card(f"<div class='homelab'>{''.join(parts)}</div>", "\n".join(lines), outcome)


def sign_of(check: Check) -> str:
    """A check's mark: ✓ was seen to hold, ✕ does not; ☐ is a box that a person has yet to tick."""
    if check.taken:
        return "☐"
    return "✓" if check.holds else "✕"


def note_card(text: str) -> Card:
    """A line of plain words."""
    return Card(f"<p>{escape(text)}</p>", text)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    style = "text-align:left;vertical-align:top"
    cells = (
        "<tr>" + "".join(f"<td style='{style}'>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table>{''.join(cells)}</table>"


def preformatted(text: str) -> str:
    """Text as it stands, its lines broken where they are too long."""
    return f"<pre style='white-space:pre-wrap'>{escape(text)}</pre>"


def fold(head: str, body: str, *, is_open: bool = False) -> str:
    """Something behind a toggle; both are HTML."""
    shown = " open" if is_open else ""
    return f"<details{shown}><summary>{head}</summary>{body}</details>"
