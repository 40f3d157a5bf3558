"""A whole VM from what is off site alone: its archive, carried away by restic, is restored beside
it with the key on paper; and what stops that."""

import copy
import re
from dataclasses import replace

import pytest

from homelab_lib.audit.rules.backups import drilled, three_copies
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.checks.backups import faults
from homelab_lib.recipes.backup import files as backup
from recipes.bench import Bench
from recipes.test_guest_backup import DAY_S, DRILL, FILES, VM, noted, nothing_is_left

LAB = load_lab()
KEY = "correct horse battery staple"
PAPER = "/run/homelab-drill-control"
KEPT = "/etc/homelab/restic"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name in ("KEY", "ID", "SECRET", "LOGIN"):
        monkeypatch.setenv(f"RESTIC_{name}", KEY if name == "KEY" else f"nobody's {name.lower()}")


def described(storage="local", path="/var/lib/vz/dump", repository="b2", **drill):
    guests = {
        "host": "proxmox",
        "guests": ["k3s-control"],
        "storage": storage,
        "schedule": "30 2 * * *",
        "keep": {"daily": 7},
        "medium": "the node's own disk",
        "phase": 4,
    }
    archives = {
        "machine": "proxmox",
        "paths": [path],
        "repository": repository,
        "schedule": "30 4 * * *",
        "keep": {"daily": 7},
        "phase": 4,
    }
    wanted = {
        "backup": "vms",
        "carried_by": "archives",
        "from_paper": "env:RESTIC_KEY",
        "vm": "k3s-control",
        "vmid": DRILL,
        "storage": "fastmirror",
        "files": 6,
        "phase": 4,
    } | drill
    known = {
        "b2": {
            "url": "s3:https://s3.example.org/archives",
            "password": "env:RESTIC_KEY",
            "secrets": {
                "access_key_id": "env:RESTIC_ID",
                "secret_access_key": "env:RESTIC_SECRET",
            },
            "offsite": True,
            "medium": "Backblaze B2",
            "paper": "an aunt in another town",
            "phase": 4,
        },
        "disk": {
            "url": "/mnt/disk/restic",
            "password": "env:RESTIC_KEY",
            "offsite": False,
            "medium": "a disk beside it",
            "phase": 4,
        },
    }
    return Backups.model_validate(
        {
            "repositories": known,
            "files": {"archives": archives},
            "guests": {"vms": guests},
            "guest_drills": {"control": {k: v for k, v in wanted.items() if v is not None}},
        }
    )


def bench_of(**changes):
    lab = LAB.model_copy(update={"backups": described(**changes), "nas": {}})
    bench = Bench(lab, backup.steps(lab, 4), phase=4)
    node = bench.world.machines["proxmox"]
    node.vms[VM].config["protection"] = "1"
    for path, text in FILES.items():
        node.vms[VM].guest.files.put(path, text)
    return bench, node


@pytest.fixture
def made():
    bench, node = bench_of()
    assert bench.stops() == ("", "")
    return bench, node


def again(node):
    """Nothing is known of a drill any more."""
    node.files.remove("/var/lib/homelab/drills/control")


def alone(bench):
    """The drill without what it stands on: all that is lost with a house."""
    found = copy.copy(bench)
    found.steps = tuple(
        replace(step, needs=()) for step in bench.steps if step.name == "drill-control"
    )
    return found


def repository(bench):
    [found] = bench.world.repositories.repositories.values()
    return found


def test_it_comes_back_from_off_site_with_what_stands_on_paper(made):
    bench, node = made
    assert [step.name for step in bench.steps if "key" not in step.name] == [
        "guests-vms",
        "copy-archives",
        "drill-control",
        "three-two-one",
    ]
    [copied] = [step for step in bench.steps if step.name == "copy-archives"]
    assert copied.needs == ("guests-vms",), "there have to be some first"
    assert set(noted(node).values()) == {"same"}
    assert nothing_is_left(node)
    assert node.vms[VM].running
    assert not node.files.exists(PAPER), "the key is read once, and gone"
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_nothing_that_the_host_holds_is_used(made):
    """What burns with a house: the archives on its storage, the keys in its files, its cache."""
    bench, node = made
    again(node)
    node.stores["local"].archives.clear()
    for path in [p for p in node.files.entries if p.startswith((KEPT + "/", "/var/lib/vz/dump/"))]:
        node.files.remove(path)
    assert alone(bench).stops() == ("", "")
    assert set(noted(node).values()) == {"same"}
    assert nothing_is_left(node)


def test_it_is_evidence_of_three_two_one(made):
    bench, node = made
    told = {check.title: check for check in bench.step("three-two-one").checks}
    check = told["k3s-control as a whole: three copies, two media, another place"]
    assert check.holds
    assert "vms by archives" in check.says
    title = "k3s-control was restored as a whole from Backblaze B2, with the key on paper alone"
    assert told[title].holds
    assert not [t for t in told if "/var/lib/vz/dump" in t], (
        "a copy of copies is no data of its own"
    )
    again(node)
    looked = bench.step("three-two-one", "verify")
    assert [each.title for each in looked.checks if not each.holds] == [title]


def test_what_is_off_site_is_as_old_as_what_was_there_to_copy(made):
    bench, node = made
    node.jobs["homelab-vms"]["enabled"] = "0"
    bench.world.clock.sleep(3 * DAY_S)
    looked = bench.step("three-two-one", "verify")
    [check] = [each for each in looked.checks if "as a whole:" in each.title]
    assert not check.holds
    assert re.search(r"vms by archives is 3 days old \(\d+ h were promised\)", check.says)


@pytest.mark.parametrize("start", [False, True])
def test_the_newest_one_is_taken_where_the_host_has_the_key_itself(start):
    bench, node = bench_of(from_paper=None, start=start)
    assert bench.stops() == ("", "")
    bench.world.clock.sleep(3 * DAY_S)
    again(node)
    assert bench.stops() == ("", "")
    newest = max(p for s in repository(bench).snapshots for p in s.files if p.endswith(".zst"))
    note = node.files.text("/var/lib/homelab/drills/control")
    assert note.splitlines()[0].endswith(newest)
    assert nothing_is_left(node)


def test_an_archive_that_rotted_off_site_fails_the_drill_and_leaves_no_torso(made):
    bench, node = made
    again(node)
    repository(bench).rotten = {p for s in repository(bench).snapshots for p in s.files}
    step, words = bench.stops()
    assert step == "drill-control"
    assert "ciphertext verification failed" in words
    assert noted(node) == {"the whole VM": "lost"}
    assert nothing_is_left(node)


def test_a_file_that_is_no_archive_is_none(made):
    bench, node = made
    again(node)
    for snapshot in repository(bench).snapshots:
        for path, entry in snapshot.files.items():
            if "vzdump-" in path:
                entry.data = b"\x28\xb5\x2f\xfd" + b"somebody's diary"
    step, words = bench.stops()
    assert step == "drill-control"
    assert "vma extract" in words
    assert nothing_is_left(node)


def test_a_key_on_paper_that_is_another_one_stops_it(made, monkeypatch):
    bench, node = made
    again(node)
    monkeypatch.setenv("RESTIC_KEY", "what somebody could not read")
    step, words = alone(bench).stops()
    assert step == "drill-control"
    assert "wrong password" in words
    assert nothing_is_left(node)
    assert not node.files.exists(PAPER)


def test_a_copy_in_which_the_vm_is_not_says_so(made):
    bench, node = made
    again(node)
    for snapshot in repository(bench).snapshots:
        snapshot.files = {p: e for p, e in snapshot.files.items() if "vzdump-" not in p}
    step, words = bench.stops()
    assert step == "drill-control"
    assert f"holds no backup of VM {VM}" in words


def test_room_for_it_is_looked_at_first(made):
    bench, node = made
    again(node)
    node.stores["fastmirror"].size_bytes = node.stores["fastmirror"].used_bytes + 2**30
    bench.wire.sent.clear()
    step, words = bench.stops()
    assert step == "drill-control"
    assert "fastmirror has 1 GiB free" in words
    assert bench.wire.sent == []


def test_the_key_is_on_no_command_line(made):
    bench, _ = made
    assert not [line for line in bench.wire.sent if KEY in line or "nobody's" in line]


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("through", [11, 12, 13])
def test_a_cut_link_ends_in_the_same_state(cut, through):
    bench, node = bench_of()
    bench.wire.cut, bench.wire.through = cut, through
    bench.stops()
    bench.wire.cut, bench.wire.off = "", {}
    assert bench.stops() == ("", "")
    assert nothing_is_left(node)
    assert not node.files.exists(PAPER)
    assert set(noted(node).values()) == {"same"}


def test_a_plan_on_a_likeness_finds_the_same_to_do(made):
    bench, _ = made
    same = bench.likeness()
    assert same.stops() == ("", "")
    assert same.wire.sent == []
    other = bench_of()[0].likeness()
    assert other.stops() == ("", "")
    assert [line for line in other.wire.sent if "--archive" in line]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"carried_by": "letters"}, "no copy of files with the archives on local"),
        ({"path": "/etc"}, "no copy of files with the archives on local"),
        ({"repository": "disk"}, "is in the house"),
        ({"repository": "disk"}, "is no s3"),
    ],
)
def test_a_description_that_can_not_be_is_refused(changes, words):
    lab = LAB.model_copy(update={"backups": described(**changes)})
    assert any(words in fault.what for fault in faults(lab))


def test_a_key_on_paper_opens_a_copy_and_nothing_else():
    lab = LAB.model_copy(update={"backups": described(carried_by=None)})
    assert any("write that under carried_by" in fault.what for fault in faults(lab))


def test_the_audit_counts_it_and_finds_what_is_never_brought_back():
    lab = LAB.model_copy(update={"backups": described()})
    whole = [each.subject for each in (*three_copies(lab), *drilled(lab))]
    assert not [subject for subject in whole if subject.startswith("backups.")]
    untried = described(carried_by=None, from_paper=None)
    found = drilled(LAB.model_copy(update={"backups": untried}))
    assert "backups.files.archives" in [each.subject for each in found]
