"""What nobody foresaw in a host's answer is one line, and no traceback."""

from dataclasses import dataclass

import pytest

from homelab_lib.errors import NotUnderstood
from homelab_lib.runbook.step import Check, Runbook, Step
from runbook import toy


@dataclass(frozen=True)
class Careless(toy.Value):
    """Takes for granted that the value is a mapping."""

    def observe(self, host):
        return super().observe(host)["name"]


@dataclass(frozen=True)
class Hasty(toy.Value):
    """Takes for granted that the value is a number."""

    def diff(self, observed):
        return super().diff(str(int(observed)))


@pytest.mark.parametrize(
    ("resource", "met"),
    [(Careless("two", "a", "1"), "TypeError"), (Hasty("two", "a", "1"), "ValueError")],
)
@pytest.mark.parametrize("mode", ["apply", "verify"])
def test_a_reader_that_meets_what_it_did_not_expect_names_host_and_command(resource, met, mode):
    wire = toy.Wire({"one": {"a": "1"}, "two": {"a": "x"}})
    book = toy.runbook(toy.Value("one", "a", "1"), resource)
    run = toy.engine(book, wire, mode=mode)
    with pytest.raises(NotUnderstood, match=rf"two answers otherwise .* met {met}") as caught:
        run.run_step("build")
    assert caught.value.where == "two: cat a"
    assert run.outcomes["build"].status == "failed"
    assert wire.ran == []


def test_so_does_a_check():
    def check(context):
        yield Check("the sum is right", context.host("one").json("cat", "a")["sum"] == 7)

    wire = toy.Wire({"one": {"a": "x"}})
    run = toy.engine(Runbook("toy", "A toy", (Step("look", "Look", check=check),)), wire)
    with pytest.raises(NotUnderstood, match="one answers otherwise"):
        run.run_step("look")


def test_a_fault_of_ours_in_which_no_host_had_a_part_stays_one():
    def check(context):
        yield Check("never", {}["mine"])

    run = toy.engine(Runbook("toy", "A toy", (Step("look", "Look", check=check),)), toy.Wire())
    with pytest.raises(KeyError):
        run.run_step("look")
