"""`records`, `show`, `record`, `report`, `house`: what runs have left, and plans."""

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from homelab_lib import paths
from homelab_lib.cli import screen
from homelab_lib.cli.commands import takes_lab
from homelab_lib.errors import BadParameter, HomelabError, Unreadable
from homelab_lib.notebook.ways import in_words_of
from homelab_lib.printable import printable
from homelab_lib.regular_file import read_ours
from homelab_lib.runbook import journal as journals
from homelab_lib.runbook import record as kept
from homelab_lib.runbook.plan import Plan
from homelab_lib.views.cards import MARKS
from homelab_lib.views.looks import findings
from homelab_lib.views.plan import plan_text
from homelab_lib.views.report import outcome_of
from homelab_lib.views.verdict import verdict

_COLUMNS = ("date", "run", "runbook", "target", "mode", "status", "changes")


def records(arguments: argparse.Namespace) -> int:
    """List the runs that have left a record, the newest last."""
    folders = [file.parent for file in paths.reports().glob("*/journal.jsonl")]
    rows = [row for _, row in sorted(map(_row, folders), key=lambda found: found[0])]
    if arguments.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    table = [_COLUMNS, *(tuple(str(row[name]) for name in _COLUMNS) for row in rows)]
    print(screen.table(table, numbers=[_COLUMNS.index("changes")]))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show a plan, by its digest or its file, or a record, by its folder or its run."""
    plan, summary = _found(arguments.what)
    if arguments.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False) if summary else plan.to_json())
        return 0
    if summary:
        screen.show(_told(summary, plan))
    if plan is not None:
        screen.show(plan_text(plan, calls=arguments.verbose))
    return 0


def record(arguments: argparse.Namespace) -> int:
    """Check a run's record against itself, offline."""
    from homelab_lib.runbook.proof import check as problems

    folder = record_of(arguments.record)
    found = list(problems(folder))
    if arguments.json:
        print(json.dumps({"record": folder.name, "problems": found}, indent=1, ensure_ascii=False))
        return 1 if found else 0
    for problem in found:
        print(f"✕ {printable(problem)}")
    if not found:
        print("✓ whole: the chain holds, the plan is the one approved, nothing else was sent")
    return 1 if found else 0


def report(arguments: argparse.Namespace) -> int:
    """Make a record's page and timeline again, and say where they lie."""
    from homelab_lib.views.report import write_report

    folder = record_of(arguments.record) if arguments.record else _newest_record()
    if not (folder / "summary.json").exists():
        raise HomelabError(
            "there is no summary there: the run did not end",
            where=str(folder),
            fix="run the same command again; it goes on where it stopped",
        )
    print(f"Report: {paths.shown(write_report(folder).resolve())}")
    return 0


def house(arguments: argparse.Namespace) -> int:
    """Make the page of a lab's house from the records of its runs, and say where it lies."""
    from homelab_lib.house_page import write
    from homelab_lib.lab import load_lab

    print(f"Page: {paths.shown(write(load_lab(arguments.lab)).resolve())}")
    return 0


def add_to(add: Any) -> None:
    """Give the command line these commands; `add` makes the parser of one from its function."""
    add(records).add_argument("--json", action="store_true", help="for a machine to read")
    command: argparse.ArgumentParser = add(show)
    command.add_argument("what", metavar="PLAN|RECORD", help="p6310…, plan.json, r5a0142, a folder")
    command.add_argument("--json", action="store_true", help="for a machine to read")
    command.add_argument("-v", "--verbose", action="store_true", help="with the very calls")
    told = "a run, r5a0142, or its record's folder"
    checking: argparse.ArgumentParser = add(record)
    checking.add_argument("record", help=told)
    checking.add_argument("--json", action="store_true", help="for a machine to read")
    add(report).add_argument("record", nargs="?", help=f"{told} (default: the newest)")
    takes_lab(add(house))


def record_of(what: str, sought: str = "record") -> Path:
    """The folder of a record.

    Parameters
    ----------
    what
        Its folder, as it was told or from here, or the run: ``r5a0142``.
    sought
        What is said not to be there, where it is not.
    """
    for folder in (paths.locate(what), paths.reports() / what):
        if folder.is_dir():
            return folder
    with suppress(BadParameter):
        return kept.find(paths.reports(), what).folder
    raise BadParameter(f"there is no {sought} {what!r}", fix="`homelab records` lists them")


def _newest_record() -> Path:
    """The record of the run that was begun last, however it ended; never one of before it."""
    begun = sorted(paths.reports().glob("*/journal.jsonl"), key=lambda file: _begun(file))
    if not begun:
        raise HomelabError("there is no record yet", where=str(paths.reports()), fix="make demo")
    return begun[-1].parent


def _begun(journal: Path) -> str:
    """When a run was begun, as its journal's last session says."""
    at = ""
    for line in read_ours(journal).decode(errors="replace").splitlines():
        with suppress(ValueError, TypeError):
            event = json.loads(line)
            at = event["at"] if event["kind"] == "run" else at
    return at


def _row(folder: Path) -> tuple[str, dict[str, Any]]:
    """When a run began, and its record in a line; of one that did not end, or not yet, its journal
    tells."""
    events = journals.read(folder / "journal.jsonl")
    ended = next((e["kind"] == "end" for e in reversed(events) if e["kind"] in ("run", "end")), 0)
    summary = kept.summary_of(folder) if ended else {}
    if not summary:
        name = folder.name.split("_")
        summary = {"started": name[0], "runbook": "_".join(name[1:-2])}
        if events and events[0]["kind"] == "run":
            summary = events[0] | {"started": events[0]["at"]}
        sent = [each for each in journals.intents(events) if each["outcome"] != "failed"]
        summary |= {"status": "not ended", "changes_sent": len(sent)}
    row = {key: summary.get(key) or "" for key in ("runbook", "target", "mode", "status")}
    started = str(summary.get("started", ""))
    date = started[:16].replace("T", " ")
    changes = summary.get("changes_sent", "")
    return started, {"date": date, "run": folder.name, **row, "changes": changes}


def _found(what: str) -> tuple[Any, dict[str, Any]]:
    """A plan and a summary; either may be missing."""
    place = Path(what)
    if not place.exists():
        plans = paths.state("any").parent.glob(f"*/plans/{what}.json") if what.isalnum() else ()
        place = next(iter(sorted(plans)), None) or record_of(what, "plan and no record")
    if place.is_file():
        return Plan.from_json(read_ours(place).decode(errors="replace"), where=str(place)), {}
    plan, summary = kept.plan_of(place), kept.summary_of(place)
    if plan is None and not summary:
        raise Unreadable("there is neither a plan nor a summary in it", where=str(place))
    return plan, summary


def _told(summary: dict[str, Any], plan: Plan | None) -> str:
    lines = [
        f"{summary['title']}: {summary['status']}, {summary['target']}, {summary['mode']}, "
        f"begun {summary['started'][:16].replace('T', ' ')}",
        verdict(summary, plan),
    ]
    if summary["status"] != "planned":
        for step in summary["steps"]:
            lines.append(f"  {MARKS[step['status']][0]} {step['step']}: {step['status']}")
            if step["status"] == "drift":
                lines += [f"      {text}" for _, text in findings(outcome_of(step))]
    return "\n".join([*lines, in_words_of("homelab", summary["error"])]).rstrip() + "\n"
