"""A firewall on its twin: cut off in the middle of each change to the way by which we come, then
made, left alone, and put back where it drifts."""

from collections.abc import Iterator
from typing import Any

import pytest

from homelab_lib.control.opnsense.revert import WITHIN_S
from homelab_lib.errors import StepFailed
from homelab_lib.transport.command import read
from homelab_lib.twin.opnsense.config import PLACE, written
from recipes.firewall_box import Box, wide

pytestmark = pytest.mark.long

RELEASES = ("26.7", "26.1")


def why_stopped(box: Box, name: str) -> str:
    """What a step says that can't come back in; empty where it has no need to."""
    try:
        with box.cut_off():
            box.run(name)
    except StepFailed as error:
        return str(error)
    return ""


@pytest.fixture(scope="module", params=RELEASES)
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """All of it made; in each step that the way to the firewall depends on we were cut off first,
    and waited for the firewall to take it back."""
    box = Box(request.param)
    box.watch()
    try:
        for name in box.book.names:
            before = box.config
            if said := why_stopped(box, name):
                assert "was not reached any more" in said
                box.cut.append(name)
                assert box.config != before
                box.target.clock.sleep(WITHIN_S)
                assert box.config == before, f"{name} was not taken back"
                (outcome,) = box.run(name)
                assert any(sent.planned.rollback for sent in outcome.sent)
        yield box
    finally:
        box.target.close()


def test_no_way_in_is_changed_without_a_timer(box: Box) -> None:
    assert box.unguarded == []
    # That it was looked for at all: rules, devices and inspection have come to be in force.
    assert {"interfaces", "rules", "prevention"} <= set(box.cut)


def test_a_plan_says_what_no_undo_takes_away_and_the_last_way_in() -> None:
    box = Box("26.7")
    try:
        box.run("firewall-key")
        (outcome,) = box.run("vlans")
    finally:
        box.target.close()
    (guarded,) = [sent.planned for sent in outcome.sent if sent.planned.rollback]
    assert "unless we confirm; the firewall's console is the last way" in guarded.undo
    assert guarded.undo.endswith("the device of a VLAN that was made stays until a reboot")


def test_made_once_and_left_alone(box: Box) -> None:
    again = box.run()
    assert [(o.step, [s.summary for s in o.sent]) for o in again if o.sent] == []
    assert {o.status for o in box.run(mode="verify")} == {"already"}


def test_whoever_reads_the_configuration_leaves_it_as_it_is(box: Box) -> None:
    """All who only read it have the same one."""
    machine = box.target.world.machines["firewall"]
    box.run(mode="verify")
    assert written(machine.config.read()) == machine.files.text(PLACE)


def test_what_is_there_says_so(box: Box) -> None:
    (outcome,) = box.run("rules", mode="verify")
    assert all(check.holds for check in outcome.checks)
    titles = " / ".join(check.title for check in outcome.checks)
    for words in ("in force", "locking oneself out", "from trusted passes what the lab says",
                  "no VM of homelab reaches anybody in trusted", "in iot"):  # fmt: skip
        assert words in titles


def test_what_drifts_is_put_back_and_what_is_not_ours_stays(box: Box) -> None:
    mine = next(row for row in box.rules() if row["description"].startswith("trusted-iot;"))
    box.post(f"firewall/filter/toggleRule/{mine['uuid']}/0")
    theirs = {"description": "mine", "interface": "opt1", "action": "block", "sequence": "5000"}
    box.post("firewall/filter/addRule", {"rule": theirs})
    (outcome,) = box.run("rules", mode="verify")
    assert outcome.status == "drift"
    (outcome,) = box.run("rules")
    assert [sent.summary.partition(" ")[0] for sent in outcome.sent] == [
        "lay", "change", "load", "put", "all",
    ]  # fmt: skip
    assert outcome.sent[1].planned.replaces == 'enabled "0"'
    assert "mine" in [row["description"] for row in box.rules()]


def test_somebody_s_rule_that_opens_what_the_lab_closes_is_found(box: Box) -> None:
    """It stands before ours, so that ours are moved before it; then nothing passes by it."""
    theirs = {"description": "open", "interface": "opt2", "action": "pass", "sequence": "1"}
    box.post("firewall/filter/addRule", {"rule": theirs})
    (outcome,) = box.run("rules", mode="verify")
    assert outcome.status == "drift"
    (outcome,) = box.run("rules")
    order = [row["description"].partition(";")[0] for row in box.rules()]
    assert order.index("refuse iot") < order.index("open")
    assert order.index("iot-internet tcp/80") < order.index("refuse iot")
    moved = [sent for sent in outcome.sent if sent.summary.startswith("move")]
    assert any("may renumber 'open'" in sent.planned.replaces for sent in moved)
    assert all(check.holds for check in outcome.checks)


def test_what_was_written_and_not_applied_is_applied_by_the_next_run(box: Box) -> None:
    mine = next(row for row in box.rules() if row["description"].startswith("trusted-iot;"))
    box.post(f"firewall/filter/toggleRule/{mine['uuid']}/0")
    box.target.world.faults.arm("fail", "firewall/alias/reconfigure", machine="firewall")
    with pytest.raises(StepFailed):
        box.run("rules")
    (outcome,) = box.run("rules")
    assert [sent.summary for sent in outcome.sent] == [
        "load the aliases",
        "put the rules in force",
        "all of rules is applied",
    ]


CONFIRMS = "it has been undone already"


@pytest.mark.parametrize("kind", ["cut-before", "cut-after"])
@pytest.mark.parametrize("at", ["firewall/filter/apply", "daemon -f", CONFIRMS, "'?rm /conf"])
def test_a_reply_that_is_lost_leaves_nothing_half_done(box: Box, kind: Any, at: str) -> None:
    """Whether it was carried out or not: in the same run all of it comes to be in force, and no
    timer is left that would take it back."""
    mine = next(row for row in box.rules() if row["description"].startswith("trusted-iot;"))
    box.post(f"firewall/filter/toggleRule/{mine['uuid']}/0")
    fault = box.target.world.faults.arm(kind, at, machine="firewall")
    (outcome,) = box.run("rules")
    assert fault.struck
    box.target.clock.sleep(2 * WITHIN_S)
    (outcome,) = box.run("rules", mode="verify")
    assert outcome.status == "already"
    assert all(check.holds for check in outcome.checks)


def test_a_way_in_that_the_rules_don_t_leave_is_told_before(box: Box, monkeypatch: Any) -> None:
    run = box.target.link.run

    def seen(host: str, call: Any) -> Any:
        answer = run(host, read("true") if call.line.startswith("printenv") else call)
        if call.line.startswith("printenv"):
            return type(answer)(0, "10.0.20.7 50000 10.0.20.1 22\n", "")
        return answer

    monkeypatch.setattr(box.target.link, "run", seen)
    with pytest.raises(StepFailed, match=r"we come from 10\.0\.20\.7, which is in IOT"):
        box.run("rules")


def test_nothing_lies_aside_afterwards(box: Box) -> None:
    box.run("rules")
    found = box.target.link.run("firewall", read("ls", "/conf")).stdout.split()
    assert [name for name in found if name.startswith("homelab")] == []


@pytest.mark.parametrize(("release", "server"), [("26.7", "kea"), ("26.1", "dnsmasq")])
def test_one_of_each_kind_is_made_once(release: str, server: str) -> None:
    box = Box(release, wide(server))
    try:
        if server == "kea":
            box.leave_dhcp_to_kea()
        made = {sent.summary for outcome in box.run() for sent in outcome.sent}
        for thing in ("make alias web", "make filter rule nas-web", "make port forward https",
                      "make outbound rule sip", "make signature 2100498", "make DHCP lease printer",
                      "make forward corp", "make forward over TLS quad9"):  # fmt: skip
            assert thing in made
        again = box.run()
        assert [(o.step, [s.summary for s in o.sent]) for o in again if o.sent] == []
        assert {o.status for o in box.run(mode="verify")} == {"already"}
    finally:
        box.target.close()
