"""A TrueNAS that is a VM: made, given its disks, set up, and what stands on it."""

from pathlib import Path

import pytest
import yaml

from homelab_lib.errors import BadParameter, LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import looks, runbook
from homelab_lib.runbook.proof import check
from homelab_lib.twin.proxmox.node import HELD
from homelab_lib.twin.truenas.decays import pool_degraded
from homelab_lib.twin.truenas.nas import TrueNas
from recipes.bench import Bench, Plugged
from standing import served
from standing import standing as serve_standing

FILE = Path(__file__).parent / "labs" / "nas_vm.yaml"
LAB = load_lab(FILE)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHomelabTestKeyHomelabTestKeyHomelabTestKeyA test"
THEIRS = {"HLNAS14T0001", "HLNAS14T0002", "HLPVE5120001"}


def bench(phase, lab=LAB):
    made = Bench(lab, runbook(lab, phase, lambda vm: KEY).steps, phase)
    made.wire = Plugged(made.world)
    return made


def serials(machine):
    """What `lsblk` shows of a machine's disks."""
    said = machine.run("lsblk -d -n -o SERIAL").finished().out.decode()
    return set(said.split())


# Its disks ----------------------------------------------------------------------------------------


def test_its_disks_go_from_the_host_to_the_vm_and_come_back_with_the_drivers():
    there = bench(1)
    node = there.world.machines["hyper"]
    assert serials(node) > THEIRS
    assert there.stops() == ("", "")
    there.world.clock.sleep(120)
    nas = there.world.machines["nas"]
    assert serials(nas) == {*THEIRS, "drive-scsi0"}
    assert serials(node) == {"HLPVE1T00001"}
    listed = node.run("pvesh get /nodes/pve/disks/list --output-format json").finished().out
    assert not [serial for serial in THEIRS if serial.encode() in listed]
    node.stop_vm(110)
    assert serials(node) == {"HLPVE1T00001"}, "nothing gives a card back as its VM stops"
    assert not nas.accepts_logins()
    node.vms[110].config["onboot"] = "0"
    node.reboot()
    there.world.clock.sleep(120)
    # The HBA is kept for the VM from the start; the drive's own driver takes it.
    assert serials(node) == {"HLPVE1T00001", "HLPVE5120001"}
    assert {f.driver for f in node.pci if f.device == "hba"} == {HELD}


def test_a_second_run_sends_nothing_and_finds_the_drive_that_the_host_does_not_see_any_more():
    there = bench(1)
    planned = there.likeness()
    planned.wire = Plugged(planned.world)
    assert planned.stops() == ("", "")
    assert there.stops() == ("", "")
    assert there.wire.sent == planned.wire.sent
    there.wire.sent.clear()
    assert there.stops() == ("", "")
    again = there.likeness()
    again.wire = Plugged(again.world)
    assert again.stops() == ("", "")
    assert there.wire.sent == again.wire.sent == []


def test_another_drive_in_its_place_is_not_given_away():
    there = bench(1)
    node = there.world.machines["hyper"]
    next(row for row in node.disk_rows if row["serial"] == "HLPVE5120001")["serial"] = "ANOTHER"
    step, said = there.stops()
    assert step == "groups"
    assert "fast (NVMe drive, 512 GB) is not on the bus of hyper" in said


def test_a_drive_that_the_host_lives_on_is_not_given_away():
    with pytest.raises(LabError, match=r"hyper\.rpool: disk 'nvme0' is passed through to nas"):
        changed(LAB, ("vms.nas.passthrough", ("hba", "fast", "nvme0")))


def test_without_its_hba_a_pool_is_out_and_its_share_leads_nowhere():
    there = bench(3)
    node, nas = there.world.machines["hyper"], there.world.machines["nas"]
    node.stop_vm(110)
    given = node.vms[110].config.pop("hostpci0")
    node.start_vm(110)
    there.world.clock.sleep(120)
    (tank,) = [row for row in nas.pool_rows() if row["name"] == "tank"]
    assert (tank["status"], tank["topology"]) == ("OFFLINE", None)
    assert there.world.nfs(node, "10.0.30.30", "/mnt/tank/files")[0] is None
    node.stop_vm(110)
    node.vms[110].config["hostpci0"] = given
    node.start_vm(110)
    there.world.clock.sleep(120)
    assert {row["status"] for row in nas.pool_rows()} == {"ONLINE"}
    assert there.world.nfs(node, "10.0.30.30", "/mnt/tank/files")[1] == ""


@pytest.mark.parametrize("unseen", ["off", "closed"])
def test_one_into_which_nobody_could_look_is_never_an_empty_one(unseen):
    """A plan that restarts its node would find a NAS without pools, and make them on its disks."""
    there = bench(3)
    node, nas = there.world.machines["hyper"], there.world.machines["nas"]
    if unseen == "off":
        node.stop_vm(110)
    else:
        nas.closed = True
    planned = there.likeness().world
    planned.machines["hyper"].reboot()
    planned.clock.sleep(300)
    assert planned.machines["hyper"].vms[110].running
    assert not planned.machines["nas"].accepts_logins()
    nas.closed = False
    node.reboot()
    there.world.clock.sleep(300)
    assert nas.accepts_logins()


def test_its_image_may_be_there_already(tmp_path):
    document = yaml.safe_load(FILE.read_text())
    document["images"]["truenas"] |= {"exists": True}
    for key in ("url", "sha256"):
        del document["images"]["truenas"][key]
    file = tmp_path / "lab.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    there = bench(1, load_lab(file))
    assert there.stops() == ("", "")
    assert not [line for line in there.wire.sent if "download-url" in line]


WAYS = {
    "nobody says how": {},
    "an HBA and a drive": {"passthrough": ["hba", "fast"]},
    "whole disks": {"disks": {f"scsi{n}": {"disk": d} for n, d in enumerate(
        ("left", "right", "fast"), 1)}},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_one_that_is_there_already_has_its_disks_whatever_the_way(tmp_path, way):
    document = yaml.safe_load(FILE.read_text())
    vm = document["vms"]["nas"]
    for key in ("image", "phase", "passthrough"):
        del vm[key]
    vm |= {"exists": True} | WAYS[way]
    file = tmp_path / "lab.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    there = bench(2, load_lab(file))
    assert serials(there.world.machines["nas"]) == {*THEIRS, "drive-scsi0"}
    planned = there.likeness()
    planned.wire = Plugged(planned.world)
    assert planned.stops() == ("", "")
    assert there.stops() == ("", "")
    assert there.wire.sent == planned.wire.sent
    assert {row["status"] for row in there.world.machines["nas"].pool_rows()} == {"ONLINE"}


# What stands on it --------------------------------------------------------------------------------


def test_after_a_power_cut_it_is_there_before_what_keeps_its_disk_on_it():
    there = bench(3)
    assert there.stops() == ("", "")
    node = there.world.machines["hyper"]
    node.reboot()
    there.world.clock.sleep(60)
    row = "pvesh get /nodes/pve/storage --storage files --output-format json"
    assert b'"active":0' in node.run(row).finished().out.replace(b" ", b"")
    there.world.clock.sleep(300)
    assert node.vms[111].running
    assert b'"active":1' in node.run(row).finished().out.replace(b" ", b"")
    del node.vms[110].config["startup"]
    node.reboot()
    there.world.clock.sleep(300)
    assert node.vms[110].running
    assert not node.vms[111].running, "it was tried once, when the storage was not there yet"


@pytest.mark.parametrize("spoilt", [{"startup": ""}, {"onboot": "0"}, {"startup": "up=180"}])
def test_one_that_does_not_start_first_is_told_of_before_anything_is_put_on_it(spoilt):
    there = bench(3)
    there.world.machines["hyper"].vms[110].config |= spoilt
    step, said = there.stops()
    assert step == "room"
    assert "qm set 110 --onboot 1 --startup order=1,up=180" in said
    assert there.wire.sent == []


def test_it_is_made_to_start_first():
    there = bench(1)
    there.stops()
    assert there.world.machines["hyper"].vms[110].config["startup"] == "order=1,up=180"


def test_what_lies_on_it_waits_for_its_installer():
    lab = changed(LAB, ("vms.nas.phase", 2))
    with pytest.raises(BadParameter, match="which a person has to install in between"):
        runbook(lab, 2, lambda vm: KEY)


def test_a_vm_on_a_share_of_its_own_is_no_lab(tmp_path):
    document = yaml.safe_load(FILE.read_text())
    document["vms"]["nas"]["storage"] = "files"
    file = tmp_path / "lab.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(LabError, match=r"a share of its own .nas → nas.: once all are off"):
        load_lab(file)


# As its user does ---------------------------------------------------------------------------------


def round_trip(there, tested=""):
    """Plan, apply, apply again, verify."""
    before = there.world.state()
    planned = there.run("plan")
    assert planned.error is None
    assert there.world.state() == before
    applied = there.run("apply", planned.digest, confirm=tested)
    assert applied.error is None
    assert applied.sent == planned.changes > 0
    assert list(check(applied.record)) == []
    again = there.run("apply", planned.digest, confirm=tested)
    assert (again.error, again.sent) == (None, 0)
    verified = there.run("verify")
    assert (verified.error, verified.sent) == (None, 0)


def test_what_is_on_it_is_made(tmp_path, monkeypatch):
    with serve_standing(tmp_path, monkeypatch, path=str(FILE), runbook="phase2") as there:
        round_trip(there, "nas-burn-in-nas-tank,nas-burn-in-nas-quick")


@pytest.mark.sample
def test_what_stands_on_it_is_made(tmp_path, monkeypatch):
    with serve_standing(tmp_path, monkeypatch, path=str(FILE), runbook="phase3") as there:
        round_trip(there)


@pytest.mark.sample
def test_all_of_it_one_runbook_after_another(tmp_path):
    with served(tmp_path, lab=LAB, runbook="health") as there:
        node = there.world.machines["hyper"]
        assert node.vms[111].running
        assert {row["status"] for row in there.world.machines["nas"].pool_rows()} == {"ONLINE"}


def test_health_looks_at_it_as_at_one_of_its_own():
    steps = [step for step in looks.looks(LAB, {1, 2}) if step.name == "pools-nas"]
    there = Bench(LAB, steps, phase=3)
    [nas] = [each for each in there.world.machines.values() if isinstance(each, TrueNas)]
    assert all(check.holds for check in there.step("pools-nas", "verify").checks)
    next(pool_degraded(nas))
    told = {check.title: check for check in there.step("pools-nas", "verify").checks}
    assert not told["nas has no severe alert"].holds
    assert told["pool tank of nas lies on the disks that the lab says"].holds


SHARED = (
    ("datasets.nas.tank/family", {"purpose": "Photos", "share_type": "SMB", "phase": 2}),
    (
        "smb_shares",
        {"nas": {"family": {"dataset": "tank/family", "path": "/mnt/tank/family", "phase": 2}}},
    ),
)


def test_it_shares_by_smb():
    there = bench(2, changed(LAB, *SHARED))
    assert there.stops() == ("", "")
    assert there.step("nas-smb", "verify").status == "already"


def test_a_dataset_on_a_plain_linux_in_a_vm_is_refused_and_not_left_out():
    plain = {"kind": "debian", "version": "13"}
    there = [(f"pools.nas.{pool}.{key}", value) for pool in ("tank", "quick")
             for key, value in (("phase", None), ("exists", True))]  # fmt: skip
    lab = changed(
        LAB,
        ("vms.nas.os", plain),
        ("vms.nas.image", "debian"),
        *there,
        ("datasets.nas.tank/files.phase", 3),
        ("nfs_shares", {}),
    )
    with pytest.raises(BadParameter, match=r"no recipe makes yet: datasets\.nas\.tank/files"):
        runbook(lab, 3, lambda vm: KEY)
