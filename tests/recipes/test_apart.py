"""A machine that is kept apart is looked at from another one, and nobody logs in there."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import apart
from recipes.bench import Bench

LAB = load_lab()


def looked(lab, before=lambda world: None):
    bench = Bench(lab, tuple(apart.looks(lab, {1})), phase=2)
    before(bench.world)
    found = bench.step("apart-pi5", "verify")
    assert found.sent == []
    return {check.title: (check.holds, check.says) for check in found.checks}


def test_what_it_serves_answers_whoever_may_reach_it():
    """By the rule that lets the family's machines there; the servers have none."""
    assert looked(LAB) == {
        "Home Assistant answers on pi5": (True, "asked from desktop"),
        "Frigate NVR answers on pi5": (True, "asked from desktop"),
    }


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda world: world.machines["pi5"].power_off(), "curl: (28)"),
        (lambda world: world.machines["pi5"].listeners.pop(8123), "curl: (7)"),
    ],
)
def test_one_that_is_off_or_serves_no_more_is_told_and_where_to_look(broken, words):
    holds, says = looked(LAB, broken)["Home Assistant answers on pi5"]
    assert not holds
    assert words in says
    assert says.endswith("no runbook mends it")


def test_where_nobody_may_reach_it_that_is_said():
    lab = changed(LAB, ("rules.trusted-iot", None))
    assert {says for _, says in looked(lab).values()} == {
        "not looked at: no machine on which somebody logs in may reach it"
    }
