"""The habits of Proxmox that a runbook has to know."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built

CREATE = (
    "qm create 201 --name a --memory 2048 --cores 2 --net0 virtio,bridge=vmbr0 "
    "--agent enabled=1 --ipconfig0 ip=10.0.30.21/24,gw=10.0.30.1 "
    "--scsi0 local-zfs:0,import-from=local:import/i.qcow2 --ide2 local-zfs:cloudinit"
)


@pytest.fixture
def node():
    world = built(load_lab(), before_phase=2)
    node = world.machines["proxmox"]
    node.run("pvesm set local --content import,snippets,iso")
    image = world.lab.images["ubuntu-24-04"]
    node.files.put(
        "/var/lib/vz/import/i.qcow2", b"QFI", digest=image.sha256, size_bytes=600_000_000
    )
    return node


def run(node, line):
    reply = node.run(line)
    node.world.clock.sleep(reply.takes_s)
    return reply.finished()


def get(node, path):
    return json.loads(run(node, f"pvesh get {path} --output-format json").out)


def test_pvesh_ends_well_when_its_task_did_not(node):
    image = node.world.lab.images["ubuntu-24-04"]
    line = (
        "pvesh create /nodes/pve/storage/local/download-url --content import --filename x.qcow2 "
        f"--url {image.url} --checksum-algorithm sha256 --checksum {'0' * 64}"
    )
    reply = run(node, line)
    assert reply.status == 0
    upid = reply.out.decode().splitlines()[-1]
    assert upid.startswith("UPID:"), "bare text, for nobody asked for JSON"
    asked = run(node, f"{line} --output-format json").out.decode().splitlines()[-1]
    assert json.loads(asked).startswith("UPID:")
    assert get(node, f"/nodes/pve/tasks/{upid}/status")["exitstatus"].startswith(
        "checksum mismatch"
    )
    assert not node.files.exists("/var/lib/vz/import/x.qcow2")


def test_qm_ends_with_the_status_of_its_task(node):
    reply = run(node, CREATE.replace("i.qcow2", "missing.qcow2"))
    assert reply.status == 255
    assert b"no such volume" in reply.err
    assert 201 not in node.vms, "a failed creation tidies up"


def test_a_vm_is_locked_while_it_is_made(node):
    begun = node.run(CREATE)
    assert get(node, "/nodes/pve/qemu/201/config")["lock"] == "create"
    assert b"VM is locked (create)" in run(node, "qm start 201").err
    node.world.clock.sleep(begun.takes_s)
    begun.finished()
    assert "lock" not in get(node, "/nodes/pve/qemu/201/config")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("qm create 201 --nmae a", "Unknown option: nmae"),
        ("qm create 7 --name a", "vmid: invalid format - value does not look like a valid VM ID"),
        ("qm create 300 --name bad_name", "does not look like a valid DNS name"),
        ("qm create 300 --net0 virtio,bridge=vmbr0,tga=3", "net0.tga: property is not defined"),
        ("qm start 999", "does not exist"),
        ("qm frobnicate 1", "unknown command"),
        ("pvesh get /nodes/other/status", "no such cluster node 'other'"),
        ("pvesm set local-zfs --content iso", "does not support content type"),
    ],
)
def test_what_it_refuses_and_how(node, line, says):
    reply = run(node, line)
    assert reply.status != 0
    assert says in reply.err.decode()


def test_disks_grow_and_never_shrink(node):
    run(node, CREATE)
    assert run(node, "qm disk resize 201 scsi0 64G").status == 0
    assert "size=64G" in get(node, "/nodes/pve/qemu/201/config")["scsi0"]
    assert b"shrinking disks is not supported" in run(node, "qm disk resize 201 scsi0 8G").out


def test_a_disk_that_does_not_grow_is_told_by_the_task_alone(node):
    run(node, CREATE)
    reply = run(node, "qm disk resize 201 scsi0 900T")
    assert reply.status == 0, "what the old way took for done"
    assert "size=3584M" in get(node, "/nodes/pve/qemu/201/config")["scsi0"]
    line = "pvesh set /nodes/pve/qemu/201/resize --disk scsi0 --size 900T --output-format json"
    upid = json.loads(run(node, line).out.decode().splitlines()[-1])
    assert "out of space" in get(node, f"/nodes/pve/tasks/{upid}/status")["exitstatus"]


def test_the_clusters_list_is_up_to_ten_seconds_old(node):
    node.world.clock.sleep(10 - node.world.clock.now() % 10 + 1)  # just after a broadcast
    begun = node.run(CREATE)
    (row,) = get(node, "/cluster/resources --type vm")
    assert "name" not in row, "a fresh VM has none, and the old way called it foreign"
    assert (row["status"], row["lock"]) == ("unknown", "create"), "locks are never old"
    node.world.clock.sleep(begun.takes_s)
    begun.finished()
    assert get(node, "/cluster/resources --type vm")[0].get("name") in (None, "VM 201")
    assert get(node, "/nodes/pve/qemu/201/status/current")["name"] == "a"
    node.world.clock.sleep(10)
    assert get(node, "/cluster/resources --type vm")[0]["name"] == "a"
    run(node, "qm start 201")
    assert get(node, "/nodes/pve/qemu/201/status/current")["status"] == "running"


def test_a_number_that_a_container_has_is_taken(node):
    node.others[201] = {"id": "lxc/201", "type": "lxc", "vmid": 201, "node": "pve", "name": "dns"}
    assert get(node, "/cluster/resources --type vm") == [node.others[201]]
    assert b"CT 201 already exists on node 'pve'" in run(node, CREATE).err


def test_only_root_may_pass_by_a_lock(node):
    node.run(CREATE)
    assert b"VM is locked (create)" in run(node, "qm destroy 201").err
    assert run(node, "qm destroy 201 --skiplock 1").status == 0
    assert 201 not in node.vms


def test_another_firmware_finds_no_system(node):
    run(node, CREATE)
    run(node, "qm start 201")
    node.world.clock.sleep(60)
    assert node.vms[201].guest.up
    run(node, "qm stop 201")
    run(node, "qm set 201 --bios ovmf --machine q35 --efidisk0 local-zfs:1,efitype=4m")
    run(node, "qm start 201")
    node.world.clock.sleep(600)
    assert not node.vms[201].guest.up


@pytest.mark.parametrize(
    ("form", "name", "address"),
    [("nocloud", "eth0", "10.0.30.21/24"), ("configdrive2", "enp6s18", "")],
)
def test_only_nocloud_finds_a_network_card_by_its_address(node, form, name, address):
    run(node, f"{CREATE} --citype {form} --machine q35 --ostype l26")
    run(node, "qm start 201")
    node.world.clock.sleep(120)
    (card,) = node.vms[201].guest.interfaces
    assert (card.name, card.cidr) == (name, address)
    run(node, "qm stop 201")
    run(node, "qm set 201 --hostpci0 mapping=card,pcie=1")
    run(node, "qm start 201")
    (card,) = node.vms[201].guest.interfaces
    assert (card.name == name) == (form == "nocloud"), "a card passed through moves the others"


def test_a_protected_vm_is_not_destroyed(node):
    run(node, CREATE + " --protection 1")
    assert b"protection mode enabled" in run(node, "qm destroy 201").err


def test_memory_that_is_not_there(node):
    run(node, "qm create 202 --name big --memory 262144 --net0 virtio,bridge=vmbr0")
    assert b"Cannot allocate memory" in run(node, "qm start 202").err


def test_a_guest_answers_once_it_has_booted_and_has_an_agent(node):
    run(node, CREATE)
    run(node, "qm start 201")
    assert b"QEMU guest agent is not running" in run(node, "qm guest cmd 201 ping").err
    node.world.clock.sleep(600)
    still = run(node, "qm guest cmd 201 ping").err
    assert b"QEMU guest agent is not running" in still, "the image comes without one"


def test_changing_what_cloud_init_says_makes_another_instance(node):
    run(node, CREATE)
    before = node.instance_id(201)
    run(node, "qm set 201 --memory 4096")
    assert node.instance_id(201) == before
    run(node, "qm set 201 --ipconfig0 ip=10.0.30.99/24")
    assert node.instance_id(201) != before
