"""A plan is bound by its digest, and an approval covers what was approved and no more."""

import pytest

from homelab_lib.errors import BadParameter, PlanStale
from homelab_lib.runbook.journal import intents
from homelab_lib.runbook.plan import Plan, PlannedChange, assert_covers, load, save
from runbook.toy import Value, Wire, plan_of, run_all, runbook

A, B, C = Value("one", "a", "1"), Value("one", "b", "2"), Value("one", "c", "3")


def sent_identities(plan: Plan, *keys: str):
    return {c.identity for c in plan.changes if c.resource.removeprefix("value ") in keys}


def test_the_same_plan_has_the_same_digest_and_another_has_not():
    assert plan_of(runbook(A, B), Wire()).digest == plan_of(runbook(A, B), Wire()).digest
    assert plan_of(runbook(A, B), Wire()).digest != plan_of(runbook(B, A), Wire()).digest


def test_a_plan_survives_the_disk(tmp_path):
    plan = plan_of(runbook(A, B), Wire())
    save(plan, tmp_path)
    assert load(plan.digest, tmp_path) == plan


def test_a_plan_that_was_edited_is_refused(tmp_path):
    plan = plan_of(runbook(A), Wire())
    file = save(plan, tmp_path)
    file.write_text(file.read_text().replace("put a 1", "put a 9"))
    with pytest.raises(PlanStale, match="changed after it was made"):
        load(plan.digest, tmp_path)


@pytest.mark.parametrize("digest", ["", "nope", "../../etc/passwd"])
def test_an_unknown_digest_says_what_to_do(tmp_path, digest):
    with pytest.raises(BadParameter, match="mode=plan"):
        load(digest, tmp_path)


def test_what_was_approved_covers_itself():
    plan = plan_of(runbook(A, B), Wire())
    assert_covers(plan, plan, sent=())


def test_a_run_that_died_is_continued_under_its_approval():
    approved = plan_of(runbook(A, B, C), Wire())
    fresh = plan_of(runbook(A, B, C), Wire({"one": {"a": "1"}}))
    assert_covers(approved, fresh, sent_identities(approved, "a"))


def test_a_host_that_somebody_else_changed_is_stale():
    approved = plan_of(runbook(A, B), Wire())
    fresh = plan_of(runbook(A, B), Wire({"one": {"a": "1"}}))
    with pytest.raises(PlanStale, match=r"- one: a: None → 1"):
        assert_covers(approved, fresh, sent=())


def test_a_change_that_was_not_approved_is_stale():
    approved = plan_of(runbook(A), Wire())
    fresh = plan_of(runbook(A), Wire({"one": {"a": "7"}}))
    # the same command would be sent, but from another state: the summary tells, the command rules
    assert_covers(approved, fresh, sent=())
    with pytest.raises(PlanStale, match=r"\+ one: b"):
        assert_covers(approved, plan_of(runbook(A, B), Wire()), sent=())


def test_a_blocked_plan_covers_nothing():
    approved = plan_of(runbook(A), Wire())
    blocked = Plan("toy", "toy", "0", "toy", approved.steps, approved.changes, blocked="no route")
    with pytest.raises(PlanStale, match="no route"):
        assert_covers(approved, blocked, sent=())


def test_the_journal_knows_what_was_sent():
    wire = Wire()
    book = runbook(A, B)
    plan = plan_of(book, wire)
    run = run_all(book, wire, plan=plan)
    sent = {PlannedChange.from_intent(i).identity for i in intents(run.sender.journal.events)}
    assert sent == {c.identity for c in plan.changes}
