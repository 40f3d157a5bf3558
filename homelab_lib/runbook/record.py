"""What a run leaves behind: a folder that tells what was planned, sent, found and measured.

The journal is the evidence; everything else here can be made from it and is checked against it.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.runbook import journal as journals
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import Plan
from homelab_lib.secret import Mask

SCHEMA = 1


class Record:
    """The folder of one run.

    Parameters
    ----------
    folder
        ``<reports>/<date>_<runbook>_<target>_<run>``; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise HomelabError(
                f"the run's record can't be written: {error.strerror}",
                where=str(folder),
                fix="make that folder writable, or name another one in HOMELAB_REPORTS",
            ) from None

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def run_id(self) -> str:
        return self.folder.name.rpartition("_")[2]

    def write(self, name: str, text: str) -> Path:
        """Write a file of the record whole or not at all."""
        file = self.folder / name
        new = file.with_name(f".{name}.new")
        try:
            with new.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)
        except OSError as error:
            raise HomelabError(
                f"the record can't be written: {error.strerror}; the journal is complete",
                where=str(file),
                fix="make room on that disk; `python -m homelab_lib report` can write it later",
            ) from None
        return file

    def write_json(self, name: str, document: Any, mask: Mask) -> Path:
        return self.write(name, mask(json.dumps(document, indent=1, ensure_ascii=False)) + "\n")


def find(reports: Path, run_id: str) -> Record:
    """The record of an earlier run.

    Raises
    ------
    BadParameter
        There is none of that id.
    """
    found = sorted(reports.glob(f"*_{run_id}")) if run_id.isalnum() else []
    if not found:
        raise BadParameter(
            f"there is no run {run_id!r}", where=str(reports), fix="leave run_id empty to begin one"
        )
    return Record(found[-1])


def states(outcomes: Iterable[StepOutcome], moment: str) -> dict[str, Any]:
    """What was observed of each resource, ``before`` or ``after``, by host and name."""
    return {
        f"{resource.host}: {resource.name}": getattr(resource, moment)
        for outcome in outcomes
        for resource in outcome.resources
    }


def summary(
    *,
    head: dict[str, Any],
    plan: Plan | None,
    outcomes: Iterable[StepOutcome],
    evidence: str,
    journal_head: str,
) -> dict[str, Any]:
    """The run as one document.

    Parameters
    ----------
    head
        Who, what, when: run_id, runbook, lab, target, mode, status, started, error …
    evidence
        How the measured numbers were come by: ``rehearsed`` or ``measured``.
    """
    steps = []
    for outcome in outcomes:
        document = asdict(outcome)
        document["changes_sent"] = len(outcome.sent)
        for resource in document["resources"]:
            del resource["before"], resource["after"]
        for number in document["measurements"]:
            number["evidence"] = evidence
        document.pop("planned")
        steps.append(document)
    return {
        "schema": SCHEMA,
        **head,
        "evidence": evidence,
        "plan": plan.digest if plan else None,
        "changes_planned": len(plan.changes) if plan else None,
        "changes_sent": sum(step["changes_sent"] for step in steps),
        "steps": steps,
        "journal_head": journal_head,
    }


def check(folder: Path) -> Iterator[str]:
    """Look a record over offline; yields what is wrong with it, nothing if it is whole.

    The journal's chain, the plan's digest, the summary against the journal, and that nothing
    was sent which the plan did not foretell.
    """
    file = folder / "journal.jsonl"
    if not file.exists():
        yield "it has no journal"
        return
    for number in journals.broken_links(file):
        yield f"journal line {number + 1} does not follow from the line before"
    intents = journals.intents(journals.read(file))
    plan_file = folder / "plan.json"
    if plan_file.exists():
        try:
            plan = Plan.from_json(plan_file.read_text(), where=str(plan_file))
        except HomelabError as error:
            yield error.what
        else:
            foretold = {(c.step, c.host, c.resource, c.command) for c in plan.changes}
            for intent in intents:
                key = tuple(intent[name] for name in ("step", "host", "resource", "command"))
                if key not in foretold:
                    yield f"sent and not foretold: {intent['host']}: {intent['summary']}"
    summary_file = folder / "summary.json"
    if not summary_file.exists():
        yield "it has no summary: the run did not end"
        return
    told = json.loads(summary_file.read_text())
    lines = file.read_bytes().splitlines()
    if told["journal_head"] not in map(journals.digest, lines):
        yield "the summary was not made from this journal"
