"""A plan is bound by its digest, and an approval covers what was approved and no more."""

import hashlib
import os
from dataclasses import replace

import pytest

from homelab_lib.errors import BadParameter, HomelabError, PlanStale, Unreadable
from homelab_lib.runbook.approval import assert_covers, load, save
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import Plan, PlannedChange, PlannedHost
from homelab_lib.runbook.resource import Change
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import change
from homelab_lib.transport.request import Request
from runbook.toy import Value, Wire, plan_of, runbook

A, B, C = Value("one", "a", "1"), Value("one", "b", "2"), Value("one", "c", "3")


def journal(plan: Plan | None = None, *keys: str, outcome: str = "done") -> Journal:
    """The journal of an approval under which the values `keys` of a plan were sent."""
    log = Journal(None, mask=Mask(), wall=str)
    for planned in plan.changes if plan else ():
        if planned.resource.removeprefix("value ") in keys:
            intent = log.append("intent", id=planned.identity, **vars(planned))
            log.append("result", intent=intent, outcome=outcome)
    return log


def covers(approved: Plan, fresh: Plan, log: Journal | None = None, destroy=()):
    return assert_covers(approved, fresh, log or journal(), frozenset(destroy))


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


@pytest.mark.parametrize(
    "other",
    [
        {"shows": "harmless"},
        {"summary": "look"},
        {"undo": "nothing"},
        {"replaces": "something else"},
        {"detached": True},
        {"content": "sha256:0"},
        {"destroys": ("pool tank",)},
        {"rollback": "never"},
    ],
)
def test_the_digest_covers_every_text_a_person_reads(other):
    plan = plan_of(runbook(A), Wire())
    changed = replace(plan, changes=(replace(plan.changes[0], **other),))
    assert changed.digest != plan.digest


@pytest.mark.parametrize(
    "other", [{"key": "SHA256:other"}, {"address": "192.0.2.9"}, {"user": "ops"}, {"port": 2222}]
)
def test_the_digest_covers_whom_it_is_for(other):
    plan = plan_of(runbook(A), Wire())
    changed = replace(plan, hosts=(replace(plan.hosts[0], **other),))
    assert changed.digest != plan.digest
    with pytest.raises(PlanStale, match="for other hosts"):
        covers(plan, changed)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_plan_of_which_a_part_is_gone_says_so(tmp_path, keep):
    plan = plan_of(runbook(A), Wire())
    file = save(plan, tmp_path)
    file.write_text(file.read_text()[: keep if keep >= 0 else -5])
    with pytest.raises(HomelabError, match="only a part of one"):
        load(plan.digest, tmp_path)


def test_a_plan_under_another_ones_name_is_refused(tmp_path):
    plan, other = plan_of(runbook(A), Wire()), plan_of(runbook(B), Wire())
    save(plan, tmp_path)
    save(other, tmp_path).rename(tmp_path / f"{plan.digest}.json")
    with pytest.raises(PlanStale, match="another one"):
        load(plan.digest, tmp_path)


@pytest.mark.parametrize("digest", ["", "nope", "../../etc/passwd"])
def test_an_unknown_digest_says_what_to_do(tmp_path, digest):
    with pytest.raises(BadParameter, match="mode=plan"):
        load(digest, tmp_path)


def test_what_was_approved_covers_itself():
    plan = plan_of(runbook(A, B), Wire())
    covers(plan, plan)


def test_a_run_that_died_is_continued_under_its_approval():
    approved = plan_of(runbook(A, B, C), Wire())
    fresh = plan_of(runbook(A, B, C), Wire({"one": {"a": "1"}}))
    covers(approved, fresh, journal(approved, "a"))


def test_a_host_that_somebody_else_changed_is_stale():
    approved = plan_of(runbook(A, B), Wire())
    fresh = plan_of(runbook(A, B), Wire({"one": {"a": "1"}}))
    with pytest.raises(PlanStale, match=r"- one: a: None → 1"):
        covers(approved, fresh)


def test_what_is_replaced_now_and_was_not_there_then_is_stale():
    """To write where nothing was is another thing than to write over somebody's own."""
    approved = plan_of(runbook(A), Wire())
    fresh = plan_of(runbook(A), Wire({"one": {"a": "7"}}))
    with pytest.raises(PlanStale, match=r"(?s)\+ one: a: 7 → 1.*in place of: 7"):
        covers(approved, fresh)


def test_a_change_that_was_not_approved_is_stale_and_every_one_is_named():
    approved = plan_of(runbook(A), Wire())
    with pytest.raises(PlanStale, match=r"(?s)\+ one: b.*\+ one: c"):
        covers(approved, plan_of(runbook(A, B, C), Wire()))


def test_a_blocked_plan_covers_nothing():
    approved = plan_of(runbook(A), Wire())
    blocked = replace(approved, blocked="no route", blocked_at="build")
    with pytest.raises(PlanStale, match="build: no route"):
        covers(approved, blocked)


def test_a_plan_that_was_blocked_is_approved_by_nobody():
    whole = plan_of(runbook(A, B), Wire())
    blocked = replace(whole, changes=whole.changes[:1], blocked="no route", blocked_at="build")
    with pytest.raises(PlanStale, match=r"did not get to its end.*\n *build: no route"):
        covers(blocked, whole)


@pytest.mark.parametrize("field", ["runbook", "lab", "lab_digest", "target", "steps"])
def test_a_plan_for_something_else_is_stale(field):
    approved = plan_of(runbook(A), Wire())
    value = ("look",) if field == "steps" else "other"
    with pytest.raises(PlanStale, match="not the one that was planned"):
        covers(approved, replace(approved, **{field: value}))


class TestClearingUp:
    """What our own attempt left, when it was cut off, is cleared away only if it is named."""

    APPROVED = plan_of(runbook(A), Wire())
    HALF = plan_of(runbook(Value("one", "a", "1", destroys=("half of a",))), Wire())

    @pytest.mark.parametrize("outcome", ["unknown", "failed"])
    def test_named_it_is(self, outcome):
        log = journal(self.APPROVED, "a", outcome=outcome)
        found = covers(self.APPROVED, self.HALF, log, destroy=["half of a"])
        assert found.besides == (self.HALF.changes[0].identity,)

    def test_unnamed_it_is_not(self):
        log = journal(self.APPROVED, "a", outcome="unknown")
        with pytest.raises(PlanStale, match=r'allow_destroy=\["half of a"\]'):
            covers(self.APPROVED, self.HALF, log)

    def test_what_we_had_finished_and_somebody_else_makes_now_is_not_ours(self):
        log = journal(self.APPROVED, "a", outcome="done")
        with pytest.raises(PlanStale):
            covers(self.APPROVED, self.HALF, log, destroy=["half of a"])

    def test_only_clearing_away_is_let_through(self):
        """That an attempt of ours failed lets nobody's own be written over."""
        other = plan_of(runbook(A), Wire({"one": {"a": "somebody's own"}}))
        log = journal(self.APPROVED, "a", outcome="failed")
        with pytest.raises(PlanStale, match="in place of: somebody's own"):
            covers(self.APPROVED, other, log, destroy=["half of a"])

    def test_what_we_never_began_is_not_ours(self):
        with pytest.raises(PlanStale):
            covers(self.APPROVED, self.HALF, destroy=["half of a"])


class TestAgain:
    """A restart undid a part of what we had done: the same call replaces something else now."""

    APPROVED = plan_of(runbook(A), Wire({"one": {"a": "7"}}))
    NOTHING_THERE = plan_of(runbook(A), Wire())

    def test_what_was_approved_and_sent_is_sent_again_where_nothing_is_in_its_place(self):
        log = journal(self.APPROVED, "a", outcome="done")
        found = covers(self.APPROVED, self.NOTHING_THERE, log)
        assert found.besides == (self.NOTHING_THERE.changes[0].identity,)

    def test_what_is_done_once_more_is_written_down(self):
        log = journal(self.APPROVED, "a", outcome="done")
        found = covers(self.APPROVED, self.APPROVED, log)
        assert found.besides == (self.APPROVED.changes[0].identity,)

    @pytest.mark.parametrize("destroy", [[], ["a's data"]])
    def test_what_destroys_is_approved_for_once(self, destroy):
        plan = plan_of(runbook(Value("one", "a", "1", destroys=("a's data",))), Wire())
        covers(plan, plan, journal(plan, "a", outcome="failed"), destroy)
        with pytest.raises(PlanStale, match="one: a"):
            covers(plan, plan, journal(plan, "a", outcome="done"), destroy)

    def test_what_was_not_sent_is_not_begun_where_something_went_missing(self):
        with pytest.raises(PlanStale):
            covers(self.APPROVED, self.NOTHING_THERE)

    def test_somebody_elses_is_not_replaced(self):
        log = journal(self.APPROVED, "a", outcome="done")
        with pytest.raises(PlanStale, match="in place of: 8"):
            covers(self.APPROVED, plan_of(runbook(A), Wire({"one": {"a": "8"}})), log)


def test_what_comes_by_itself_of_what_we_began_is_written_down():
    """A VM starts with its host."""
    both = plan_of(runbook(A, Value("one", "a", "2")), Wire())
    approved = replace(both, changes=both.changes)
    fresh = replace(both, changes=())
    found = covers(approved, fresh, journal(replace(both, changes=both.changes[:1]), "a"))
    assert found.gone == (both.changes[1].identity,)


def test_a_machine_that_the_run_made_has_a_key_now():
    plan = plan_of(runbook(A, B), Wire())
    vm = PlannedHost("vm", "192.0.2.5", 22, "ops", "")
    approved = replace(plan, hosts=(*plan.hosts, vm))
    covers(approved, replace(plan, hosts=(*plan.hosts, replace(vm, key="SHA256:new"))))
    with pytest.raises(PlanStale, match="other hosts"):
        covers(approved, replace(plan, hosts=(*plan.hosts, replace(vm, address="192.0.2.6"))))


def test_what_goes_with_a_call_is_part_of_its_identity():
    def planned(call):
        return PlannedChange.of("s", "r", "one", Change("do", call, undo="undo"), Mask())

    token = Secret("env:TOKEN", lambda: "hush-hush")
    a, b = (planned(change("tee", "x", stdin=text)) for text in ("1", "2"))
    assert a.identity != b.identity
    assert (a.content, a.shows) == (f"sha256:{hashlib.sha256(b'1').hexdigest()}", "1")

    def request(**body):
        return planned(Request("any", "POST", "/api/x", "change", body=body, auth=("k", token)))

    long = {f"k{n}": "v" for n in range(200)}
    assert request(a=1).identity != request(a=2).identity
    assert request(**long, z=1).identity != request(**long, z=2).identity, "beyond what is shown"
    hidden = request(a=1, password=token)
    assert hidden.identity != request(a=2, password=token).identity
    assert "hush" not in str(vars(hidden))
    assert "env:TOKEN" in hidden.shows


@pytest.mark.parametrize(
    "other",
    [
        {"step": "other"},
        {"host": "two"},
        {"resource": "value b"},
        {"call": "put a 9"},
        {"content": "sha256:0"},
        {"replaces": "somebody's own"},
        {"destroys": ("pool tank",)},
        {"rollback": "never"},
    ],
)
def test_two_changes_are_the_same_where_all_of_this_is(other):
    planned = plan_of(runbook(A), Wire()).changes[0]
    assert replace(planned, **other).identity != planned.identity
    assert replace(planned, summary="in other words").identity == planned.identity


@pytest.mark.parametrize(
    "digest", ["", "..", "p" * 5000, "p0\0", "../../etc/passwd", "p" + "0" * 16]
)
def test_what_names_no_plan_is_told_so(tmp_path, digest):
    with pytest.raises(BadParameter, match="there is no plan"):
        load(digest, tmp_path)


def test_a_folder_or_a_pipe_under_a_plans_name_is_told_soon(tmp_path):
    name = "p" + "0" * 16
    (tmp_path / f"{name}.json").mkdir()
    with pytest.raises(Unreadable):
        load(name, tmp_path)
    (tmp_path / f"{name}.json").rmdir()
    os.mkfifo(tmp_path / f"{name}.json")
    with pytest.raises(Unreadable, match="a pipe"):
        load(name, tmp_path)
