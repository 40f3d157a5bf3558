"""A record proves itself, offline."""

import errno
import json
import os
import shutil

import pytest

from homelab_lib import durable
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.reporting import Reporter
from homelab_lib.runbook import journal as journals
from homelab_lib.runbook import record as records
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.proof import check
from homelab_lib.secret import Mask
from homelab_lib.views.report import write_report
from runbook.toy import Value, Wire, engine, plan_of, runbook

BOOK = runbook(Value("one", "a", "1"), Value("one", "b", "2"))


def _run(folder, wire=None, approve=""):
    """One session of a run on the record in `folder`, as the notebook's verbs have it."""
    wire = wire or Wire()
    record = records.Record(folder)
    plan = plan_of(BOOK, Wire())
    head = {
        "runbook": "toy",
        "lab": "toy",
        "target": "ssh",
        "mode": "apply",
        "approve": approve or plan.digest,
    }
    journal = Journal(record.journal, mask=Mask(), wall=lambda: "2026-01-01T00:00:00Z")
    records.assert_same_run(journal, head, where=str(folder))
    journal.append("run", **head)
    about = {"run_id": record.run_id, "title": "A toy", "started": "then"}
    reporter = Reporter(record, journal, Mask(), about | head)
    reporter.keep_plan(plan)
    fresh = plan_of(BOOK, wire)
    journal.append(
        "plan", digest=plan.digest, fresh=fresh.digest, changes=2, besides=[], gone=[], twin=False
    )
    run = engine(BOOK, wire, plan=fresh, journal=journal)
    error, outcomes = "", []
    for name in BOOK.names:
        try:
            outcomes.append(run.run_step(name))
        except HomelabError as failure:
            outcomes.append(run.outcomes[name])
            error = str(failure)
            break
    status = "failed" if error else "completed"
    reporter.conclude(
        status, outcomes=outcomes, plan=plan, evidence="measured", ended="now", error=error
    )
    return record.folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("records") / "2026-01-01_toy_ssh_rabc123")


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / whole.name)


def test_a_whole_record_has_nothing_wrong(folder):
    assert list(check(folder)) == []
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["changes_sent"] == summary["changes_planned"] == 2
    assert summary["run_id"] == "rabc123"


def test_a_run_that_failed_and_was_continued_is_whole(tmp_path):
    down = {"now": True}
    wire = Wire(fail=lambda number, call: "down" if number == 1 and down["now"] else "")
    folder = _run(tmp_path / "2026-01-01_toy_ssh_rabc123", wire)
    assert list(check(folder)) == []
    down["now"] = False
    assert list(check(_run(folder, wire))) == []
    assert wire.ran == ["one: put a 1", "one: put b 2"]


def test_a_record_of_another_run_is_not_continued(folder):
    with pytest.raises(BadParameter, match="of a run with approve"):
        _run(folder, approve="p0")


def _edited(file, edit):
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))


def _rechained(folder, edit):
    """The journal written anew by somebody who can hash: chain, seals and the summary's head."""
    file = folder / "journal.jsonl"
    events = edit([json.loads(line) for line in file.read_bytes().splitlines()])
    ends = [n for n, event in enumerate(events) if event["kind"] == "end"]
    head, raw = "0" * 64, b""
    for number, event in enumerate(events):
        if event["kind"] == "sealed":
            event["files"] = {name: records.digest_of(folder / name) for name in event["files"]}
        line = json.dumps(
            event | {"prev": head, "seq": number}, ensure_ascii=False, sort_keys=True
        ).encode()
        head = journals.digest(line)
        raw += line + b"\n"
        if ends and number == ends[-1]:
            _edited(folder / "summary.json", lambda d, head=head: d.update(journal_head=head))
    file.write_bytes(raw)


def _without(kinds_of):
    def edit(events):
        return [event for event in events if not kinds_of(event)]

    return edit


def _with(kind, **values):
    def edit(events):
        return [event | (values if event["kind"] == kind else {}) for event in events]

    return edit


def _steps_emptied(document):
    for step in document["steps"]:
        step["resources"], step["checks"] = [], []


def _numbers(document):
    document.update(evidence="rehearsed", changes_sent=0, ended="1999")


def _plan_texts(document):
    for change in document["changes"]:
        change.update(shows="harmless", summary="look", undo="", detached=True)


def _sent_otherwise(events):
    for event in events:
        if event["kind"] == "intent":
            event["call"] = "put a 9"
    return events


def _sent_twice(events):
    at = next(n for n, event in enumerate(events) if event["kind"] == "intent")
    return [*events[: at + 2], events[at], events[at + 1] | {"intent": at + 2}, *events[at + 2 :]]


def _append(folder, raw):
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(raw)


def _chained_note(folder):
    lines = (folder / "journal.jsonl").read_bytes().splitlines()
    note = {"seq": len(lines), "prev": journals.digest(lines[-1]), "at": "x", "kind": "note"}
    _append(folder, json.dumps(note).encode() + b"\n")


def _cut(folder, lines):
    file = folder / "journal.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in file.read_bytes().splitlines()[:-lines]))


TAMPERINGS = {
    "a middle line of the journal": (
        lambda f: (f / "journal.jsonl").write_bytes(
            (f / "journal.jsonl").read_bytes().replace(b'"done"', b'"lied"', 1)
        ),
        "does not follow",
    ),
    "the journal's last lines cut off": (lambda f: _cut(f, 3), "did not end"),
    "the journal's very last line cut off": (lambda f: _cut(f, 1), "not whole"),
    "a line after the end": (_chained_note, "goes on after"),
    "bytes after the end": (lambda f: _append(f, b"\xff\xfe\n"), "does not follow"),
    "a list after the end": (lambda f: _append(f, b"[1]\n"), "does not follow"),
    "the journal removed": (lambda f: (f / "journal.jsonl").unlink(), "no journal"),
    "the journal emptied": (lambda f: (f / "journal.jsonl").write_bytes(b""), "does not begin"),
    "numbers of the summary": (
        lambda f: _edited(f / "summary.json", _numbers),
        "summary.json is not what the run left",
    ),
    "steps of the summary emptied": (
        lambda f: _edited(f / "summary.json", _steps_emptied),
        "summary.json is not what the run left",
    ),
    "the summary is no JSON": (
        lambda f: (f / "summary.json").write_text("{"),
        "summary can't be read",
    ),
    "the summary removed": (lambda f: (f / "summary.json").unlink(), "summary.json is missing"),
    "texts of the plan": (
        lambda f: _edited(f / "plan.json", _plan_texts),
        "changed after it was made",
    ),
    "checks of the plan": (
        lambda f: _edited(f / "plan.json", lambda d: d.update(checks=["all is well"])),
        "changed after it was made",
    ),
    "the plan removed": (lambda f: (f / "plan.json").unlink(), "plan.json is missing"),
    "what was observed": (lambda f: (f / "after.json").write_text("{}"), "after.json is not"),
    "what was observed, removed": (lambda f: (f / "before.json").unlink(), "before.json is miss"),
    "the page": (lambda f: (f / "report.html").write_text("all fine"), "report.html is not"),
    "all intents taken out, chained anew": (
        lambda f: _rechained(f, _without(lambda e: e["kind"] in ("intent", "result"))),
        "foretold and not sent: one: a",
    ),
    "one change taken out, chained anew": (
        lambda f: _rechained(
            f, _without(lambda e: e.get("resource") == "value b" or e.get("intent", 0) > 7)
        ),
        "foretold and not sent: one: b",
    ),
    "another call sent, chained anew": (
        lambda f: _rechained(f, _sent_otherwise),
        "sent and not foretold",
    ),
    "sent twice, chained anew": (lambda f: _rechained(f, _sent_twice), "more often than foretold"),
    "the status in journal and summary": (
        lambda f: _rechained(f, _with("end", status="drift")),
        "the summary's status is not what the journal says",
    ),
    "steps of the summary emptied, sealed anew": (
        lambda f: (_edited(f / "summary.json", _steps_emptied), _rechained(f, list)),
        "other changes than the journal",
    ),
    "another approval": (
        lambda f: _rechained(
            f,
            lambda events: [e | ({"approve": "p0"} if e["kind"] == "run" else {}) for e in events],
        ),
        "not the one that was approved",
    ),
    "a twin's record called measured": (
        lambda f: _rechained(f, _with("plan", twin=True)),
        "rehearsed on a twin, and says that it was measured",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_shows(folder, name):
    tamper, says = TAMPERINGS[name]
    tamper(folder)
    found = list(check(folder))
    assert any(says in problem for problem in found), found


def test_a_run_is_found_by_its_id(folder):
    assert records.find(folder.parent, "rabc123").folder == folder
    with pytest.raises(BadParameter, match="no run 'zzz'"):
        records.find(folder.parent, "zzz")


def test_a_place_that_can_not_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HomelabError, match="HOMELAB_REPORTS"):
        records.Record(tmp_path / "file" / "record")


def test_a_record_is_its_owners_alone(folder, whole):
    for file in whole.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_a_page_that_finds_no_room_says_so(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(HomelabError, match="No space left"):
        write_report(folder)
