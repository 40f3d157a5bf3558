"""The page a run leaves: made from its record alone, so that it can be made again at any time."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from homelab_lib import durable
from homelab_lib.errors import HomelabError, Unreadable
from homelab_lib.regular_file import read_ours
from homelab_lib.runbook.outcome import ResourceOutcome, SentChange, StepOutcome
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.record import plan_of
from homelab_lib.runbook.resource import NOT_UNDONE
from homelab_lib.runbook.step import Check, Measurement
from homelab_lib.units import format_quantity, format_seconds
from homelab_lib.views.cards import fold, preformatted, step_card
from homelab_lib.views.looks import difference, mendable, mends
from homelab_lib.views.page import page, table
from homelab_lib.views.plan import about, plan_card
from homelab_lib.views.timeline import bars, timeline
from homelab_lib.views.verdict import happened, verdict


def write_report(folder: Path) -> Path:
    """Make ``timeline.svg`` and ``report.html`` from a record's summary, plan and journal.

    Parameters
    ----------
    folder
        The record. Its ``summary.json`` has to be there; ``plan.json`` and the journal may be.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    HomelabError
        The summary is not what a run leaves; nothing was written. Or it can't be written.
    """
    plan = plan_of(folder)
    try:
        summary = json.loads(read_ours(folder / "summary.json"))
        drawing = timeline(summary)
        body = _body(summary, plan, _events(folder))
        text = page(f"{summary['title']}: {summary['status']}", body)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise HomelabError(
            "this summary is not one that we wrote",
            where=str(folder / "summary.json"),
            fix="`python -m homelab_lib record FOLDER` says what is wrong with a record",
        ) from None
    file = folder / "report.html"
    try:
        durable.replace(folder / "timeline.svg", drawing.document, mode=durable.PRIVATE)
        durable.replace(file, text, mode=durable.PRIVATE)
    except OSError as error:
        raise HomelabError(
            f"the page can't be written: {error.strerror}; the journal is complete",
            where=str(file),
            fix="make room on that disk; `python -m homelab_lib report` can write it later",
        ) from None
    return file


def _events(folder: Path) -> list[dict[str, Any]]:
    """The journal's intents and results; none where it can't be read."""
    try:
        lines = read_ours(folder / "journal.jsonl").decode().splitlines()
        events = [json.loads(line) for line in lines]
    except (Unreadable, ValueError):
        return []
    return [event for event in events if event.get("kind") in ("intent", "result")]


def _body(summary: dict[str, Any], plan: Plan | None, events: Sequence[dict[str, Any]]) -> str:
    steps = [outcome_of(step) for step in summary["steps"]]
    evidence = summary["evidence"]
    outputs = {e["intent"]: _output(e) for e in events if e["kind"] == "result"}
    told = plan_card(plan).html if plan is not None else ""
    first = summary["mode"] == "plan" or summary["status"] == "planned"
    parts = {
        "Why it stopped": preformatted(summary["error"]) if summary["error"] else "",
        "What drifted": _drifted(steps),
        "Left for a person": _left(steps),
        "The plan": told if first else "",
        "By host": _by_host(steps),
        "When": bars(summary) if steps else "",
        "Numbers": _numbers(summary),
        "Steps": "".join(step_card(s, evidence=evidence, outputs=outputs).html for s in steps),
        "Sent before it was continued": _before(summary.get("sent_before", ())),
        "How to undo it": _undo(_reached(steps, summary), events),
        **({} if first else {"The plan": told}),
        "The record": _record(summary, plan),
    }
    shown = {name: html for name, html in parts.items() if html}
    links = (f"<a href='#{_anchor(name)}'>{name}</a>" for name in shown)
    return "\n".join(
        [
            f"<h1>{escape(summary['title'])}</h1>",
            _verdict(summary, plan),
            f"<nav>{' · '.join(links)}</nav>",
            *(f"<h2 id='{_anchor(name)}'>{name}</h2>{html}" for name, html in shown.items()),
        ]
    )


def _before(sent: Sequence[dict[str, Any]]) -> str:
    """What the runs before the last one have sent."""
    if not sent:
        return ""
    rows = [(each["step"], each["host"], each["summary"], each["outcome"]) for each in sent]
    return table(("step", "host", "change", "outcome"), rows)


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


_VERDICTS = {
    "completed": ("✓", "good"),
    "planned": ("○", "soft"),
    "drift": ("▲", "warn"),
    "waiting": ("☐", "warn"),
}


def _verdict(summary: dict[str, Any], plan: Plan | None) -> str:
    mark, colour = _VERDICTS.get(summary["status"], ("✕", "bad"))
    told = f"<b>{mark}</b> {escape(verdict(summary, plan))}"
    style = f"border-color:var(--{colour})"
    when = f"{summary['lab']} · {_date(summary['started'])} · {happened(summary)}"
    return f"<p class='verdict' style='{style}'>{told}</p><p class='quiet'>{escape(when)}</p>"


def _record(summary: dict[str, Any], plan: Plan | None) -> str:
    rows = {
        "lab": summary["lab"],
        "target": f"{summary['target']} · {summary['evidence']}",
        "mode": summary["mode"],
        "status": summary["status"],
        "changes": f"{summary['changes_sent']} sent, {len(plan.changes) if plan else 0} foretold",
        "plan": summary["plan"] or "none",
        **{f"plan, {name}": said for name, said in (about(plan) if plan else {}).items()},
        "begun": _date(summary["started"]),
        "ended": _date(summary["ended"]),
        "run": summary["run_id"],
    }
    cells = "".join(f"<tr><th>{k}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return (
        f"<table>{cells}</table><p class='quiet'>Beside this page: <a href='notebook.html'>the "
        "notebook</a> as it was run, <a href='journal.jsonl'>journal.jsonl</a> (every intent and "
        "result, chained by digest), plan.json, before.json and after.json (what was observed), "
        "summary.json. <code>homelab record FOLDER</code> checks them against each other.</p>"
    )


def _date(written: str) -> str:
    """A time as a person reads it; what is no time is told as it stands."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return written
    return f"{moment.day} {moment:%B %Y, %H:%M:%S %Z}".strip()


def _drifted(steps: Sequence[StepOutcome]) -> str:
    rows = [
        (step.step, difference(step), mends(step) or ("a plan shows what" * mendable(step)))
        for step in steps
        if step.status == "drift"
    ]
    return table(("step", "found", "what mends it"), rows) if rows else ""


def _left(steps: Sequence[StepOutcome]) -> str:
    """What only a person can do, and nobody has signed for or seen."""
    asked = [(step.step, check) for step in steps for check in step.checks if check.taken]
    if not asked:
        return ""
    rows = [("☐", step, f"{check.title}. {check.says}") for step, check in asked]
    return table(("", "step", "what"), rows)


def _by_host(steps: Sequence[StepOutcome]) -> str:
    """A line for each host: how much was looked at and sent there, and how it went."""
    rows = []
    resources = [resource for step in steps for resource in step.resources]
    for host in dict.fromkeys(resource.host for resource in resources):
        own = [resource for resource in resources if resource.host == host]
        sent = [change for resource in own for change in resource.sent]
        how = Counter(change.outcome for change in sent)
        amiss = sum(resource.status in ("drift", "failed") for resource in own)
        took_s = sum(change.end_s - change.start_s for change in sent)
        as_described = sum(resource.status == "already" for resource in own)
        mark = "✕" if how["failed"] or how["unknown"] else "▲" if amiss else "✓"
        rows.append(
            (mark, host, *map(str, (as_described, how["done"], how["failed"], how["unknown"])),
             str(amiss), format_seconds(took_s) if sent else "–")
        )  # fmt: skip
    head = ("", "host", "as described", "sent", "failed", "unknown", "not as described", "time")
    return table(head, rows, numbers_from=2) if rows else ""


def _numbers(summary: dict[str, Any]) -> str:
    """Every number by how it was come by; a prediction is never shown as a measurement."""
    kinds = ("predicted", "rehearsed", "measured")
    rows = []
    for step in summary["steps"]:
        for number in step["measurements"]:
            value, unit, predicted = number["value"], number["unit"], number["predicted"]
            known = {number["evidence"]: format_quantity(value, unit)}
            off = ""
            if predicted is not None:
                known["predicted"] = format_quantity(predicted, unit)
                off = _off(predicted, value)
            told = (known.get(kind, "–") for kind in kinds)
            rows.append((step["step"], number["name"], *told, off or "–"))
    took = {step["step"]: step["end_s"] - step["start_s"] for step in summary["steps"]}
    rows += [
        (step, "duration", *(format_seconds(t) if kind == summary["evidence"] else "–"
                             for kind in kinds), "–")
        for step, t in took.items() if t >= 0.05
    ]  # fmt: skip
    head = ("step", "what", *kinds, "the model is off by")
    return table(head, rows, numbers_from=2) if rows else ""


def _off(predicted: float, value: float) -> str:
    if predicted == value:
        return "nothing"
    return f"{(predicted - value) / value:+.1%}" if value else ""


def _reached(steps: Sequence[StepOutcome], summary: dict[str, Any]) -> set[int]:
    """The journal's numbers of all that reached a host, in whichever run of this record."""
    before = summary.get("sent_before", ())
    found = {each["intent"] for each in before if each["outcome"] != "failed"}
    return found | {change.intent for step in steps for change in step.sent}


def _undo(sent: set[int], events: Sequence[dict[str, Any]]) -> str:
    """How to take back what was sent, the last first."""
    rows = []
    for intent in reversed(events):
        if intent["kind"] != "intent" or intent["seq"] not in sent:
            continue
        how = intent.get("undo") or (NOT_UNDONE if intent.get("destroys") else "not kept")
        rows.append((intent["host"], intent["summary"], how))
    if not rows:
        return ""
    return fold(
        f"{len(rows)} changes, the last first", table(("host", "what was done", "undo"), rows)
    )


def _output(result: dict[str, Any]) -> str:
    """What a command said, as the journal kept it."""
    said = "\n".join(filter(None, (result.get("stdout", ""), result.get("stderr", "")))).rstrip()
    status = result.get("exit_status")
    if status is None:
        return str(result.get("why", said))
    return f"exit status {status}\n{said}".rstrip()


def _sent(step: str, resource: dict[str, Any], sent: dict[str, Any]) -> SentChange:
    planned = PlannedChange(step, resource["host"], resource["name"], sent["summary"], sent["call"])
    return SentChange(planned, sent["outcome"], sent["start_s"], sent["end_s"], sent["intent"])


def outcome_of(step: Mapping[str, Any]) -> StepOutcome:
    """A step of the summary as the value it was."""
    resources = [
        ResourceOutcome(
            host=r["host"],
            name=r["name"],
            status=r["status"],
            sent=[_sent(step["step"], r, sent) for sent in r["sent"]],
            wants=r["wants"],
            looks_at=r.get("looks_at", "written"),
            waited_s=r.get("waited_s", 0.0),
            mendable=r.get("mendable", True),
        )
        for r in step["resources"]
    ]
    fields = ("name", "value", "unit", "predicted")
    return StepOutcome(
        step=step["step"],
        title=step["title"],
        status=step["status"],
        resources=resources,
        checks=[Check(**check) for check in step["checks"]],
        measurements=[Measurement(**{f: n[f] for f in fields}) for n in step["measurements"]],
        note=step["note"],
        start_s=step["start_s"],
        end_s=step["end_s"],
    )
