"""`runbook`: a runbook as a notebook of one's own."""

import argparse
from pathlib import Path
from typing import Any

from homelab_lib.cli.commands import takes_lab
from homelab_lib.cli.output import put


def runbook(arguments: argparse.Namespace) -> int:
    """Write the notebook of a runbook: its parameters, its steps in order, a line of prose each."""
    import nbformat

    from homelab_lib.cli.notebooks import notebook_of

    name, notebook = notebook_of(arguments.lab, arguments.phase)
    put(Path(arguments.output or f"{name}.ipynb"), nbformat.writes(notebook) + "\n")
    return 0


def add_to(add: Any) -> None:
    """Give the command line this command; `add` makes its parser from the function."""
    command = takes_lab(add(runbook))
    command.add_argument(
        "phase",
        nargs="?",
        default="",
        help="its number, or a runbook's name: phase1_network, health, house (default: the "
        "first with steps)",
    )
    command.add_argument("-o", "--output", help="the file (default: the runbook's name)")
