"""The page of a house, from the lab and the records of its runs."""

from pathlib import Path

from homelab_lib import paths
from homelab_lib.lab import Lab
from homelab_lib.recipes import health, runbook
from homelab_lib.runbook import kept
from homelab_lib.views.house import house_body, write_house


def manual_steps(lab: Lab) -> dict[str, str]:
    """What only a person can do, by ``runbook:step``, in order."""
    return {
        f"{book.name}:{step.name}": step.manual.ask
        for book in health.carried_out(lab)
        for step in runbook(lab, book.phase, lambda vm: "", book.part).steps
        if step.manual is not None
    }


def write(lab: Lab) -> Path:
    """Make ``index.html`` in the folder of the records, and say where it lies."""
    reports = paths.reports()
    return write_house(lab, reports, kept.runs(reports, lab.name), manual_steps(lab))


def body(lab: Lab) -> str:
    """What stands on the page, to be shown in a notebook."""
    reports = paths.reports()
    return house_body(lab, kept.runs(reports, lab.name), manual_steps(lab), reports)
