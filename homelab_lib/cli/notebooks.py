"""The notebook of a lab's runbook, as the command line runs and writes it."""

from pathlib import Path

from nbformat import NotebookNode

from homelab_lib import paths
from homelab_lib.lab import load_lab
from homelab_lib.notebook.writing import looking, whole, written
from homelab_lib.recipes import health, meant, runbook
from homelab_lib.recipes.holdings import described
from homelab_lib.session.rehearsed import earlier


def notebook_of(folder: str, name: str) -> tuple[str, NotebookNode]:
    """The name of a runbook, and its notebook.

    Parameters
    ----------
    folder
        The lab's.
    name
        ``2``, ``phase2``, ``phase1_network``, ``health``, ``house``; empty for the first that has
        steps.
    """
    lab = load_lab(folder)
    shipped = Path(folder).resolve() == paths.data().resolve()
    where = "" if shipped else paths.shown(Path(folder).resolve())
    if name == health.NAME:
        looks = health.runbook(lab, lambda machine: "", health.carried_out(lab))
        return name, looking(looks, health.parts(looks), lab=where)
    if name == "house":
        return name, whole(lab.title, [book.name for book in earlier(lab, None)], lab=where)
    what = meant(lab, name)
    part = what.part.name
    return what.name, written(
        runbook(lab, what.phase, lambda machine: "", what.part),
        lab=where,
        goal="" if part else next((p.goal for p in lab.phases if p.number == what.phase), ""),
        left_out=() if part else described(lab, what.phase),
    )
