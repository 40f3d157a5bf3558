"""A mistake of the twin's own, wherever it is: told aloud as the twin's, and never waited for."""

import json
from dataclasses import replace

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.target import TwinTarget
from homelab_lib.transport.command import change, read
from homelab_lib.transport.reads import declare_service
from homelab_lib.transport.request import Request
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.program import Commands, Reply
from homelab_lib.twin.truenas.jobs import Progress
from homelab_lib.twin.truenas.rpc import METHODS

declare_service("broken", lambda method, path, query: method == "GET")


def broken(*_):
    raise KeyError("the twin's own")


@pytest.fixture
def world():
    world = built(load_lab(), before_phase=2, seed=7)
    world.machines["truenas"].https[443] = broken
    return world


@pytest.fixture
def target(world):
    target = TwinTarget(world.lab, world, allow_changes=True)
    yield target
    target.close()


def work():
    yield Progress(1.0, 10, "")
    broken()


def is_told(result):
    return result.exit_status == 70 and "twin: fault in" in result.stderr


@pytest.mark.parametrize(
    "line", [("frob",), ("sh", "-c", "frob"), ("sh", "-c", "frob | cat; exit $?"), ("env", "frob")]
)
def test_in_a_program(world, target, line):
    programs = Commands()
    programs("frob")(broken)
    programs("late")(lambda machine, call: Reply(takes_s=1, finish=broken))
    world.machines["desktop"].commands.insert(0, programs)
    result = target.link.run("desktop", change(*line))
    assert "twin: fault in frob: KeyError" in result.stderr
    assert result.exit_status == (0 if "| cat" in line[-1] else 70)
    assert is_told(target.link.run("desktop", change("late")))
    assert target.link.run("desktop", read("id", "-un")).ok, "and it goes on"


def test_in_what_is_due_later(world, target):
    assert target.link.run("desktop", read("id", "-un")).ok, "it is logged in"
    world.after(5.0, broken, label="the sky falls")
    world.clock.sleep(10.0)
    told = target.link.run("desktop", read("id", "-un"))
    assert is_told(told)
    assert "the sky falls" in told.stderr
    assert target.link.run("desktop", read("id", "-un")).ok, "it is told once"


def test_in_a_job_of_the_nas(world, target):
    nas = world.machines["truenas"]
    job = nas.jobs.start("pool.create", [], work())
    world.clock.sleep(60.0)
    filters = json.dumps([["id", "=", job.id]])
    [row] = json.loads(
        target.link.run("truenas", read("midclt", "call", "core.get_jobs", filters)).stdout
    )
    assert row["state"] == "FAILED"
    assert row["error"].startswith("twin: fault in pool.create: KeyError")


def test_in_a_job_that_is_waited_for(target, monkeypatch):
    [found] = METHODS["pool.import_find"]
    monkeypatch.setitem(METHODS, "pool.import_find", [replace(found, body=lambda nas: work())])
    assert is_told(target.link.run("truenas", change("midclt", "call", "pool.import_find", "-j")))


def test_in_a_service(target):
    answer = target.link.run("truenas", Request("broken", "GET", "/", "read", timeout_s=10))
    assert answer.exit_status == 500
    assert "twin: fault in truenas: KeyError" in answer.stdout + answer.stderr
