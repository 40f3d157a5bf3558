"""What a run leaves behind: a folder that tells what was planned, sent, found and measured.

The journal is the evidence; everything else here can be made from it and is checked against it
(`homelab_lib.runbook.proof`).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from homelab_lib import durable
from homelab_lib.errors import BadParameter, HomelabError, Unreadable
from homelab_lib.regular_file import read_ours
from homelab_lib.runbook.journal import Event, Journal, intents
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
            durable.private_folder(folder)
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
        try:
            durable.replace(file, text, mode=durable.PRIVATE)
        except OSError as error:
            raise HomelabError(
                f"the record can't be written: {error.strerror}; the journal is complete",
                where=str(file),
                fix="make room on that disk; `python -m homelab_lib report` can write it later",
            ) from None
        return file

    def write_json(self, name: str, document: Any, mask: Mask) -> Path:
        """Write a document, its secrets masked while they still look like themselves."""
        text = json.dumps(mask.clean(document), indent=1, ensure_ascii=False)
        return self.write(name, text + "\n")


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


def summary_of(folder: Path) -> dict[str, Any]:
    """The summary in a record's folder; empty where there is none that can be read."""
    try:
        found = json.loads(read_ours(folder / "summary.json"))
    except (Unreadable, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def plan_of(folder: Path) -> Plan | None:
    """The plan in a record's folder; None where there is none.

    Raises
    ------
    BadParameter, PlanStale
        It is none any more; see `Plan.from_json`.
    """
    file = folder / "plan.json"
    return Plan.from_json(read_ours(file).decode(), where=str(file)) if file.exists() else None


def assert_same_run(journal: Journal, head: dict[str, Any], *, where: str) -> None:
    """See that a record that is to be continued is of the very same run.

    Parameters
    ----------
    journal
        The record's journal; one without events is a new run's.
    head
        Runbook, lab, target, mode and approval of the run that wants to go on.

    Raises
    ------
    BadParameter
        It is another one's.
    """
    first = next((event for event in journal.events if event["kind"] == "run"), None)
    if first is None:
        return
    for key, value in head.items():
        if first.get(key) != value:
            raise BadParameter(
                f"this record is of a run with {key} {first.get(key)!r}, not {value!r}",
                where=where,
                fix="leave run_id empty to begin a run of its own",
            )


def digest_of(file: Path) -> str:
    """SHA-256 of a file of the record."""
    return hashlib.sha256(read_ours(file)).hexdigest()


def seal(journal: Journal, folder: Path, names: Iterable[str]) -> None:
    """Write down what the files of a record are at its end, so that a later look can tell.

    Parameters
    ----------
    names
        Names of its files; those that are not there are left out.
    """
    files = {name: digest_of(folder / name) for name in names if (folder / name).exists()}
    journal.append("sealed", files=files)


def states(outcomes: Iterable[StepOutcome], moment: str) -> dict[str, Any]:
    """What was observed of each resource, ``before`` or ``after``, by host and name."""
    return {
        f"{resource.host}: {resource.name}": getattr(resource, moment)
        for outcome in outcomes
        for resource in outcome.resources
    }


def _sent(change: dict[str, Any]) -> dict[str, Any]:
    """A change that was sent, by what the plan has of it and the journal's number."""
    planned = change["planned"]
    told = {key: planned[key] for key in ("summary", "call")}
    return told | {key: change[key] for key in ("outcome", "start_s", "end_s", "intent")}


def sent_before(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was sent before a record was gone on with, by the journal's number of each change.

    Parameters
    ----------
    events
        Of its journal; the last ``run`` among them is the one that goes on with it.
    """
    begun = max((event["seq"] for event in events if event["kind"] == "run"), default=0)
    kept = ("step", "host", "resource", "summary", "call", "outcome")
    return [
        {key: intent[key] for key in kept} | {"intent": intent["seq"]}
        for intent in intents(events)
        if intent["seq"] < begun
    ]


def summary(
    *,
    head: dict[str, Any],
    plan: Plan | None,
    outcomes: Iterable[StepOutcome],
    evidence: str,
    journal: Journal,
) -> dict[str, Any]:
    """The run as one document.

    Parameters
    ----------
    head
        Who, what, when: run_id, runbook, lab, target, mode, status, started, error …
    evidence
        How the measured numbers were come by: ``rehearsed`` or ``measured``.
    journal
        It tells of what was sent before the record was gone on with: that counts, too.
    """
    steps = []
    earlier = sent_before(journal.events)
    for outcome in outcomes:
        document = asdict(outcome)
        document["changes_sent"] = len(outcome.sent)
        for resource in document["resources"]:
            del resource["before"], resource["after"]
            resource["sent"] = [_sent(each) for each in resource["sent"]]
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
        "changes_sent": sum(step["changes_sent"] for step in steps)
        + sum(each["outcome"] != "failed" for each in earlier),
        "sent_before": earlier,
        "steps": steps,
        "journal_head": journal.head,
    }
