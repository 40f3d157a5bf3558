"""`plan`, `apply` and `verify`: a runbook's notebook, run by our engine."""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homelab_lib import paths
from homelab_lib.cli import screen
from homelab_lib.errors import BadParameter
from homelab_lib.notebook.closing import closing
from homelab_lib.printable import printable
from homelab_lib.runbook.plan import Plan
from homelab_lib.runbook.record import plan_of, summary_of
from homelab_lib.views.plan import plan_text

CHANGES_TO_MAKE = 2
_LISTS = {
    "only": "a step to carry out, and no other but those named so",
    "skip": "a step to leave out",
    "confirm": "a manual step that is done",
    "allow_destroy": "what may be destroyed, as the plan names it",
    "unknown_releases": "a release to plan for although the twin does not know it",
}


def plan(arguments: argparse.Namespace) -> int:
    """Show what would be sent to a lab; nothing is."""
    folder, status = _run(arguments, "plan")
    made = plan_of(folder) if folder is not None else None
    if folder is None or made is None:
        return status
    if arguments.json:
        print(made.to_json(), end="")
    else:
        screen.show(plan_text(made, calls=arguments.verbose))
        if status == 0:
            print()
            screen.show(closing(folder, _apply_words(arguments, made)), wraps=False)
            for line in _besides(arguments.lab, made.runbook):
                screen.show(line)
    if status == 0 and arguments.exit_code and made.changes:
        return CHANGES_TO_MAKE
    return status


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
        command.add_argument(
            "-t",
            "--target",
            choices=("twin", "ssh"),
            default="twin",
            help="a twin of the lab, or the real hosts",
        )
        command.add_argument("--ssh-config", default="", metavar="FILE", help="not ~/.ssh/config")
        for name, told in _LISTS.items():
            flag = f"--{name.replace('_', '-')}"
            command.add_argument(flag, action="append", default=[], metavar="NAME", help=told)
        command.add_argument("--seed", type=int, default=0, help="the twin's seed")
        command.add_argument("--json", action="store_true", help="for a machine to read")
        command.add_argument("-q", "--quiet", action="store_true", help="without news of its way")
        if action is plan:
            command.add_argument("-v", "--verbose", action="store_true", help="with the very calls")
        if action is apply:
            command.add_argument("--approve", default="", metavar="PLAN", help="the plan's digest")
            command.add_argument("--run-id", default="", help="continue that run's record")
        if action is plan:
            told = "end with 2 where there are changes to make"
            command.add_argument("--exit-code", action="store_true", help=told)


def _besides(folder: str, name: str) -> Iterator[str]:
    """What a plan of one runbook does not say: the phase's others, and what would stop it all."""
    from homelab_lib.audit.run import findings
    from homelab_lib.lab import load_lab
    from homelab_lib.recipes import named, runbooks

    lab = load_lab(folder)
    if name.startswith("phase"):
        phase = named(name).phase
        others = [each.name for each in runbooks(lab) if each.phase == phase and each.name != name]
        if others:
            yield f"Phase {phase} has more runbooks: {', '.join(others)}"
    stops = sum(finding.severity == "stops" for finding in findings(lab))
    if stops:
        what = "thing that stops" if stops == 1 else "things that stop"
        yield f"The audit finds {stops} {what}: homelab audit {shlex.quote(folder)}"


def _run(arguments: argparse.Namespace, mode: str) -> tuple[Path | None, int]:
    """Run the notebook; gives the folder of its record, where it left one, and how it ended."""
    import click
    import nbformat
    from papermill.engines import papermill_engines
    from papermill.execute import execute_notebook

    from homelab_lib.cli.notebooks import notebook_of
    from homelab_lib.notebook.ending import CellFailed
    from homelab_lib.notebook.record import folder_of
    from homelab_lib.notebook.ways import in_words_of
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
                parameters=_fitting(given | {"mode": mode}, notebook),
                engine_name="runbook",
                progress_bar=not arguments.quiet,
                says_closing=False,
            )
        except click.ClickException as error:
            told = in_words_of("homelab", error.format_message())
            print(printable(told), file=sys.stderr)
            left = folder_of(error.notebook) if isinstance(error, CellFailed) else None
            return left, error.exit_code
    return folder_of(ran), 0


def _fitting(given: dict[str, Any], notebook: Any) -> dict[str, Any]:
    """Of what was given, that which the notebook knows; what is as by default is left to it."""
    from homelab_lib.notebook.parameters import defaults

    known = defaults(notebook)
    leaves = ("seed", "mode")  # health has no mode: it only looks
    return {
        name: value
        for name, value in given.items()
        if value and (name in known or name not in leaves)
    }


def _told(arguments: argparse.Namespace, folder: Path | None, status: int) -> int:
    if folder is None:
        return status
    if arguments.json:
        print(json.dumps(summary_of(folder), indent=1, ensure_ascii=False))
    else:
        made = plan_of(folder)
        words = _apply_words(arguments, made) if made is not None else []
        screen.show(closing(folder, words), wraps=False)
    return status


def _apply_words(arguments: argparse.Namespace, made: Plan) -> list[str]:
    """The command that carries a plan out."""
    words = ["homelab", "apply", arguments.lab, made.runbook]
    for name in _LISTS:
        for value in getattr(arguments, name):
            words += [f"--{name.replace('_', '-')}", value]
    words += ["--seed", str(arguments.seed)] if arguments.seed else []
    if arguments.target == "ssh":
        words += ["--target", "ssh"]
        words += ["--ssh-config", arguments.ssh_config] if arguments.ssh_config else []
        words += ["--approve", "PLAN"]
    return words
