"""A record looked over offline: is the plan the approved one, was each thing sent in it, once, with
that content, was anything foretold and not sent, do summary and page say what the journal says?

What it can't tell: whether somebody wrote the whole record anew, journal and all.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homelab_lib.errors import HomelabError, Unreadable
from homelab_lib.regular_file import read_ours
from homelab_lib.runbook import journal as journals
from homelab_lib.runbook.journal import Event
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.record import digest_of, sent_before
from homelab_lib.secret import MASK

_AFTER_END = ("sealed",)
_ALWAYS = ("after.json", "before.json", "report.html", "summary.json")
_NOT_RUN = ("skipped", "planned", "not reached")


def check(folder: Path) -> Iterator[str]:
    """Look a record over; yields what is wrong with it, nothing if it is whole.

    Parameters
    ----------
    folder
        The record's folder.
    """
    file = folder / "journal.jsonl"
    if not file.is_file():
        yield "it has no journal"
        return
    broken = list(journals.broken_links(file))
    for number in broken[:10]:
        yield f"journal line {number + 1} does not follow from the line before"
    events = journals.read(file)
    if not events or events[0]["kind"] != "run":
        yield "the journal does not begin with a run"
        return
    try:
        yield from _files(folder, events)
        yield from _ends(folder, events)
        yield from _sent(folder, events)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        yield f"what the journal holds is not of the form it should be: {type(error).__name__}"


def _files(folder: Path, events: list[Event]) -> Iterator[str]:
    """The files that the journal has sealed are those that are there."""
    sealed: dict[str, str] = {}
    for event in events:
        if event["kind"] == "sealed":
            sealed |= event["files"]
    for name, digest in sorted(sealed.items()):
        if Path(name).name != name or not (folder / name).is_file():
            yield f"{name} is missing"
        elif digest_of(folder / name) != digest:
            yield f"{name} is not what the run left: it was changed"
    wanted = _ALWAYS + (("plan.json",) if any(e["kind"] == "plan" for e in events) else ())
    wanted += tuple(name for name in ("timeline.svg",) if (folder / name).exists())
    for name in wanted if sealed else ():
        if name not in sealed:
            yield f"the journal does not vouch for {name}"


def _ends(folder: Path, events: list[Event]) -> Iterator[str]:
    """The journal ends as a run does, and the summary tells of that very end."""
    ends = [event for event in events if event["kind"] == "end"]
    if not ends:
        yield "the run did not end, or its journal was cut off"
        return
    end, first = ends[-1], events[0]
    tail = [event["kind"] for event in events[end["seq"] + 1 :]]
    if any(kind not in _AFTER_END for kind in tail):
        yield "the journal goes on after the run's end"
    elif "sealed" not in tail:
        yield "the run's end is not whole, or its journal was cut off"
    told = _json(folder / "summary.json")
    if not isinstance(told, dict):
        yield "its summary can't be read"
        return
    rehearsed = first["target"] == "twin" or any(
        event.get("twin") for event in events if event["kind"] == "plan"
    )
    if rehearsed and "measured" in (told.get("evidence"), end["evidence"]):
        yield "it was rehearsed on a twin, and says that it was measured"
    lines = read_ours(folder / "journal.jsonl").splitlines()
    if told.get("journal_head") != journals.digest(lines[end["seq"]]):
        yield "the summary was not made from this journal"
    for key in ("status", "evidence", "error", "ended"):
        if told.get(key) != end[key]:
            yield f"the summary's {key} is not what the journal says"
    for key in ("runbook", "lab", "target", "mode", "approve"):
        if told.get(key) != first[key]:
            yield f"the summary's {key} is not what the journal says"
    yield from _summed_up(folder, told, events)


def _summed_up(folder: Path, told: dict[str, Any], events: list[Event]) -> Iterator[str]:
    """What the summary tells of the last session's steps is what the journal has of them, and
    what was sent in those before it is counted, too."""
    begun = max(n for n, event in enumerate(events) if event["kind"] == "run")
    session = list(_of_its_own_steps(events[begun:]))
    intents = {intent["seq"]: intent for intent in journals.intents(events)}
    sent = {e["seq"] for e in session if e["kind"] == "intent"}
    summed = [one for step in told["steps"] for r in step["resources"] for one in r["sent"]]
    if "sent_before" in told:  # not in one that was kept before there was this
        if told["sent_before"] != sent_before(events):
            yield "the summary tells of other changes before it was gone on with than the journal"
        summed += told["sent_before"]
        sent |= {one["intent"] for one in told["sent_before"]}
    reached = sum(one["outcome"] != "failed" for one in summed)
    if {one["intent"] for one in summed} != sent or told["changes_sent"] != reached:
        yield "the summary tells of other changes than the journal"
    if any(one["outcome"] != intents.get(one["intent"], {}).get("outcome") for one in summed):
        yield "the summary tells of other outcomes than the journal"
    yield from _told_as_sent(told, intents)
    yield from _found_before(_json(folder / "before.json"), session)
    plans = [event for event in session if event["kind"] == "plan"]
    planned = (told["plan"], told["changes_planned"])
    if plans and planned != (plans[-1]["fresh"], plans[-1]["changes"]):
        yield "the summary tells of another plan than the journal"
    ended: dict[str, list[str]] = {}
    for event in session:
        if event["kind"] in ("step-done", "step-failed"):
            ended.setdefault(event["step"], []).append(event.get("status", "failed"))
    for name in dict.fromkeys(step["step"] for step in told["steps"] if ended):
        said = [step["status"] for step in told["steps"] if step["step"] == name]
        if [status for status in said if status not in _NOT_RUN] != ended.get(name, []):
            yield f"the summary's status of {name} is not what the journal says"
    for kind, key, values in (
        ("check", "checks", ("title", "holds", "says", "taken")),
        ("measurement", "measurements", ("name", "value", "unit", "predicted")),
    ):
        noted = Counter(
            json.dumps([e["step"], *(e.get(v) for v in values)])
            for e in session
            if e["kind"] == kind
        )
        shown = Counter(
            json.dumps([step["step"], *(one.get(v) for v in values)])
            for step in told["steps"]
            for one in step[key]
        )
        if noted != shown:
            yield f"the summary's {key} are not those of the journal"


def _told_as_sent(told: dict[str, Any], intents: dict[int, Event]) -> Iterator[str]:
    """Each change stands in the summary as it was sent, where it was sent."""
    for step in told["steps"]:
        changes = 0
        for resource in step["resources"]:
            for one in resource["sent"]:
                shown = (step["step"], resource["host"], resource["name"])
                shown += (one["summary"], one["call"])
                intent = intents.get(one["intent"], {})
                keys = ("step", "host", "resource", "summary", "call")
                if shown != tuple(intent.get(key) for key in keys):
                    yield f"the summary tells otherwise than the journal what was sent: {shown[3]}"
                changes += one["outcome"] != "failed"
            if resource["sent"] and resource["status"] == "already":
                yield f"the summary tells of {resource['name']} as it was, and it was changed"
        if step["changes_sent"] != changes:
            yield f"the summary counts other changes in {step['step']} than it tells of"


def _found_before(told: Any, session: list[Event]) -> Iterator[str]:
    """What is told of each resource as it was is what was noted before anything was sent."""
    looked = [event for event in session if event["kind"] == "observed"]
    noted = {f"{each['host']}: {each['resource']}": each["state"] for each in looked}
    for name, state in noted.items():
        shown = told.get(name) if isinstance(told, dict) else None
        masked = MASK in f"{shown}{state}"  # a secret may have been learnt in between
        if shown is not None and shown != state and not masked:
            yield f"before.json tells of {name} otherwise than the journal"


def _of_its_own_steps(session: list[Event]) -> Iterator[Event]:
    """A session without the checks of steps that were only looked at, since another needs them."""
    step = ""
    for event in session:
        if event["kind"] == "step":
            step = event["step"]
        if event["kind"] != "check" or event["step"] == step:
            yield event


def _sent(folder: Path, events: list[Event]) -> Iterator[str]:
    """Everything sent was planned and approved, once, with that content; nothing is left out."""
    plans = [event for event in events if event["kind"] == "plan"]
    intents = journals.intents(events)
    if not plans:
        if intents:
            yield "changes were sent without a plan"
        return
    file = folder / "plan.json"
    if not file.is_file():
        yield "plan.json is missing"
        return
    try:
        plan = Plan.from_json(read_ours(file).decode(errors="replace"), where=str(file))
    except HomelabError as error:
        yield error.what
        return
    first = events[0]
    if any(event["digest"] != plan.digest for event in plans):
        yield "plan.json is not the plan of this run"
    if intents and first["target"] == "ssh" and first["approve"] != plan.digest:
        yield "the plan is not the one that was approved"
    foretold = Counter(change.identity for change in plan.changes)
    besides = {identity for event in plans for identity in event["besides"]}
    done: Counter[str] = Counter()
    for intent in intents:
        change = PlannedChange.from_json(intent)
        said = f"{intent['host']}: {intent['summary']}"
        if intent["id"] != change.identity:
            yield f"what was sent is not what its number says: {said}"
        if change.identity not in foretold and change.identity not in besides:
            yield f"sent and not foretold: {said}"
        if _shows_another_text(change):
            yield f"what went with it is not the text that is shown: {said}"
        done[change.identity] += intent["outcome"] == "done"
        if done[change.identity] > foretold[change.identity] + (change.identity in besides):
            yield f"done more often than foretold: {said}"
    ends = [event for event in events if event["kind"] == "end"]
    if not ends or ends[-1]["status"] != "completed" or first["mode"] != "apply":
        return
    by_itself = {identity for event in plans for identity in event["gone"]}
    for change in plan.changes:
        if not done[change.identity] and change.identity not in by_itself:
            yield f"foretold and not sent: {change.host}: {change.summary}"


def _shows_another_text(change: PlannedChange) -> bool:
    """Whether the text that is shown with a change has another digest than what went with it; one
    in which something was masked, or that was no text, can't be held against it."""
    kind, _, digest = change.content.partition(":")
    if kind != "sha256" or MASK in change.shows or "\ufffd" in change.shows:
        return False
    return hashlib.sha256(change.shows.encode()).hexdigest() != digest


def _json(file: Path) -> Any:
    try:
        return json.loads(read_ours(file).decode(errors="replace"))
    except (Unreadable, ValueError, RecursionError):
        return None
