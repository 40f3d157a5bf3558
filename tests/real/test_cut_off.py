"""A change that cuts us off from its host for good: the host undoes it by itself, and says nothing
of it; we do.

The host is a network namespace with a real sshd and a real packet filter; the change goes through
the engine over SSH. What is armed there stands in for an appliance's own timer.
"""

import subprocess
from dataclasses import dataclass

import pytest

from homelab_lib.errors import HomelabError, StepFailed
from homelab_lib.runbook.clock import WallClock
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.resource import Change, Diff, Rollback
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.transport.command import change, read
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.reads import declare
from real.opensshd import until
from real.wires import inside, why_no_namespaces

MISSING = why_no_namespaces("nft")
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")]
WITHIN_S = 4.0

OPEN = "table inet f { chain input { type filter hook input priority 0; tcp dport 22 accept; }; }"
SHUT = "table inet f { chain input { type filter hook input priority 0; policy drop; }; }"
KINDER = SHUT.replace("policy drop;", "policy drop; tcp dport 22 accept;")
SLOW = "sleep 1; "  # so that the answer can't overtake the cut

declare("nft", lambda words: list(words[:1]) == ["list"])

# A timer that outlives the link: what it is to put back lies beside it, and its own process is what
# a confirmation ends.
ARM = (
    'set -e; d="$1"; rm -rf "$d"; mkdir "$d"; nft list ruleset > "$d/rules"; '
    '{ echo flush ruleset; cat "$d/rules"; } > "$d/undo.nft"; '
    'setsid sh -c \'echo $$ > "$1/pid"; sleep "$2"; nft -f "$1/undo.nft"; ip link set eth0 up; '
    'rm "$1/pid"\' sh "$d" "$2" </dev/null >/dev/null 2>&1 & '
    'until [ -s "$d/pid" ]; do sleep 0.02; done'
)
CONFIRM = 'kill -- -"$(cat "$1/pid")" && rm "$1/pid"'


@dataclass(frozen=True)
class Ruleset:
    """What the packet filter of a host has loaded; changed under a timer.

    Parameters
    ----------
    host, text
        Where, and what.
    folder
        Of the timer, there.
    before
        What the change does besides, first.
    """

    host: str
    text: str
    folder: str
    before: str = ""
    timeout_s: float = 10.0

    @property
    def name(self) -> str:
        return "ruleset"

    def observe(self, host):
        return host.read("nft", "list", "ruleset").stdout

    def diff(self, observed):
        if not self.before and " ".join(observed.split()) == " ".join(listed(self.text).split()):
            return Diff()
        load = "printf 'flush ruleset\\n%s\\n' \"$1\" | nft -f -"
        rollback = Rollback(
            arm=change("sh", "-c", ARM, "sh", self.folder, str(WITHIN_S)),
            armed=lambda host: host.read("cat", f"{self.folder}/pid").stdout.strip().isdecimal(),
            confirm=change("sh", "-c", CONFIRM, "sh", self.folder),
            within_s=WITHIN_S,
        )
        call = change("sh", "-c", self.before + load, "sh", self.text, timeout_s=1.0)
        what, undo = "load other rules", "its timer"
        return Diff((Change(what, call, replaces=observed, rollback=rollback, undo=undo),))


def listed(text):
    """A ruleset as nft prints it."""
    script = ["unshare", "--net", "sh", "-c", "nft -f - && nft list ruleset"]
    return subprocess.run(script, input=text, capture_output=True, text=True, check=True).stdout


def rules_of(namespace):
    words = [*inside(namespace), "nft", "list", "ruleset"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def host(network, server):
    """An sshd in a namespace, with a packet filter that lets us in."""
    if not network.isolated:
        pytest.skip("this machine lets us make no network namespaces")
    place = network.pve
    load = [*inside(place.namespace), "nft", "-f", "-"]
    subprocess.run(load, input=OPEN, text=True, check=True)
    with server(place) as running:
        running.namespace = place.namespace
        yield running
    subprocess.run([*inside(place.namespace), "nft", "flush", "ruleset"], check=True)
    up = [*inside(place.namespace), "ip", "link", "set", "eth0", "up"]
    subprocess.run(up, check=True)


@pytest.fixture
def fleet(host):
    endpoints = {"firewall": host.endpoint(name="firewall", connect_timeout_s=0.5)}
    with Fleet(endpoints, allow_changes=True, sleep=lambda pause_s: None) as made:
        yield made


def run(fleet, resource):
    """The engine's own way, from the step to the wire."""
    mask = Mask()
    journal = Journal(None, mask=mask, wall=lambda: "2026-01-01T00:00:00Z")
    book = Runbook("toy", "A toy", (Step("load", "Load", ensure=lambda context: (resource,)),))
    sender = Sender(fleet, WallClock(), journal, mask)
    engine = Engine(book, "apply", sender, trust=lambda machine, key, made: None, seal=str)
    return engine.run_step("load")


def reached(fleet):
    try:
        fleet.reconnect("firewall")
        return fleet.run("firewall", read("true")).ok
    except HomelabError:
        return False


def test_what_lets_us_in_is_confirmed_and_stays(host, fleet, tmp_path):
    outcome = run(fleet, Ruleset("firewall", KINDER, f"{tmp_path}/undo"))
    assert outcome.status == "changed"
    assert not (tmp_path / "undo" / "pid").exists(), "its timer is off"
    assert rules_of(host.namespace) == listed(KINDER)
    assert run(fleet, Ruleset("firewall", KINDER, f"{tmp_path}/undo")).status == "already"


@pytest.mark.parametrize(
    "before",
    ["", SLOW, "ip link set eth0 down; ", "ip link set eth0 down; sleep 1; "],
    ids=["filter", "filter in the middle", "link", "link in the middle"],
)
def test_what_cuts_us_off_is_undone_by_the_host(host, fleet, tmp_path, before):
    """Every packet is refused, those of the link that stands too; or the wire itself is dead."""
    was = rules_of(host.namespace)
    with pytest.raises(StepFailed) as failed:
        run(fleet, Ruleset("firewall", SHUT, f"{tmp_path}/undo", before))
    assert "was not reached any more after: load other rules" in failed.value.what
    assert "undoes that by itself" in failed.value.what
    assert "console" in failed.value.fix
    until("it is reached again", lambda: reached(fleet), 4 * WITHIN_S)
    until("its timer is done", lambda: not (tmp_path / "undo" / "pid").exists())
    assert rules_of(host.namespace) == was


def test_an_undo_that_is_not_armed_lets_nothing_be_sent(host, fleet, tmp_path):
    """Its folder can't be made: a file stands in the way."""
    was = rules_of(host.namespace)
    (tmp_path / "file").write_text("")
    with pytest.raises(StepFailed, match="could not be armed"):
        run(fleet, Ruleset("firewall", SHUT, f"{tmp_path}/file/undo"))
    assert rules_of(host.namespace) == was
    assert reached(fleet)
