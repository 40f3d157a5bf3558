"""Pools of a plain Linux machine: made once of the disks that are named, and never of others; one
that is there lies on the disks that the lab says, or nothing is stored on it."""

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.control.linux.disks import labels
from homelab_lib.control.linux.new_pool import LinuxPool
from homelab_lib.control.vdevs import Vdev
from homelab_lib.errors import BadParameter, HomelabError, LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import looks, runbook, runbooks
from homelab_lib.recipes.nas import linux
from homelab_lib.runbook.step import Runbook
from homelab_lib.transport.command import Result
from homelab_lib.twin.machine.devices import device
from homelab_lib.twin.machine.zfs import datasets
from homelab_lib.wiring.capacity import usable_of
from recipes.bench import Bench

FILE = "tests/recipes/labs/linux_nas.yaml"
LAB = load_lab(FILE)
TO_MAKE = changed(LAB, ("pools.box.tank", {"layout": "mirror", "disks": ["d1", "d2"], "phase": 7}))


def bench(lab):
    return Bench(lab, linux.steps(lab, 7), phase=7)


def disk(there, serial):
    """The row of a machine's disk."""
    rows = there.world.machines["box"].blocks
    return next(row for row in rows if row["serial"] == serial)


def test_from_blank_disks_to_a_share_and_it_is_made_once(monkeypatch):
    monkeypatch.setenv("ANN_PASSWORD", "correct horse")
    there = bench(TO_MAKE)
    assert there.step("burn-in").status == "already"
    made = there.step("pool")
    assert made.status == "changed"
    call = there.wire.sent[0]
    ids = "/dev/disk/by-id/scsi-Seagate_Exos_X16__16_TB__SAS"
    assert call.endswith(f"zpool create -o ashift=12 tank mirror {ids}_ZL000001 {ids}_ZL000002")
    [holds] = made.measurements
    assert holds.value == holds.predicted == usable_of(TO_MAKE, TO_MAKE.pools["box"]["tank"])
    assert there.step("datasets").status == "changed"
    there.wire.sent.clear()
    assert [there.step(name).status for name in ("pool", "datasets")] == ["already", "already"]
    assert there.wire.sent == []
    assert there.step("pool", "verify").status == "already"
    assert there.likeness().step("pool", "verify").status == "already"


def test_a_plan_says_what_is_done_and_the_twin_of_a_real_machine_goes_on_from_it():
    there = bench(TO_MAKE)
    before = there.world.state()
    twin = there.likeness()
    assert twin.step("pool").status == "changed"
    assert twin.step("datasets").status == "changed"
    assert there.world.state() == before
    there.step("pool")
    assert twin.wire.sent[0] == there.wire.sent[0]


def test_it_is_part_of_the_phase_wherever_the_lab_says_so():
    [named] = runbooks(TO_MAKE)
    names = runbook(TO_MAKE, named.phase, lambda vm: "", named.part).names
    assert names[:3] == ("burn-in", "pool", "accounts")


def ext4(row):
    row["fstype"] = "ext4"


def partitioned(row):
    row["children"] = [device("sda1", 10**12, type="part", fstype="ntfs", label="Photos")]


def mounted(row):
    row["children"] = [device("sda1", 10**12, type="part", mountpoint="/home")]


def destroyed(row):
    """What is left of a pool on which `zpool create` would write without a word."""
    row["children"] = [device("sda1", 10**12, type="part", fstype="zfs_member", label="tank")]


def smaller(row):
    row["size"] = 10**13


def twice(row):
    row["serial"] = "ZL000002"


def half_read(row):
    """A disk out of a USB case, whose sectors the machine counts otherwise: udev knows it too."""
    row["pttype"] = "PMBR"


def encrypted(row):
    """Of plain dm-crypt nothing is to be read on the disk itself."""
    row["children"] = [device("photos", 10**12, type="crypt", kname="dm-0")]


def gone(row):
    row["serial"] = "ZL000009"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (ext4, "has something on it: ext4; nothing is wiped"),
        (partitioned, "has something on it: 1 partition, ntfs Photos"),
        (mounted, "what is mounted at /home"),
        (destroyed, "the label of pool tank; nothing is wiped here: look whose it is"),
        (half_read, "something on it: a gpt partition table that can't be read"),
        (encrypted, "something on it: dm-0 (crypt)"),
        (smaller, "should hold 16 TB by the lab: it is another one"),
        (twice, "both say that their serial number is ZL000002"),
        (gone, "box has no disk with the serial number ZL000001; it has"),
    ],
)
def test_a_disk_that_is_not_free_or_not_the_one_stops_it_before_anything_is_sent(wrong, words):
    there = bench(TO_MAKE)
    wrong(disk(there, "ZL000001"))
    there.steps = tuple(replace(step, needs=()) for step in there.steps if step.name == "pool")
    where, said = there.stops()
    assert where == "pool"
    assert words in said
    assert there.wire.sent == []


def test_a_pool_of_that_name_that_is_not_imported_stops_it():
    there = bench(TO_MAKE)
    system = disk(there, "NV000001")
    system["children"] = [device("nvme0n1p1", 10**11, type="part", fstype="zfs_member",
                                 label="tank")]  # fmt: skip
    where, said = there.stops()
    assert where == "pool"
    assert "a pool tank lies on nvme0n1 (NV000001, 1 TB) and is not imported" in said
    assert there.wire.sent == []


def test_a_disk_is_called_otherwise_after_a_boot_and_is_the_same():
    there = bench(TO_MAKE)
    machine = there.world.machines["box"]
    one, other = disk(there, "ZL000001"), disk(there, "ZL000002")
    one["name"], other["name"] = other["name"], one["name"]
    for row in (one, other):
        row |= {"kname": row["name"], "path": f"/dev/{row['name']}"}
    for path in [p for p in machine.files.entries if p.startswith("/dev/disk/by-id/")]:
        target = one["name"] if "ZL000001" in path else other["name"]
        if "ZL" in path:
            machine.files.entries[path].data = f"/dev/{target}".encode()
    there.step("pool")
    assert there.step("pool", "verify").status == "already"
    [group] = datasets(machine)["tank"].vdevs
    assert group.members == (f"{one['name']}1", f"{other['name']}1")


def test_a_machine_without_zfs_says_how_it_gets_it():
    there = bench(TO_MAKE)
    del there.world.machines["box"].packages["zfsutils-linux"]
    there.steps = tuple(replace(step, needs=()) for step in there.steps if step.name == "pool")
    assert "apt install zfsutils-linux" in there.stops()[1]


def test_what_only_a_nas_makes_is_refused_with_the_way_out():
    secret = changed(TO_MAKE, ("pools.box.tank.encryption", "key"))
    with pytest.raises(BadParameter, match="zpool create -O encryption=on"):
        list(linux.steps(secret, 7))
    nameless = changed(TO_MAKE, ("hosts.box.disks.d1.serial", None))
    with pytest.raises(BadParameter, match="no serial number"):
        list(linux.steps(nameless, 7))


# One that is there --------------------------------------------------------------------------------


def another(there):
    """A pool of that name came in with somebody's disks."""
    row = disk(there, "ZL000001")
    row["serial"] = "THEIRS01"


@pytest.mark.parametrize("lab", [LAB, TO_MAKE], ids=["exists", "made"])
def test_a_pool_on_other_disks_is_another_one(lab):
    there = bench(lab)
    if lab is TO_MAKE:
        there.step("pool")
        there.wire.sent.clear()
    another(there)
    where, said = there.stops()
    assert where == ("pools-ready" if lab is LAB else "pool")
    assert "ZL000001" in said
    assert "THEIRS01" in said
    assert there.wire.sent == []


def test_nothing_is_stored_on_a_pool_that_has_lost_a_disk():
    there = bench(LAB)
    datasets(there.world.machines["box"])["tank"].state = "DEGRADED"
    where, said = there.stops()
    assert (where, there.wire.sent) == ("pools-ready", [])
    assert "it is DEGRADED" in said


def test_who_may_use_what_is_changed_on_the_pool_that_is_meant_only():
    lab = changed(LAB, ("datasets.box.tank/family", {"purpose": "Photos", "exists": True}))
    there = bench(lab)
    assert there.steps[0].name == "pools-ready"
    another(there)
    assert there.stops()[0] == "pools-ready"


def test_no_dataset_is_made_by_itself_on_a_pool_that_is_another():
    there = bench(LAB)
    another(there)
    with pytest.raises(HomelabError, match="pools-ready"):
        there.step("datasets")
    assert there.wire.sent == []


def test_machines_and_pools_of_any_names_have_steps_of_their_own():
    text = Path(FILE).read_text().replace("ZL0", "OLD").replace("NV0", "OLN")
    other = yaml.safe_load(text)["hosts"]["box"] | {"ports": {}}
    stripe = {"layout": "stripe", "phase": 7}
    lab = changed(
        LAB,
        ("hosts.box-old", other),
        ("pools.box", {"old": stripe | {"disks": ["d1"]}, "tank": stripe | {"disks": ["d2"]}}),
        ("pools.box-old", {"tank": stripe | {"disks": ["d1", "d2"]}}),
    )
    names = Runbook("x", "X", tuple(linux.steps(lab, 7))).names
    assert {"pool-box.old", "pool-box.tank", "pool-box-old"} < set(names)


def test_a_dataset_is_made_no_earlier_than_its_pool():
    phases = [
        {"name": f"p{n}", "number": n, "title": "P", "goal": "G", "tasks": []} for n in (7, 8)
    ]
    with pytest.raises(LabError, match="its pool is made in phase 8 only"):
        changed(TO_MAKE, ("pools.box.tank.phase", 8), ("phases", phases))


def test_a_stripe_is_no_mirror_though_it_lies_on_the_same_disks():
    there = bench(LAB)
    pools = datasets(there.world.machines["box"])
    [group] = pools["tank"].vdevs
    pools["tank"].vdevs = (replace(group, layout="stripe"),)
    where, said = there.stops()
    assert where == "pools-ready"
    assert "it is stripe of /dev/sda1, /dev/sdb1, and the lab says mirror of 2" in said


def test_health_tells_that_a_disk_is_another_one():
    there = Bench(LAB, looks.looks(LAB, {7}), phase=8)
    another(there)
    told = {check.title: check.says for check in there.step("pools-box", "verify").checks}
    says = told["pool tank of box lies on the disks that the lab says"]
    assert "the lab says ZL000001 (d1), it lies on THEIRS01 instead" in says


def test_health_looks_at_a_machine_that_a_person_set_up():
    """Nobody has carried out the runbook of its own phase; what was stored there was."""
    steps = [{"name": f"p{n}", "number": n, "title": "P", "goal": "G", "tasks": []} for n in (1, 7)]
    lab = changed(LAB, ("phases", steps), ("hosts.box.phase", 1))
    assert "pools-box" in [step.name for step in looks.looks(lab, {7})]
    assert "pools-box" not in [step.name for step in looks.looks(lab, set())]


def test_one_that_was_to_be_made_and_is_degraded_is_found_by_what_runs():
    there = bench(TO_MAKE)
    there.step("pool")
    datasets(there.world.machines["box"])["tank"].state = "DEGRADED"
    outcome = there.step("pool", "verify")
    assert [(each.status, each.looks_at) for each in outcome.resources] == [("drift", "runs")]


# Whatever disks a machine has ---------------------------------------------------------------------

SERIALS = ("A1", "B2", "C3", "D4")
sizes = st.sampled_from([10**12, 10**12 + 2**20, 10**12 + 2**26, 2 * 10**12])
disks = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["sda", "sdb", "sdc", "nvme0n1", "nvme1n1"]),
            "serial": st.sampled_from(SERIALS),
            "size_bytes": sizes,
            "path": st.sampled_from(["", "x"]),
            "holds": st.sampled_from([[], [], [], ["ext4"], ["the label of pool old"], ["gpt"]]),
        }
    ),
    max_size=6,
    unique_by=lambda disk: disk["name"],
)
wanted = st.lists(st.sampled_from(SERIALS), min_size=2, max_size=4, unique=True)


@given(disks, wanted, st.sampled_from(["MIRROR", "STRIPE", "RAIDZ1"]))
def test_nothing_is_taken_that_was_not_named_or_is_not_free(there, serials, kind):
    there = [
        row | {"path": row["path"] and f"/dev/disk/by-id/ata-{row['name']}", "told": row["name"]}
        for row in there
    ]
    mine = [row for row in there if row["serial"] in serials]
    pool = LinuxPool("box", "tank", (Vdev("data", kind, tuple(serials)),))
    diff = pool.diff({"pool": None, "disks": mine, "there": [], "namesakes": []})
    free = all(row["path"] and not row["holds"] for row in mine)
    spread = [row["size_bytes"] for row in mine] or [0]
    even = kind == "STRIPE" or max(spread) - min(spread) <= 2**24
    meant = sorted(row["serial"] for row in mine) == sorted(serials)
    assert bool(diff.changes) == (free and even and meant)
    assert bool(diff.changes) != bool(diff.conflict)
    for change in diff.changes:
        words = change.call.argv
        taken = [word for word in words if word.startswith("/dev/")]
        assert sorted(taken) == sorted(row["path"] for row in mine)
        assert not {"-f", "--force", "-n"} & set(words)


class Wiped:
    """A host on which `wipefs` finds labels of these types."""

    name = "box"

    def __init__(self, *found):
        rows = [{"device": "sda", "type": kind, "label": label} for kind, label in found]
        self.said = json.dumps({"signatures": rows})

    def read(self, *words, **more):
        return Result(0, self.said, "")


def test_labels_are_said_once_each():
    gpt = [("gpt", None), ("gpt", None), ("PMBR", None)]  # at both ends of the disk
    host = Wiped(*gpt, ("zfs_member", "tank"))
    assert labels(host, "sda") == ["a gpt partition table", "the label of pool tank"]


def test_what_stands_beside_each_gpt_is_no_blank_disk_where_it_stands_alone():
    """A GPT in sectors of 4096 bytes, read in sectors of 512, has only that to show."""
    [said] = labels(Wiped(("PMBR", None)), "sda")
    assert said.startswith("a gpt partition table that can't be read")


def test_a_role_is_named_once_and_disks_that_stand_alone_come_first_in_it():
    """`zpool create` takes `log` once, and whatever follows a mirror into the mirror."""
    vdevs = (
        Vdev("data", "MIRROR", ("A", "B")),
        Vdev("log", "MIRROR", ("C", "D")),
        Vdev("spare", "STRIPE", ("F",)),
        Vdev("log", "STRIPE", ("E",)),
        Vdev("spare", "STRIPE", ("G",)),
    )
    disks = [
        {"name": s, "serial": s, "size_bytes": 1, "told": s, "holds": [], "path": s}
        for s in "ABCDEFG"
    ]
    seen = {"pool": None, "disks": disks, "there": [], "namesakes": []}
    [made] = LinuxPool("box", "tank", vdevs).diff(seen).changes
    words = " ".join(made.call.argv)
    assert words.endswith("tank mirror A B log E mirror C D spare F G")


def test_the_twins_zpool_takes_a_role_once():
    """`construct_spec` of OpenZFS's zpool_vdev.c."""
    machine = bench(TO_MAKE).world.machines["box"]
    one, other = (f"/dev/{disk['name']}" for disk in machine.blocks if "ZL" in disk["serial"])
    said = machine.run(f"zpool create tank {one} log {other} log {other}").finished()
    assert (said.status, said.out) == (1, b"")
    assert b"'log' can be specified only once" in said.err


@pytest.mark.skipif(shutil.which("wipefs") is None, reason="no wipefs")
def test_such_a_disk_as_wipefs_itself_shows_it(tmp_path):
    """The labels of a GPT whose sectors are 4096 bytes, on a disk whose sectors are 512."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(2**24)
        entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, 2**12 - 1)
        file.seek(446)
        file.write(entry)
        file.seek(510)
        file.write(b"\x55\xaa")
        file.seek(4096)
        file.write(b"EFI PART")
    said = subprocess.run(["wipefs", "-n", "-J", image], check=True, capture_output=True, text=True)

    host = Wiped()
    host.said = said.stdout
    [found] = labels(host, "disk")
    assert "can't be read" in found
