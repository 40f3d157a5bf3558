"""Plans and steps as a person reads them: HTML in a notebook, plain text in a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from homelab_lib.printable import printable
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.step import TAKEN, Check
from homelab_lib.units import format_quantity, format_seconds

_MARKS = {
    "already": ("●", "#2e7d32", "already as described; nothing sent"),
    "changed": ("●", "#1565c0", "brought about"),
    "planned": ("○", "#6a1b9a", "planned; nothing sent"),
    "drift": ("▲", "#e65100", "not as described"),
    "skipped": ("–", "#757575", "left out"),
    "failed": ("✕", "#c62828", "failed"),
    "not reached": ("·", "#757575", "not reached"),
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


def plan_card(plan: Plan, *, approval: str = "") -> Card:
    """The whole plan: every change, step by step, with what it would destroy.

    Parameters
    ----------
    plan
        The plan.
    approval
        A line on what happens next.
    """
    count = len(plan.changes)
    hosts = sorted({change.host for change in plan.changes})
    said = f"{count} changes on {len(hosts)} hosts" if count else "nothing to change"
    head = f"Plan {plan.digest}: {said}"
    about = [f"{name}: {said}" for name, said in fidelity(plan).items()]
    lines, rows = [head, *(f"  {line}" for line in about)], []
    for step in plan.steps:
        changes = plan.of_step(step)
        beyond = "not looked at yet" if plan.unseen else "not reached"
        said = f"{len(changes) or 'no'} changes" if plan.reached(step) else beyond
        lines.append(f"  {step}: {said}")
        lines += [f"    {line}" for change in changes for line in _change_lines(change)]
        rows.append(_step_row(step, changes, said))
    for name in sorted({name for change in plan.changes for name in change.destroys}):
        lines.append(f"  DESTROYS {name}; runs only if allow_destroy names it")
    if plan.blocked:
        lines.insert(1, f"  The rehearsal stopped in {plan.blocked_at}: {plan.blocked}")
    if plan.unseen:
        lines.insert(1, f"  It goes as far as {plan.unseen_at}: {plan.unseen}")
    lines += [approval] if approval else []
    body = "".join(f"<p>{escape(line)}</p>" for line in about) + "".join(rows)
    if plan.blocked:
        where = escape(plan.blocked_at)
        told = f"<b>The rehearsal stopped in {where}.</b> {_pre(plan.blocked)}"
        body = f"<div style='color:#c62828'>{told}</div>{body}"
    if plan.unseen:
        told = f"<b>It goes as far as {escape(plan.unseen_at)}.</b> {_pre(plan.unseen)}"
        body = f"<div>{told}</div>{body}"
    if approval:
        body += f"<p>{escape(approval)}</p>"
    return Card(f"<div class='homelab'><h4>{escape(head)}</h4>{body}</div>", "\n".join(lines), plan)


def fidelity(plan: Plan) -> dict[str, str]:
    """What a plan's rehearsal rests on, and what the twin did not know, each under a name."""
    about = {}
    if plan.fidelity:
        about["rests on"] = ", ".join(f"{count} {rests}" for rests, count in plan.fidelity.items())
    if plan.unknown_releases:
        named = ", ".join(plan.unknown_releases)
        about["NOT KNOWN to the twin"] = f"{named}; what these would do is a guess"
    return about


def _step_row(step: str, changes: list[PlannedChange], count: str) -> str:
    items = "".join(f"<li>{_change_html(change)}</li>" for change in changes)
    return (
        f"<details{' open' if changes else ''}><summary><b>{escape(step)}</b> · {count}</summary>"
        f"<ol>{items}</ol></details>"
    )


def _change_lines(change: PlannedChange) -> list[str]:
    line = f"{change.host}: {change.summary}"
    if change.destroys:
        line += f"  [destroys {', '.join(change.destroys)}]"
    lines = [line, f"  $ {change.call}" + (f"  < {change.content}" if change.content else "")]
    if change.replaces:
        lines.append(f"  in place of: {change.replaces}")
    if change.rollback:
        lines.append(f"  {change.rollback}")
    return lines


def _change_html(change: PlannedChange) -> str:
    text = f"<b>{escape(change.host)}</b>: {escape(change.summary)}"
    if change.destroys:
        text += f" <b style='color:#c62828'>destroys {escape(', '.join(change.destroys))}</b>"
    shown = f"<code>{escape(change.call)}</code>"
    if change.shows:
        shown += f"<br>standard input:{_pre(change.shows)}"
    elif change.content:
        shown += f"<br>standard input: {escape(change.content)}"
    if change.replaces:
        shown += f"<br>in place of: {escape(change.replaces)}"
    if change.rollback:
        shown += f"<br>{escape(change.rollback)}"
    if change.undo:
        shown += f"<br>undo: <code>{escape(change.undo)}</code>"
    return f"{text}<details><summary>command</summary>{shown}</details>"


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
        parts.append(_pre(outcome.note))
    rows = []
    for change in outcome.planned:
        lines += [f"  would: {line}" for line in _change_lines(change)]
        rows.append(("○", change.host, change.resource, change.summary))
    for resource in outcome.resources:
        said = [f"{s.summary} ({s.outcome})" for s in resource.sent] or resource.wants
        said = said or ["already there"]
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


def _pre(text: str) -> str:
    return f"<pre style='white-space:pre-wrap'>{escape(text)}</pre>"
