"""The executed notebook joins the record of its run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from homelab_lib import paths
from homelab_lib.durable import replace

if TYPE_CHECKING:
    from scrapbook.models import Scrapbook

_SCRAP = "application/scrapbook.scrap.json+json"


def folder_of(notebook: nbformat.NotebookNode) -> Path | None:
    """The record that a run glued into its notebook; None where there is none.

    As in scrapbook, the last one of that name counts.
    """
    found = None
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            scrap = output.get("data", {}).get(_SCRAP, {})
            if scrap.get("name") == "record":
                found = paths.root() / scrap["data"]["path"]  # as it is, where it is absolute
    return found


def read_notebooks(reports: Path) -> "Scrapbook":
    """The notebooks of all runs, each under its record's name, with the frames that they left.

    As ``scrapbook.read_notebooks`` gives those of one folder; each run's lies in its own.

    Parameters
    ----------
    reports
        The folder with a folder for each run.
    """
    from scrapbook import read_notebook  # it takes seconds, and a run has no need of it
    from scrapbook.models import Scrapbook

    book = Scrapbook()
    for file in sorted(reports.glob("*/notebook.ipynb")):
        book[file.parent.name] = read_notebook(str(file))
    return book


def keep(notebook: nbformat.NotebookNode) -> None:
    """Put the notebook, and a page of it without code, into its record.

    The run is over: failing to keep a copy is said on stderr, whatever the reason, and changes
    nothing of how the run ended.

    Parameters
    ----------
    notebook
        The executed notebook; one without a record is left alone.
    """
    try:
        folder = folder_of(notebook)
        if folder is None:
            return
        from homelab_lib.views.notebook_html import notebook_html

        replace(folder / "notebook.ipynb", nbformat.writes(notebook))
        replace(folder / "notebook.html", notebook_html(notebook, folder.name))
    except OSError as error:
        _say(f"the notebook could not be put into {folder}: {error.strerror}")
    except Exception as error:
        _say(f"the notebook could not be put into its record: {type(error).__name__}: {error}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
