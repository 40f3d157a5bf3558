"""What only a person can do: the machine looks whether it was done, or asks for its name."""

import pytest

from homelab_lib.errors import StepFailed
from homelab_lib.notebook.ways import in_words_of
from homelab_lib.runbook.step import Check, Manual, Runbook, Step
from homelab_lib.views.cards import step_card
from runbook.toy import Value, Wire, engine, plan_of, run_all


def book(manual: Manual) -> Runbook:
    seat = Step("seat-card", "Seat the card", manual=manual,
                ensure=lambda context: [Value("one", "a", "1")])  # fmt: skip
    return Runbook("toy", "A toy", (seat,))


def seen(context) -> Check:
    there = context.host("one").json("cat", "card") == "seated"
    return Check("the card is there", there, "" if there else "lspci shows none")


def test_what_the_machine_can_tell_is_looked_at():
    wire = Wire()
    wanted = book(Manual("Seat the card in the long slot.", verify=seen))
    with pytest.raises(StepFailed, match=r"(?s)Seat the card.*lspci shows none"):
        engine(wanted, wire).run_step("seat-card")
    assert wire.ran == [], "nothing is built on what is not there"
    wire.hosts["one"] = {"card": "seated"}
    assert engine(wanted, wire).run_step("seat-card").status == "changed"


def test_what_it_can_not_tell_has_to_be_named():
    wire = Wire()
    wanted = book(Manual("Label the cable."))
    plan = plan_of(wanted, wire)  # a rehearsal takes it for done, so that the plan goes on
    with pytest.raises(StepFailed, match=r'confirm=\["seat-card"\]'):
        run_all(wanted, wire, plan=plan)
    assert wire.ran == []
    run_all(wanted, wire, plan=plan, confirm=frozenset({"seat-card"}))
    assert wire.ran == ["one: put a 1"]


@pytest.mark.parametrize(
    ("told", "homelab", "papermill"),
    [
        (
            "mode=plan shows what would mend it",
            "homelab plan shows what would mend it",
            "-p mode plan shows what would mend it",
        ),
        (
            'To carry it out: mode=apply approve="p12"',
            "To carry it out: homelab apply … --approve p12",
            "To carry it out: -p mode apply -p approve p12",
        ),
        ("pcie mode=plane is none", "pcie mode=plane is none", "pcie mode=plane is none"),
    ],
)
def test_a_mode_is_told_as_the_command_has_it(told, homelab, papermill):
    assert in_words_of("homelab", told) == homelab
    assert in_words_of("papermill", told) == papermill


@pytest.mark.parametrize("manual", [Manual("Label."), Manual("Label.", seen, or_confirmed=True)])
def test_who_signs_is_told_all_that_the_next_command_has_to_say(manual):
    wire = Wire()
    wanted = Runbook("toy", "A toy", tuple(Step(name, name, manual=manual) for name in "ab"))
    run = engine(wanted, wire, plan=plan_of(wanted, wire), confirm=frozenset("a"))
    run.run_step("a")
    with pytest.raises(StepFailed) as stopped:
        run.run_step("b")
    assert stopped.value.fix.endswith('again with confirm=["a", "b"]')
    assert in_words_of("homelab", stopped.value.fix).endswith("with --confirm a --confirm b")
    assert in_words_of("papermill", stopped.value.fix).endswith("with -p confirm a,b")


def test_what_the_hosts_deny_nobody_signs_for():
    """A rehearsal alone takes it for done, for what follows; to look is no rehearsal."""
    wanted, wire = book(Manual("Seat the card.", verify=seen, rehearsed=True)), Wire()
    signed = frozenset({"seat-card"})
    [check] = engine(wanted, Wire(), confirm=signed).run_step("seat-card").checks
    assert (check.holds, check.taken) == (True, True)
    plan = plan_of(wanted, wire)
    with pytest.raises(StepFailed, match="lspci shows none") as stopped:
        run_all(wanted, wire, plan=plan, confirm=signed)
    assert "confirm" not in stopped.value.fix
    looked = engine(wanted, wire, mode="verify", confirm=signed).run_step("seat-card")
    assert (looked.status, wire.ran) == ("drift", [])
    assert not looked.checks[0].holds
    wire.hosts["one"] = {"card": "seated"}
    run_all(wanted, wire, plan=plan)
    assert wire.ran == ["one: put a 1"]


def test_what_was_never_signed_for_holds_up_what_stands_on_it():
    """Also where the step itself is left out, and only looked at as something that is needed."""
    signed = Manual("Test the disk.", verify=seen, or_confirmed=True)
    test = Step("test", "Test the disk", manual=signed)
    pool = Step("pool", "Make the pool", needs=("test",),
                ensure=lambda context: [Value("one", "a", "1")])  # fmt: skip
    wanted, wire = Runbook("toy", "A toy", (test, pool)), Wire()
    plan = plan_of(wanted, wire)
    with pytest.raises(StepFailed, match="pool needs test, and that is not in place"):
        engine(wanted, wire, plan=plan).run_step("pool")
    assert wire.ran == []
    agreed = engine(wanted, wire, plan=plan, confirm=frozenset({"test"}))
    assert agreed.run_step("pool").status == "changed"


@pytest.mark.parametrize(("confirm", "sign"), [((), "☐"), (("seat-card",), "✓")])
def test_what_was_taken_for_done_does_not_look_like_what_was_seen(confirm, sign):
    """On a card, and on the page that is made of the record's summary."""
    rehearsal = engine(book(Manual("Label the cable.")), Wire(), confirm=frozenset(confirm))
    outcome = rehearsal.run_step("seat-card")
    shown = step_card(outcome, evidence="rehearsed")
    assert f"{sign} Label the cable." in shown.text
    assert ("✓" in shown.html) == (sign == "✓")
    assert ("taken for done" in shown.text) == (sign == "☐")


def test_what_the_machine_denies_and_a_rehearsal_takes_for_done_says_both():
    test = Step("test", "Test", manual=Manual("Test it.", verify=seen, or_confirmed=True))
    outcome = engine(Runbook("toy", "A toy", (test,)), Wire()).run_step("test")
    shown = step_card(outcome, evidence="rehearsed").text
    assert "☐ the card is there: lspci shows none; taken for done" in shown
