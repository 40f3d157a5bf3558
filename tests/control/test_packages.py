"""Packages on a machine where somebody else installs some, too."""

import pytest

import homelab_lib.control  # noqa: F401  (its rooms declare what means "not yet")
from control.test_on_twin import Wire
from homelab_lib.control.linux import Packages
from homelab_lib.errors import NotYet
from homelab_lib.lab import load_lab
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.twin.built import built

BOOK = Runbook("p", "Packages", (Step("s", "S", ensure=lambda _: [Packages("desktop", ("jq",))]),))


@pytest.fixture
def wire():
    return Wire(built(load_lab(), before_phase=2))


def install(wire):
    journal = Journal(None, mask=Mask(), wall=lambda: "now")
    sender = Sender(wire, wire.world.clock, journal, Mask())
    engine = Engine(BOOK, "apply", sender, trust=lambda name, key, made: None, seal=str)
    return engine.run_step("s")


@pytest.mark.parametrize("for_s", [200.0, 700.0])
def test_who_holds_the_lock_of_the_packages_is_waited_for(wire, for_s):
    wire.world.surprise("apt-lock-first-boot", "desktop", for_s=for_s)
    begun = wire.world.clock.now()
    install(wire)
    assert "jq" in wire.world.machines["desktop"].packages
    assert wire.world.clock.now() - begun >= for_s


def test_who_never_lets_go_of_it_is_named(wire):
    wire.world.surprise("apt-lock-first-boot", "desktop", for_s=1e6)
    with pytest.raises(NotYet, match=r"(?s)held by process 1423 \(unattended-upgr\).*after \d+ s"):
        install(wire)
    assert "jq" not in wire.world.machines["desktop"].packages


def test_nothing_is_restarted_under_those_who_are_logged_in(wire):
    wire.world.surprise("needrestart-tty", "desktop")
    cut = []
    wire.world.down_hooks.append(cut.append)
    install(wire)
    assert cut == []
    wire.world.machines["desktop"].run("sudo apt-get install -y tmux").finished()
    assert cut == [wire.world.machines["desktop"]]
