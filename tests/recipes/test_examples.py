"""The example labs, as whoever begins with one has them: each loads, no finding stops it, and every
runbook it has is planned, applied, left alone and verified on the twin."""

import pytest

from homelab_lib import paths
from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.recipes import runbooks
from homelab_lib.runbook.proof import check
from standing import standing

FOLDERS = {each.name: each for each in (paths.data() / "examples").iterdir()}
RUNBOOKS = {
    "minipc": ["phase1_proxmox", "phase2"],
    "home": ["phase1"],
    "cluster": ["phase1_proxmox", "phase2"],
    "server": ["phase1", "phase2"],
}
EACH = [(name, book) for name, books in RUNBOOKS.items() for book in books]


def test_these_are_all_runbooks_of_all_examples():
    found = {
        name: [each.name for each in runbooks(load_lab(folder))] for name, folder in FOLDERS.items()
    }
    assert found == RUNBOOKS


@pytest.mark.parametrize("name", FOLDERS)
def test_nothing_stops_an_example(name):
    stops = [found for found in findings(load_lab(FOLDERS[name])) if found.severity == "stops"]
    assert stops == []


@pytest.mark.sample
@pytest.mark.parametrize(("name", "book"), EACH, ids=[f"{name}-{book}" for name, book in EACH])
def test_a_runbook_is_carried_out_once(name, book, tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_FAMILY_PASSWORD", "correct horse battery staple")
    with standing(tmp_path, monkeypatch, path=str(FOLDERS[name]), runbook=book) as there:
        before = there.world.state()
        planned = there.run("plan")
        assert planned.error is None
        assert planned.changes, "a phase makes something"
        assert there.world.state() == before, "a plan changed something"
        # Twelve new disks are tested before a pool is made of them: days that a person waits for.
        waited = {"confirm": "nas-burn-in"} if (name, book) == ("server", "phase1") else {}
        applied = there.run("apply", planned.digest, **waited)
        assert applied.error is None
        assert applied.sent == planned.changes
        assert list(check(applied.record)) == []
        again = there.run("apply", planned.digest, **waited)
        assert (again.error, again.sent) == (None, 0)
        verified = there.run("verify", **waited)
        assert (verified.error, verified.sent) == (None, 0)


def test_three_servers_go_on_with_two():
    """What the cluster is for: one machine off, and the control plane answers."""
    lab = load_lab(FOLDERS["cluster"])
    assert lab.proxmox_clusters["house"].failures == 1
    assert {lab.vms[name].host for name in lab.clusters["house"].servers} == {
        "node1", "node2", "node3",
    }  # fmt: skip
    for node in ("node1", "node2", "node3"):
        assert set(lab.pools[node]) == {"rpool", "backups"}, "disks of its own, nothing shared"
