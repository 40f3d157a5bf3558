"""The executed notebook joins the record of its run."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from homelab_lib import paths

_SCRAP = "application/scrapbook.scrap.json+json"


def folder_of(notebook: nbformat.NotebookNode) -> Path | None:
    """The record that a run glued into its notebook; None where there is none."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            scrap: dict[str, Any] = output.get("data", {}).get(_SCRAP, {})
            if scrap.get("name") == "record":
                return paths.root() / scrap["data"]["path"]  # as it is, where it is absolute
    return None


def keep(notebook: nbformat.NotebookNode) -> None:
    """Put the notebook, and a page of it without code, into its record.

    The run is over: failing to keep a copy is said, and changes nothing of how the run ended.
    """
    folder = folder_of(notebook)
    if folder is None:
        return
    try:
        from homelab_lib.views.notebook_html import notebook_html

        write(folder / "notebook.ipynb", nbformat.writes(notebook))
        write(folder / "notebook.html", notebook_html(notebook, folder.name))
    except OSError as error:
        print(f"the notebook could not be put into {folder}: {error.strerror}", file=sys.stderr)


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
