"""What Proxmox does on demand that a runbook does not expect."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox import surprises


@pytest.fixture
def node():
    return built(load_lab(), before_phase=3).machines["proxmox"]


def run(node, line):
    """What a command leaves, and how long it took [s]."""
    before = node.world.clock.now()
    reply = node.run(line)
    took = 0.0
    while True:
        node.world.clock.sleep(reply.takes_s)
        if reply.finish is None:
            break
        reply = reply.finish()
    took = node.world.clock.now() - before
    return reply, took


def get(node, path):
    return json.loads(run(node, f"pvesh get {path} --output-format json")[0].out)


def test_a_lock_that_is_held_is_waited_for_and_then_given_up(node):
    surprises.lock_timeout(node, vmid=201, for_s=25)
    assert get(node, "/nodes/pve/qemu/201/config")["name"], "reading takes no lock"
    reply, took = run(node, "qm set 201 --cores 2")
    assert (reply.status, took) == (255, 10)
    assert b"can't lock file '/var/lock/qemu-server/lock-201.conf' - got timeout" in reply.err
    (task,) = get(node, "/nodes/pve/tasks --source active --vmid 201")
    assert task["type"] == "qmsnapshot"
    assert run(node, "qm set 202 --cores 2")[0].status == 0, "another VM's lock is another"
    node.world.clock.sleep(8)
    reply, took = run(node, "qm set 201 --cores 2")
    assert (reply.status, took) == (0, 7)
    assert node.vms[201].config["cores"] == "2"
    assert get(node, "/nodes/pve/tasks --source active --vmid 201") == []


def test_a_storages_lock_is_waited_for_longer(node):
    surprises.lock_timeout(node, storage="local-zfs", for_s=90)
    reply, took = run(node, "qm create 300 --scsi0 local-zfs:4")
    assert (reply.status, took) == (255, 60)
    assert b"/var/lock/pve-manager/pve-storage-local-zfs" in reply.err
    assert 300 not in node.vms
    reply, took = run(node, "qm create 300 --scsi0 local-zfs:4")
    assert (reply.status, took) == (0, 31)


def test_a_pool_that_nothing_imports_fails_one_start_and_no_second(node):
    surprises.pool_not_imported(node)
    node.world.clock.sleep(120)
    started = [vm.vmid for vm in node.vms.values() if vm.running]
    assert 0 < len(started) == len(node.vms) - 1
    (down,) = set(node.vms) - set(started)
    ended = get(node, f"/nodes/pve/tasks --vmid {down}")
    assert "dataset already exists" in ended[0]["status"]
    assert run(node, f"qm start {down}")[0].status == 0


def test_a_storage_that_is_away_is_listed_with_zeros(node):
    surprises.storage_inactive(node)
    (row,) = get(node, "/nodes/pve/storage --storage local-zfs")
    assert [row[key] for key in ("active", "total", "used", "avail")] == [0, 0, 0, 0]
    assert b"inactive" in run(node, "pvesm status")[0].out
    assert b"is not online" in run(node, "qm create 300 --scsi0 local-zfs:4")[0].err


def test_a_lock_outlives_its_task(node):
    surprises.stale_lock(node, vmid=201)
    assert b"VM is locked (backup)" in run(node, "qm stop 201")[0].err
    assert get(node, "/nodes/pve/tasks --source active") == []
    assert run(node, "qm unlock 201")[0].status == 0
    assert run(node, "qm stop 201")[0].status == 0
