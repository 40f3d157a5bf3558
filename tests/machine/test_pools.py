"""Pools that the runbook makes of real disks with OpenZFS, and disks that it leaves as they are."""

import itertools
import shlex
import shutil
import threading
from pathlib import Path

import pytest

from homelab_lib.control.linux.new_pool import LinuxPool
from homelab_lib.control.vdevs import Vdev
from homelab_lib.runbook.proof import check
from machine.carried_out import (
    FORGET,
    GIB,
    LAB,
    SERIALS,
    blank,
    by_serial,
    cut,
    planned,
    run,
    sent,
)

pytestmark = pytest.mark.machine

CONFIRM = {"confirm": ["burn-in"]}
NONE_YET = {"pool": None, "there": [], "namesakes": []}


@pytest.fixture
def blank_lab(nas, tmp_path, monkeypatch):
    """The lab whose pool nobody has made yet, and blank disks."""
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    for who in ("ANN", "BEN"):
        monkeypatch.setenv(f"{who}_PASSWORD", "correct horse")
    nas.ssh(FORGET, check=False)
    blank(nas)
    copied = Path(shutil.copytree(LAB, tmp_path / "lab"))
    text = (copied / "lab.yaml").read_text()
    made = text.replace("purpose: Files, exists: true", "purpose: Files, phase: 1")
    assert made != text
    (copied / "lab.yaml").write_text(made)
    yield str(copied)
    nas.ssh(FORGET, check=False)


def lies_on(nas, pool="tank"):
    """The serial numbers of a pool's disks, by the links that udev makes."""
    paths = nas.says(f"zpool list -H -v -P -o name {pool} | grep -o /dev/disk/by-id/.*part1")
    return sorted(path.partition("-part1")[0].rpartition("_")[2] for path in paths.split())


def test_a_pool_is_made_of_the_disks_that_are_named_and_once(nas, blank_lab):
    plan = planned(nas, lab=blank_lab)
    assert plan.changes[0].summary.startswith("make pool tank, raidz2 of sd")
    ran, error = run(nas, approve=plan.digest, lab=blank_lab, **CONFIRM)
    assert error is None, error
    assert lies_on(nas) == SERIALS[:4]
    [holds] = [m for outcome in ran.outcomes for m in outcome.measurements]
    assert holds.value == holds.predicted
    assert list(check(ran.record.folder)) == []
    again, error = run(nas, approve=plan.digest, lab=blank_lab, **CONFIRM)
    assert (error, sent(again)) == (None, 0)
    assert run(nas, "verify", lab=blank_lab)[1] is None
    assert planned(nas, lab=blank_lab).changes == ()


FOREIGN = {
    "a file system": ("mkfs.ext4 -q -F -L photos {disk}", "something on it: ext4 photos"),
    "partitions": ("echo ',,' | sfdisk -q {disk} && mkfs.ext4 -q -F {disk}-part1", "1 partition"),
    "an empty table": ("echo 'label: gpt' | sfdisk -q {disk}", "gpt partition table"),
    "a table that can't be read": (
        "echo 'label: gpt' | sfdisk -q {disk} && wipefs -q -a -t gpt {disk}",
        "a gpt partition table that can't be read",
    ),
    "a pool that was destroyed": ("zpool create old {disk} && zpool destroy old", "of pool old"),
    "a pool that was exported": ("zpool create old {disk} && zpool export old", "of pool old"),
    "a pool in use": ("zpool create old {disk}", "of pool old"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_disk_on_which_anything_lies_is_left_as_it_is(nas, blank_lab, what):
    command, words = FOREIGN[what]
    disk = by_serial(nas, SERIALS[2:3])
    nas.ssh(f"udevadm settle; {command.format(disk=disk)}; partprobe; udevadm settle")
    before = nas.says(f"dd if={disk} bs=1M count=64 status=none | sha256sum")
    _, error = run(nas, "plan", lab=blank_lab)
    assert SERIALS[2] in str(error)
    assert words in str(error)
    assert nas.says(f"dd if={disk} bs=1M count=64 status=none | sha256sum") == before
    nas.ssh("zpool destroy old", check=False)


def test_a_pool_of_that_name_on_other_disks_stops_it_before_anything_is_stored(nas, blank_lab):
    disks = [*SERIALS[:2], *SERIALS[4:6]]
    nas.ssh(f"zpool create -o ashift=12 tank raidz2 {by_serial(nas, disks)}")
    for lab in (LAB, blank_lab):
        _, error = run(nas, "plan", lab=lab)
        assert all(each in str(error) for each in (*SERIALS[2:4], *SERIALS[4:6]))
    assert nas.says("zfs list -H -o name") == "tank"


def test_the_power_goes_while_a_pool_is_made(nas, blank_lab):
    """Whatever is left then, nobody writes over it: the pool is there, or a person is told."""
    plan = planned(nas, lab=blank_lab)
    cutter = threading.Thread(target=cut, args=(nas, plan, 1))
    cutter.start()
    _, error = run(nas, approve=plan.digest, lab=blank_lab, **CONFIRM)
    cutter.join()
    assert error is not None, "the power went too late"
    nas.start()
    _, error = run(nas, approve=plan.digest, lab=blank_lab, **CONFIRM)
    if error is not None:
        assert "something on it" in str(error)
        blank(nas)
        _, error = run(nas, approve=plan.digest, lab=blank_lab, **CONFIRM)
    assert error is None, error
    assert lies_on(nas) == SERIALS[:4]


LAYOUTS = {
    "raidz2 beside a mirror of 2": (("data", "RAIDZ2", 3), ("special", "MIRROR", 2)),
    "raidz1 beside a mirror of 2": (("data", "RAIDZ1", 3), ("special", "MIRROR", 2)),
    "mirrors of 2 and 3": (("data", "MIRROR", 2), ("data", "MIRROR", 3)),
    "mirrors of 2": (("data", "MIRROR", 2), ("data", "MIRROR", 2), ("log", "STRIPE", 1)),
    "raidz1 of 3 and of 2": (("data", "RAIDZ1", 3), ("data", "RAIDZ1", 2)),
    "raidz1 and raidz2": (("data", "RAIDZ1", 3), ("data", "RAIDZ2", 3)),
    "a disk beside a mirror": (("data", "MIRROR", 2), ("special", "STRIPE", 1)),
    "disks": (("data", "STRIPE", 2), ("cache", "STRIPE", 1), ("spare", "STRIPE", 1)),
    "logs of two kinds": (("data", "MIRROR", 2), ("log", "MIRROR", 2), ("log", "STRIPE", 1)),
    "spares one by one": (("data", "MIRROR", 2), ("spare", "STRIPE", 1), ("spare", "STRIPE", 1)),
    "log of another kind": (("data", "RAIDZ2", 4), ("log", "MIRROR", 2)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_zpool_takes_only_by_force_is_what_we_say_it_does(nas, name):
    """`zpool create -n` beside what a plan says of the same disks."""
    blank(nas)
    serials = iter(SERIALS)
    vdevs = tuple(
        Vdev(role, kind, tuple(itertools.islice(serials, count)))
        for role, kind, count in LAYOUTS[name]
    )
    used = [serial for vdev in vdevs for serial in vdev.serials]
    disks = [
        {"name": serial, "serial": serial, "size_bytes": GIB, "told": serial, "holds": [],
         "path": by_serial(nas, [serial])}
        for serial in used
    ]  # fmt: skip
    diff = LinuxPool("nas", "try", vdevs).diff(NONE_YET | {"disks": disks})
    if diff.changes:
        words = diff.changes[0].call.argv
    else:  # as it would be, were it not refused
        words = ["zpool", "create", "try"]
        for vdev in vdevs:
            words += [] if vdev.role == "data" else [vdev.role]
            words += [] if vdev.kind == "STRIPE" else [vdev.kind.lower()]
            words += [by_serial(nas, [serial]) for serial in vdev.serials]
    at = words.index("create") + 1
    said = nas.ssh(shlex.join([*words[:at], "-n", *words[at:]]), check=False)
    assert (said.returncode == 0) == bool(diff.changes), said.stderr
    if not diff.changes:
        assert "mismatched replication level" in said.stderr


def test_disks_of_other_sizes_are_taken_only_by_force(nas):
    blank(nas)
    mine = [SERIALS[0], "LARGE0020A"]
    said = nas.ssh(f"zpool create -n try mirror {by_serial(nas, mine)}", check=False)
    assert "mirror contains devices of different sizes" in said.stderr
    disks = [
        {"name": serial, "serial": serial, "size_bytes": size, "told": serial, "holds": [],
         "path": "x"}
        for serial, size in zip(mine, (GIB, 20 * GIB), strict=True)
    ]  # fmt: skip
    pool = LinuxPool("nas", "try", (Vdev("data", "MIRROR", tuple(mine)),))
    assert "different sizes" in pool.diff(NONE_YET | {"disks": disks}).conflict
