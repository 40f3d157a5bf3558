"""What a firewall undoes by itself, and what nobody may undo: the owner's own changes."""

from collections.abc import Iterator

import pytest

from homelab_lib.control.opnsense.revert import WITHIN_S
from homelab_lib.errors import HomelabError, StepFailed
from homelab_lib.transport.command import read
from recipes.firewall_box import Box

COPY = "/conf/homelab-homelab-rules.xml"
AT_BOOT = "/usr/local/etc/rc.syshook.d/early/01-homelab-homelab-rules"
DAYS_S = 4 * 86_400.0


@pytest.fixture(scope="module")
def made() -> Iterator[Box]:
    box = Box("26.7")
    try:
        box.run("firewall-key", "vlans", "interfaces", "rules")
        yield box
    finally:
        box.target.close()


@pytest.fixture
def box(made: Box) -> Box:
    """A firewall with all rules in force, of which one was switched off by hand just now."""
    made.run("rules")
    mine = next(row for row in made.rules() if row["description"].startswith("trusted-iot;"))
    made.post(f"firewall/filter/toggleRule/{mine['uuid']}/0")
    made.target.clock.sleep(60.0)
    return made


def firewall(box: Box):
    return box.target.world.machines["firewall"]


def there(box: Box, path: str) -> bool:
    return firewall(box).files.exists(path)


def break_off(box: Box) -> None:
    """The run ends where all is written, and before a timer runs."""
    box.target.world.faults.arm("fail", "daemon -f", machine="firewall")
    with pytest.raises(StepFailed, match="could not be armed"):
        box.run("rules")


def owner_saves(box: Box) -> None:
    """Somebody sets something else in the pages, and applies it."""
    machine = firewall(box)
    root = machine.config.load()
    root.find("system/domain").text = "owner.example"
    by = "root@10.0.10.50"
    machine.config.save(root, by=by, description="/system_general.php made changes")


def domain(box: Box) -> str:
    return firewall(box).config.load().findtext("system/domain")


@pytest.mark.sample
def test_a_reboot_in_between_puts_back_what_was_in_force(box: Box) -> None:
    """The timer is a process, and a boot applies all that is written."""
    before = box.config
    firewall(box).world.after(10.0, firewall(box).reboot)
    with box.cut_off(), pytest.raises(StepFailed, match="was not reached any more"):
        box.run("rules")
    assert box.config == before
    assert not there(box, COPY)
    assert not there(box, AT_BOOT)
    in_force = [rule for rule in firewall(box).pf.rules if "trusted-iot;" in rule.description]
    assert not in_force, "the box has come up with the rules that it had"


@pytest.mark.long
def test_a_reboot_that_is_over_before_we_are_back_is_told_as_such(box: Box) -> None:
    box.target.world.faults.arm("reboot", "firewall/filter/apply", machine="firewall")
    with pytest.raises(StepFailed, match=r"does not keep: put the rules[^.]*been undone already"):
        box.run("rules")


@pytest.mark.long
def test_what_was_confirmed_is_undone_by_no_reboot(box: Box) -> None:
    box.run("rules")
    after = box.config
    assert not there(box, AT_BOOT)
    firewall(box).reboot()
    box.target.clock.sleep(2 * WITHIN_S)
    assert box.config == after


@pytest.mark.sample
def test_the_owner_s_later_changes_are_not_undone(box: Box) -> None:
    """A run was broken off; days later the owner has changed something, and it runs again."""
    break_off(box)
    box.target.clock.sleep(DAYS_S)
    owner_saves(box)
    before = box.config
    with pytest.raises(StepFailed, match=r"since then somebody else.*root@10\.0\.10\.50") as stop:
        box.run("rules")
    assert f"rm {COPY}" in str(stop.value)
    box.target.clock.sleep(2 * WITHIN_S)
    assert box.config == before
    assert domain(box) == "owner.example"
    # He does what he was told: all of it stands, and is in force.
    firewall(box).apply_all()
    box.target.link.run("firewall", read("true"))
    firewall(box).files.remove(COPY)
    (outcome,) = box.run("rules")
    assert outcome.status == "already"
    assert domain(box) == "owner.example"


@pytest.mark.long
def test_what_was_broken_off_and_nobody_touched_is_taken_up_with_its_undo(box: Box) -> None:
    in_force = firewall(box).config.load()
    break_off(box)
    box.target.clock.sleep(DAYS_S)
    with box.cut_off(), pytest.raises(StepFailed, match="was not reached any more"):
        box.run("rules")
    box.target.clock.sleep(WITHIN_S)
    assert len(firewall(box).config.load().findall(".//rule")) == len(in_force.findall(".//rule"))
    assert not there(box, COPY)


@pytest.mark.sample
def test_two_at_once_stop_before_anything_is_in_force(box: Box) -> None:
    """The owner saves something between what we write and what would put it in force."""
    save = firewall(box).config.save
    calls = []

    def saves(root, **more):
        calls.append(more["description"])
        told = save(root, **more)
        if "setRule" in more["description"] and len(calls) == 1:
            owner_saves(box)
        return told

    firewall(box).config.save = saves
    try:
        with pytest.raises(StepFailed, match="since then somebody else has changed it"):
            box.run("rules")
    finally:
        del firewall(box).config.save
    assert domain(box) == "owner.example"
    firewall(box).apply_all()
    firewall(box).files.remove(COPY)


@pytest.mark.slow
def test_what_somebody_else_has_not_applied_is_told(box: Box) -> None:
    """The firewall applies all that is written: his rule that waits goes in force with ours."""
    row = {"description": "half done", "interface": "opt1", "action": "pass", "sequence": "9000"}
    box.post("firewall/filter/addRule", {"rule": row})
    (outcome,) = box.run("rules")
    told = [sent.planned.replaces for sent in outcome.sent if sent.planned.replaces]
    assert "besides ours, what somebody else has not applied: 'half done'" in told
    (outcome,) = box.run("rules")
    assert outcome.status == "already"


def in_force(box: Box) -> bool:
    return any(rule.description.startswith("trusted-iot;") for rule in firewall(box).pf.rules)


@pytest.mark.long
def test_while_it_updates_nothing_is_put_in_force(box: Box) -> None:
    begun_s = box.target.clock.now()
    firewall(box).packages_free_s = begun_s + 200.0
    box.run("rules")
    assert in_force(box)
    assert box.target.clock.now() > begun_s + 200.0


@pytest.mark.long
def test_an_update_that_does_not_end_is_named(box: Box) -> None:
    firewall(box).packages_free_s = box.target.clock.now() + 9000.0
    try:
        with pytest.raises(HomelabError, match="somebody is at work on its packages, after 3"):
            box.run("rules")
    finally:
        firewall(box).packages_free_s = 0.0


@pytest.mark.long
def test_a_daemon_that_is_started_anew_is_told_again(box: Box) -> None:
    """The filter's apply is answered with nothing, and nothing has come of it."""
    box.target.world.faults.arm("cut-before", "firewall/alias/reconfigure", machine="firewall")
    firewall(box).configd_back_s = box.target.clock.now() + 20.0
    (outcome,) = box.run("rules")
    assert in_force(box)
    assert all(check.holds for check in outcome.checks)


@pytest.mark.long
def test_what_it_would_pass_over_while_it_boots_waits_for_that(box: Box) -> None:
    firewall(box).reboot()
    for _ in range(90):
        box.target.clock.sleep(1.0)
        if firewall(box).accepts_logins():
            break
    assert firewall(box).boots_still()
    (outcome,) = box.run("rules")
    assert in_force(box)
    assert all(check.holds for check in outcome.checks)
