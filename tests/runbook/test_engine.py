"""The engine's promises, on a toy world where every failure can be had."""

import errno
import os
from dataclasses import replace

import pytest

from homelab_lib import durable
from homelab_lib.errors import HomelabError, PlanDiffers, Refused, StepFailed, Unreachable
from homelab_lib.runbook import detached
from homelab_lib.runbook.journal import Journal, intents, read
from homelab_lib.runbook.resource import Change, Diff, Progress, Rollback
from homelab_lib.runbook.step import Check, Manual, Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.transport.command import change
from runbook.toy import Killed, Many, Value, Wire, engine, plan_of, run_all, runbook

A, B = Value("one", "a", "1"), Value("one", "b", "2")
C = Value("two", "c", "3")


def test_a_second_apply_sends_nothing_and_says_so():
    wire = Wire()
    run_all(runbook(A, B, C), wire)
    sent = len(wire.ran)
    again = run_all(runbook(A, B, C), wire)
    assert len(wire.ran) == sent == 3
    assert again.outcomes["build"].status == "already"


def test_verify_is_clean_after_apply_and_sends_nothing():
    wire = Wire()
    run_all(runbook(A, B), wire)
    wire.allow_changes = False
    assert run_all(runbook(A, B), wire, mode="verify").outcomes["build"].status == "already"


def test_verify_names_what_drifted():
    wire = Wire({"one": {"a": "1", "b": "7"}}, allow_changes=False)
    run = engine(runbook(A, B), wire, mode="verify")
    outcome = run.run_step("build")
    assert outcome.status == "drift"
    assert [r.wants for r in outcome.resources] == [[], ["b: 7 → 2"]]


def test_a_change_is_sent_once_though_it_shows_late():
    wire = Wire()
    run = engine(runbook(A), wire)
    wire.late = 5
    run.run_step("build")
    assert wire.ran == ["one: put a 1"]


def test_a_change_that_never_shows_ends_in_a_clear_failure():
    wire = Wire(late=10_000)
    with pytest.raises(StepFailed, match="not as it should be after 30 s"):
        engine(runbook(A), wire).run_step("build")
    assert wire.ran == ["one: put a 1"]


def test_what_is_somebody_elses_stops_the_run():
    wire = Wire({"one": {"b": "foreign"}})
    with pytest.raises(StepFailed, match="somebody else"):
        engine(runbook(A, B), wire).run_step("build")
    assert wire.ran == ["one: put a 1"]


def test_a_failing_command_is_shown_with_its_words_and_its_stderr():
    with pytest.raises(StepFailed, match=r"(?s)status 3.*put bad 1.*bad value"):
        engine(runbook(Value("one", "bad", "1")), Wire()).run_step("build")


def test_a_check_that_does_not_hold_fails_the_step():
    wire = Wire()
    book = runbook(A, holds=False)
    run = engine(book, wire)
    run.run_step("build")
    with pytest.raises(StepFailed, match="the sum is right: it is not"):
        run.run_step("look")


@pytest.mark.parametrize("fate", ["lost before", "lost after"])
def test_a_lost_reply_is_unknown_and_the_host_decides(fate):
    wire = Wire(fail=lambda number, command: fate if not lost.append(1) and len(lost) == 1 else "")
    lost: list[int] = []
    run = run_all(runbook(A, B), wire)
    assert wire.ran == ["one: put a 1", "one: put b 2"]
    outcomes = [i["outcome"] for i in intents(run.sender.journal.events)]
    assert outcomes == (["failed", "done", "done"] if fate == "lost before" else ["done", "done"])


def test_a_host_that_is_down_fails_the_step_and_nothing_is_believed():
    wire = Wire(fail=lambda number, command: "down")
    run = engine(runbook(A), wire)
    with pytest.raises(Unreachable):
        run.run_step("build")
    assert intents(run.sender.journal.events)[0]["outcome"] == "failed"


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fate", ["kill before", "kill after"])
def test_killed_at_any_change_the_same_run_finishes_the_job(tmp_path, number, fate):
    book = runbook(A, B, C)
    wire = Wire()
    approved = plan_of(book, wire)
    file = tmp_path / "journal.jsonl"

    def journal():
        return Journal(file, mask=Mask(), wall=lambda: "now")

    wire.fail = lambda n, command: fate if n == number else ""
    # one lane, so that the order of changes is the same each time
    with pytest.raises(Killed):
        run_all(book, wire, plan=approved, journal=journal())
    assert intents(read(file))[-1]["outcome"] == "unknown"
    wire.fail = lambda n, command: ""
    run_all(book, wire, plan=plan_of(book, wire), journal=journal())
    assert wire.hosts == {"one": {"a": "1", "b": "2"}, "two": {"c": "3"}}
    assert sorted(wire.ran) == sorted(set(wire.ran))
    assert len(wire.ran) == 3


def test_a_slow_host_whose_reply_was_lost_is_sent_nothing_twice():
    wire = Wire()
    wire.fail = lambda number, call: "slow" if not wire.ran and not wire.slow else ""
    run_all(runbook(A), wire)
    assert wire.ran == ["one: put a 1"]


def test_replies_that_are_lost_without_end_stop_the_step():
    wire = Wire(fail=lambda number, call: "lost before")
    with pytest.raises(StepFailed, match="the reply was lost 4 times"):
        engine(runbook(A), wire).run_step("build")


def test_the_next_run_settles_what_this_one_left_unknown(tmp_path):
    book, wire = runbook(A, B), Wire()
    approved = plan_of(book, wire)
    file = tmp_path / "journal.jsonl"

    def journal():
        return Journal(file, mask=Mask(), wall=lambda: "now")

    wire.fail = lambda number, call: "kill after"
    with pytest.raises(Killed):
        run_all(book, wire, plan=approved, journal=journal())
    assert [i["outcome"] for i in intents(read(file))] == ["unknown"]
    wire.fail = lambda number, call: ""
    run_all(book, wire, plan=plan_of(book, wire), journal=journal())
    assert [(i["outcome"], i["summary"]) for i in intents(read(file))] == [
        ("done", "a: None → 1"),
        ("done", "b: None → 2"),
    ]


def test_facts_are_looked_up_anew_after_a_lost_reply():
    """The host may have been restarted, into another release."""
    wire = Wire({"one": {"release": "1"}})
    wire.fail = lambda number, call: "lost after" if number == 0 else ""
    run = engine(runbook(A), wire)
    host = run.host("one")
    assert host.fact("release", lambda h: h.json("cat", "release")) == "1"
    wire.hosts["one"]["release"] = "2"
    assert host.fact("release", lambda h: h.json("cat", "release")) == "1"
    run.run_step("build")
    assert host.fact("release", lambda h: h.json("cat", "release")) == "2"


def test_what_failed_under_an_approval_needs_a_plan_that_has_it(tmp_path):
    """It was mended by hand, so the new plan has nothing for it; then it came undone."""
    wire, journal = Wire(), Journal(None, mask=Mask(), wall=str)
    plan = plan_of(runbook(A), wire)
    wire.fail = lambda number, call: "down"
    with pytest.raises(Unreachable):
        run_all(runbook(A), wire, plan=plan, journal=journal)
    wire.fail = lambda number, call: ""
    with pytest.raises(PlanDiffers, match="did not foretell"):
        run_all(runbook(A), wire, plan=replace(plan, changes=()), journal=journal)
    assert wire.ran == []


def test_a_resource_is_told_what_was_begun_and_did_not_come_about():
    told = {}

    class Asking(Value):
        def observe(self, host):
            told[self.key] = host.begun(self.name)
            return super().observe(host)

    book = runbook(Asking("one", "a", "1"), Asking("one", "b", "2"))
    wire, journal = Wire(), Journal(None, mask=Mask(), wall=str)
    plan = plan_of(book, wire)
    wire.fail = lambda number, call: "down" if number == 1 else ""
    with pytest.raises(Unreachable):
        run_all(book, wire, plan=plan, journal=journal)
    engine(book, wire, mode="verify", journal=journal).run_step("build")
    assert told == {"a": False, "b": True}


class TestKilledWhileTheHostIsAtIt:
    """The process died, and the host goes on with what it was sent."""

    @staticmethod
    def journal(file):
        return Journal(file, mask=Mask(), wall=lambda: "2026-01-01T00:00:00+00:00")

    def killed(self, file, wire, book, fate="kill slow"):
        """The journal as a run leaves it that died at its first change."""
        wire.fail = lambda number, call: fate
        with pytest.raises(Killed):
            run_all(book, wire, plan=plan_of(book, wire), journal=self.journal(file))
        wire.fail = lambda number, call: ""

    def test_the_next_run_waits_for_it_and_sends_nothing_twice(self, tmp_path):
        wire, book, file = Wire(), runbook(A, B), tmp_path / "journal.jsonl"
        self.killed(file, wire, book)
        run_all(book, wire, plan=plan_of(book, wire), journal=self.journal(file))
        assert wire.ran == ["one: put a 1", "one: put b 2"]
        assert [i["outcome"] for i in intents(read(file))] == ["done", "done"]

    def test_what_can_not_be_at_work_any_more_is_not_waited_for(self, tmp_path):
        wire, book, file = Wire(), runbook(A), tmp_path / "journal.jsonl"
        self.killed(file, wire, book, "kill before")
        later = Journal(file, mask=Mask(), wall=lambda: "2026-01-01T01:00:00+00:00")
        run = run_all(book, wire, plan=plan_of(book, wire), journal=later)
        assert run.sender.elapsed_s == 0
        assert [i["outcome"] for i in intents(read(file))] == ["failed", "done"]

    @pytest.mark.parametrize("clock", ["2025-12-01T00:00:00+00:00", "not a time"])
    def test_a_clock_that_tells_nothing_is_no_reason_to_be_quick(self, tmp_path, clock):
        wire, book, file = Wire(), runbook(A), tmp_path / "journal.jsonl"
        self.killed(file, wire, book)
        later = Journal(file, mask=Mask(), wall=lambda: clock)
        run_all(book, wire, plan=plan_of(book, wire), journal=later)
        assert wire.ran == ["one: put a 1"]

    def test_somebody_elses_in_the_place_does_not_make_it_done(self, tmp_path):
        wire, book, file = Wire(), runbook(A), tmp_path / "journal.jsonl"
        plan = plan_of(book, wire)
        self.killed(file, wire, book, "kill before")
        wire.hosts["one"] = {"a": "foreign"}
        with pytest.raises(StepFailed, match="somebody else"):
            run_all(book, wire, plan=plan, journal=self.journal(file))
        assert [i["outcome"] for i in intents(read(file))] == ["unknown"]


def test_somebody_elses_in_the_place_does_not_make_a_lost_change_done():
    def fate(number, call):
        wire.hosts["one"]["a"] = "foreign"
        return "lost before"

    wire = Wire(fail=fate)
    run = engine(runbook(A), wire)
    with pytest.raises(StepFailed, match="somebody else"):
        run.run_step("build")
    journal = run.sender.journal
    assert [i["outcome"] for i in intents(journal.events)] == ["unknown"]
    assert not journal.made("one", A.name)


class Making(Value):
    """Takes a while to be there, and says so; what was begun and is not at work is a ruin."""

    def diff(self, observed) -> Diff:
        if observed == "being made":
            return Diff(waiting="it is being made")
        return super().diff(observed)


def test_what_is_being_made_is_not_done_before_it_is_there(tmp_path):
    """Till then it is ours to clear away, should it come to nothing."""
    resource = Making("one", "a", "1")
    wire, book = Wire(), runbook(resource)
    journal = Journal(None, mask=Mask(), wall=str)
    plan = plan_of(book, wire)
    wire.fail = lambda number, call: "kill before"
    with pytest.raises(Killed):
        run_all(book, wire, plan=plan, journal=journal)
    wire.hosts["one"] = {"a": "being made"}
    with pytest.raises(StepFailed, match="it is being made"):
        run_all(book, wire, plan=replace(plan, changes=()), journal=journal)
    assert journal.begun("one", resource.name)
    wire.hosts["one"] = {"a": "1"}
    run_all(book, wire, plan=replace(plan, changes=()), journal=journal)
    assert not journal.begun("one", resource.name)
    assert [i["outcome"] for i in intents(journal.events)] == ["done"]


class Slow(Value):
    """Made by work that goes on without us."""

    def diff(self, observed) -> Diff:
        changes = super().diff(observed).changes
        return Diff(tuple(replace(change, detached=True) for change in changes))


def test_work_that_goes_on_without_us_is_gone_on_with_under_its_first_intent(monkeypatch):
    """Begun once, it stands in the journal once."""
    resumed = []

    def run(link, host, command, *, resume, **rest):
        resumed.append(resume)
        return link.run(host, command)

    monkeypatch.setattr(detached, "run", run)
    wire, book = Wire(), runbook(Slow("one", "a", "1"))
    journal = Journal(None, mask=Mask(), wall=str)
    plan = plan_of(book, wire)
    resumed.clear()
    wire.fail = lambda number, call: "kill before"
    with pytest.raises(Killed):
        run_all(book, wire, plan=plan, journal=journal)
    wire.fail = lambda number, call: ""
    run = run_all(book, wire, plan=plan, journal=journal)
    assert resumed == [False, True]
    assert [i["outcome"] for i in intents(journal.events)] == ["done"]
    assert run.sender.elapsed_s == 0


class TestTogether:
    """Plain changes of resources that don't concern each other go in one round trip."""

    MANY = tuple(Many("one", f"k{n}", str(n)) for n in range(5))

    def book(self) -> Runbook:
        return Runbook("toy", "A toy", (Step("build", "B", ensure=lambda c: [list(self.MANY)]),))

    def test_one_trip_with_an_intent_and_a_result_for_each(self):
        wire = Wire()
        run = run_all(self.book(), wire)
        assert wire.trips == 1
        assert wire.hosts["one"] == {f"k{n}": str(n) for n in range(5)}
        found = intents(run.sender.journal.events)
        assert [i["outcome"] for i in found] == ["done"] * 5
        assert len({i["id"] for i in found}) == 5

    def test_every_intent_is_on_the_disk_before_anything_is_sent(self, tmp_path):
        file = tmp_path / "journal.jsonl"
        seen = []
        wire = Wire(fail=lambda number, call: seen.append(len(intents(read(file)))) or "")
        journal = Journal(file, mask=Mask(), wall=lambda: "now")
        run_all(self.book(), wire, journal=journal)
        assert seen == [5] * 5

    def test_a_lost_trip_leaves_each_of_them_unknown_and_the_host_decides(self):
        wire = Wire(fail=lambda number, call: "lost after" if number == 2 and not lost else "")
        lost: list[int] = []
        events = []

        def watch(number, call):
            if number == 2 and not lost:
                lost.append(1)
                return "lost after"
            return ""

        wire.fail = watch
        run = run_all(self.book(), wire)
        events = [e for e in run.sender.journal.events if e["kind"] == "result"]
        assert [e["outcome"] for e in events[:5]] == ["done", "done", *["unknown"] * 3]
        assert sorted(wire.ran) == sorted(set(wire.ran)), "nothing was sent twice"
        assert len(wire.ran) == 5
        outcomes = {i["summary"]: i["outcome"] for i in intents(run.sender.journal.events)}
        assert set(outcomes.values()) == {"done"}

    def test_a_lost_trip_is_waited_for_once_and_not_for_each(self):
        fates = iter(["lost before"])
        wire = Wire(fail=lambda number, call: next(fates, ""))
        run = run_all(self.book(), wire)
        assert run.sender.elapsed_s < 2 * change("put").timeout_s
        assert len(wire.ran) == 5

    def test_all_that_a_lost_trip_held_for_a_resource_is_settled(self, tmp_path):
        """One resource may want several changes at once."""
        pair = Pair("one", "k", "1")
        book = Runbook(
            "toy", "A toy", (Step("build", "B", ensure=lambda c: [[pair, self.MANY[0]]]),)
        )
        wire, journal = Wire(), Journal(None, mask=Mask(), wall=str)
        plan = plan_of(book, wire)
        wire.fail = lambda number, call: "kill after" if number == 2 else ""
        with pytest.raises(Killed):
            run_all(book, wire, plan=plan, journal=journal)
        wire.fail = lambda number, call: ""
        run_all(book, wire, plan=plan_of(book, wire), journal=journal)
        assert [i["outcome"] for i in intents(journal.events)] == ["done"] * 3
        assert len(wire.ran) == 3

    def test_one_that_fails_stops_those_after_it(self):
        bad = (*self.MANY[:2], Many("one", "bad", "1"), *self.MANY[2:])
        book = Runbook("toy", "A toy", (Step("build", "B", ensure=lambda c: [list(bad)]),))
        wire = Wire()
        run = engine(book, wire)
        with pytest.raises(StepFailed, match="bad value"):
            run.run_step("build")
        outcomes = [i["outcome"] for i in intents(run.sender.journal.events)]
        assert outcomes == ["done", "done", "failed", "failed", "failed", "failed"]
        assert wire.hosts["one"] == {"k0": "0", "k1": "1"}

    def test_killed_in_the_midst_the_same_run_finishes_the_job(self, tmp_path):
        file = tmp_path / "journal.jsonl"
        wire = Wire()
        approved = plan_of(self.book(), wire)
        wire.fail = lambda number, call: "kill after" if number == 2 else ""
        with pytest.raises(Killed):
            run_all(self.book(), wire, plan=approved,
                    journal=Journal(file, mask=Mask(), wall=str))  # fmt: skip
        assert [i["outcome"] for i in intents(read(file))] == ["unknown"] * 5
        wire.fail = lambda number, call: ""
        run_all(self.book(), wire, plan=plan_of(self.book(), wire),
                journal=Journal(file, mask=Mask(), wall=str))  # fmt: skip
        assert len(wire.ran) == len(set(wire.ran)) == 5
        assert {i["outcome"] for i in intents(read(file))} == {"done", "failed"}


class Pair(Many):
    """Wants two changes at once."""

    def observe(self, host):
        return [host.json("cat", key) for key in (self.key, f"{self.key}-also")]

    def diff(self, observed) -> Diff:
        puts = [change("put", key, self.value) for key in (self.key, f"{self.key}-also")]
        wanting = zip(puts, observed, strict=True)
        own = [call for call, there in wanting if there != self.value]
        return Diff(tuple(Change(call.line, call, undo="put it back") for call in own))


def test_all_that_is_somebody_elses_is_named_before_anything_is_sent():
    wire = Wire({"one": {"b": "foreign"}, "two": {"c": "foreign"}})
    book = Runbook("toy", "A toy", (Step("build", "Build", ensure=lambda c: [[A, B, C]]),))
    with pytest.raises(StepFailed, match=r"(?s)b belongs to.*c belongs to"):
        engine(book, wire).run_step("build")
    assert wire.ran == []


def test_what_stands_in_the_place_is_part_of_what_was_approved():
    wire = Wire()
    approved = plan_of(runbook(A), wire)
    wire.hosts["one"] = {"a": "somebody's own"}
    with pytest.raises(PlanDiffers, match=r"(?s)in place of: somebody's own.*plan: a: None → 1"):
        run_all(runbook(A), wire, plan=approved)
    assert wire.ran == []


def test_a_failure_earlier_under_this_approval_lets_nothing_else_through(tmp_path):
    """Only the very change that was planned, sent, and came to nothing is sent again."""
    wire = Wire()
    journal = Journal(None, mask=Mask(), wall=str)
    approved = plan_of(runbook(A), wire)
    wire.fail = lambda number, call: "down"
    with pytest.raises(Unreachable):
        run_all(runbook(A), wire, plan=approved, journal=journal)
    wire.fail = lambda number, call: ""
    other = Value("one", "a", "9")
    with pytest.raises(PlanDiffers):
        run_all(runbook(other), wire, plan=approved, journal=journal)
    assert wire.ran == []
    run_all(runbook(A), wire, plan=approved, journal=journal)
    assert wire.ran == ["one: put a 1"]


@pytest.mark.parametrize("mode", ["apply", "verify"])
def test_a_key_is_pinned_only_for_a_machine_that_this_very_run_made(mode):
    told = []

    def ensure(context):
        yield A
        context.trust("one", "ssh-ed25519 AAAA", A)

    book = Runbook("toy", "A toy", (Step("build", "Build", ensure=ensure),))

    def trust(name, key, made):
        told.append(made)

    engine(book, Wire(), trust=trust).run_step("build")
    there = Wire({"one": {"a": "1"}})
    engine(book, there, mode=mode, trust=trust).run_step("build")
    assert told == [True, False]


class TestRollback:
    """A change to the path by which we came is undone by the host, unless it leaves us a way."""

    class Path(Value):
        def diff(self, observed):
            if observed == self.value:
                return Diff()
            rollback = Rollback(
                arm=change("put", "timer", "armed"),
                armed=lambda host: host.json("cat", "timer") == "armed",
                confirm=change("put", "timer", "off"),
                within_s=60.0,
            )
            put = change("put", self.key, self.value)
            return Diff((Change("change the path", put, rollback=rollback, undo="its timer"),))

    BOOK = runbook(Path("one", "path", "new"))

    def test_armed_then_sent_then_confirmed(self):
        wire = Wire()
        run_all(self.BOOK, wire)
        puts = ["put timer armed", "put path new", "put timer off"]
        assert wire.ran == [f"one: {put}" for put in puts]

    def test_a_timer_that_is_not_seen_armed_lets_nothing_be_sent(self):
        wire = Wire(fail=lambda number, call: "lie" if call.argv[1] == "timer" else "")
        with pytest.raises(StepFailed, match="could not be armed"):
            run_all(self.BOOK, wire)
        assert not any("path" in each for each in wire.ran)

    def test_a_timer_that_may_have_run_out_meanwhile_lets_nothing_be_sent(self):
        """Who stops us for hours (Ctrl-Z) after the timer was seen armed, and lets us go on."""
        wire = Wire()
        run = engine(self.BOOK, wire)

        def stopped(number, call):
            run.sender.clock.sleep(3600.0)
            return ""

        wire.fail = stopped
        with pytest.raises(StepFailed, match="armed 3600 s ago and may have run out"):
            run.run_step("build")
        assert wire.ran == ["one: put timer armed"]

    def test_a_link_that_drops_is_no_matter_where_the_way_back_is_open(self):
        wire = Wire(fail=lambda number, call: "lost after" if call.argv[1] == "path" else "")
        run_all(self.BOOK, wire)
        assert wire.ran[-1] == "one: put timer off"

    def test_where_there_is_no_way_back_nothing_is_confirmed_and_it_is_said(self):
        wire = Wire(cut_off=True)
        with pytest.raises(StepFailed, match="it undoes that by itself"):
            run_all(self.BOOK, wire)
        assert "one: put timer off" not in wire.ran

    def test_it_stands_in_the_plan(self):
        assert "put timer armed" in plan_of(self.BOOK, Wire()).changes[0].rollback


def test_what_was_not_foretold_is_not_sent():
    wire = Wire()
    approved = plan_of(runbook(A), wire)
    with pytest.raises(PlanDiffers, match=r"(?s)b: None → 2.*plan: nothing more"):
        run_all(runbook(A, B), wire, plan=approved)
    assert wire.ran == ["one: put a 1"]


def test_what_was_foretold_and_not_needed_stops_the_run():
    wire = Wire()
    approved = plan_of(runbook(A, B), wire)
    wire.hosts["one"] = {"b": "2"}  # somebody else was faster
    with pytest.raises(PlanDiffers, match="did not need"):
        engine(runbook(A, B), wire, plan=approved).run_step("build")


def test_nothing_is_destroyed_that_is_not_named():
    book = runbook(Value("one", "a", "1", destroys=("pool tank",)))
    wire = Wire()
    approved = plan_of(book, wire)
    assert approved.changes[0].destroys == ("pool tank",)
    with pytest.raises(Refused, match="would destroy pool tank"):
        run_all(book, wire, plan=approved)
    assert wire.ran == []
    run_all(book, wire, plan=approved, allow_destroy=frozenset({"pool tank"}))
    assert wire.ran == ["one: put a 1"]


def test_a_step_left_out_has_to_be_in_place_already():
    wire = Wire()
    with pytest.raises(StepFailed, match="needs build, and that is not in place"):
        engine(runbook(A), wire).run_step("look")
    assert wire.ran == []
    wire.hosts["one"] = {"a": "1"}
    assert engine(runbook(A), wire).run_step("look").status == "already"


def test_hosts_are_worked_on_side_by_side_and_a_failure_stops_the_others():
    bad = Value("one", "bad", "1")
    many = [Value("two", f"k{i}", "1") for i in range(200)]
    book = Runbook("toy", "A toy", (Step("build", "Build", ensure=lambda c: [[bad, *many]]),))
    wire = Wire()
    with pytest.raises(StepFailed, match="bad value"):
        engine(book, wire).run_step("build")


def test_where_one_host_fails_the_others_finish_what_they_are_at_and_no_more():
    first, second = Value("two", "c", "3"), Value("two", "d", "4")
    book = Runbook("toy", "A toy", (Step("b", "B", ensure=lambda c: [[A, first, second]]),))
    run = engine(book, Wire())

    def fail(number, call):
        if call.argv[1] == "a":
            return "down"
        assert run.sender.stop.wait(5), "nobody was told"
        return ""

    run.sender.link.fail = fail
    with pytest.raises(Unreachable, match="one is down"):
        run.run_step("b")
    assert run.sender.link.ran in ([], ["two: put c 3"])


def test_a_generator_may_look_at_what_it_has_just_ensured():
    seen = []

    def ensure(context):
        yield A
        seen.append(context.host("one").json("cat", "a"))

    book = Runbook("toy", "A toy", (Step("build", "Build", ensure=ensure),))
    run_all(book, Wire())
    assert seen == ["1"]


class TestManual:
    def book(self, verify=None) -> Runbook:
        step = Step("seat", "Seat the card", manual=Manual("put the card in", verify))
        return Runbook("toy", "A toy", (step,))

    def test_asks_for_a_named_confirmation(self):
        wire = Wire()
        plan = plan_of(self.book(), wire)
        with pytest.raises(StepFailed, match=r'(?s)put the card in.*confirm=\["seat"\]'):
            run_all(self.book(), wire, plan=plan)
        run_all(self.book(), wire, plan=plan, confirm=frozenset({"seat"}))

    def test_verifies_itself_where_the_machine_can_tell(self):
        wire = Wire()

        def seen(context):
            return Check("card seen", context.host("one").json("cat", "card") == "in", "no card")

        with pytest.raises(StepFailed, match=r"(?s)put the card in.*no card"):
            run_all(self.book(seen), wire)
        wire.hosts["one"]["card"] = "in"
        run_all(self.book(seen), wire)


def test_a_runbook_can_not_need_what_comes_later():
    with pytest.raises(ValueError, match="later"):
        Runbook("toy", "A toy", (Step("a", "A", needs=("b",)), Step("b", "B")))


def test_a_check_that_does_not_hold_is_drift():
    wire = Wire({"one": {"a": "1"}})
    found = [run_all(runbook(A, holds=holds), wire, mode="verify") for holds in (True, False)]
    assert [run.outcomes["look"].status for run in found] == ["already", "drift"]


def test_a_secret_on_a_command_line_is_not_sent():
    """It would stand in every process list."""
    wire = Wire()
    run = engine(runbook(Value("one", "a", "hush-hush-9")), wire)
    run.sender.mask.learn(["hush-hush-9"])
    with pytest.raises(Refused, match="on a command line") as refused:
        run.run_step("build")
    assert wire.ran == []
    assert "hush" not in str(refused.value)


def test_an_appliances_work_that_can_not_be_asked_after_for_a_while_goes_on():
    asked = []

    def follow(host, answer):
        asked.append(answer)
        if len(asked) < 4:
            raise Unreachable("one can't be reached")
        return Progress(done=True)

    class Followed(Value):
        def diff(self, observed) -> Diff:
            changes = super().diff(observed).changes
            return Diff(tuple(replace(change, follow=follow) for change in changes))

    wire = Wire()
    run = run_all(runbook(Followed("one", "a", "1")), wire)
    assert len(asked) == 4
    assert wire.ran == ["one: put a 1"]
    assert [i["outcome"] for i in intents(run.sender.journal.events)] == ["done"]


def test_what_failed_was_not_made():
    """Whose key is pinned hangs on it."""
    wire = Wire(fail=lambda number, call: "down")
    run = engine(runbook(A), wire)
    with pytest.raises(Unreachable):
        run.run_step("build")
    assert not run.sender.journal.made("one", A.name)


def test_a_step_whose_begin_finds_no_room_has_failed(tmp_path, monkeypatch):
    """What asks for its outcome then must find one."""
    journal = Journal(tmp_path / "journal.jsonl", mask=Mask(), wall=lambda: "now")
    run = engine(runbook(A), Wire(), journal=journal)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "append", full)
    with pytest.raises(HomelabError, match="No space left"):
        run.run_step("build")
    assert run.outcomes["build"].status == "failed"


@pytest.mark.parametrize("torn", [False, True])
def test_whenever_the_disk_is_full_the_same_run_finishes_the_job_once_there_is_room(tmp_path, torn):
    """At each write of the journal in turn; half a line may be on the disk, and stay there."""
    book = runbook(A, B)
    append, full_at = durable.append, 0
    for full_at in range(40):
        wire, file = Wire(), tmp_path / f"{full_at}.jsonl"
        left = iter(range(full_at, -1, -1))

        def room(path, raw, left=left):
            if next(left, 0):
                append(path, raw)
                return
            if torn:
                with path.open("ab") as stream:
                    stream.write(raw[: len(raw) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def journal(file=file):
            return Journal(file, mask=Mask(), wall=lambda: "now")

        approved = plan_of(book, wire)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(durable, "append", room)
            try:
                run_all(book, wire, plan=approved, journal=journal())
                break
            except HomelabError as error:
                said = str(error)
        assert "No space left" in said
        assert "make room" in said
        run_all(book, wire, plan=plan_of(book, wire), journal=journal())
        assert wire.hosts == {"one": {"a": "1", "b": "2"}}
        assert sorted(wire.ran) == ["one: put a 1", "one: put b 2"]
    assert full_at > 5, "it was full at each of its writes"
