"""`plan`, `apply` and `verify`: a runbook's notebook, run by our engine."""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.printable import printable
from homelab_lib.runbook.plan import Plan
from homelab_lib.units import format_seconds
from homelab_lib.views.plan import headline, plan_text

CHANGES_TO_MAKE = 2
_LISTS = ("only", "skip", "confirm", "allow_destroy", "unknown_releases")


def plan(arguments: argparse.Namespace) -> int:
    """Show what would be sent to a lab; nothing is."""
    folder, status = _run(arguments, "plan")
    if folder is None:
        return status
    made = Plan.from_json((folder / "plan.json").read_text(), where=str(folder / "plan.json"))
    if arguments.json:
        print(made.to_json(), end="")
    else:
        print(printable(plan_text(made, calls=arguments.verbose)), end="\n\n")
        print(headline(made), "Nothing was sent.")
        print(f"Read:  {paths.shown(folder / 'report.html')}")
        if made.changes:
            print(f"Apply: {_apply_line(arguments, made)}")
    return CHANGES_TO_MAKE if arguments.exit_code and made.changes else 0


def apply(arguments: argparse.Namespace) -> int:
    """Carry a runbook out: on the twin, or on the real hosts by the plan that was approved."""
    return _told(arguments, *_run(arguments, "apply"))


def verify(arguments: argparse.Namespace) -> int:
    """Look whether everything is as the lab describes it; ends with 4 where it is not."""
    return _told(arguments, *_run(arguments, "verify"))


def add_to(add: Any) -> None:
    """Give the command line these commands.

    Parameters
    ----------
    add
        Makes the parser of a command from the function that carries it out.
    """
    for action in (plan, apply, verify):
        command: argparse.ArgumentParser = add(action)
        command.add_argument("lab", nargs="?", default=str(paths.data()), help="the lab's folder")
        command.add_argument("runbook", nargs="?", default="", help="2, phase1_network, health …")
        command.add_argument("-t", "--target", choices=("twin", "ssh"), default="twin")
        command.add_argument("--ssh-config", default="", metavar="FILE", help="not ~/.ssh/config")
        for name in _LISTS:
            flag = f"--{name.replace('_', '-')}"
            command.add_argument(flag, action="append", default=[], metavar="NAME")
        command.add_argument("--seed", type=int, default=0, help="the twin's seed")
        command.add_argument("--json", action="store_true", help="for a machine to read")
        command.add_argument("-v", "--verbose", action="store_true", help="with the very calls")
        if action is apply:
            command.add_argument("--approve", default="", metavar="PLAN", help="the plan's digest")
            command.add_argument("--run-id", default="", help="continue that run's record")
        if action is plan:
            told = "end with 2 where there are changes to make"
            command.add_argument("--exit-code", action="store_true", help=told)


def _run(arguments: argparse.Namespace, mode: str) -> tuple[Path | None, int]:
    """Run the notebook; gives the folder of its record, or how it failed."""
    import click
    import nbformat
    from papermill.engines import papermill_engines
    from papermill.execute import execute_notebook

    from homelab_lib.cli.notebooks import notebook_of
    from homelab_lib.notebook.record import folder_of
    from homelab_lib.papermill_engine import RunbookEngine

    given = {name: getattr(arguments, name) for name in ("target", "ssh_config", "seed", *_LISTS)}
    given |= {name: getattr(arguments, name, "") for name in ("approve", "run_id")}
    for name in ("ssh_config", "approve"):
        if given[name] and arguments.target == "twin":
            flag = name.replace("_", "-")
            raise BadParameter(f"--{flag} is for real hosts", fix="add --target ssh")
    if given["ssh_config"]:
        given["ssh_config"] = str(Path(given["ssh_config"]).expanduser().resolve())
    name, notebook = notebook_of(arguments.lab, arguments.runbook)
    papermill_engines.register("runbook", RunbookEngine)  # also where nothing is installed
    with tempfile.TemporaryDirectory(prefix="homelab-") as folder:
        source = Path(folder, f"{name}.ipynb")
        nbformat.write(notebook, source)
        try:
            ran = execute_notebook(
                source,
                Path(folder, "out.ipynb"),
                parameters=_fitting(given, notebook) | {"mode": mode},
                engine_name="runbook",
                progress_bar=sys.stderr.isatty(),
            )
        except click.ClickException as error:
            print(printable(error.format_message()), file=sys.stderr)
            return None, error.exit_code
    return folder_of(ran), 0


def _fitting(given: dict[str, Any], notebook: Any) -> dict[str, Any]:
    """Of what was given, that which the notebook knows; what is as by default is left to it."""
    from homelab_lib.notebook.parameters import defaults

    known = defaults(notebook)
    return {
        name: value for name, value in given.items() if value and (name in known or name != "seed")
    }


def _told(arguments: argparse.Namespace, folder: Path | None, status: int) -> int:
    if folder is None:
        return status
    summary = json.loads((folder / "summary.json").read_text())
    if arguments.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
        return status
    took = format_seconds(max((step["end_s"] for step in summary["steps"]), default=0.0))
    where = "on the twin; nothing real was touched"
    if summary["target"] == "ssh":
        where = f"on the hosts that were named ({summary['evidence']})"
    sent = f"{summary['changes_sent']} changes sent" if summary["mode"] == "apply" else "no drift"
    print(printable(f"{summary['title']}: {summary['status']}, {sent}, in {took}, {where}."))
    print(f"Read:  {paths.shown(folder / 'report.html')}")
    return status


def _apply_line(arguments: argparse.Namespace, made: Plan) -> str:
    words = ["homelab", "apply", arguments.lab, made.runbook]
    for name in _LISTS:
        for value in getattr(arguments, name):
            words += [f"--{name.replace('_', '-')}", value]
    if arguments.target == "ssh":
        words += ["--target", "ssh"]
        words += ["--ssh-config", arguments.ssh_config] if arguments.ssh_config else []
        words += ["--approve", made.digest]
    return shlex.join(words)
