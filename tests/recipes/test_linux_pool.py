"""Pools of a plain Linux machine: made once of the disks that are named, and never of others; one
that is there lies on the disks that the lab says, or nothing is stored on it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.control.linux.disks import labels
from homelab_lib.control.linux.new_pool import LinuxPool
from homelab_lib.control.vdevs import Vdev
from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import looks, runbook, runbooks
from homelab_lib.recipes.nas import linux
from homelab_lib.twin.machine.devices import device
from homelab_lib.twin.machine.zfs import datasets
from homelab_lib.wiring.capacity import usable_of
from recipes.bench import Bench

LAB = load_lab("tests/recipes/labs/linux_nas.yaml")
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


def gone(row):
    row["serial"] = "ZL000009"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (ext4, "has something on it: ext4; nothing is wiped"),
        (partitioned, "has something on it: 1 partition, ntfs Photos"),
        (mounted, "what is mounted at /home"),
        (destroyed, "the label of pool tank; nothing is wiped here: look whose it is"),
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


def test_health_tells_that_a_disk_is_another_one():
    there = Bench(LAB, looks.looks(LAB, {7}), phase=8)
    another(there)
    told = {check.title: check.says for check in there.step("pools-box", "verify").checks}
    says = told["pool tank of box lies on the disks that the lab says"]
    assert "the lab says ZL000001 (d1), it lies on THEIRS01 instead" in says


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
    diff = pool.diff({"pool": None, "disks": mine, "there": []})
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


def test_labels_are_said_once_each():
    class Host:
        name = "box"

        def read(self, *words, **more):
            class Said:
                stdout = (
                    '{"signatures": [{"device": "sda", "offset": "0x200", "type": "gpt"}, {"device"'
                    ': "sda", "offset": "0x3ffffe00", "type": "gpt"}, {"device": "sda", "offset": '
                    '"0x4000", "type": "zfs_member", "uuid": "1", "label": "tank"}]}'
                )

            return Said()

    assert labels(Host(), "sda") == ["a gpt partition table", "the label of pool tank"]
