"""What can be told of a run's parameters before a kernel starts: a wrong lab, step or digest."""

import ast
from collections.abc import Mapping
from typing import Any

import nbformat

from homelab_lib import paths
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.notebook.parameters import defaults
from homelab_lib.recipes import health, named, runbook
from homelab_lib.runbook import approval
from homelab_lib.session import asked


def runbook_of(notebook: nbformat.NotebookNode) -> str:
    """The runbook that a notebook begins; empty where it begins none."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or "begin(" not in cell.source:
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # a magic, say; the kernel will tell
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="begin"), args=[ast.Constant(value=str() as name)]):
                    return name
    return ""


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
