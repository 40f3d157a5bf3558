""" "Not yet" is not "no": what passes is waited for, and what does not pass is said."""

import threading
from collections import deque
from dataclasses import replace

import pytest

from homelab_lib.errors import (
    AuthenticationRefused,
    NotListening,
    NotYet,
    Stopped,
    TooSlow,
    Unreachable,
    Unseen,
)
from homelab_lib.runbook import busy
from homelab_lib.runbook.busy import LOGIN, NotNow
from homelab_lib.runbook.journal import intents
from homelab_lib.runbook.patience import PATIENCE_S, Patience
from homelab_lib.runbook.resource import Diff
from homelab_lib.runbook.step import Check, Runbook, Step
from homelab_lib.transport.command import Result, change, read
from runbook.toy import Clock, Many, Value, Wire, engine, plan_of, run_all, runbook

A = Value("one", "a", "1")
STARTING = Result(1, "", "toy: starting\n")
LOCKED = Result(100, "", "toy: locked by process 7\n")
LOST = Result(1, "", "toy: leader changed\n")
NOLOGIN = AuthenticationRefused("one does not let us in\n    it says: System is booting up.")


@pytest.fixture(autouse=True)
def table(monkeypatch):
    monkeypatch.setattr(busy, "_answers", {})
    busy.declare("cat, put", NotNow("starting", "the toy is starting"))
    busy.declare("put", NotNow("locked", "somebody else is at it", undone=True))
    busy.declare("put", NotNow("leader changed", "the toy has no leader"))
    busy.declare("cat page", NotNow("404", "there is no route yet", succeeds=True))
    busy.declare(LOGIN, NotNow("booting up", "the system is not up yet", undone=True))


class Scripted:
    """Answers a call with one thing after another; the last one stays."""

    def __init__(self, *answers):
        self.answers = deque(answers)

    def __call__(self):
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def patience() -> Patience:
    return Patience(Clock(), threading.Event())


def ask(patience: Patience, *answers, call=("cat", "a"), host="one") -> Result:
    return patience.ask(host, read(*call), Scripted(*answers))


# Reads ------------------------------------------------------------------------------------------


def test_a_read_is_asked_again_until_there_is_an_answer():
    answer = Result(0, "1", "")
    assert ask(patience(), STARTING, STARTING, answer) is answer


def test_a_failure_that_nobody_has_declared_is_an_answer():
    it = patience()
    broken = Result(1, "", "toy: no such thing\n")
    assert ask(it, broken, Result(0, "", "")) is broken
    assert it.clock.now() == 0


def test_an_answer_from_before_the_time_was_up_is_not_the_last():
    it, answers = patience(), Scripted(STARTING, Result(0, "1", ""))

    def slow():
        it.clock.sleep(2 * PATIENCE_S)  # another host's thread lets time pass meanwhile
        return answers()

    assert it.ask("one", read("cat", "a"), slow).stdout == "1"


@pytest.mark.parametrize("for_s", [0.0, 7.0, 600.0])
def test_when_the_time_is_up_the_last_answer_and_the_time_taken_are_told(for_s):
    it = patience()
    with pytest.raises(NotYet) as caught, it.until(it.clock.now() + for_s):
        ask(it, STARTING)
    assert for_s <= it.clock.now() <= for_s + 5
    assert f"the toy is starting, after {it.clock.now():.0f} s still: toy: starting" in str(
        caught.value
    )


def test_what_was_waited_for_in_vain_is_not_waited_for_by_everyone_who_asks():
    it = patience()
    for _ in range(5):
        with pytest.raises(NotYet):
            ask(it, STARTING)
    assert it.clock.now() < PATIENCE_S + 10
    ask(it, Result(0, "1", ""))
    with pytest.raises(NotYet):
        ask(it, STARTING)
    assert it.clock.now() > 2 * PATIENCE_S, "it had answered in between"


def test_a_page_that_means_not_yet_may_come_with_a_good_status():
    good = Result(0, "hello", "")
    assert ask(patience(), Result(0, "404 page", ""), good, call=("cat", "page")) is good
    other = Result(0, "404 page", "")
    assert ask(patience(), other, call=("cat", "file")) is other


def test_a_login_that_is_refused_while_the_system_boots_is_tried_again():
    good = Result(0, "", "")
    assert ask(patience(), NOLOGIN, NOLOGIN, good) is good
    with pytest.raises(NotYet, match=r"not up yet, after \d+ s still: .*booting up"):
        ask(patience(), NOLOGIN)
    refused = AuthenticationRefused("one does not let us in: it refused every key")
    with pytest.raises(AuthenticationRefused):
        ask(patience(), refused, good)


def test_a_host_that_is_off_is_waited_for_only_after_a_start_of_ours():
    off, good = Unreachable("one can't be reached"), Result(0, "", "")
    it = patience()
    with pytest.raises(Unreachable):
        ask(it, off, good)
    assert it.clock.now() == 0
    it.expect("one")
    assert ask(it, off, NOLOGIN, off, good) is good
    assert it.came_back() == ["one"]
    with pytest.raises(Unreachable):
        ask(it, off, good)
    it.expect("one")
    with pytest.raises(Unreachable, match=r"and did not for \d{3} s"):
        ask(it, off)


def test_a_machine_that_has_just_come_up_may_be_slow():
    """Disks that spin up, pools that are imported: a look takes longer than it has."""
    slow, off = (
        TooSlow("one: no end within 60 s: zpool status"),
        Unreachable("one can't be reached"),
    )
    good = Result(0, "", "")
    it = patience()
    with pytest.raises(TooSlow):
        ask(it, slow, good)
    assert it.clock.now() == 0
    it.expect("one")
    assert ask(it, off, slow, good) is good
    assert ask(it, slow, slow, good) is good, "it has answered once, and is slow all the same"
    with pytest.raises(TooSlow):
        ask(it, slow)
    assert it.clock.now() >= PATIENCE_S
    with pytest.raises(TooSlow):
        ask(it, slow, good)


def test_a_service_that_is_started_anew_is_given_a_minute():
    gone, good = NotListening("127.0.0.1:443 can't be reached through one"), Result(0, "", "")
    it = patience()
    assert ask(it, gone, gone, good) is good
    assert it.came_back() == [], "the machine was there all the time"
    with pytest.raises(Unreachable, match=r"and did not for 6\d s"):
        ask(it, gone)


def test_waiting_ends_when_the_others_have_failed():
    it = patience()
    it.stop.set()
    with pytest.raises(Stopped):
        ask(it, STARTING, Result(0, "", ""))


def test_looks_come_at_once_and_at_the_end_of_the_time():
    it = patience()
    times = [it.clock.now() for _ in it.looks(30.0)]
    assert times[0] == 0
    assert times[-1] == 30
    assert len(list(it.looks(0.0))) == 1


# In a run ---------------------------------------------------------------------------------------


class Busy(Wire):
    """A wire whose reads or changes meet answers that mean "not yet" first."""

    def __init__(self, reads=(), changes=(), *, after=(), **options):
        super().__init__(**options)
        self.reads, self.changes, self.after = deque(reads), deque(changes), deque(after)

    def run(self, host, command):
        queue = self.reads if command.kind == "read" else self.changes
        if queue:
            return queue.popleft()
        result = super().run(host, command)
        if command.kind == "change" and self.after:
            return self.after.popleft()
        return result


def test_a_resource_and_a_check_wait_for_a_host_that_starts():
    def check(context):
        yield Check("it says 1", context.host("one").json("cat", "a") == "1")

    book = Runbook("toy", "A toy", (Step("s", "S", ensure=lambda _: [A], check=check),))
    wire = Busy([STARTING] * 5)
    run_all(book, wire)
    wire.reads.extend([STARTING] * 5)
    run_all(book, wire, mode="verify")
    assert wire.ran == ["one: put a 1"]


def test_a_resource_waits_no_longer_than_it_has():
    wire = Busy([STARTING] * 10_000)
    run = engine(runbook(A), wire)
    with pytest.raises(NotYet, match=r"after 3\d s still"):
        run.run_step("build")
    assert wire.ran == []


def test_a_change_that_was_not_carried_out_is_sent_again_under_the_same_plan():
    book = runbook(A)
    wire = Busy(changes=[LOCKED, LOCKED])
    run = run_all(book, wire, plan=plan_of(book, Wire()))
    assert wire.ran == ["one: put a 1"]
    outcomes = [intent["outcome"] for intent in intents(run.sender.journal.events)]
    assert outcomes == ["failed", "failed", "done"]


def test_a_lock_that_stays_is_named_and_how_long_it_was_waited_for():
    with pytest.raises(NotYet, match=r"somebody else is at it: toy: locked by process 7, after 3"):
        engine(runbook(A), Busy(changes=[LOCKED] * 1000)).run_step("build")


@pytest.mark.parametrize("done", [True, False])
def test_a_change_whose_not_yet_says_nothing_is_settled_by_a_look(done):
    wire = Busy(after=[LOST]) if done else Busy(changes=[LOST])
    run = run_all(runbook(A), wire)
    assert wire.ran == ["one: put a 1"]
    outcomes = [intent["outcome"] for intent in intents(run.sender.journal.events)]
    assert outcomes == (["done"] if done else ["failed", "done"])


@pytest.mark.parametrize("together", [True, False])
def test_a_change_that_meets_a_host_which_lets_nobody_in_yet_is_sent_later(together):
    kind = Many if together else Value
    wanted = [kind("one", key, key) for key in "ab"]
    book = Runbook("toy", "A toy", (Step("s", "S", ensure=lambda _: [wanted]),))
    wire = Wire()
    plain, refusals = wire.run_many if together else wire.run, [NOLOGIN] * 3

    def refuses(host, call):
        reads = not together and call.kind == "read"
        if refusals and not reads:
            raise refusals.pop()
        return plain(host, call)

    setattr(wire, "run_many" if together else "run", refuses)
    run = run_all(book, wire, plan=plan_of(book, Wire()))
    assert wire.ran == ["one: put a a", "one: put b b"]
    outcomes = [intent["outcome"] for intent in intents(run.sender.journal.events)]
    assert outcomes.count("done") == 2
    assert "unknown" not in outcomes


def test_a_change_that_meets_a_host_which_does_not_want_us_ends_the_step():
    refused = AuthenticationRefused("one does not let us in: it refused every key")

    def refuses(number, command):
        raise refused

    with pytest.raises(AuthenticationRefused):
        engine(runbook(A), Wire(fail=refuses)).run_step("build")


@pytest.mark.parametrize("answer", [LOCKED, LOST])
@pytest.mark.parametrize("place", range(3))
def test_of_a_batch_only_what_was_not_done_is_sent_again(answer, place):
    many = [Many("one", key, key) for key in "abc"]
    book = Runbook("toy", "A toy", (Step("s", "S", ensure=lambda _: [many]),))
    wire = Wire()
    sent: list[str] = []
    plain = wire.run

    def run(host, command):
        if command.kind == "change":
            sent.append(command.line)
            if len(sent) == place + 1:
                return answer
        return plain(host, command)

    wire.run = run
    run_all(book, wire, plan=plan_of(book, Wire()))
    assert sorted(wire.ran) == ["one: put a a", "one: put b b", "one: put c c"]


# What is started and was never looked at ---------------------------------------------------------


class Machine(Value):
    """A machine that is off, and whose inside nobody has seen."""

    def diff(self, observed) -> Diff:
        wanted = super().diff(observed)
        starts = {"starts": "two", "unseen": "it was off"}
        return Diff(tuple(replace(change, **starts) for change in wanted.changes))


def test_a_step_ends_where_a_machine_was_started_that_nobody_has_looked_at():
    inside = Value("two", "inside", "1")
    machine = Machine("one", "power", "on")
    book = Runbook("toy", "A toy", (Step("s", "S", ensure=lambda _: [machine, inside]),))
    wire = Wire()
    run = engine(book, wire)
    with pytest.raises(Unseen, match="two: it was off"):
        run.run_step("s")
    assert wire.ran == ["one: put power on"]
    assert run.outcomes["s"].status == "changed"
    run.run_step("s")
    assert wire.ran == ["one: put power on", "two: put inside 1"]


def test_an_answer_that_may_be_a_secret_is_not_told():
    it = patience()
    with pytest.raises(NotYet) as caught, it.until(1.0):
        it.ask(
            "one", read("cat", "a", secret_output=True), lambda: Result(1, "starting 5ecret", "")
        )
    assert "5ecret" not in str(caught.value)


def test_words_that_only_set_the_surroundings_are_passed_over():
    locked = Result(1, "", "locked")
    for words in (("put", "a"), ("env", "A=1", "B=2", "put", "a"), ("/usr/bin/put", "a")):
        assert busy.meaning(change(*words), locked) is not None
    assert busy.meaning(change("runuser", "-u", "x", "--", "put"), locked) is not None
    assert busy.meaning(change("sh", "put"), locked) is None
