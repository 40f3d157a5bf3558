"""The page a run leaves: made from its record alone, so that it can be made again at any time."""

import json
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from homelab_lib import durable
from homelab_lib.errors import HomelabError
from homelab_lib.runbook.outcome import ResourceOutcome, SentChange, StepOutcome
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.step import Check, Measurement
from homelab_lib.units import format_quantity, format_seconds
from homelab_lib.views.cards import step_card
from homelab_lib.views.page import page
from homelab_lib.views.plan import about, headline, plan_card
from homelab_lib.views.timeline import timeline


def write_report(folder: Path) -> Path:
    """Make ``timeline.svg`` and ``report.html`` from a record's summary and plan.

    Parameters
    ----------
    folder
        The record. Its ``summary.json`` has to be there; ``plan.json`` may be.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    HomelabError
        The summary is not what a run leaves; nothing was written. Or it can't be written.
    """
    plan_file = folder / "plan.json"
    plan = (
        Plan.from_json(plan_file.read_text(), where=str(plan_file)) if plan_file.exists() else None
    )
    try:
        summary = json.loads((folder / "summary.json").read_text())
        drawing = timeline(summary)
        body = _body(summary, plan, drawing._repr_svg_())
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


def _body(summary: dict[str, Any], plan: Plan | None, drawing: str) -> str:
    parts = [f"<h1>{escape(summary['title'])}</h1>", _verdict(summary, plan), _head(summary, plan)]
    if summary["error"]:
        parts.append(f"<h2>Why it stopped</h2><pre>{escape(summary['error'])}</pre>")
    if summary["steps"]:
        parts.append(f"<h2>When</h2><figure>{drawing}</figure>")
    numbers = _numbers(summary)
    if numbers:
        parts.append(f"<h2>Numbers</h2>{numbers}")
    parts.append("<h2>Steps</h2>")
    parts += [
        step_card(_outcome(step), evidence=summary["evidence"]).html for step in summary["steps"]
    ]
    if plan is not None:
        parts.append(f"<h2>The plan</h2>{plan_card(plan).html}")
    parts.append(
        "<p class='quiet'>Beside this page: journal.jsonl (every intent and result, chained by "
        "digest), plan.json, before.json and after.json (what was observed), summary.json. "
        "<code>python -m homelab_lib record FOLDER</code> checks them against each other.</p>"
    )
    return "\n".join(parts)


def _head(summary: dict[str, Any], plan: Plan | None) -> str:
    rows = {
        "lab": summary["lab"],
        "target": f"{summary['target']} · {summary['evidence']}",
        "mode": summary["mode"],
        "status": summary["status"],
        "changes": f"{summary['changes_sent']} sent, {summary['changes_planned']} foretold",
        "plan": summary["plan"] or "none",
        **{f"plan, {name}": said for name, said in (about(plan) if plan else {}).items()},
        "begun": _date(summary["started"]),
        "ended": _date(summary["ended"]),
        "run": summary["run_id"],
    }
    cells = "".join(f"<tr><th>{k}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table>{cells}</table>"


_VERDICTS = {"completed": "good", "planned": "soft", "drift": "warn"}


def _verdict(summary: dict[str, Any], plan: Plan | None) -> str:
    """What came of it, in a sentence."""
    status, sent = summary["status"], summary["changes_sent"]
    where = "on the twin; nothing real was touched"
    if summary["target"] == "ssh":
        where = f"on the hosts that were named, {summary['evidence']}"
    steps = len(summary["steps"])
    told = f"It ended as {status}: {sent} changes were sent, {where}."
    if status == "completed" and summary["mode"] == "apply":
        told = f"All {steps} steps are done, by {sent} changes, {where}."
    elif status == "completed":
        told = f"All {steps} steps are as the lab describes them, {where}."
    elif status == "planned" and plan is not None:
        told = f"{headline(plan)} Nothing was sent."
    elif status == "drift":
        amiss = ", ".join(s["step"] for s in summary["steps"] if s["status"] == "drift")
        told = f"Not as the lab describes it: {amiss}; looked at {where}."
    colour = f"var(--{_VERDICTS.get(status, 'bad')})"
    return f"<p class='verdict' style='border-color:{colour}'>{escape(told)}</p>"


def _date(written: str) -> str:
    """A time as a person reads it; what is no time is told as it stands."""
    try:
        return f"{datetime.fromisoformat(written):%d %B %Y, %H:%M:%S %Z}".strip()
    except ValueError:
        return written


def _numbers(summary: dict[str, Any]) -> str:
    """Every number by how it was come by; a prediction is never shown as a measurement."""
    kinds = ("predicted", "rehearsed", "measured")
    rows = []
    for step in summary["steps"]:
        took = format_seconds(step["end_s"] - step["start_s"])
        rows.append((step["step"], "duration", {summary["evidence"]: took}, ""))
        for number in step["measurements"]:
            value, unit, predicted = number["value"], number["unit"], number["predicted"]
            known = {number["evidence"]: format_quantity(value, unit)}
            off = ""
            if predicted is not None:
                known["predicted"] = format_quantity(predicted, unit)
                off = f"{(predicted - value) / value:+.1%}" if value else ""
            rows.append((step["step"], number["name"], known, off))
    cells = "".join(
        f"<tr><td>{escape(step)}</td><td>{escape(name)}</td>"
        + "".join(f"<td class='{kind}'>{escape(known.get(kind, ''))}</td>" for kind in kinds)
        + f"<td>{off}</td></tr>"
        for step, name, known, off in rows
    )
    head = "".join(f"<th>{each}</th>" for each in ("step", "what", *kinds, "the model is off by"))
    return f"<table><tr>{head}</tr>{cells}</table>"


def _sent(step: str, resource: dict[str, Any], sent: dict[str, Any]) -> SentChange:
    planned = PlannedChange(step, resource["host"], resource["name"], sent["summary"], sent["call"])
    return SentChange(planned, sent["outcome"], sent["start_s"], sent["end_s"], sent["intent"])


def _outcome(step: dict[str, Any]) -> StepOutcome:
    """A step of the summary as the value it was."""
    resources = [
        ResourceOutcome(
            host=r["host"],
            name=r["name"],
            status=r["status"],
            sent=[_sent(step["step"], r, sent) for sent in r["sent"]],
            wants=r["wants"],
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
