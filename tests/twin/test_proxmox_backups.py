"""Backups of a Proxmox node and what is restored from them, as its own source has it."""

import json
from datetime import UTC, datetime

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox.archives import Archive, kept

VM, OTHER, FREE = 201, 202, 9300
JOB = "--schedule '*-*-* 2:30:00' --storage local"


@pytest.fixture
def node():
    node = built(load_lab(), before_phase=3).machines["proxmox"]
    node.stores["local"].content = ["backup", "import", "snippets", "iso"]
    return node


def run(node, line):
    reply = node.run(line)
    while reply.finish is not None:
        node.world.clock.sleep(reply.takes_s)
        reply = reply.finish()
    return reply


def get(node, path):
    return json.loads(run(node, f"pvesh get {path} --output-format json").out)


def end_of(node, line):
    """How the task ended that a command began."""
    reply = run(node, f"{line} --output-format json")
    upid = json.loads(reply.out.decode().splitlines()[-1])
    return get(node, f"/nodes/pve/tasks/{upid}/status")["exitstatus"]


def backed_up(node, *vmids, more=""):
    words = ",".join(map(str, vmids))
    return end_of(node, f"pvesh create /nodes/pve/vzdump --vmid {words} --storage local {more}")


def archives(*days):
    found = {}
    for day in days:
        made = datetime.fromisoformat(day).replace(tzinfo=UTC)
        found[day] = Archive("qemu", VM, made.timestamp())
    return found


@pytest.mark.parametrize(
    ("keep", "days", "stay"),
    [
        # Monday 29 June to Friday 3 July are one week, whose newest is in July: for a month the
        # other one of June stays, since that of the same week is not looked at again.
        (
            {"keep-weekly": "1", "keep-monthly": "1"},
            ["2026-07-03", "2026-06-30", "2026-06-26", "2026-06-19", "2026-05-20"],
            {"2026-07-03", "2026-06-26"},
        ),
        ({"keep-last": "1"}, ["2026-07-03", "2026-07-02"], {"2026-07-03"}),
        ({"keep-daily": "0"}, ["2026-07-03", "2026-07-02"], {"2026-07-03", "2026-07-02"}),
        ({"keep-all": "1"}, ["2026-07-03", "2026-07-02"], {"2026-07-03", "2026-07-02"}),
    ],
)
def test_one_period_after_the_other_has_its_say(keep, days, stay):
    assert kept(archives(*days), keep) == stay


def test_what_is_protected_stays_and_is_not_counted():
    found = archives("2026-07-03", "2026-07-02", "2026-07-01")
    found["2026-07-03"].protected = True
    assert kept(found, {"keep-last": "1"}) == {"2026-07-03", "2026-07-02"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "vmid: property is missing"),
        ("--all 1 --vmid 201", "all: option conflicts with option 'vmid'"),
        ("--pool x --vmid 201", "pool: option conflicts with option 'vmid'"),
        ("--exclude 202 --vmid 201", "exclude: option conflicts with option 'vmid'"),
        ("--vmid 201 --starttime 2:30", "'starttime' and 'schedule' cannot both be set"),
        ("--vmid 201 --notes-template '{{name}}'", "found unknown: variable 'name' at char 2"),
        ("--vmid 201 --performance max-workers=0", "max-workers"),
        ("--vmid 201 --fleecing enabled=1", "'storage' parameter is required"),
    ],
)
def test_what_a_job_can_not_be_is_refused(node, words, says):
    reply = run(node, f"pvesh create /cluster/backup {JOB} {words}")
    assert reply.status
    assert says in reply.err.decode()
    assert not node.jobs


def test_a_job_is_shown_as_its_file_has_it_and_in_a_list_with_its_next_run(node):
    made = "pvesh create /cluster/backup --id nightly --vmid 201 --storage local --zstd 4"
    days = "--starttime 2:30 --dow mon,tue --prune-backups keep-daily=7"
    assert not run(node, f"{made} {days}").status
    [row] = get(node, "/cluster/backup")
    assert (row["schedule"], row["zstd"], row["enabled"]) == ("mon,tue 2:30", 4, 1)
    assert row["prune-backups"] == {"keep-daily": "7"}
    assert datetime.fromtimestamp(row["next-run"], UTC).strftime("%H:%M") == "02:30"
    assert "next-run" not in get(node, "/cluster/backup/nightly")
    assert not run(node, "pvesh set /cluster/backup/nightly --all 1").status
    assert "vmid" not in node.jobs["nightly"]
    reply = run(node, "pvesh set /cluster/backup/nightly --delete schedule")
    assert "unknown option 'schedule'" in reply.err.decode()
    assert "no such vzdump job" in run(node, "pvesh set /cluster/backup/x --all 1").err.decode()


def test_one_guest_after_the_other_and_one_that_fails_stops_no_other(node):
    node.vms[VM].config["lock"] = "migrate"
    begun = node.world.clock.now()
    assert backed_up(node, VM, OTHER, 777) == "job errors"
    [archive] = node.stores["local"].archives.values()
    assert archive.vmid == OTHER
    assert archive.made_s > begun
    assert node.vms[VM].config["lock"] == "migrate"
    assert "lock" not in node.vms[OTHER].config


def test_only_the_guest_whose_turn_it_is_has_a_lock(node):
    node.run(f"pvesh create /nodes/pve/vzdump --vmid {VM},{OTHER} --storage local")
    assert node.vms[VM].config["lock"] == "backup"
    assert "lock" not in node.vms[OTHER].config


def test_a_node_that_dies_meanwhile_leaves_the_lock(node):
    reply = node.run(f"pvesh create /nodes/pve/vzdump --vmid {VM} --storage local")
    node.reboot()
    reply.finish()
    assert node.vms[VM].config["lock"] == "backup"
    assert not node.stores["local"].archives


def test_without_leave_to_remove_a_limit_is_one(node):
    more = "--prune-backups keep-last=1 --remove 0"
    assert backed_up(node, VM, more=more) == "OK"
    assert backed_up(node, VM, more=more) == "job errors"
    assert backed_up(node, VM, more=f"{more} --protected 1") == "OK"
    assert [each.protected for each in node.stores["local"].archives.values()] == [False, True]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: setattr(s, "enabled", False), "could not activate storage 'local': storage"),
        (lambda s: setattr(s, "content", ["iso"]), "could not get storage information for 'local'"),
    ],
)
def test_a_storage_that_takes_none_fails_the_task(node, change, says):
    change(node.stores["local"])
    assert backed_up(node, VM).startswith(says)


def restored(node, more=""):
    [name] = node.stores["local"].archives
    line = f"pvesh create /nodes/pve/qemu --vmid {FREE} --archive local:backup/{name}"
    return f"{line} --storage local-zfs {more}"


def test_a_restored_vm_has_disks_of_its_own_and_what_the_backup_left_out_not(node):
    config = node.vms[VM].config
    config |= {"protection": "1", "smbios1": "uuid=0,family=YQ==", "vmgenid": "0"}
    config["ide2"] = "local-zfs:vm-201-cloudinit,media=cdrom"
    config["scsi5"] = "local-zfs:vm-201-disk-9,backup=0,size=1G"
    assert backed_up(node, VM) == "OK"
    assert end_of(node, restored(node, "--unique 1")) == "OK"
    own = node.vms[FREE].config
    assert own["protection"] == "1", "it goes with the backup, unless something else is given"
    assert own["smbios1"].startswith("family=YQ==,uuid=")
    assert own["vmgenid"] == "0"
    assert "scsi5" not in own
    assert "scsi5: " in own["description"]
    assert own["net0"].split(",")[0] != config["net0"].split(",")[0]
    del own["description"]
    held = {value.partition(",")[0] for value in own.values() if value.startswith("local-zfs:")}
    assert f"local-zfs:vm-{FREE}-cloudinit" in held
    volumes = [name for name in node.stores["local-zfs"].volumes if f"-{FREE}-" in name]
    assert {f"local-zfs:{name}" for name in volumes} == held


def test_what_a_restore_is_refused(node):
    assert backed_up(node, VM) == "OK"
    reply = run(node, restored(node, "--scsi7 local-zfs:4"))
    assert "scsi7: option conflicts with option 'archive'" in reply.err.decode()
    line = restored(node).replace(str(FREE), str(OTHER))
    assert "VM 202 already exists on node 'pve'" in run(node, line).err.decode()
    before = dict(node.vms[OTHER].config)
    why = "unable to restore VM 202 - vm is running"
    assert end_of(node, f"{line} --force 1") == why
    node.stop_vm(OTHER)
    node.vms[OTHER].config["protection"] = "1"
    why = "unable to restore VM 202 - - protection mode enabled"
    assert end_of(node, f"{line} --force 1") == why
    del node.vms[OTHER].config["protection"]
    assert {key: node.vms[OTHER].config[key] for key in before} == before


def test_a_restore_that_fails_takes_its_disks_away_and_leaves_the_number_taken(node):
    assert backed_up(node, VM) == "OK"
    [archive] = node.stores["local"].archives.values()
    archive.broken = "command 'vma extract' failed: exit code 1"
    assert end_of(node, restored(node)) == archive.broken
    assert node.vms[FREE].config == {}
    assert not [name for name in node.stores["local-zfs"].volumes if f"-{FREE}-" in name]


def test_a_path_is_told_whether_or_not_something_is_there(node):
    assert run(node, "pvesm path local-zfs:vm-999-disk-0").out.endswith(b"/vm-999-disk-0\n")
    assert b"does not exist" in run(node, "pvesm path nowhere:vm-999-disk-0").err


def test_what_the_nodes_end_cut_off_is_free_again_and_no_other_lock(node):
    node.vm(OTHER).config["lock"] = "snapshot"
    node.run(f"pvesh create /nodes/pve/vzdump --vmid {VM} --storage local")
    assert node.vm(VM).config["lock"] == "backup"
    node.power_off()
    assert node.vm(VM).config["lock"] == "backup"
    node.power_on()
    node.world.clock.sleep(600)
    assert "lock" not in node.vm(VM).config
    assert node.vm(OTHER).config["lock"] == "snapshot"
    assert (node.vm(VM).running, node.vm(OTHER).running) == (True, False)
