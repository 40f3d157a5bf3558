"""What a NAS stores and shares: made once, found as wanted, and planned as it is then sent."""

import pytest

from contract.small_nas import made
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import nas as recipe
from homelab_lib.recipes import pool
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from recipes.on_nas import PASSWORD, likeness, run

RELEASES = ["25.04.2", "25.10.1", "26.0.0-BETA.3"]


@pytest.fixture(params=RELEASES)
def lab(request):
    return changed(load_lab(), ("hosts.truenas.os.version", request.param))


def before(lab):
    return built(lab, before_phase=1, clock=SimulatedClock())


def test_phase_1_is_made_once_and_planned_as_it_is_sent(lab):
    world = before(lab)
    planned = run(likeness(lab, world), recipe.steps(lab, 1))
    ran = run(world, recipe.steps(lab, 1), plan=planned.planned, confirm=["nas-burn-in"])
    assert set(ran.statuses.values()) == {"changed", "already"}
    assert ran.sent == planned.sent
    again = run(world, recipe.steps(lab, 1))
    assert again.sent == []
    verified = run(world, recipe.steps(lab, 1), "verify")
    assert set(verified.statuses.values()) == {"already"}
    as_it_is = run(likeness(lab, world), recipe.steps(lab, 1))
    assert as_it_is.sent == [], "its twin has all of it, too"
    assert not any(PASSWORD in line for line in ran.sent)
    assert any(PASSWORD in text for text in ran.stdin)


def refused(lab, *changes):
    with pytest.raises(LabError) as caught:
        changed(lab, *changes)
    return "\n".join(caught.value.problems)


def test_what_can_not_be_is_refused_before_anything_is_asked():
    lab = load_lab()
    shared = {"dataset": "tank/backups", "path": "/mnt/tank/backups", "phase": 1}
    says = refused(lab, ("smb_shares.truenas.old", shared))
    assert "smb_shares.truenas.old.dataset" in says
    assert "tells capitals apart; Windows doesn't" in says
    says = refused(lab, ("nfs_shares.truenas.media.networks", ["10.0.99.0/24"]))
    assert "nothing of the lab is in 10.0.99.0/24" in says
    says = refused(lab, ("pools.truenas.tank.disks", ["hdd1", "hdd2", "hdd3"]))
    assert "TrueNAS makes a raidz2 vdev of 4 disks or more; here it has 3" in says
    says = refused(lab, ("pools.truenas.tank.ashift", 13))
    assert "TrueNAS makes pools with ashift 12 only" in says


def test_a_share_on_a_dataset_that_tells_capitals_apart_stops_at_its_step():
    """It was made by somebody else, and the lab only says that it is there."""
    lab = changed(
        load_lab(), ("datasets.truenas.tank/family.exists", True),
        ("datasets.truenas.tank/family.phase", None), ("nas.truenas.acls.tank/family", None),
    )  # fmt: skip
    world = before(lab)
    nas = world.machines["truenas"]
    assert run(world, pool.steps(lab, 1)).sent
    made(nas, "pool.dataset.create", {"name": "tank/family", "share_type": "GENERIC"})
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert ran.stopped_at == "nas-smb"
    assert "SMB share family lies on dataset tank/family, which tells capitals apart" in str(
        ran.error
    )
    assert not any("sharing.smb.create" in line and "family" in line for line in ran.sent)


def test_what_somebody_else_shares_is_left_alone():
    lab = load_lab()
    world = before(lab)
    nas = world.machines["truenas"]
    run(world, pool.steps(lab, 1))
    made(nas, "pool.dataset.create", {"name": "tank/media", "share_type": "MULTIPROTOCOL"})
    theirs = {"path": "/mnt/tank/media", "networks": ["10.0.10.0/24"], "comment": "mine"}
    made(nas, "sharing.nfs.create", theirs)
    acls = ("nas.truenas.acls.tank/media", None)
    ran = run(world, recipe.steps(changed(lab, acls), 1), stops=True)
    assert ran.stopped_at == "nas-nfs"
    assert "'mine'" in str(ran.error)


def test_the_family_gets_in_and_nobody_else():
    lab = load_lab()
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    nas = world.machines["truenas"]
    acl = made(nas, "filesystem.getacl", "/mnt/tank/family", True, True)
    assert acl["group"] == "family"
    may = {(e["tag"], e["who"]): e["perms"]["BASIC"] for e in acl["acl"]}
    assert may == {
        ("owner@", "root"): "FULL_CONTROL",
        ("group@", "family"): "MODIFY",
        ("GROUP", "family"): "MODIFY",
    }
    [user] = made(nas, "user.query", [["username", "=", "family"]])
    assert user["smb"]
    assert not user["password_disabled"]
    assert user["group"]["bsdgrp_group"] == "family"
    assert nas.listeners[445]()
    assert nas.export_for("/mnt/tank/media", "10.0.30.21") is not None
    assert nas.export_for("/mnt/tank/media", "10.0.20.21") is None, "not to the IoT network"


def test_a_share_of_a_clusters_is_made_with_it():
    """Its dataset and its export belong to the step that the cluster stands on."""
    assert list(recipe.steps(load_lab(), 2)) == []
