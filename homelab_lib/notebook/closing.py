"""What a run says at its end, whoever ran it: what came of it, where to read it, what is next."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homelab_lib import paths
from homelab_lib.notebook.ways import given
from homelab_lib.printable import printable
from homelab_lib.runbook.record import plan_of, summary_of
from homelab_lib.views.verdict import verdict


def closing(folder: Path, apply_line: Sequence[str]) -> str:
    """The last lines of a run.

    ``Plan p6310…: 43 to add … Nothing was sent.``, ``Read:  reports/…/report.html``,
    ``Apply: …-p approve p6310…``. Above that, where steps will ask for a person, ``Asks:  …``.

    Parameters
    ----------
    folder
        Its record.
    apply_line
        The words of the command that carries out what was planned; ``PLAN`` in them stands for
        the plan's digest.

    Returns
    -------
    str
        Empty where the run left no summary: it did not come to any end.
    """
    summary = summary_of(folder)
    if not summary:
        return ""
    plan = plan_of(folder)
    lines = [verdict(summary, plan)]
    if (folder / "report.html").exists():
        lines.append(f"Read:  {paths.shown(folder / 'report.html')}")
    if plan is not None and plan.changes and not plan.blocked and summary["status"] == "planned":
        if plan.asks:
            lines.append(f"Asks:  {_asks(plan.asks, apply_line)}")
        words = (plan.digest if word == "PLAN" else word for word in apply_line)
        lines.append(f"Apply: {shlex.join(words)}")
    return printable("\n".join(lines))


def _asks(asks: Sequence[str], apply_line: Sequence[str]) -> str:
    """Where the command will stop for a person, and what is added to it when that is done."""
    if "papermill" not in apply_line[:1]:
        each = "; ".join(f"{name}: {given('confirm', [name], 'homelab')}" for name in asks)
        return f"it stops for a person in {each}, added once that is done"
    words = list(apply_line)
    before = words[words.index("confirm") + 1].split(",") if "confirm" in words else []
    told = given("confirm", [*before, *asks], "papermill")
    return f"it stops for a person in {', '.join(asks)}; once all is done: {told}"


def by_papermill(source: str, output: str, parameters: Mapping[str, Any]) -> list[str]:
    """The command with which papermill carries out what a notebook has planned.

    Parameters
    ----------
    source, output
        The notebook, and where the executed one goes.
    parameters
        Those that were given for the plan.
    """
    words = ["papermill", "--engine", "runbook", source, output]
    for name, value in parameters.items():
        if name not in ("mode", "approve", "run_id"):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += ["-p", name, text]
    real = ["-p", "approve", "PLAN"] if parameters.get("target") == "ssh" else []
    return [*words, *(["-p", "mode", "apply"] if "mode" in parameters else []), *real]
