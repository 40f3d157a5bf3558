"""What can be told of a run's parameters before a kernel starts: a wrong lab, step or digest."""

from collections.abc import Mapping
from typing import Any

import nbformat

from homelab_lib import paths
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.notebook.parameters import defaults, runbook_of
from homelab_lib.recipes import health, named, runbook
from homelab_lib.runbook import approval
from homelab_lib.session import asked


def refuse(notebook: nbformat.NotebookNode, given: Mapping[str, Any]) -> None:
    """See that the lab can be read, and that it has the runbook, its steps and the approved plan.

    Parameters
    ----------
    notebook
        A notebook; one that begins no runbook is let through.
    given
        Parameters that stand in place of its defaults.

    Raises
    ------
    HomelabError
        What would end the run in its first cell.
    """
    name = runbook_of(notebook)
    if not name:
        return
    values = {**defaults(notebook), **given}
    folder = values.get("lab")
    lab = load_lab(paths.locate(folder) if folder else paths.data())
    if name == health.NAME:
        return
    what = named(name)
    book = runbook(lab, what.phase, lambda machine: "", what.part)
    only, skip, confirm = (
        asked.names(values.get(key) or ()) for key in ("only", "skip", "confirm")
    )
    asked.selected(book, only, skip)
    asked.known(book, confirm)
    if values.get("target") == "ssh" and values.get("mode") == "apply" and values.get("approve"):
        try:
            approval.load(values["approve"], paths.state(lab.name) / "plans")
        except HomelabError as error:
            error.what += "; nothing was done"
            raise
