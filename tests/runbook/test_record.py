"""A record proves itself, offline."""

import json

import pytest

from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.runbook import record as records
from homelab_lib.runbook.journal import Journal
from homelab_lib.secret import Mask
from runbook.toy import Value, Wire, engine, plan_of, runbook

BOOK = runbook(Value("one", "a", "1"), Value("one", "b", "2"))


@pytest.fixture
def folder(tmp_path):
    """The record of a whole run."""
    record = records.Record(tmp_path / "2026-01-01_toy_twin_abc123")
    journal = Journal(record.journal, mask=Mask(), wall=lambda: "2026-01-01T00:00:00Z")
    plan = plan_of(BOOK, Wire())
    record.write("plan.json", plan.to_json())
    run = engine(BOOK, Wire(), plan=plan, journal=journal)
    outcomes = [run.run_step(name) for name in BOOK.names]
    summary = records.summary(
        head={"run_id": record.run_id, "status": "completed"},
        plan=plan,
        outcomes=outcomes,
        evidence="rehearsed",
        journal_head=journal.head,
    )
    record.write_json("summary.json", summary, Mask())
    return record.folder


def test_a_whole_record_has_nothing_wrong(folder):
    assert list(records.check(folder)) == []
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["changes_sent"] == summary["changes_planned"] == 2
    assert summary["run_id"] == "abc123"


def test_a_changed_journal_shows(folder):
    file = folder / "journal.jsonl"
    file.write_text(file.read_text().replace('"outcome": "done"', '"outcome": "lied"', 1))
    assert any("does not follow" in problem for problem in records.check(folder))


def test_a_changed_plan_shows(folder):
    file = folder / "plan.json"
    file.write_text(file.read_text().replace("put a 1", "put a 2"))
    assert any("changed after it was made" in problem for problem in records.check(folder))


def test_what_was_sent_and_not_foretold_shows(folder):
    shorter = plan_of(runbook(Value("one", "a", "1")), Wire())
    (folder / "plan.json").write_text(shorter.to_json())
    assert list(records.check(folder)) == ["sent and not foretold: one: b: None → 2"]


def test_a_summary_of_another_run_shows(folder):
    file = folder / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"journal_head": "0" * 64}))
    assert list(records.check(folder)) == ["the summary was not made from this journal"]


def test_a_run_that_died_has_no_summary(folder):
    (folder / "summary.json").unlink()
    assert list(records.check(folder)) == ["it has no summary: the run did not end"]


def test_a_run_is_found_by_its_id(folder):
    assert records.find(folder.parent, "abc123").folder == folder
    with pytest.raises(BadParameter, match="no run 'zzz'"):
        records.find(folder.parent, "zzz")


def test_a_place_that_can_not_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HomelabError, match="HOMELAB_REPORTS"):
        records.Record(tmp_path / "file" / "record")
