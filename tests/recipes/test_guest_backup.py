"""Whole VMs on a twin: backed up by Proxmox, restored beside themselves, compared; and what stops
that."""

import re

import pytest

from homelab_lib.audit.rules.backups import drilled
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.changes import changed
from homelab_lib.lab.checks.backups import faults
from homelab_lib.models.copies import Copy
from homelab_lib.recipes.backup import files as backup
from homelab_lib.recipes.backup import guests
from homelab_lib.twin.proxmox.vm import VirtualMachine
from recipes.bench import Bench

LAB = load_lab()
VM, DRILL = 201, 9201
DAY_S = 86_400
FILES = {f"/etc/app/{name}.conf": f"what {name} is told\n" * 9 for name in ("a", "b c", "d", "e")}


def described(**changes):
    guests = {
        "host": "proxmox",
        "guests": ["k3s-control"],
        "storage": "local",
        "schedule": "30 2 * * *",
        "keep": {"daily": 7, "weekly": 4},
        "medium": "the node's own disk",
        "phase": 4,
    }
    drill = {
        "backup": "vms",
        "vm": "k3s-control",
        "vmid": DRILL,
        "storage": "fastmirror",
        "files": 6,
        "phase": 4,
    }
    guests |= changes.pop("guests", {})
    document = {"guests": {"vms": guests}, "guest_drills": {"control": drill | changes}}
    return Backups.model_validate(document)


def bench_of(**changes):
    lab = LAB.model_copy(update={"backups": described(**changes), "nas": {}})
    bench = Bench(lab, backup.steps(lab, 4), phase=4)
    node = bench.world.machines["proxmox"]
    node.vms[VM].config["protection"] = "1"  # as our own VMs have it; a restore takes it along
    for path, text in FILES.items():
        node.vms[VM].guest.files.put(path, text)
    return bench, node


def noted(node):
    """What the note of the last drill says of each thing."""
    text = node.files.text("/var/lib/homelab/drills/control")
    return {path: word for word, _, path in (x.partition(" ") for x in text.splitlines()[1:])}


def drift(bench):
    """The steps of which a look finds something else than they leave."""
    engine = bench.engine("verify")
    found = [engine.run_step(step.name) for step in bench.steps]
    return [each.step for each in found if each.status == "drift"]


def nothing_is_left(node):
    volumes = [v for v in node.stores["fastmirror"].volumes if f"-{DRILL}-" in v]
    mounts = [target for target in node.files.mounts if "drill" in target]
    folders = [p for p in node.files.entries if p.startswith("/var/lib/homelab/drills/control.d")]
    return not (volumes or mounts or folders or node.loops or DRILL in node.vms)


@pytest.fixture
def made():
    bench, node = bench_of()
    assert bench.stops() == ("", "")
    return bench, node


def test_backed_up_restored_compared_and_removed(made):
    bench, node = made
    [archive] = node.stores["local"].archives.values()
    assert (archive.vmid, archive.notes) == (VM, "k3s-control")
    assert set(node.jobs) == {"homelab-vms"}
    assert nothing_is_left(node)
    assert node.vms[VM].running
    assert len(noted(node)) == 6
    assert set(noted(node).values()) == {"same"}
    left = [p for p in node.files.entries if p.startswith("/var/lib/homelab/drills/")]
    assert left == ["/var/lib/homelab/drills/control"]
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_it_goes_on_by_itself_and_old_backups_are_forgotten(made):
    bench, node = made
    bench.world.clock.sleep(40 * DAY_S)
    kept = node.stores["local"].archives
    assert 7 <= len(kept) <= 7 + 4
    assert bench.world.clock.now() - max(each.made_s for each in kept.values()) < DAY_S
    files = {p for p in node.files.entries if p.startswith("/var/lib/vz/dump/vzdump-")}
    assert {p for p in files if p.endswith(".zst")} == {f"/var/lib/vz/dump/{n}" for n in kept}
    assert len(files) == 3 * len(kept), "its log and its notes come and go with it"
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    bench.world.clock.sleep(51 * DAY_S)
    due = ["drill-control", "three-two-one"]
    assert drift(bench) == due, "a drill is due again after 90 days"
    assert bench.stops() == ("", "")
    assert nothing_is_left(node)


def test_what_a_lab_describes_too_few_of_is_told_and_what_is_missing_of_it_stops(made):
    bench, node = made
    told = {check.title: check for check in bench.step("three-two-one").checks}
    check = told["k3s-control as a whole: every copy that the lab describes"]
    assert check.holds
    assert check.says.startswith("vms is ")
    assert "the lab describes 2 of 3 copies, 0 of 1 in another place" in check.says
    node.jobs["homelab-vms"]["enabled"] = "0"
    bench.world.clock.sleep(2 * DAY_S)
    looked = bench.step("three-two-one", "verify")
    [check] = [each for each in looked.checks if not each.holds]
    assert check.title in told
    assert re.search(r"vms is \d+ (h|days) old \(\d+ h were promised\)", check.says)


HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("backup_h", "task_h", "age_h"),
    [
        (5, 2, 5),  # the newest was there when it was copied on
        (5, 9, 9 + 26),  # it was not; whatever was there then was no older than promised
        (None, 2, None),
        (5, None, None),
    ],
)
def test_a_copy_of_a_backup_is_as_old_as_what_is_in_it(backup_h, task_h, age_h):
    hours = [None if each is None else each * HOUR_S for each in (backup_h, task_h, age_h)]
    backup = Copy("vm", "tank", False, hours[0], 26 * HOUR_S)
    found = guests._onward("vms", backup, Copy("b2", "B2", True, hours[1], 26 * HOUR_S))
    assert found == Copy("vms by b2", "B2", True, hours[2], 52 * HOUR_S)


def test_what_is_restored_is_never_a_second_one_on_the_network(monkeypatch):
    bench, node = bench_of(start=True)
    seen = []
    start = type(node).start_vm

    def started(node, vmid):
        if vmid == DRILL:
            seen.append(dict(node.vms[vmid].config))
        start(node, vmid)

    monkeypatch.setattr(type(node), "start_vm", started)
    node.vms[VM].config |= {"onboot": "1", "usb0": "host=1234:5678"}
    assert bench.stops() == ("", "")
    [config] = seen
    was = node.vms[VM].config
    assert "link_down=1" in config["net0"]
    assert config["net0"].split(",")[0] != was["net0"].split(",")[0], "another hardware address"
    assert (config["onboot"], "usb0" in config) == ("0", False)
    assert config["name"] == "drill-control"
    assert noted(node)["start of the restored VM"] == "same"
    assert nothing_is_left(node)


def test_one_that_does_not_start_is_no_good_backup():
    bench, node = bench_of(start=True)
    node.memory_bytes = sum(vm.held_bytes for vm in node.vms.values()) + 2**30
    step, words = bench.stops()
    assert step == "drill-control"
    assert "Cannot allocate memory" in words
    assert noted(node)["start of the restored VM"] == "lost"
    assert nothing_is_left(node)


def test_a_flipped_byte_fails_the_drill_and_says_where(made):
    bench, node = made
    [archive] = node.stores["local"].archives.values()
    path = next(p for p in noted(node) if p in FILES)
    entry = archive.inside.entries[path]
    entry.data = b"X" + entry.data[1:]  # same size, same time
    node.files.remove("/var/lib/homelab/drills/control")
    step, words = bench.stops()
    assert step == "drill-control"
    assert f"differs {path}" in words
    assert noted(node)[path] == "differs"
    assert nothing_is_left(node), "it is removed however it ends"
    step, _ = bench.stops()
    assert step == "drill-control", "a bad one is held again, whatever its age"
    entry.data = node.vms[VM].guest.files.read(path)
    assert bench.stops() == ("", "")


def test_what_was_changed_since_can_not_be_compared(made):
    bench, node = made
    guest = node.vms[VM].guest
    for path in [p for p in guest.files.entries if guest.files.entries[p].kind == "file"]:
        guest.files.entries[path].mtime_s += 60
    node.files.remove("/var/lib/homelab/drills/control")
    step, words = bench.stops()
    assert step == "drill-control"
    assert "none could be compared" in words
    assert nothing_is_left(node)


def test_a_backup_that_can_not_be_read_back_leaves_no_torso(made):
    bench, node = made
    [archive] = node.stores["local"].archives.values()
    archive.broken = "command 'vma extract' failed: exit code 1"
    node.files.remove("/var/lib/homelab/drills/control")
    step, words = bench.stops()
    assert step == "drill-control"
    assert "vma extract" in words
    assert noted(node) == {"the whole VM": "lost"}
    assert nothing_is_left(node)


def test_a_number_that_somebody_has_stops_it_and_he_keeps_it(made):
    bench, node = made
    node.files.remove("/var/lib/homelab/drills/control")
    node.vms[DRILL] = VirtualMachine(DRILL, {"name": "accounting", "memory": "512"})
    step, words = bench.stops()
    assert step == "drill-control"
    assert "accounting" in words
    assert "another vmid" in words
    assert DRILL in node.vms
    del node.vms[DRILL]
    node.stores["fastmirror"].volumes[f"vm-{DRILL}-disk-3"] = 2**30
    assert "disk-3" in bench.stops()[1], "a disk without a VM is somebody's, too"
    assert f"vm-{DRILL}-disk-3" in node.stores["fastmirror"].volumes


def test_a_silent_guest_agent_is_no_difference(made):
    bench, node = made
    node.files.remove("/var/lib/homelab/drills/control")
    node.vms[VM].guest.units["qemu-guest-agent"].active = "inactive"
    step, words = bench.stops()
    assert step == "drill-control"
    assert "guest agent is not running" in words
    assert nothing_is_left(node)
    assert node.vms[VM].running


def test_a_drill_that_was_broken_off_is_cleared_away_first(made):
    bench, node = made
    node.files.remove("/var/lib/homelab/drills/control")
    disk = f"vm-{DRILL}-disk-0"
    node.stores["fastmirror"].volumes[disk] = 2**30
    config = {"name": "drill-control", "tags": f"homelab-{LAB.name}", "memory": "512"}
    node.vms[DRILL] = VirtualMachine(DRILL, config | {"scsi0": f"fastmirror:{disk},size=1G"})
    node.vms[DRILL].inside = next(iter(node.stores["local"].archives.values())).inside
    node.run(f"losetup -r -P -f --show /dev/zvol/fastmirror/{disk}").finished()
    node.run("mkdir -p /var/lib/homelab/drills/control.d/disk").finished()
    node.run("mount -o ro /dev/loop0p1 /var/lib/homelab/drills/control.d/disk").finished()
    assert not nothing_is_left(node)
    assert bench.stops() == ("", "")
    assert nothing_is_left(node)
    assert len([line for line in bench.wire.sent if "drills/" in line]) == 3


def test_an_old_backup_is_said_and_made_anew(made):
    bench, node = made
    node.jobs["homelab-vms"]["enabled"] = "0"
    bench.world.clock.sleep(2 * DAY_S)
    assert drift(bench) == ["guests-vms", "three-two-one"]
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert [line.split(" ")[2] for line in bench.wire.sent if "/cluster/backup/" in line] == ["set"]
    assert node.jobs["homelab-vms"]["enabled"] == "1"
    assert len(node.stores["local"].archives) == 2


def test_no_room_is_told_as_the_task_tells_it():
    bench, node = bench_of()
    node.stores["local"].full = True
    step, words = bench.stops()
    assert step == "guests-vms"
    assert "job errors" in words
    assert not node.stores["local"].archives


def test_somebody_elses_job_keeps_its_name():
    bench, node = bench_of()
    node.jobs["homelab-vms"] = {"schedule": "*-*-* 4:0:00", "all": "1", "storage": "local"}
    step, words = bench.stops()
    assert step == "guests-vms"
    assert "did not make" in words
    assert node.jobs["homelab-vms"]["all"] == "1"


def test_a_machine_that_is_off_does_not_take_a_card_for_its_backup():
    bench, node = bench_of()
    node.stop_vm(VM)
    node.vms[VM].config["hostpci0"] = "mapping=gpu1"
    step, words = bench.stops()
    assert step == "guests-vms"
    assert "take the card" in words
    assert not node.stores["local"].archives


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize(("through", "start"), [(0, False), (1, False), (2, False), (6, True)])
@pytest.mark.slow
def test_a_cut_link_ends_in_the_same_state(cut, through, start):
    bench, node = bench_of(start=start)
    bench.wire.cut, bench.wire.through = cut, through
    bench.stops()
    bench.wire.cut, bench.wire.off = "", {}
    assert bench.stops() == ("", "")
    made_by_us = [line for line in bench.wire.sent if "/vzdump" in line and "systemd-run" in line]
    assert len(made_by_us) <= 1
    assert nothing_is_left(node)
    assert set(noted(node).values()) == {"same"}


def test_a_plan_on_a_likeness_finds_the_same_to_do(made):
    bench, _ = made
    same = bench.likeness()
    assert same.stops() == ("", "")
    assert same.wire.sent == []
    other = bench_of()[0].likeness()
    assert other.stops() == ("", "")
    begun = [line for line in other.wire.sent if "create /cluster/backup" in line]
    begun += [line for line in other.wire.sent if "systemd-run" in line]
    assert len(begun) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vmid": 202}, "is a guest's number"),
        ({"storage": "local"}, "storage of block devices"),
        ({"vm": "desktop"}, "no VM that vms backs up"),
        ({"guests": {"storage": "fastmirror"}}, "no storage for backups"),
        ({"guests": {"guests": ["k3s-control", "pi5"]}}, "no guest of proxmox"),
        ({"guests": {"host": "truenas"}}, "no Proxmox host"),
    ],
)
def test_a_description_that_can_not_be_is_refused(change, words):
    lab = LAB.model_copy(update={"backups": described(**change)})
    assert any(words in fault.what for fault in faults(lab))


def test_a_disk_that_may_hold_lvm_is_not_looked_at_from_the_node():
    """lvm2's udev rules activate what lies on a loop device's partitions, as on any disk."""
    with pytest.raises(LabError) as caught:
        changed(LAB, ("vms.k3s-control.image", None), ("vms.k3s-control.exists", True))
    assert "may hold LVM" in str(caught.value)


def test_whole_backups_that_nobody_restores_are_found():
    kept = described()
    lab = LAB.model_copy(update={"backups": kept})
    assert not [each for each in drilled(lab) if each.subject == "backups.guests.vms"]
    lab = LAB.model_copy(update={"backups": kept.model_copy(update={"guest_drills": {}})})
    [found] = [each for each in drilled(lab) if each.subject == "backups.guests.vms"]
    assert "k3s-control" in found.says
