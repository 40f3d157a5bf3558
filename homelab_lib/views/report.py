"""The page a run leaves: made from its record alone, so that it can be made again at any time."""

import json
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
from homelab_lib.views.plan import about, plan_card
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
    parts = [f"<h1>{escape(summary['title'])}</h1>", _head(summary, plan)]
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
        "begun": summary["started"],
        "ended": summary["ended"],
        "run": summary["run_id"],
    }
    cells = "".join(f"<tr><th>{k}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table>{cells}</table>"


def _numbers(summary: dict[str, Any]) -> str:
    """Every number with its evidence; a prediction is never shown as a measurement."""
    rows = []
    for step in summary["steps"]:
        took = format_seconds(step["end_s"] - step["start_s"])
        rows.append((step["step"], "duration", took, summary["evidence"]))
        for number in step["measurements"]:
            value = format_quantity(number["value"], number["unit"])
            rows.append((step["step"], number["name"], value, number["evidence"]))
            if number["predicted"] is not None:
                value = format_quantity(number["predicted"], number["unit"])
                rows.append((step["step"], number["name"], value, "predicted"))
    cells = "".join(
        f"<tr><td>{escape(step)}</td><td>{escape(name)}</td><td>{escape(value)}</td>"
        f"<td><span class='{escape(evidence)}'>{escape(evidence)}</span></td></tr>"
        for step, name, value, evidence in rows
    )
    return (
        f"<table><tr><th>step</th><th>what</th><th>value</th><th>evidence</th></tr>{cells}</table>"
    )


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
