"""Whether VMs fit on a node, beside what it has already."""

import json
import shlex
from types import SimpleNamespace

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes.proxmox import room
from homelab_lib.transport.command import Result
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox.vm import VirtualMachine

GIB = 2**30


class OnTwin:
    """A node of a twin, looked at without a connection."""

    def __init__(self, node) -> None:
        self.node, self.name = node, node.name

    def read(self, *argv, ok=(0,), **options):
        reply = self.node.run(f"sudo -n -- {shlex.join(argv)}").finished()
        assert ok is None or reply.status in ok, reply.err
        return Result(reply.status, reply.out.decode(), reply.err.decode())

    def json(self, *argv, **options):
        return json.loads(self.read(*argv, **options).stdout)


@pytest.fixture
def node():
    return built(load_lab(), before_phase=2).machines["proxmox"]


def checked(node):
    lab = node.world.lab
    context = SimpleNamespace(host=lambda name: OnTwin(node))
    return {each.title: each for each in room.checks(context, lab, list(lab.vms.values()))}


def guest(vmid, size_bytes, **more):
    row = {"vmid": vmid, "node": "pve", "type": "lxc", "name": "big", "status": "running"}
    return {vmid: row | {"maxmem": size_bytes} | more}


@pytest.mark.parametrize(
    ("other", "holds"),
    [
        ({}, True),
        (guest(500, 80 * GIB), False),
        (guest(500, 80 * GIB, status="unknown"), False),
        (guest(500, 80 * GIB, status="stopped"), True),
        (guest(500, 80 * GIB, node="pve2"), True),
        (guest(500, 80 * GIB, type="qemu", template=1), True),
    ],
)
def test_memory_is_what_guests_of_this_node_leave(node, other, holds):
    node.others = other
    assert checked(node)["the VMs fit into memory"].holds is holds


def test_a_vm_that_runs_takes_memory_and_one_that_is_off_does_not(node):
    vm = node.vms[500] = VirtualMachine(500, {"memory": str(80 * 1024)})
    assert checked(node)["the VMs fit into memory"].holds
    vm.running, vm.started = True, dict(vm.config)
    assert not checked(node)["the VMs fit into memory"].holds


@pytest.mark.parametrize("made", [False, True])
def test_a_storage_that_is_away_is_named_whether_it_is_to_be_filled_or_not(node, made):
    node.stores["local-zfs"].active = False
    if made:
        for vm in node.world.lab.vms.values():
            node.vms[vm.vmid] = VirtualMachine(vm.vmid, {"name": vm.name})
    check = checked(node)["storage local-zfs is there"]
    assert not check.holds
    assert "inactive" in check.says
