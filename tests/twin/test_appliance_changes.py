"""What later phases need of the twin's NAS: pools, shares, its network's rollback timer."""

import json
import shlex

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built


@pytest.fixture
def fresh():
    """The NAS before phase 1: disks, and nothing on them."""
    return built(load_lab(), before_phase=1).machines["truenas"]


@pytest.fixture
def nas():
    return built(load_lab(), before_phase=2).machines["truenas"]


def call(nas, method, *arguments, ok=True):
    words = [a if isinstance(a, str) else json.dumps(a) for a in arguments]
    reply = nas.run(shlex.join(("midclt", "call", method, *words))).finished()
    assert (reply.status == 0) == ok, reply.err.decode()
    return reply.out.decode() if ok else reply.err.decode()


def finish(nas, number):
    nas.world.clock.sleep(600)
    return json.loads(call(nas, "core.get_jobs", [["id", "=", int(number)]]))[0]


def raidz2(disks):
    return {"name": "tank", "topology": {"data": [{"type": "RAIDZ2", "disks": disks}]}}


def test_a_pool_is_made_of_free_disks_and_brings_its_scrub_along(fresh):
    details = json.loads(call(fresh, "disk.details"))
    disks = [row["name"] for row in details["unused"]]
    assert len(disks) == 4
    job = finish(fresh, call(fresh, "pool.create", raidz2(disks)))
    assert job["state"] == "SUCCESS"
    assert job["result"]["topology"]["data"][0]["type"] == "RAIDZ2"
    assert len(json.loads(call(fresh, "pool.scrub.query"))) == 1
    assert "already exists" in call(fresh, "pool.scrub.create", {"pool": 1}, ok=False)
    assert json.loads(call(fresh, "systemdataset.config"))["pool"] == "tank"


@pytest.mark.parametrize(
    ("disks", "says"),
    [(["sda", "sdb", "sdc"], "at least 4"), (["sdx", "sdb", "sdc", "sdd"], "not found")],
)
def test_a_pool_that_can_not_be(fresh, disks, says):
    job = finish(fresh, call(fresh, "pool.create", raidz2(disks)))
    assert job["state"] == "FAILED"
    assert says in job["error"]


def test_disks_in_use_are_refused(nas):
    used = nas.pools["tank"].disks
    document = raidz2(used) | {"name": "other"}
    job = finish(nas, call(nas, "pool.create", document))
    assert job["state"] == "FAILED"
    assert "already in use" in job["error"]


def test_a_network_change_goes_back_unless_somebody_checks_in(nas):
    before = nas.address
    alias = {"type": "INET", "address": "10.0.30.99", "netmask": 24}
    call(nas, "interface.update", "enp1s0", {"aliases": [alias]})
    assert nas.address == before, "nothing happens before it is committed"
    call(nas, "interface.commit", {"rollback": True, "checkin_timeout": 60})
    assert nas.address == "10.0.30.99"
    nas.world.clock.sleep(61)
    assert nas.address == before
    call(nas, "interface.update", "enp1s0", {"aliases": [alias]})
    call(nas, "interface.commit", {"rollback": True, "checkin_timeout": 60})
    call(nas, "interface.checkin")
    nas.world.clock.sleep(600)
    assert nas.address == "10.0.30.99"


def test_an_smb_share_of_25_10(nas):
    document = {"purpose": "DEFAULT_SHARE", "name": "Photos", "path": "/mnt/tank/backups"}
    made = json.loads(call(nas, "sharing.smb.create", document))
    assert made["name"] == "Photos"
    assert "sharingsmb_create.name" in call(nas, "sharing.smb.create", document, ok=False)
    call(nas, "sharing.smb.delete", made["id"])
    names = [row["name"] for row in json.loads(call(nas, "sharing.smb.query"))]
    assert names == ["family", "media"], "those of phase 1"
