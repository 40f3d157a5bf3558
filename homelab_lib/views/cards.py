"""Steps as a person reads them: HTML in a notebook, plain text in a terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any

from homelab_lib.printable import printable
from homelab_lib.runbook.outcome import ResourceOutcome, SentChange, StepOutcome
from homelab_lib.runbook.step import TAKEN, Check
from homelab_lib.units import format_quantity, format_seconds

MARKS = {
    "already": ("✓", "var(--good, #0b3f75)", "already as described; nothing sent"),
    "changed": ("●", "var(--busy, #1565c0)", "brought about"),
    "planned": ("○", "var(--soft, #6a1b9a)", "planned; nothing sent"),
    "drift": ("▲", "var(--warn, #b3500a)", "not as described"),
    "skipped": ("–", "var(--quiet, #546e7a)", "left out"),
    "waiting": ("☐", "var(--warn, #b3500a)", "waits for a person"),
    "failed": ("✕", "var(--bad, #8c2d04)", "failed"),
    "not reached": ("·", "var(--quiet, #546e7a)", "not reached"),
}
_WAITED_S = 3.0  # a look that takes less is a look, and no waiting


@dataclass(frozen=True)
class Card:
    """Something to show, both ways.

    Neither way does it hold anything that a terminal would obey.

    Parameters
    ----------
    html, text
        The two ways.
    about
        What it shows.
    place
        The display of a notebook that it replaces when it is shown first; None: it has its own.
    """

    html: str
    text: str
    about: Any = field(default=None, repr=False)
    place: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "html", printable(self.html))
        object.__setattr__(self, "text", printable(self.text))

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}

    def _ipython_display_(self) -> None:
        if self.place is None:
            raise NotImplementedError  # then IPython shows the bundle
        self.place.update(self._repr_mimebundle_(), raw=True)
        object.__setattr__(self, "place", None)  # shown again, it stands where it is asked for


def step_card(
    outcome: StepOutcome, *, evidence: str, outputs: Mapping[int, str] = MappingProxyType({})
) -> Card:
    """One step: what was there, what was sent, what holds, what was measured.

    Parameters
    ----------
    outcome
        What came of it.
    evidence
        ``rehearsed`` or ``measured``; stands beside every number.
    outputs
        What the commands that were sent said, by the number of their intent in the journal.
    """
    mark, colour, meaning = MARKS[outcome.status]
    took = format_seconds(outcome.end_s - outcome.start_s)
    lines = [step_line(outcome, evidence)]
    parts = [
        f"<h4 style='margin-bottom:0'><span style='color:{colour}'>{mark}</span> "
        f"{escape(outcome.title)}</h4>"
        f"<p style='margin-top:0'>{meaning} · {took} · {escape(evidence)}</p>"
    ]
    if outcome.note:
        lines.append(f"  {outcome.note}")
        parts.append(preformatted(outcome.note))
    rows: list[tuple[str, ...]] = []
    for change in outcome.planned:
        lines.append(f"  would: {change.host}: {change.summary}")
        rows.append(("○", change.host, change.resource, escape(change.summary)))
    for resource in outcome.resources:
        sign = MARKS[resource.status][0]
        if resource.sent:
            said = [f"{s.summary} ({s.outcome})" for s in resource.sent]
            shown = [f"{_call(s, outputs)}" for s in resource.sent]
        else:
            said = resource.wants or [_found(resource)]
            shown = [escape(text) for text in said]
        lines += [f"  {sign} {resource.host}: {resource.name}: {text}" for text in said]
        rows += [(sign, resource.host, resource.name, html) for html in shown]
    for check in outcome.checks:
        sign, says = sign_of(check), check.says
        if check.taken and says != TAKEN:
            says = f"{says}; {TAKEN}" if says else TAKEN
        lines.append(f"  {sign} {check.title}" + (f": {says}" if says else ""))
        rows.append((sign, "", check.title, escape(says)))
    for number in outcome.measurements:
        value = f"{format_quantity(number.value, number.unit)} ({evidence})"
        if number.predicted is not None:
            value += f"; {format_quantity(number.predicted, number.unit)} (predicted)"
        lines.append(f"  # {number.name}: {value}")
        rows.append(("#", "", number.name, escape(value)))
    parts.append(_table(rows))
    return Card(f"<div class='homelab'>{''.join(parts)}</div>", "\n".join(lines), outcome)


def _found(resource: ResourceOutcome) -> str:
    """What was found of what nothing was sent for; what was just made takes its time to be so."""
    if resource.waited_s >= _WAITED_S:
        return f"ready after {format_seconds(resource.waited_s)}"
    return "as described"


def _call(sent: SentChange, outputs: Mapping[int, str]) -> str:
    """A change that was sent; its call, and what that said, behind a toggle."""
    took_s = sent.end_s - sent.start_s
    took = f", {format_seconds(took_s)}" if took_s >= 0.05 else ""
    told = f"{escape(sent.summary)} ({escape(sent.outcome)}{took})"
    if sent.intent not in outputs:
        return told
    body = f"<code>{escape(sent.planned.call)}</code>{preformatted(outputs[sent.intent])}"
    return fold(told, body)


def step_line(outcome: StepOutcome, evidence: str) -> str:
    """What came of a step, and how long it took, in a line."""
    mark, _, meaning = MARKS[outcome.status]
    sent = len(outcome.sent)
    meaning = f"{meaning} by {sent} change{'s' * (sent != 1)}" if sent else meaning
    took = format_seconds(outcome.end_s - outcome.start_s)
    return f"{mark} {outcome.title} — {meaning} ({took}, {evidence})"


def sign_of(check: Check) -> str:
    """A check's mark: ✓ was seen to hold, ✕ does not; ☐ is a box that a person has yet to tick."""
    if check.taken:
        return "☐"
    return "✓" if check.holds else "✕"


def note_card(text: str, place: Any = None) -> Card:
    """A line of plain words."""
    return Card(f"<p>{escape(text)}</p>", text, place=place)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of text that begin with a mark; the last cell of each is HTML."""
    colours = {mark: colour for mark, colour, _ in MARKS.values()}
    style = "style='text-align:left;vertical-align:top'"
    cells = (
        "<tr>"
        + f"<td {style}><b style='color:{colours.get(row[0], 'inherit')}'>{row[0]}</b></td>"
        + "".join(f"<td {style}>{escape(cell)}</td>" for cell in row[1:-1])
        + f"<td {style}>{row[-1]}</td></tr>"
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
