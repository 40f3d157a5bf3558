"""Surprises that careful operators meet, each in a lab that stands by itself and knows of none
beforehand: the same command, three times at most, ends right, or one clear line names the cause."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import homelab_lib.twin.built  # noqa: F401  (its rooms register what they play)
from contract.oracle import contract
from homelab_lib.errors import BadParameter, HomelabError, Unseen
from homelab_lib.lab import load_lab
from homelab_lib.twin.surprises import LATER, known, named
from homelab_lib.twin.world import World
from standing import Standing, differences
from standing import standing as serve_standing

pytestmark = pytest.mark.contract

TRIES = 3
ALWAYS = {"crd-too-long"}
"""What the twin does to whoever applies from a client, as `tests/twin/test_kubernetes.py` has it:
all that we apply goes the server's way (`test_kubernetes_objects.py`)."""
LISTED = {row["id"]: row for row in contract("surprises.json")}
PLAYED = {each.name: each for each in known()}


def _off(there: Standing) -> None:
    """After phase 2, with the VMs switched off: they boot once more."""
    finished(there)
    node = there.world.machines["proxmox"]
    for vmid in (201, 202, 203):
        reply = node.run(f"qm stop {vmid}")
        there.world.clock.sleep(reply.takes_s)
        assert reply.finished().status == 0


def finished(there: Standing) -> None:
    """After phase 2."""
    assert there.run("apply", there.planned()).error is None


@dataclass(frozen=True)
class Case:
    """Where and when a surprise is met.

    Parameters
    ----------
    host
        Whom it happens to; empty for the first machine of its kind.
    options
        What is chosen about it.
    before
        What has been done in the lab.
    says
        What the clear line names, where the run can't end right by itself; empty where it has to.
    """

    host: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Standing], None] = lambda there: None
    says: str = ""


CASES = {
    "ssh-nologin": Case("k3s-gpu2", {"for_s": 90.0}),
    "agent-before-ssh": Case("k3s-gpu2", {"after_s": 30.0}, before=_off),
    "services-not-started": Case(
        "k3s-gpu2", {"units": ["k3s-agent"]}, before=_off, says="enabled and stopped: k3s-agent"
    ),
    "pve-lock-timeout": Case(options={"for_s": 60.0}),
    "stale-guest-lock": Case(options={"vmid": 202}, before=finished, says="qm unlock 202"),
    "storage-inactive-zero": Case(says="Proxmox calls it inactive"),
    "pool-lazy-import": Case(before=finished),
    "k3s-frozen": Case(before=finished, says=r"API server does not answer yet.*was refused"),
    "helm-half-release": Case(says="broken off half-way"),
    "node-password": Case("k3s-gpu2", before=finished, says="takes k3s-gpu2 for an impostor"),
    "flannel-wrong-nic": Case("k3s-gpu2", says="flannel of k3s-gpu2 is at 10.99.0.12"),
    "hub-429": Case(says="toomanyrequests"),
    "exports-drop-names": Case(says="access denied by server"),
    "nfs-stale": Case(says="Stale file handle"),
    "reservation-later": Case(options={"mac": "02:00:00:00:00:99", "interface": "lan"}),
}
"""For those that need more said than that they happen; each other one happens as it is."""


def _host(there: Standing, kind: str) -> str:
    lab = there.world.lab
    if kind == "vm":
        return next(iter(lab.vms))
    if kind == "cluster":
        return next(iter(lab.clusters.values())).first_server
    return next(name for name, host in lab.hosts.items() if host.os.kind == kind)


def commands(there: Standing) -> list[HomelabError | None]:
    """The same command up to three times; where a plan goes only so far, the rest is approved."""
    told: list[HomelabError | None] = []
    digest = ""
    while len([error for error in told if not isinstance(error, Unseen)]) < TRIES:
        if not digest:
            planned = there.run("plan")
            if planned.error is not None:
                told.append(planned.error)
                there.world.clock.sleep(60)
                continue
            digest = planned.digest
        ran = there.run("apply", digest)
        told.append(ran.error)
        if ran.error is None:
            break
        if isinstance(ran.error, Unseen):
            digest = ""
        there.world.clock.sleep(60)  # nobody types faster
    return told


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What is there after a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, serve_standing(folder, patch) as there:
        finished(there)
        return there.world.state()


@pytest.mark.parametrize("name", sorted(PLAYED))
def test_it_ends_right_or_one_clear_line_names_the_cause(tmp_path, monkeypatch, whole, name):
    case = CASES.get(name, Case())
    with serve_standing(tmp_path / "lab", monkeypatch) as there:
        case.before(there)
        there.world.surprise(name, case.host or _host(there, PLAYED[name].on), **case.options)
        told = commands(there)
        for error in filter(None, told):
            assert isinstance(error, HomelabError)
            assert "Traceback" not in str(error)
            assert error.where or error.fix, "it says where, or what to do"
        if case.says:
            assert re.search(case.says, "\n".join(map(str, told)))
        if told[-1] is None:
            assert there.run("verify").error is None
            assert differences(there.world.state(), whole) == []


def test_each_that_is_listed_is_played_or_said_to_come_with_its_product():
    assert not PLAYED.keys() & LATER.keys()
    assert LATER.keys() <= LISTED.keys()
    assert LISTED.keys() - PLAYED.keys() - LATER.keys() == ALWAYS


@pytest.mark.parametrize("name", sorted(LATER))
def test_one_that_no_room_plays_is_refused_by_name(name):
    with pytest.raises(BadParameter, match=f"{name}.*no {LATER[name]} yet"):
        named(name)


def test_a_surprise_for_nobody_is_refused():
    with pytest.raises(BadParameter, match="the lab has no machine 'nas2'"):
        World(load_lab(None)).surprise("ssh-nologin", "nas2")
