"""HBAs, network cards, whole disks and USB devices that VMs get, and what no VM gets."""

from pathlib import Path

import pytest
import yaml

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.recipes.graphics import passthrough
from homelab_lib.recipes.kubernetes import compute
from homelab_lib.twin.proxmox.vm import VirtualMachine
from recipes.bench import Bench, Plugged

LAB = Path(__file__).parent / "labs" / "cards.yaml"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHomelabTestKeyHomelabTestKeyHomelabTestKeyA test"


@pytest.fixture
def described(tmp_path):
    """The lab with a VM that gets an HBA with its disks, a network card, a disk and a stick."""

    def describe(edit=lambda document: None):
        document = yaml.safe_load(LAB.read_text())
        hyper = document["hosts"]["hyper"]
        hyper["devices"] = {
            "hba": {"part": "lsi-9300-8i", "slot": "PCIE1"},
            "fan": {"part": "sas-breakout", "slot": "hba.c0"},
            "nic": {"part": "intel-x710-da2", "slot": "PCIE2"},
        }
        hdd = {"part": "sata-hdd-14tb", "role": "data"}
        hyper["disks"] |= {
            "far": hdd | {"slot": "fan.1", "serial": "FAR00001"},
            "near": hdd | {"serial": "NEAR0001"},
        }
        document["gpu_allocation"], document["vms"] = {}, {
            "files": {
                "host": "hyper", "vmid": 203, "vcpu": 2, "memory_bytes": "16 GiB",
                "disk_bytes": "32 GiB", "vlan": 30, "storage": "local-zfs", "image": "ubuntu",
                "address": "10.0.30.23/24", "gateway": "10.0.30.1", "phase": 2,
                "passthrough": ["hba", "nic"], "disks": {"scsi1": {"disk": "near"}},
                "usb": ["10c4:ea60"],
            }
        }  # fmt: skip
        edit(document)
        file = tmp_path / "lab.yaml"
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        return load_lab(tmp_path)

    return describe


def bench(lab):
    steps = [*compute.steps(lab, 2, lambda vm: KEY), *passthrough.steps(lab, 2)]
    made = Bench(lab, steps, phase=2)
    made.wire = Plugged(made.world)
    return made


def test_a_vm_gets_what_the_lab_says_and_a_second_run_sends_nothing(described):
    there = bench(described())
    assert there.stops() == ("", "")
    node = there.world.machines["hyper"]
    config = node.vms[203].config
    assert config["hostpci0"] == "mapping=files-hba,pcie=1"
    assert config["hostpci1"] == "mapping=files-nic,pcie=1"
    assert config["scsi1"].startswith("/dev/disk/by-id/")
    assert ",backup=0,serial=NEAR0001,size=" in config["scsi1"]
    assert (config["usb0"], config["machine"], config["bios"]) == ("host=10c4:ea60", "q35", "ovmf")
    assert {f.class_code for f in there.world.machines["files"].bus} == {"0107", "0200"}
    assert "FAR00001" not in [row["serial"] for row in node.disks], "its disks went along"
    sent = len(there.wire.sent)
    assert there.stops() == ("", "")
    assert len(there.wire.sent) == sent


def test_one_that_a_person_installs_is_not_asked_what_it_sees(described):
    """Windows and HAOS let nobody in; that it runs, and that the node has no complaint, is told."""

    def installer(document):
        iso = document["images"]["ubuntu"] | {"kind": "iso", "filename": "installer.iso"}
        document["images"]["installer"] = iso
        document["vms"]["files"] |= {"image": "installer", "os": {"kind": "windows"}}

    there = bench(described(installer))
    assert there.stops() == ("", "")
    vm = there.world.machines["hyper"].vms[203]
    assert (vm.config["hostpci0"], vm.config["onboot"]) == ("mapping=files-hba,pcie=1", "1")


def test_a_plan_is_what_is_sent(described):
    there = bench(described())
    planned = there.likeness()
    planned.wire = Plugged(planned.world)
    assert planned.stops() == ("", "")
    assert there.wire.sent == []
    assert there.stops() == ("", "")
    assert there.wire.sent == planned.wire.sent


def _refused(described, edit):
    with pytest.raises(HomelabError) as caught:
        bench(described(edit))
    return str(caught.value)


def test_what_the_host_lives_on_stays_with_it(described):
    def pool_on_it(document):
        document["pools"]["hyper"]["media"] = {"layout": "stripe", "disks": ["far"], "exists": True}

    def boots_from_it(document):
        document["hosts"]["hyper"]["disks"]["far"]["role"] = "boot"

    def bridge_on_it(document):
        document["hosts"]["hyper"]["ports"]["fast"] = {
            "part": "intel-x710-da2", "interface": "enp1s0", "vlan": 30, "bridge": "vmbr1",
        }  # fmt: skip

    assert "pools.hyper.media: disk 'far' is passed through to files" in _refused(
        described, pool_on_it
    )
    assert "it starts from disk far" in _refused(described, boots_from_it)
    assert "its port fast has bridge vmbr1" in _refused(described, bridge_on_it)


def test_what_the_lab_does_not_say_of_a_device_the_host_does(described):
    """A disk in use hangs on the adapter, and nobody has written it down."""
    there = bench(described())
    node = there.world.machines["hyper"]
    far = next(row for row in node.disk_rows if row["serial"] == "FAR00001")
    far["used"] = "LVM"
    step, said = there.stops()
    assert step == "groups"
    assert f"it would lose disk {far['devpath']} (LVM)" in said


def test_a_disk_in_use_is_given_to_nobody(described):
    there = bench(described())
    node = there.world.machines["hyper"]
    near = next(row for row in node.disk_rows if row["serial"] == "NEAR0001")
    near["used"] = "ZFS"
    step, said = there.stops()
    assert step == "room"
    assert "in use there (ZFS): a disk with two masters" in said
    assert there.wire.sent == []


def test_of_two_disks_with_one_number_none_is_given_away(described):
    there = bench(described())
    rows = there.world.machines["hyper"].disk_rows
    rows[-2]["serial"] = rows[-1]["serial"] = "NEAR0001"
    step, said = there.stops()
    assert step == "room"
    assert "both say that their serial number is NEAR0001 (near)" in said
    assert there.wire.sent == []


def test_a_disk_of_another_guest_is_given_to_nobody(described):
    """What a guest that runs has written to it the node does not see: it looks empty there."""
    there = bench(described())
    node = there.world.machines["hyper"]
    near = next(row for row in node.disk_rows if row["serial"] == "NEAR0001")
    node.files.mkdir("/dev/disk/by-id", parents=True)
    node.files.link("/dev/disk/by-id/wwn-0x5000c500", near["devpath"])
    drive = "/dev/disk/by-id/wwn-0x5000c500,size=14T"
    node.vms[150] = VirtualMachine(150, {"name": "theirs", "scsi3": drive})
    step, said = there.stops()
    assert step == "room"
    assert f"guest 150 there has {near['devpath']}: a disk with two masters" in said
    assert there.wire.sent == []


def test_a_usb_device_that_the_node_uses_is_given_to_nobody(described):
    there = bench(described())
    node = there.world.machines["hyper"]
    row = node.disk_rows[0]
    row["used"] = "mounted"
    hangs = "../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/block/sdx"
    link = f"/sys/block/{row['devpath'].rpartition('/')[2]}"
    node.files.remove(link)
    node.files.link(link, hangs)
    node.files.put("/sys/bus/usb/devices/2-1/idVendor", "10c4\n")
    node.files.put("/sys/bus/usb/devices/2-1/idProduct", "ea60\n")
    step, said = there.stops()
    assert step == "room"
    assert f"it would lose disk {row['devpath']} (mounted)" in said
    assert there.wire.sent == []
