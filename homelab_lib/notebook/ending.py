"""How a run that failed ends for whoever called papermill: with the error's own words.

Papermill raises what it found in a cell through click, which prints thirty lines of papermill and
click above it. What a person can do something about is said without these.

Source: papermill 2.7, `execute.py`, `raise_for_execution_errors`; click 8, `exceptions.py`.
"""

from typing import Any

import click
import nbformat
from papermill.exceptions import PapermillExecutionError

from homelab_lib import errors
from homelab_lib.notebook.ways import Way, in_words_of


class CellFailed(PapermillExecutionError, click.ClickException):
    """A cell's error as papermill has it, which its command line tells as its message alone.

    Parameters
    ----------
    found, message, status
        Papermill's error, what is told of it, and the exit status.
    notebook
        As far as it was run.
    """

    def __init__(
        self,
        found: PapermillExecutionError,
        message: str,
        status: int,
        notebook: nbformat.NotebookNode,
    ) -> None:
        click.ClickException.__init__(self, message)
        self.notebook = notebook
        self.__dict__.update(found.__dict__, exit_code=status)  # click has it of the class

    def __str__(self) -> str:
        return self.message


def status_of(error: str) -> int:
    """The exit status for a class of errors by its name; 1 for one that is not ours."""
    kind = getattr(errors, error, None)
    return int(kind.exit_status) if kind and _ours(kind) else 1


def raise_for_errors(
    notebook: nbformat.NotebookNode, output_path: str | None, way: Way | None = None
) -> None:
    """Write papermill's marks into a notebook in which a cell failed, and say what failed.

    Parameters
    ----------
    notebook, output_path
        What was run, and where it goes.
    way
        In whose words; None: in the cell's own.

    Raises
    ------
    CellFailed
        One did.
    """
    # papermill.execute loads our engine as it is imported, and could not be here yet.
    from papermill.execute import raise_for_execution_errors

    try:
        raise_for_execution_errors(notebook, output_path)
    except PapermillExecutionError as found:
        ours = _ours(getattr(errors, found.ename, None))
        message = found.evalue if ours else str(found)
        message = in_words_of(way, message) if ours and way else message
        raise CellFailed(found, message, status_of(found.ename), notebook) from None


def _ours(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, errors.HomelabError)
