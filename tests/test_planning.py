"""How a plan comes about: what a rehearsal leaves, and how long restarting hosts are waited for."""

import math
from types import SimpleNamespace

import pytest

from homelab_lib.errors import HostKeyRefused, Unreachable
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.step import Check, Runbook, Step
from homelab_lib.secret import Mask, resolve
from homelab_lib.session import planning
from homelab_lib.session.planning import Undertaking
from homelab_lib.transport.command import Result
from runbook.toy import HOSTS, Clock, Value, Wire, engine, runbook

SECRET = "hunter2-hunter2"


class Restarting:
    """Hosts that are back at a moment [s]; a host that is not named is there."""

    def __init__(self, clock, back_s, error=Unreachable):
        self.clock, self.back_s, self.error = clock, back_s, error
        self.asked = []

    def run(self, host, call):
        assert call.kind == "read"
        self.asked.append(host)
        if self.clock.now() < self.back_s.get(host, 0.0):
            raise self.error(f"{host} is down")
        return Result(0, "", "")


def journal_of(*hosts):
    """The journal of a run that sent something to each host."""
    journal = Journal(None, mask=Mask(), wall=lambda: "then")
    engine(runbook(*(Value(host, "a", "1") for host in hosts)), Wire(), journal=journal).run_step(
        "build"
    )
    return journal


def undertaking(book=None, *, target=None, journal=None, mask=None):
    lab = SimpleNamespace(name="toy", digest="0", vms={})
    journal = journal or Journal(None, mask=Mask(), wall=lambda: "then")
    return Undertaking(lab, book, target, journal, mask or Mask(), frozenset(), frozenset())


# Hosts that restart ------------------------------------------------------------------------------


def waited(back_s, *hosts, error=Unreachable):
    """What was said, how long it took [s], and who was asked."""
    clock, said = Clock(), []
    link = Restarting(clock, back_s, error)
    target = SimpleNamespace(clock=clock, link=link)
    undertaking(target=target, journal=journal_of(*hosts)).await_hosts(said.append)
    return said, clock.now(), link.asked


def test_a_host_that_restarts_is_waited_for_and_that_is_said_once():
    said, took_s, asked = waited({"one": 42.0}, "one", "two")
    assert said == ["waiting for one to come back, 300 s at the most"]
    assert 42.0 <= took_s < 60.0
    assert asked[-2:] == ["one", "two"]


def test_hosts_that_are_there_cost_one_look_each():
    assert waited({}, "one", "two") == ([], 0.0, ["one", "two"])


def test_hosts_that_stay_away_are_given_five_minutes_in_all():
    said, took_s, _ = waited({"one": math.inf, "two": math.inf}, "one", "two")
    assert said[0].startswith("waiting for one")
    assert 300.0 <= took_s < 310.0


def test_who_was_sent_nothing_is_not_waited_for():
    assert waited({"one": math.inf}, "two") == ([], 0.0, ["two"])


def test_a_stranger_in_its_place_is_not_waited_for():
    with pytest.raises(HostKeyRefused):
        waited({"one": math.inf}, "one", error=HostKeyRefused)


# Rehearsal ---------------------------------------------------------------------------------------


def rehearsed(monkeypatch, book, hosts, mask):
    """The plan for `hosts`, and the run's journal."""
    closed = []
    twin = SimpleNamespace(
        name="twin",
        link=Wire(hosts),
        clock=Clock(),
        trust=lambda name, key, made: None,
        locate=lambda name, address: None,
        unknown_releases=dict,
        rests_on=lambda host, call: "guessed",
        close=lambda: closed.append(True),
    )
    monkeypatch.setattr(planning, "rehearsal", lambda target, public_key, note: twin)
    target = SimpleNamespace(
        name="ssh",
        seal=str,
        secret=resolve,
        hosts=lambda: HOSTS,
        public_key=lambda name: "key",
    )
    work = undertaking(book, target=target, mask=mask)
    plan = work.rehearse(book.names)
    assert closed == [True]
    return plan, work.journal


def test_a_rehearsal_leaves_nothing_in_the_journal_of_the_run(monkeypatch):
    plan, journal = rehearsed(monkeypatch, runbook(Value("one", "a", "1")), {}, Mask())
    assert [change.call for change in plan.changes] == ["put a 1"]
    assert journal.events == []
    assert journal.hosts() == []


def test_why_a_plan_is_blocked_holds_no_secret(monkeypatch):
    mask = Mask()
    mask.learn([SECRET])
    book = runbook(Value("one", SECRET, "1"))
    plan, _ = rehearsed(monkeypatch, book, {"one": {SECRET: "foreign"}}, mask)
    assert (plan.blocked_at, plan.changes) == ("build", ())
    assert "belongs to somebody else" in plan.blocked
    assert SECRET not in plan.to_json()


def test_what_a_plan_says_of_its_checks_holds_no_secret(monkeypatch):
    def check(context):
        yield Check(f"{SECRET} opens the door", True)

    mask = Mask()
    mask.learn([SECRET])
    book = Runbook("toy", "A toy", (Step("look", "Look", check=check),))
    plan, _ = rehearsed(monkeypatch, book, {}, mask)
    [said] = plan.checks
    assert said.startswith("look: ")
    assert said.endswith("opens the door")
    assert SECRET not in said
