"""What a NAS stores and shares: made once, found as wanted, and planned as it is then sent."""

import shlex

import pytest

from contract.small_nas import made
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.nas import pool
from homelab_lib.recipes.nas import truenas as recipe
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from recipes.on_nas import PASSWORD, likeness, run

RELEASES = ["25.04.2", "25.10.1", "26.0.0-BETA.3"]


@pytest.fixture(params=RELEASES)
def lab(request):
    return changed(load_lab(), ("hosts.truenas.os.version", request.param))


def before(lab):
    return built(lab, before_phase=1, clock=SimulatedClock())


def test_phase_1_is_made_once_and_planned_as_it_is_sent(lab):
    world = before(lab)
    planned = run(likeness(lab, world), recipe.steps(lab, 1))
    ran = run(world, recipe.steps(lab, 1), plan=planned.planned, confirm=["nas-burn-in"])
    assert set(ran.statuses.values()) == {"changed", "already"}
    assert ran.sent == planned.sent
    again = run(world, recipe.steps(lab, 1))
    assert again.sent == []
    verified = run(world, recipe.steps(lab, 1), "verify")
    assert set(verified.statuses.values()) == {"already"}
    as_it_is = run(likeness(lab, world), recipe.steps(lab, 1))
    assert as_it_is.sent == [], "its twin has all of it, too"
    assert not any(PASSWORD in line for line in ran.sent)
    assert any(PASSWORD in text for text in ran.stdin)


def refused(lab, *changes):
    with pytest.raises(LabError) as caught:
        changed(lab, *changes)
    return "\n".join(caught.value.problems)


def test_what_can_not_be_is_refused_before_anything_is_asked():
    lab = load_lab()
    shared = {"dataset": "tank/backups", "path": "/mnt/tank/backups", "phase": 1}
    says = refused(lab, ("smb_shares.truenas.old", shared))
    assert "smb_shares.truenas.old.dataset" in says
    assert "tells capitals apart; Windows doesn't" in says
    says = refused(lab, ("nfs_shares.truenas.media.networks", ["10.0.99.0/24"]))
    assert "nothing of the lab is in 10.0.99.0/24" in says
    says = refused(lab, ("pools.truenas.tank.disks", ["hdd1", "hdd2", "hdd3"]))
    assert "TrueNAS makes a raidz2 vdev of 4 disks or more; here it has 3" in says
    says = refused(lab, ("nas.truenas.scrubs.tank.threshold_days", 35))
    assert "runs every second month" in says
    says = refused(lab, ("nas.truenas.acls.tank/family.preset", "POSIX_RESTRICTED"))
    assert "take a preset that begins with NFS4" in says
    says = refused(lab, ("datasets.truenas.tank/media.recordsize_bytes", 1000))
    assert "a power of two of bytes" in says
    says = refused(lab, ("nas.truenas.snapshot_tasks.daily.naming_schema", "auto-%Y"))
    assert "TrueNAS wants %m, %d, %H, %M in it, too" in says
    says = refused(lab, ("pools.truenas.tank.phase", 2))
    assert "its pool is made in phase 2 only" in says
    spare = {"layout": "mirror", "disks": ["hdd1", "hdd2"], "phase": 1}
    says = refused(lab, ("pools.truenas", {"Media Pool": spare}))
    assert "TrueNAS makes no pool with a space in its name; its datasets may have" in says
    says = refused(lab, ("pools.truenas.tank.ashift", 13))
    assert "TrueNAS makes pools with ashift 12 only" in says


def test_a_share_on_a_dataset_that_tells_capitals_apart_stops_at_its_step():
    """It was made by somebody else, and the lab only says that it is there."""
    lab = changed(
        load_lab(), ("datasets.truenas.tank/family.exists", True),
        ("datasets.truenas.tank/family.phase", None), ("nas.truenas.acls.tank/family", None),
    )  # fmt: skip
    world = before(lab)
    nas = world.machines["truenas"]
    assert run(world, pool.steps(lab, 1)).sent
    made(nas, "pool.dataset.create", {"name": "tank/family", "share_type": "GENERIC"})
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert ran.stopped_at == "nas-smb"
    assert "SMB share family lies on dataset tank/family, which tells capitals apart" in str(
        ran.error
    )
    assert not any("sharing.smb.create" in line and "family" in line for line in ran.sent)


def test_what_somebody_else_shares_is_left_alone():
    lab = load_lab()
    world = before(lab)
    nas = world.machines["truenas"]
    run(world, pool.steps(lab, 1))
    made(nas, "pool.dataset.create", {"name": "tank/media", "share_type": "MULTIPROTOCOL"})
    theirs = {"path": "/mnt/tank/media", "networks": ["10.0.10.0/24"], "comment": "mine"}
    made(nas, "sharing.nfs.create", theirs)
    acls = ("nas.truenas.acls.tank/media", None)
    ran = run(world, recipe.steps(changed(lab, acls), 1), stops=True)
    assert ran.stopped_at == "nas-nfs"
    assert "'mine'" in str(ran.error)


def test_the_family_gets_in_and_nobody_else():
    lab = load_lab()
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    nas = world.machines["truenas"]
    acl = made(nas, "filesystem.getacl", "/mnt/tank/family", True, True)
    assert acl["group"] == "family"
    may = {(e["tag"], e["who"]): e["perms"]["BASIC"] for e in acl["acl"]}
    assert may == {
        ("owner@", "root"): "FULL_CONTROL",
        ("group@", "family"): "MODIFY",
        ("GROUP", "family"): "MODIFY",
    }
    [user] = made(nas, "user.query", [["username", "=", "family"]])
    assert user["smb"]
    assert not user["password_disabled"]
    assert user["group"]["bsdgrp_group"] == "family"
    assert nas.listeners[445]()
    assert nas.export_for("/mnt/tank/media", "10.0.30.21") is not None
    assert nas.export_for("/mnt/tank/media", "10.0.20.21") is None, "not to the IoT network"


def test_a_share_of_a_clusters_is_made_with_it():
    """Its dataset and its export belong to the step that the cluster stands on."""
    assert list(recipe.steps(load_lab(), 2)) == []


ISCSI = {
    "portals": {"direct": {"listen": ["10.0.30.5"], "phase": 1}},
    "initiators": {"pve": {"names": ["iqn.1993-08.org.debian:01:abc"], "phase": 1}},
    "auths": {"pve": {"tag": 1, "user": "pve", "secret": "env:CHAP", "phase": 1}},
    "extents": {
        "lun0": {"zvol": "tank/lun0", "size_bytes": "100 GiB", "phase": 1},
        "file0": {"file": "/mnt/tank/backups/f0", "size_bytes": "1 GiB", "phase": 1},
    },
    "targets": {
        "vm": {"portal": "direct", "initiators": "pve", "auth": "pve", "phase": 1,
               "networks": ["10.0.30.0/24"], "extents": {0: "lun0", 1: "file0"}},
    },
}  # fmt: skip
MAIL = {"sender": "nas@example.org", "server": "mail.example.org", "user": "nas",
        "password": "env:MAIL"}  # fmt: skip
ALERTS = {
    "mail": {"kind": "Mail", "settings": {"email": "ops@example.org"}, "phase": 1},
    "chat": {"kind": "Telegram", "secrets": {"bot_token": "env:BOT"},
             "settings": {"chat_ids": [1, 2]}, "level": "ERROR", "phase": 1},
}  # fmt: skip
COMMANDS = {
    "fans": {"command": "ipmitool raw 0x30 0x45 1 1", "at": "POSTINIT", "phase": 1},
    "list": {"command": "ls /mnt/tank > ~/list", "schedule": "5 4 * * 1", "user": "copies",
             "phase": 1},
}  # fmt: skip
MORE = (
    ("nas.truenas.commands", COMMANDS),
    ("nas.truenas.iscsi", ISCSI),
    ("nas.truenas.mail", MAIL),
    ("nas.truenas.alerts", ALERTS),
    ("nas.truenas.smb", {"workgroup": "HOME", "multichannel": True, "apple": True, "phase": 1}),
    ("nas.truenas.nfs", {"versions": ["4"], "threads": 8, "listen": ["10.0.30.5"], "phase": 1}),
    ("nas.truenas.share_acls",
     {"family": {"entries": [{"who": "group:family", "may": "CHANGE"}], "phase": 1}}),
    ("nas.truenas.users.copies",
     {"full_name": "Copies", "smb": False, "uid": 3500, "groups": ["family"],
      "shell": "/usr/bin/bash", "public_key": "ssh-ed25519 AAAA", "phase": 1}),
    ("datasets.truenas.tank/projects",
     {"purpose": "Projects", "recordsize_bytes": "1 MiB", "quota_bytes": "2 TiB", "phase": 1}),
    ("nas.truenas.acls.tank/projects",
     {"preset": "POSIX_RESTRICTED", "group": "family", "phase": 1,
      "entries": [{"who": "user:copies", "may": "READ"}]}),
)  # fmt: skip


def test_all_that_a_lab_can_say_of_a_nas_is_made_once(lab):
    lab = changed(lab, *MORE)
    world = before(lab)
    world.machines["truenas"].connect(configured=True)  # its addresses are its own by now
    planned = run(likeness(lab, world), recipe.steps(lab, 1))
    ran = run(world, recipe.steps(lab, 1), plan=planned.planned, confirm=["nas-burn-in"])
    assert ran.sent == planned.sent
    assert run(world, recipe.steps(lab, 1)).sent == []
    assert run(likeness(lab, world), recipe.steps(lab, 1)).sent == []
    nas = world.machines["truenas"]
    [target] = made(nas, "iscsi.target.query")
    [portal] = made(nas, "iscsi.portal.query")
    assert [(g["portal"], g["authmethod"], g["auth"]) for g in target["groups"]] == [
        (portal["id"], "CHAP", 1)
    ]
    luns = {row["lunid"]: row["extent"] for row in made(nas, "iscsi.targetextent.query")}
    names = {row["id"]: row["name"] for row in made(nas, "iscsi.extent.query")}
    assert {lun: names[number] for lun, number in luns.items()} == {0: "lun0", 1: "file0"}
    assert made(nas, "nfs.config")["protocols"] == ["NFSV4"]
    assert made(nas, "mail.config")["pass"] == PASSWORD
    assert not any(PASSWORD in line for line in ran.sent)
    [script] = made(nas, "initshutdownscript.query")
    assert (script["command"], script["when"]) == ("ipmitool raw 0x30 0x45 1 1", "POSTINIT")
    jobs = {job["command"]: job for job in made(nas, "cronjob.query")}
    assert jobs["ls /mnt/tank > ~/list"]["user"] == "copies"
    assert jobs["ls /mnt/tank > ~/list"]["schedule"]["dow"] == "1"
    acl = made(nas, "filesystem.getacl", "/mnt/tank/projects", True, True)
    assert ("USER", "copies", False) in {(e["tag"], e["who"], e["default"]) for e in acl["acl"]}
    assert ("MASK", None, True) in {(e["tag"], e["who"], e["default"]) for e in acl["acl"]}


def test_a_severe_alert_stops_it_before_anything_is_made():
    lab = load_lab()
    world = before(lab)
    alert = {"level": "CRITICAL", "dismissed": False, "klass": "VolumeStatus",
             "formatted": "Pool boot-pool is DEGRADED"}  # fmt: skip
    world.machines["truenas"].alerts = [alert]
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert ran.stopped_at == "nas-ready"
    assert "CRITICAL: Pool boot-pool is DEGRADED" in str(ran.error)
    alert["dismissed"] = True
    assert run(world, recipe.steps(lab, 1)).stopped_at == ""


@pytest.mark.parametrize("version", ["25.04.2", "25.10.1"])
def test_disks_are_tested_as_the_release_has_it(version):
    lab = changed(load_lab(), ("hosts.truenas.os.version", version))
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    nas = world.machines["truenas"]
    if version == "25.04.2":
        tests = made(nas, "smart.test.query")
        assert {(t["type"], t["all_disks"], len(t["disks"])) for t in tests} == {
            ("SHORT", True, 0), ("LONG", False, 4)
        }  # fmt: skip
        assert nas.services["smartd"].running
        return
    jobs = {job["description"].partition(";")[0]: job for job in made(nas, "cronjob.query")}
    assert jobs["long"]["schedule"] == {
        "minute": "0", "hour": "2", "dom": "15", "month": "*", "dow": "*"
    }  # fmt: skip
    commands = jobs["long"]["command"].split("; ")
    assert len(commands) == 4
    assert all("/dev/disk/by-id/wwn-0x5000c500" in command for command in commands)
    for command in commands:  # what cron runs is what the disks understand
        assert nas.run(f"sudo sh -c {shlex.quote(command)}", b"").status == 0
    world.clock.sleep(30 * 3600)
    assert all(nas.disks[f"sd{letter}"].self_tests == [("long", True)] for letter in "bcde")


def test_an_nvme_drive_tests_itself_by_a_name_that_it_has():
    """TrueNAS tells its EUI-64 as any other world-wide name, and udev makes no wwn- link of it."""
    fast = {"part": "samsung-990-pro-2tb", "serial": "S7DN0001"}
    lab = changed(load_lab(), ("hosts.truenas.disks.fast", fast))
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    nas = world.machines["truenas"]
    [row] = [each for each in made(nas, "disk.query") if each["serial"] == "S7DN0001"]
    assert (row["name"], row["bus"], row["lunid"][:6]) == ("nvme0n1", "NVME", "002538")
    assert nas.run(f"sudo smartctl -t short /dev/disk/by-id/wwn-0x{row['lunid']}", b"").status
    jobs = {job["description"].partition(";")[0]: job for job in made(nas, "cronjob.query")}
    commands = jobs["short"]["command"].split("; ")
    assert "smartctl -t short /dev/disk/by-id/nvme-*_S7DN0001" in commands
    assert [nas.run(f"sudo {command}", b"").status for command in commands] == [0] * len(commands)


def test_a_nas_of_many_disks_has_them_all():
    """As the kernel calls them: after sdz comes sdaa."""
    disks = {
        f"d{n}": {"part": "seagate-st8000nm0055", "serial": f"W{n:04}"} for n in range(40)
    }  # fmt: skip
    lab = changed(
        load_lab(), *((f"hosts.truenas.disks.{name}", disk) for name, disk in disks.items())
    )
    rows = made(before(lab).machines["truenas"], "disk.query")
    by_serial = {row["serial"]: row["name"] for row in rows}
    assert len(set(by_serial.values())) == len(rows)
    assert {"sdz", "sdaa", "sdab"} <= set(by_serial.values())


def test_the_monthly_scrub_is_no_sundays_one():
    lab = load_lab()
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    [task] = made(world.machines["truenas"], "pool.scrub.query")
    assert task["schedule"]["dow"] == "*", "cron takes a day of the month or one of the week"
    assert task["threshold"] < 28, "or every second one is left out"


@pytest.mark.parametrize(
    ("often", "when", "threshold"),
    [("monthly", {"dom": "1", "dow": "*"}, 20), ("weekly", {"dom": "*", "dow": "7"}, 4)],
)
def test_a_pool_that_says_how_often_is_scrubbed_so(often, when, threshold):
    """Without a task of the lab's own it is not TrueNAS's: each Sunday, and that every fifth."""
    lab = changed(load_lab(), ("nas.truenas.scrubs", {}), ("pools.truenas.tank.scrub", often))
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    [task] = made(world.machines["truenas"], "pool.scrub.query")
    assert task["schedule"] | when == task["schedule"]
    assert task["threshold"] == threshold
    assert run(world, recipe.steps(lab, 1)).sent == []


def test_what_is_said_of_a_scrub_in_two_places_is_the_same():
    says = refused(load_lab(), ("pools.truenas.tank.scrub", "weekly"))
    assert "scrubbed '0 3 1 * *' by nas.truenas.scrubs.tank, which is not weekly" in says
    says = refused(load_lab("data/examples/minipc"), ("pools.mini.tank.scrub", "weekly"))
    assert "proxmox scrubs its pools once a month by itself, and weekly is not made" in says
    says = refused(load_lab(), ("pools.truenas.tank.scrub", "yearly"))
    assert "pools.truenas.tank.scrub" in says


def test_snapshots_leave_out_what_they_should():
    lab = load_lab()
    world = before(lab)
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert ran.error is None
    [task] = made(world.machines["truenas"], "pool.snapshottask.query")
    assert task["exclude"] == ["tank/k3s", "tank/vm-backups"]
    assert task["naming_schema"].startswith("homelab-homelab-daily-%Y")


def test_a_portal_at_all_addresses_or_at_those_that_were_given_by_hand():
    anywhere = {"portals": {"all": {"listen": ["0.0.0.0"], "phase": 1}}}
    lab = changed(load_lab(), ("nas.truenas.iscsi", anywhere))
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    [portal] = made(world.machines["truenas"], "iscsi.portal.query")
    assert [each["ip"] for each in portal["listen"]] == ["0.0.0.0"]
    first = next(iter(lab.hosts["truenas"].ports))
    leased = (f"hosts.truenas.ports.{first}.address", "dhcp")
    says = refused(lab, leased, ("nas.truenas.iscsi.portals.all.listen", ["10.0.30.5"]))
    assert "TrueNAS binds a service only to what was given to a port by hand, not by DHCP" in says


def test_a_portal_that_is_said_to_be_there_has_to_be_found():
    iscsi = {**ISCSI, "portals": {"direct": {"listen": ["10.0.30.5"], "exists": True}}}
    lab = changed(load_lab(), ("nas.truenas.iscsi", iscsi))
    world = before(lab)
    world.machines["truenas"].connect(configured=True)
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert ran.stopped_at == "nas-iscsi"
    assert "has no iscsi portal with the comment 'direct; homelab: homelab'" in str(ran.error)
