"""A Proxmox Backup Server of the lab's own: its datastore, who may write into it, its jobs."""

import copy
import os
import re
import subprocess
from dataclasses import replace

import pytest

from homelab_lib.control.backup_server.datastore import Datastore
from homelab_lib.lab import load_lab
from homelab_lib.lab.backup_server import BackupServer
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.checks import lab_faults
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.storage import VmStorage
from homelab_lib.recipes.backup import files as backup
from homelab_lib.recipes.backup import servers
from recipes.bench import Bench
from recipes.onto_pbs import ENTERED, GUESTS, SECRET

LAB = load_lab()
STORE = ENTERED | {"host": "proxmox", "name": "pbs", "server": "10.0.30.60"}
DATASTORE = {
    "path": "/mnt/datastore/house",
    "keep": {"daily": 7, "weekly": 4},
    "phase": 4,
}
NAMES = [
    "server-keeper", "datastore-house", "user-pve-pbs", "token-pve-pbs-node",
    "rights-pve-pbs-node", "storage-pbs", "guests-vms",
]  # fmt: skip


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("PBS_TOKEN", SECRET)


def lab_of(store=None, datastore=None, mail_to=None, **more):
    keeper = LAB.vms["k3s-gpu2"].model_copy(
        update={
            "name": "keeper",
            "vmid": 260,
            "address": "10.0.30.60/24",
            "phase": None,
            "exists": True,
            "image": None,
            "gpus": (),
            "user": "root",
        }
    )
    storage = VmStorage.model_validate(STORE | (store or {}))
    described = BackupServer.model_validate(
        {
            "name": "keeper",
            "datastores": {"house": DATASTORE | (datastore or {})},
            "mail_to": mail_to,
        }
    )
    found = {
        "vms": LAB.vms | {"keeper": Vm.model_validate(keeper.model_dump())},
        "backups": Backups.model_validate({"guests": {"vms": GUESTS}}),
        "backup_servers": {"keeper": described},
        "storages": {"proxmox": LAB.storages["proxmox"] | {"pbs": storage}},
        "nas": {},
    }
    return LAB.model_copy(update=found | more)


def bench_of(looks=(), **changes):
    lab = lab_of(**changes)
    bench = Bench(lab, (*backup.steps(lab, 4), *servers.looks(lab, looks)), phase=4)
    return bench, bench.world.machines["keeper"], bench.world.machines["keeper"].kept[
        "proxmox-backup"
    ]  # fmt: skip


def test_made_granted_entered_and_backed_up_to_and_a_second_time_nothing_is_sent():
    bench, _, server = bench_of()
    assert [step.name for step in bench.steps][: len(NAMES)] == NAMES
    assert bench.stops() == ("", "")
    assert server.rows["house"]["comment"] == f"homelab: {LAB.name}"
    assert server.jobs["prune"]["house"]["keep-daily"] == 7
    assert server.jobs["verify"]["house"]["outdated-after"] == 30
    assert {(row["ugid"], row["roleid"]) for row in server.acl} == {
        ("pve@pbs", "DatastoreBackup"),
        ("pve@pbs!node", "DatastoreBackup"),
    }
    [archive] = server.datastores["house"].values()
    assert archive.vmid == 201
    store = bench.world.machines["proxmox"].stores["pbs"]
    assert store.options["fingerprint"] == server.fingerprint, "asked of the server, over SSH"
    assert not any(SECRET in line for line in bench.wire.sent)
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    assert bench.likeness().stops() == ("", "")


def test_a_plan_on_what_the_server_says_is_what_is_sent():
    bench, _, _ = bench_of()
    other = bench.likeness()
    assert other.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert other.wire.sent == bench.wire.sent
    again = bench.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []


ME = "me@example.org"


def test_a_job_that_fails_is_heard_of_and_one_that_went_well_is_not():
    bench, _, server = bench_of(mail_to=ME)
    assert bench.stops() == ("", "")
    assert server.rows["house"]["notification-mode"] == "notification-system"
    bench.world.clock.sleep(8 * 86_400)
    assert server.ran["house"].state == "OK"
    assert not [what for whom, what in server.mails if whom == ME]
    server.failing = True
    for archives in server.datastores.values():
        for each in archives.values():
            each.verified = ""
    bench.world.clock.sleep(8 * 86_400)
    told = {what for whom, what in server.mails if whom == ME}
    assert told == {"verify of house: verification failed - please check the log for details"}
    server.atime_stands.add("/mnt/datastore/house")
    bench.world.clock.sleep(2 * 86_400)
    assert (ME, "gc of house: atime safety check failed") in server.mails
    assert bench.world.machines["keeper"].run(
        "proxmox-backup-manager notification target test homelab-mail"
    ).finished().status == 0  # fmt: skip
    assert server.mails[-1] == (ME, "Test notification")


def test_who_hears_is_planned_alike_and_made_once():
    bench, _, _ = bench_of(mail_to=ME)
    other = bench.likeness()
    assert other.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert other.wire.sent == bench.wire.sent
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_one_who_is_no_longer_told_is_found_and_told_again():
    bench, _, server = bench_of(mail_to=ME)
    assert bench.stops() == ("", "")
    server.notifying["matcher"]["homelab-trouble"]["match-severity"] = ["info"]
    server.rows["house"].pop("notification-mode")
    drift = [name for name, each in bench.every("verify").items() if each.status == "drift"]
    assert drift[:2] == ["heard-keeper", "datastore-house"]
    assert bench.stops() == ("", "")
    assert server.notifying["matcher"]["homelab-trouble"]["match-severity"] == [
        "warning,error,unknown"
    ]


def test_the_token_cannot_forget_and_one_that_could_stops_it():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    assert server.privileges("pve@pbs!node", "house") == {"backup"}
    row = {"path": "/", "propagate": True, "roleid": "Admin", "ugid": "pve@pbs!node"}
    server.acl.append(row | {"ugid_type": "user"})
    step, said = bench.stops()
    assert step == "rights-pve-pbs-node"
    assert "could forget backups" in said


def test_a_token_has_no_more_than_its_user():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    server.acl = [row for row in server.acl if "!" in row["ugid"]]
    assert server.privileges("pve@pbs!node", "house") == set()
    assert bench.stops() == ("", "")
    assert server.privileges("pve@pbs!node", "house") == {"backup"}


@pytest.mark.parametrize(
    ("whose", "stops_at", "words"),
    [
        ("pve@pbs!node", "token-pve-pbs-node", "it has expired on 20"),
        ("pve@pbs", "user-pve-pbs", "user pve@pbs has expired on 20"),
    ],
)
def test_a_token_or_its_user_that_has_expired_is_told_as_that(whose, stops_at, words):
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    row = (server.known if "!" in whose else server.users)[whose]
    row["expire"] = int(bench.world.clock.now()) + 86_400
    assert bench.stops() == ("", "")
    bench.world.clock.sleep(2 * 86_400)
    step, said = bench.stops()
    assert step == stops_at
    assert words in said
    alone = copy.copy(bench)
    alone.steps = tuple(replace(s, needs=()) for s in bench.steps if s.name == "storage-pbs")
    assert "does not let pve in" in alone.stops()[1]
    row["expire"] = 0
    assert bench.stops() == ("", "")


def test_without_the_token_a_person_is_asked_and_nothing_of_it_is_sent():
    bench, _, server = bench_of()
    server.known.clear()
    step, said = bench.stops()
    assert step == "token-pve-pbs-node"
    assert "user generate-token pve@pbs node" in said
    assert not any("acl update" in line for line in bench.wire.sent)
    made = bench.world.machines["keeper"].run(
        "proxmox-backup-manager user generate-token pve@pbs node"
    )
    secret = re.search(r'"value": "(\S+)"', made.finished().out.decode())[1]
    assert server.tokens["pve@pbs!node"] == secret
    step, said = bench.stops()
    assert step == "storage-pbs", "another secret than the lab's reference leads to"
    assert "401" in said


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("letters/to-aunt.txt", "is not empty: letters"),
        (".chunks/0000/x", "is a chunk store already"),
    ],
)
def test_a_folder_that_holds_something_is_left_alone(file, words):
    bench, machine, _ = bench_of()
    machine.files.put(f"{DATASTORE['path']}/{file}", "something")
    step, said = bench.stops()
    assert step == "datastore-house"
    assert words in said
    assert not any("datastore create" in line for line in bench.wire.sent)
    assert machine.files.text(f"{DATASTORE['path']}/{file}") == "something"


def test_where_access_times_stand_still_it_is_told_and_what_is_left_is_named():
    bench, _, server = bench_of()
    server.atime_stands.add(DATASTORE["path"])
    step, said = bench.stops()
    assert step == "datastore-house"
    assert "access time safety check failed" in said
    assert server.rows == {}


def test_somebody_elses_datastore_and_jobs_are_left_alone():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    server.rows["house"] |= {"comment": "mine", "gc-schedule": "daily"}
    assert "did not make" in bench.stops()[1]
    server.rows["house"]["path"] = "/srv/other"
    assert "is there, in /srv/other" in bench.stops()[1]


def test_what_was_set_otherwise_is_set_back_and_said():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    server.jobs["prune"]["house"] |= {"keep-yearly": 3, "keep-daily": 1, "disable": True}
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    [line] = bench.wire.sent
    assert "--delete keep-yearly" in line
    assert server.jobs["prune"]["house"]["keep-daily"] == 7
    assert not server.jobs["prune"]["house"].get("disable")


def test_a_datastore_on_nfs_is_made_only_where_the_share_is_mounted():
    bench, machine, server = bench_of(datastore={"share": "truenas.k3s"})
    mounted = dict(machine.files.mounts)
    machine.files.mounts.clear()
    step, said = bench.stops()
    assert step == "datastore-house"
    assert "backups would land on the disk under it" in said
    machine.files.mounts |= mounted
    begun_s = bench.world.clock.now()
    assert bench.stops() == ("", "")
    assert server.rows["house"]["path"] == DATASTORE["path"]
    assert bench.world.clock.now() - begun_s > 300, "65,536 folders over NFS"


def test_old_backups_are_forgotten_by_the_server_and_rubbish_is_removed():
    bench, _, server = bench_of(looks=[4])
    assert bench.stops() == ("", "")
    for _ in range(20):
        bench.world.clock.sleep(86_400)
    assert 7 <= len(server.datastores["house"]) <= 11
    assert server.ran["house"].state == "OK"
    assert bench.step("datastores-keeper", "verify")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda server: server.full.update(house=0.97), "has room: 97% are taken"),
        (lambda server: server.rows["house"].update({"gc-schedule": "mon 4:00"}), "was removed"),
        (
            lambda server: setattr(server, "failing", True),
            "vm/201: forget these and back up anew",
        ),
        (
            lambda server: server.rows["house"].update({"maintenance-mode": "read-only"}),
            "forgotten the last time: house: read-only maintenance mode",
        ),
    ],
)
def test_health_says_what_is_wrong_with_a_datastore(change, words):
    bench, machine, server = bench_of(looks=[4])
    assert bench.stops() == ("", "")
    change(server)
    server.wait(machine, "house")
    if "removed" in words:
        server.rows["house"].pop("gc-schedule")
    bench.world.clock.sleep(12 * 86_400)
    with pytest.raises(Exception, match=words):
        bench.step("datastores-keeper", "apply")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"store": {"datastore": "attic"}}, "no datastore of keeper 'attic'"),
        ({"store": {"username": "root@pam"}}, "is no token of keeper"),
        ({"datastore": {"share": "truenas.nowhere"}}, "no NFS share 'truenas.nowhere'"),
    ],
)
def test_what_does_not_fit_together_is_said(changes, words):
    lab = lab_of(**changes)
    assert any(words in fault.what for fault in lab_faults(lab))


@pytest.mark.parametrize("server", ["10.0.30.60", "keeper"])
def test_a_server_is_not_backed_up_to_itself_and_comes_back_first(server):
    """While its guest agent holds its file systems still it writes nothing."""
    lab = lab_of(store={"server": server})
    [step] = [step for step in backup.steps(lab, 4) if step.name == "storage-pbs"]
    assert "make keeper anew from the lab" in step.why
    guests = {"guests": {"vms": GUESTS | {"guests": ["k3s-control", "keeper"]}}}
    lab = lab_of(store={"server": server}, backups=Backups.model_validate(guests))
    assert any("pbs lies on keeper itself" in fault.what for fault in lab_faults(lab))


def test_a_lab_that_fits_has_no_faults_of_it():
    told = [f.what for f in lab_faults(lab_of()) if "keeper" in f.what or "pbs" in str(f.path)]
    assert told == []


@pytest.mark.parametrize(
    ("found", "stays"), [("exit 0", False), ('echo "$1/0000/chunk"', True), ("exit 1", True)]
)
def test_what_can_not_be_read_whole_is_not_cleared_away(tmp_path, found, stays):
    """Over NFS a folder may not be read: then nobody knows that no chunk is in it."""
    store, tools = tmp_path / "store", tmp_path / "tools"
    (store / ".chunks" / "0000").mkdir(parents=True)
    (store / ".lock").touch()
    tools.mkdir()
    (tools / "find").write_text(f"#!/bin/sh\n{found}\n")
    (tools / "find").chmod(0o755)
    wanted = Datastore("keeper", "house", str(store), (), "3:30", "", "attic")
    broken_off = {"mounted": None, "others": [], "at_work": False, "begun": True, "chunks": 0}
    clearing, _ = wanted.diff(broken_off | {"holds": [".chunks", ".lock"]}).changes
    path = f"{tools}:{os.environ['PATH']}"
    ran = subprocess.run(clearing.call.argv, env={"PATH": path}, capture_output=True, check=False)
    assert (ran.returncode != 0, (store / ".chunks").exists()) == (stays, stays)
