"""A record proves itself, offline."""

import errno
import hashlib
import json
import os
import shutil

import pytest

from homelab_lib import durable
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.runbook import journal as journals
from homelab_lib.runbook import record as records
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.runbook.proof import check
from homelab_lib.secret import Mask
from homelab_lib.session.reporting import Reporter
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
        "plan", digest=plan.digest, fresh=fresh.digest, changes=len(fresh.changes), besides=[],
        gone=[], twin=False,
    )  # fmt: skip
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
        status, outcomes=outcomes, plan=fresh, evidence="measured", ended="now", error=error
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


@pytest.mark.parametrize("other", ["runbook", "lab", "target", "mode", "approve"])
def test_whatever_a_run_is_about_its_record_is_its_own(folder, other):
    log = Journal(folder / "journal.jsonl", mask=Mask(), wall=lambda: "now")
    [first, *_] = (event for event in log.events if event["kind"] == "run")
    head = {key: first[key] for key in ("runbook", "lab", "target", "mode", "approve")}
    records.assert_same_run(log, head, where="here")
    with pytest.raises(BadParameter, match=f"of a run with {other}"):
        records.assert_same_run(log, head | {other: "another"}, where="here")


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


def _resealed(folder, edit):
    """The summary edited, and the journal's last line, its seal, made to fit."""
    _edited(folder / "summary.json", edit)
    file = folder / "journal.jsonl"
    *lines, last = file.read_bytes().splitlines()
    seal = json.loads(last)
    seal["files"]["summary.json"] = records.digest_of(folder / "summary.json")
    lines.append(json.dumps(seal, ensure_ascii=False, sort_keys=True).encode())
    file.write_bytes(b"".join(line + b"\n" for line in lines))


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


def _outcome(document):
    document["steps"][0]["resources"][0]["sent"][0]["outcome"] = "unknown"


def _first_sent(**values):
    return lambda document: document["steps"][0]["resources"][0]["sent"][0].update(values)


def _first_resource(**values):
    return lambda document: document["steps"][0]["resources"][0].update(values)


def _unsealed(name):
    def tamper(folder):
        (folder / name).write_text("all fine")

        def edit(events):
            for event in events:
                event.get("files", {}).pop(name, None)
            return events

        _rechained(folder, edit)

    return tamper


def _observed_otherwise(folder):
    _edited(folder / "before.json", lambda document: document.update({"one: value a": "1"}))
    _rechained(folder, list)


def _shown_otherwise(events):
    content = "sha256:" + hashlib.sha256(b"what was sent").hexdigest()
    return _with("intent", content=content, shows="harmless")(events)


def _first_step(**values):
    return lambda document: document["steps"][0].update(values)


def _sealed_elsewhere(folder):
    (folder.parent / "other").write_text("not of the record")
    _rechained(
        folder,
        lambda events: [
            event | ({"files": {"../other": ""}} if event["kind"] == "sealed" else {})
            for event in events
        ],
    )


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
    "a file beside the record sealed": (_sealed_elsewhere, "../other is missing"),
    "a summary of another journal": (
        lambda f: _resealed(f, lambda d: d.update(journal_head="0" * 64)),
        "not made from this journal",
    ),
    "how many changes the summary counts": (
        lambda f: _resealed(f, lambda d: d.update(changes_sent=7)),
        "other changes than the journal",
    ),
    "what became of a change, in the summary": (
        lambda f: _resealed(f, _outcome),
        "other outcomes than the journal",
    ),
    "what became of a step, in the summary": (
        lambda f: _resealed(f, _first_step(status="already")),
        "the summary's status of build is not",
    ),
    "a check that nobody made": (
        lambda f: _resealed(
            f, _first_step(checks=[{"title": "all is well", "holds": True, "says": ""}])
        ),
        "the summary's checks are not those",
    ),
    "a number that nobody measured": (
        lambda f: _resealed(
            f,
            _first_step(
                measurements=[{"name": "speed", "value": 1, "unit": "GB/s", "predicted": None}]
            ),
        ),
        "the summary's measurements are not those",
    ),
    "where something was sent": (
        lambda f: _resealed(f, _first_resource(host="two")),
        "otherwise than the journal what was sent",
    ),
    "for what something was sent": (
        lambda f: _resealed(f, _first_resource(name="value z")),
        "otherwise than the journal what was sent",
    ),
    "what was sent, in the summary": (
        lambda f: _resealed(f, _first_sent(call="put a 9")),
        "otherwise than the journal what was sent",
    ),
    "what became of a resource, in the summary": (
        lambda f: _resealed(f, _first_resource(status="already")),
        "value a as it was, and it was changed",
    ),
    "what was there before, sealed anew": (
        _observed_otherwise,
        "before.json tells of one: value a otherwise than the journal",
    ),
    "the text that went with a change": (
        lambda f: _rechained(f, _shown_otherwise),
        "not the text that is shown",
    ),
    "what was sent, in words": (
        lambda f: _resealed(f, _first_sent(summary="look at a")),
        "otherwise than the journal what was sent",
    ),
    "how many changes a step counts": (
        lambda f: _resealed(f, _first_step(changes_sent=0)),
        "counts other changes in build",
    ),
    "how many changes were planned": (
        lambda f: _resealed(f, lambda d: d.update(changes_planned=0)),
        "another plan than the journal",
    ),
    "which plan there was": (
        lambda f: _resealed(f, lambda d: d.update(plan="p" + "0" * 16)),
        "another plan than the journal",
    ),
    "a check that a person signs for": (
        lambda f: _resealed(f, lambda d: d["steps"][1]["checks"][0].update(taken=True)),
        "the summary's checks are not those",
    ),
    "the page for which nobody vouches": (_unsealed("report.html"), "not vouch for report.html"),
    "a plan for which nobody vouches": (_unsealed("plan.json"), "not vouch for plan.json"),
    "what was observed, unvouched": (_unsealed("after.json"), "not vouch for after.json"),
    "the plan taken out of the journal": (
        lambda f: _rechained(f, _without(lambda e: e["kind"] == "plan")),
        "sent without a plan",
    ),
    "another plan in the journal": (
        lambda f: _rechained(f, _with("plan", digest="p0")),
        "not the plan of this run",
    ),
    "the number of what was sent": (
        lambda f: _rechained(f, _with("intent", id="0" * 24)),
        "not what its number says",
    ),
    "a rehearsal called measured": (
        lambda f: _rechained(f, _with("run", target="twin")),
        "rehearsed on a twin, and says that it was measured",
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


def _leaves(value, path=()):
    inner = value.items() if isinstance(value, dict) else ()
    for key, each in enumerate(value) if isinstance(value, list) else inner:
        yield (*path, key)
        yield from _leaves(each, (*path, key))


def _without_leaf(value, path):
    first, *rest = path
    copy = value.copy()
    if rest:
        copy[first] = _without_leaf(value[first], rest)
    else:
        del copy[first]
    return copy


def _written_otherwise(text):
    """A document with one of its values altered, or taken out, for each of them."""
    document = json.loads(text)
    for path in _leaves(document):
        yield path, json.dumps(_without_leaf(document, path))
        changed = json.loads(text)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = 7 if place[path[-1]] != 7 else 8
        yield path, json.dumps(changed)


@pytest.mark.parametrize("name", ["summary.json", "plan.json", "before.json", "after.json"])
def test_no_value_of_a_file_can_be_altered_or_taken_out(folder, name):
    text = (folder / name).read_text()
    for path, other in _written_otherwise(text):
        (folder / name).write_text(other)
        assert list(check(folder)), path


def test_nor_one_of_the_journal(folder):
    """But for the time in its last line: after that one nothing follows."""
    file = folder / "journal.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        for path, other in _written_otherwise(line):
            if path == ("at",) and number + 1 == len(lines):
                continue
            others = [*lines[:number], other.encode() + b"\n", *lines[number + 1 :]]
            file.write_bytes(b"".join(others))
            assert list(check(folder)), (number, path)


@pytest.mark.parametrize(
    "key", ["status", "evidence", "error", "ended", "runbook", "lab", "target", "mode", "approve"]
)
def test_the_summary_says_of_the_run_what_the_journal_says(folder, key):
    _resealed(folder, lambda document: document.update({key: "something else"}))
    assert list(check(folder)) == [f"the summary's {key} is not what the journal says"]


def test_what_the_approval_let_through_besides_the_plan_is_no_fault(folder):
    """What an earlier session left half-made is made in another way, and that was shown."""

    def otherwise(events):
        first = next(event for event in events if event["kind"] == "intent")
        foretold = first["id"]
        first["call"] = "put a 9"
        first["id"] = PlannedChange.from_json(first).identity
        return _with("plan", besides=[first["id"]], gone=[foretold])(events)

    _edited(folder / "summary.json", _first_sent(call="put a 9"))
    _rechained(folder, otherwise)
    assert list(check(folder)) == []


def test_why_a_run_stopped_holds_no_secret(tmp_path):
    secret = "hunter2-hunter2"
    record = records.Record(tmp_path / "2026-01-01_toy_ssh_rabc123")
    mask = Mask()
    mask.learn([secret])
    journal = Journal(record.journal, mask=mask, wall=lambda: "then")
    head = {"runbook": "toy", "lab": "toy", "target": "ssh", "mode": "apply", "approve": ""}
    about = {"run_id": record.run_id, "title": "A toy", "started": "then"}
    journal.append("run", **head)
    Reporter(record, journal, mask, about | head).conclude(
        "failed", outcomes=[], plan=None, evidence="measured", ended="now", error=f"no {secret}"
    )
    assert list(check(record.folder)) == []
    page = (record.folder / "report.html").read_text()
    assert "Why it stopped" in page
    for file in record.folder.iterdir():
        assert secret not in file.read_text(), file.name


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
