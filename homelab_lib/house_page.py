"""The page of a house, from the lab and the records of its runs."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.recipes import health, runbook, runbooks
from homelab_lib.recipes.phase import Named
from homelab_lib.runbook import kept
from homelab_lib.views.house import house_body, write_house
from homelab_lib.views.missing import Missing

if TYPE_CHECKING:
    import pandas as pd


def manual_steps(lab: Lab) -> dict[str, str]:
    """What only a person can do, by ``runbook:step``, in order."""
    return {
        f"{book.name}:{step.name}": step.manual.ask
        for book in health.carried_out(lab)
        for step in runbook(lab, book.phase, lambda vm: "", book.part).steps
        if step.manual is not None
    }


def phases(lab: Lab) -> "pd.DataFrame | Missing":
    """The phases with their runbooks, in order, and how far each of these is.

    A runbook is as far as its last run that came to its end: *measured* on the real hosts, or
    *rehearsed* on a twin.
    """
    import pandas as pd

    done = [run for run in kept.runs(paths.reports(), lab.name) if run.was_carried_out]
    titles = {phase.number: phase.title for phase in lab.phases}
    rows = []
    for book in _books(lab):
        own = [run for run in done if run["runbook"] == book.name]
        last = max(
            own, key=lambda run: (run["evidence"] == "measured", run["started"]), default=None
        )
        rows.append(
            {
                "phase": f"{book.phase}. {titles.get(book.phase, '')}",
                "runbook": book.name,
                "state": f"● {last['evidence']}" if last else "○ not yet",
                "when": last["started"][:10] if last else "–",
                "changes": str(last["changes_sent"]) if last else "–",
            }
        )
    nothing = Missing("No phase makes anything, so there is no runbook.")
    return pd.DataFrame(rows).set_index("phase") if rows else nothing


def _books(lab: Lab) -> list[Named]:
    """The lab's runbooks; none where no phase makes anything."""
    with suppress(BadParameter):
        return runbooks(lab)
    return []


def write(lab: Lab) -> Path:
    """Make ``index.html`` in the folder of the records, and say where it lies."""
    reports = paths.reports()
    return write_house(lab, reports, kept.runs(reports, lab.name), manual_steps(lab))


def body(lab: Lab) -> str:
    """What stands on the page, to be shown in a notebook."""
    reports = paths.reports()
    return house_body(lab, kept.runs(reports, lab.name), manual_steps(lab), reports)
