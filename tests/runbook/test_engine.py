"""The engine's promises, on a toy world where every failure can be had."""

import pytest

from homelab_lib.errors import PlanDiffers, Refused, StepFailed, Unreachable
from homelab_lib.runbook.journal import Journal, intents, read
from homelab_lib.runbook.step import Check, Manual, Runbook, Step
from homelab_lib.secret import Mask
from runbook.toy import Killed, Value, Wire, engine, plan_of, run_all, runbook

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
    assert outcomes == (
        ["unknown", "done", "done"] if fate == "lost before" else ["unknown", "done"]
    )


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
