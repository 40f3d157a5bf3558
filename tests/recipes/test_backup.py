"""Copies by restic on a twin: made, kept up, brought back; and what stops them."""

import pytest

from homelab_lib.control.kubernetes import etcd
from homelab_lib.control.linux.drills import last_drill
from homelab_lib.errors import OutcomeUnknown, StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import Backups
from homelab_lib.recipes.backup import files as backup
from homelab_lib.twin.machine.restic_store import Lock, Repository, Snapshot
from recipes.bench import Bench

LAB = load_lab()
KEY = "correct horse battery staple"
B2 = "s3:https://s3.eu-central-003.backblazeb2.com/homelab/desk"
SECOND = "sftp:backup@second.example.org:/srv/restic"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name in ("KEY", "ID", "SECRET", "LOGIN"):
        monkeypatch.setenv(f"RESTIC_{name}", KEY if name == "KEY" else f"nobody's {name.lower()}")


def described(**changes):
    document = {
        "repositories": {
            "b2": {
                "url": B2,
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
            "second": {
                "url": SECOND,
                "password": "env:RESTIC_KEY",
                "secrets": {"login_key": "env:RESTIC_LOGIN"},
                "host_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHY"],
                "offsite": True,
                "medium": "a disk in another town",
                "phase": 4,
            },
        },
        "files": {
            name: {
                "machine": "desktop",
                "paths": ["/home/lab"],
                "exclude": ["*.iso"],
                "repository": name,
                "schedule": "30 1 * * *",
                "keep": {"daily": 7, "weekly": 4},
                "phase": 4,
            }
            for name in ("b2", "second")
        },
        "drills": {
            "home": {"backup": "second", "files": 3, "phase": 4},
            "fire": {"backup": "b2", "files": 2, "from_paper": "env:RESTIC_KEY", "phase": 4},
        },
    }
    return Backups.model_validate(document | changes)


def bench_of(kept=None):
    lab = LAB.model_copy(update={"backups": kept or described(), "nas": {}})
    bench = Bench(lab, backup.steps(lab, 4), phase=4)
    desk = bench.world.machines["desktop"]
    for name in ("letter", "photo one.jpg", "video.mkv"):
        desk.files.put(f"/home/lab/papers/{name}", f"what is in {name}\n" * 40)
    desk.files.put("/home/lab/papers/big.iso", "not kept")
    return bench, desk


def drift(bench):
    """The steps of which a look finds something else than they leave, and what they want."""
    engine = bench.engine("verify")
    found = [engine.run_step(step.name) for step in bench.steps if not step.manual]
    off = [each for each in found if each.status == "drift"]
    wants = [want for each in off for resource in each.resources for want in resource.wants]
    return [each.step for each in off], "; ".join(wants)


def test_made_once_brought_back_and_kept():
    bench, desk = bench_of()
    assert bench.stops() == ("", "")
    places = bench.world.repositories.repositories
    assert sorted(places) == [B2, "sftp:homelab-second:/srv/restic"]
    [copy] = places[B2].snapshots
    assert set(copy.tags) == {f"homelab:{LAB.name}", "backup:b2"}
    assert "/home/lab/papers/letter" in copy.files
    assert "/home/lab/papers/big.iso" not in copy.files
    assert not any(KEY in line or "nobody's" in line for line in bench.wire.sent)
    assert desk.files.entry("/etc/homelab/restic/b2.password").mode == 0o600
    left = {p for p in desk.files.entries if p.startswith("/var/lib/homelab/drills/")}
    assert sorted(left) == ["/var/lib/homelab/drills/fire", "/var/lib/homelab/drills/home"]
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    assert drift(bench) == ([], "")


def test_the_timers_go_on_by_themselves_and_old_copies_are_forgotten():
    bench, desk = bench_of()
    assert bench.stops() == ("", "")
    bench.wire.sent.clear()
    bench.world.clock.sleep(40 * 86_400)
    places = bench.world.repositories.repositories
    assert 7 <= len(places[B2].snapshots) <= 7 + 4
    newest = max(copy.time_s for copy in places[B2].snapshots)
    assert bench.world.clock.now() - newest < 86_400
    desk.reboot()
    bench.world.clock.sleep(30 * 3600)
    assert bench.stops() == ("", "")
    assert bench.wire.sent == [], "timers start with the machine"


def test_a_drill_is_held_again_when_it_is_due():
    bench, _ = bench_of()
    assert bench.stops() == ("", "")
    bench.wire.sent.clear()
    bench.world.clock.sleep(91 * 86_400)
    assert drift(bench)[0] == ["drill-home", "drill-fire", "three-two-one"]
    assert bench.stops() == ("", "")
    held = [line for line in bench.wire.sent if "drills/" in line]
    assert len(held) == 2
    assert all("homelab-sh-" in line for line in bench.wire.sent if line not in held)


def test_a_drill_that_fails_says_which_file_and_takes_all_away():
    bench, desk = bench_of()
    assert bench.stops() == ("", "")
    path = "/home/lab/papers/letter"
    held = desk.files.read(path)
    desk.files.write(path, b"X" + held[1:])  # same size, same time: it rotted here
    bench.world.clock.sleep(91 * 86_400)
    desk.files.write(path, held)
    [newest] = [max(r.snapshots, key=lambda s: s.time_s) for r in _of(bench, "sftp:")]
    assert newest.files[path].data != held, "the copy has what rotted"
    where, said = bench.stops()
    assert where == "drill-home"
    assert f"differs {path}" in said
    assert last_drill(bench.engine().context.host("desktop"), "home").files[path] == "differs"
    assert not desk.files.exists("/var/lib/homelab/drills/home.files")


def _of(bench, begins):
    places = bench.world.repositories.repositories
    return [found for place, found in places.items() if place.startswith(begins)]


def test_data_that_rotted_in_the_repository_are_told_by_the_weekly_look_and_by_the_drill():
    bench, desk = bench_of()
    assert bench.stops() == ("", "")
    _of(bench, "sftp:")[0].rotten.add("/home/lab/papers/letter")
    bench.world.clock.sleep(91 * 86_400)
    where, said = bench.stops()
    assert where == "copy-second"
    assert "journalctl -u homelab-backup-second-check" in said
    desk.units["homelab-backup-second-check"].active = "inactive"
    where, said = bench.stops()
    assert where == "drill-home"
    assert "ciphertext verification failed" in said
    told = list(backup.gate(bench.lab, bench.engine("verify").context))
    assert "second was brought back" in [each.title for each in told if not each.holds]


def test_somebody_elses_repository_is_left_alone():
    bench, _ = bench_of()
    bench.world.repositories.repositories[B2] = Repository("f" * 64, "another key")
    where, said = bench.stops()
    assert where == "copy-b2"
    assert "our key does not open it" in said
    bench, _ = bench_of()
    theirs = Snapshot("e" * 64, bench.world.clock.now(), "neighbour", ("/srv",), ())
    bench.world.repositories.repositories[B2] = Repository("f" * 64, KEY, snapshots=[theirs])
    where, said = bench.stops()
    assert where == "copy-b2"
    assert "holds copies of neighbour and none of this lab's" in said
    assert not any(" init" in line for line in bench.wire.sent)


def test_a_login_that_was_withdrawn_is_not_an_empty_place():
    bench, _ = bench_of()
    bench.world.repositories.refuses[B2] = "Stat: The key 'nobody's id' is not valid"
    where, said = bench.stops()
    assert where == "copy-b2"
    assert "is not valid" in said
    assert not any(" init" in line for line in bench.wire.sent)


def test_a_lock_that_nobody_holds_is_taken_away_and_a_live_one_is_not():
    bench, _ = bench_of()
    assert bench.stops() == ("", "")
    bench.wire.sent.clear()
    [place] = _of(bench, "s3:")
    now_s = bench.world.clock.now()
    place.locks = [Lock("a" * 64, now_s - 60, "desktop", 4711)]
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    place.locks = [
        Lock("a" * 64, now_s - 7200, "desktop", 4711, exclusive=True),
        Lock("b" * 64, now_s - 60, "other", 12),
    ]
    where, said = drift(bench)
    assert (where, "desktop, process 4711 (exclusive" in said) == (["copy-b2"], True)
    assert bench.stops() == ("", "")
    assert [line.split()[-1] for line in bench.wire.sent] == ["unlock"]
    assert [lock.id[0] for lock in place.locks] == ["b"]


def test_an_exclusive_lock_stops_the_timers_work_and_the_age_tells():
    bench, _ = bench_of()
    assert bench.stops() == ("", "")
    [place] = _of(bench, "s3:")
    place.locks = [Lock("a" * 64, bench.world.clock.now(), "desktop", 4711, exclusive=True)]
    bench.world.clock.sleep(30 * 3600)
    checks = list(backup.gate(bench.lab, bench.engine("verify").context))
    late = [each for each in checks if not each.holds]
    assert len(late) == 1
    assert "b2 is 30 h old (26 h were promised)" in late[0].says
    assert "that leaves 2 of 3 copies" in late[0].says


def test_a_far_host_that_is_another_is_refused():
    bench, desk = bench_of()
    desk.files.put("/etc/ssh/ssh_config.d/00.conf", "Host homelab-second\n  HostName 192.0.2.9\n")
    where, said = bench.stops()
    assert where == "copy-second"
    assert "Host key verification failed" in said


def test_half_made_repositories_are_told():
    bench, _ = bench_of()
    bench.world.repositories.repositories[B2] = Repository("f" * 64, KEY, begun=False)
    where, said = bench.stops()
    assert where == "copy-b2"
    assert "already contains keys" in said
    assert "delete what lies below keys/ at the place" in said


def test_what_a_cut_left_is_not_begun_a_second_time_by_a_restic_that_would_do_so():
    """Ubuntu 24.04 has 0.16: it makes a second key, and opens the repository by chance."""
    bench, desk = bench_of()
    desk.packages["restic"] = "0.16.4-2ubuntu0.1"
    there, carried = bench.world.repositories.repositories, bench.wire._carried

    def cut_off(host, call):
        if not call.line.endswith("init"):
            return carried(host, call)
        there.setdefault(B2, Repository("f" * 64, KEY, begun=False))  # its key is written first
        raise OutcomeUnknown("the machine went down")

    bench.wire._carried = cut_off
    with pytest.raises(StepFailed, match=r"restic 0\.16 must not be given it again") as stopped:
        bench.step("copy-b2")
    assert "make a new plan" in str(stopped.value)
    assert sum(line.endswith("init") for line in bench.wire.sent) == 1


def test_folders_that_are_not_there_stop_the_first_copy():
    bench, desk = bench_of()
    for path in [p for p in desk.files.entries if p.startswith("/home/lab")]:
        del desk.files.entries[path]
    where, said = bench.stops()
    assert where == "copy-b2"
    assert "homelab-backup-b2.service failed" in said


def etcd_bench():
    kept = {
        "machine": "k3s-control",
        "paths": [etcd.FOLDER, etcd.TOKEN],
        "schedule": "20 1 * * *",
        "keep": {"daily": 7},
        "phase": 4,
    }
    files = {"etcd": kept | {"repository": "b2"}, "again": kept | {"repository": "second"}}
    drill = {"backup": "etcd", "what": "etcd", "phase": 4}
    bench, _ = bench_of(described(files=files, drills={"etcd": drill}))
    return bench, bench.world.machines["k3s-control"]


def names(machine):
    return machine.files.listdir(etcd.FOLDER)


def test_etcd_is_copied_off_its_disk_and_brought_back_beside_what_runs():
    bench, server = etcd_bench()
    assert bench.stops() == ("", "")
    assert [name.rpartition("-")[0] for name in names(server)] == ["homelab-k3s-control"]
    [copy] = _of(bench, "s3:")[0].snapshots
    assert {etcd.TOKEN, f"{etcd.FOLDER}/{names(server)[0]}"} <= set(copy.files)
    assert server.units["k3s"].active == "active"
    assert not any("stop k3s" in line or "cluster-reset" in line for line in bench.wire.sent)
    assert not server.files.exists("/var/lib/homelab/drills/etcd.files")
    bench.wire.sent.clear()
    bench.world.clock.sleep(10 * 86_400)
    assert len(names(server)) == 5 + 1, "k3s keeps five of its own, and none of ours is forgotten"
    assert bench.stops() == ("", "")
    assert bench.wire.sent == [], "k3s takes them by itself"


def test_a_snapshot_of_etcd_that_rotted_fails_its_drill():
    bench, server = etcd_bench()
    assert bench.stops() == ("", "")
    [place] = _of(bench, "s3:")
    server.units["homelab-backup-etcd.timer"].stop(server)
    for path, entry in place.snapshots[-1].files.items():
        if path.startswith(f"{etcd.FOLDER}/"):
            entry.data = b"X" + entry.data[1:]
    server.files.remove("/var/lib/homelab/drills/etcd")
    where, said = bench.stops()
    assert where == "drill-etcd"
    assert "expected sha256" in said


def test_a_server_with_sqlite_has_no_snapshots_and_that_is_said():
    bench, _ = etcd_bench()
    for (kind, *_), node in bench.world.clusters["k3s-control"].objects.items():
        if kind == "Node":
            node["metadata"]["labels"].pop("node-role.kubernetes.io/etcd", None)
    where, said = bench.stops()
    assert where == "copy-etcd"
    assert "keeps its state in SQLite" in said


def test_a_plan_on_what_the_hosts_say_is_what_is_sent():
    bench, _ = bench_of()
    planned = bench.likeness()
    assert planned.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert planned.wire.sent == bench.wire.sent
    again = bench.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []
    bench.world.clock.sleep(91 * 86_400)
    due = bench.likeness()
    bench.wire.sent.clear()
    assert due.stops() == ("", "")
    assert ["drills/home" in due.wire.sent[0], "drills/fire" in due.wire.sent[-1]] == [True, True]


# What is a copy, and what is none -----------------------------------------------------------------


def test_a_copy_in_which_nothing_is_is_none():
    """A folder whose disk was not mounted is copied, and restic ends well."""
    bench, desk = bench_of()
    assert bench.stops() == ("", "")
    desk.files.remove("/home/lab/papers", recursive=True)
    bench.world.clock.sleep(2 * 86_400)
    step, said = bench.stops()
    assert step == "copy-b2"
    assert "holds no file" in said
    assert "not mounted" in said
    looked = bench.step("three-two-one", "verify")
    told = [check.says for check in looked.checks if not check.holds]
    assert sum("b2 is not there" in says and "second is not there" in says for says in told) == 1
    desk.files.put("/home/lab/papers/letter", "it is mounted again")
    bench.world.clock.sleep(86_400)
    assert bench.stops() == ("", "")


@pytest.mark.parametrize("held", [False, True])
def test_what_was_dated_by_a_clock_that_was_wrong_is_not_new(held):
    """For a year nobody would make a copy, or hold a drill."""
    bench, desk = bench_of()
    assert bench.stops() == ("", "")
    year_s, now_s = 365 * 86_400, bench.world.clock.now()
    bench.world.clock.sleep(3 * 86_400)
    for place in _of(bench, ""):
        for each in place.snapshots if not held else ():
            each.time_s += year_s
    for name in ("home", "fire") if held else ():
        note = desk.files.text(f"/var/lib/homelab/drills/{name}").partition(" ")
        desk.files.put(f"/var/lib/homelab/drills/{name}", f"{now_s + year_s:.0f} {note[2]}")
    due = ["drill-home", "drill-fire"] if held else ["copy-b2", "copy-second"]
    assert drift(bench)[0] == [*due, "three-two-one"]
    assert bench.stops() == ("", "")
    assert drift(bench) == ([], "")


def test_a_file_for_which_there_is_no_room_is_read_and_goes_nowhere(monkeypatch):
    """A drill on a machine that runs never fills its disk up."""
    bench, desk = bench_of()
    written = []
    write = type(desk.files).write

    def watched(self, path, data, *more, **others):
        if path.endswith("/home.files/one"):
            written.append(len(data))
        return write(self, path, data, *more, **others)

    monkeypatch.setattr(type(desk.files), "write", watched)
    desk.root_bytes = 1
    assert bench.stops() == ("", "")
    host = bench.engine().context.host("desktop")
    assert set(last_drill(host, "home").files.values()) == {"same"}
    assert set(written) - {0} == {len(f"{0:064x}  -\n")}


def test_a_drill_with_the_key_that_lies_there_is_none_with_the_one_on_paper():
    near = {
        "home": {"backup": "second", "files": 3, "phase": 4},
        "fire": {"backup": "b2", "files": 2, "phase": 4},
    }
    bench, desk = bench_of(described(drills=near))
    assert bench.stops() == ("", "")
    lab = bench.lab.model_copy(update={"backups": described()})
    bench.steps = tuple(backup.steps(lab, 4))
    assert drift(bench)[0] == ["drill-fire", "three-two-one"]
    assert bench.stops() == ("", "")
    first = desk.files.text("/var/lib/homelab/drills/fire").splitlines()[0]
    assert first.endswith(" (by paper)")
    assert drift(bench) == ([], "")
