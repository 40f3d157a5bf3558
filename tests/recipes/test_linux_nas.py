"""A plain Linux machine and a Proxmox host as a NAS: a dataset or a folder, and its export."""

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import runbook, runbooks
from homelab_lib.recipes.nas import linux
from homelab_lib.recipes.proxmox.host import steps as proxmox_steps
from homelab_lib.runbook.proof import check
from recipes.bench import Bench
from standing import served
from standing import standing as serve_standing

MINIPC = load_lab("data/examples/minipc")
LINUX = load_lab("tests/recipes/labs/proxmox.yaml")
NETWORK = "10.0.30.0/24"
FILE = "/etc/exports.d/homelab-files.exports"


@pytest.fixture
def minipc(tmp_path, monkeypatch):
    with serve_standing(
        tmp_path, monkeypatch, path="data/examples/minipc", runbook="phase1_proxmox"
    ) as there:
        yield there


def test_the_small_example_is_made_from_end_to_end(minipc):
    before = minipc.world.state()
    planned = minipc.run("plan")
    assert (planned.error, planned.changes) == (None, 5)
    assert minipc.world.state() == before, "a plan changed something"
    applied = minipc.run("apply", planned.digest)
    assert (applied.error, applied.sent) == (None, planned.changes)
    assert list(check(applied.record)) == []
    assert (minipc.run("apply", planned.digest).sent, minipc.run("plan").changes) == (0, 0)
    assert minipc.run("verify").error is None
    mini = minipc.world.machines["mini"]
    mini.reboot()
    minipc.world.clock.sleep(120)
    assert mini.export_for("/tank/files", "192.168.8.77") is not None
    assert mini.export_for("/tank/files", "192.168.9.77") is None
    assert minipc.run("verify").error is None, "after a reboot, too"


CUT = ("zfs create", "apt-get", "exportfs -o", "homelab-files.exports", "pvesh create")
USUAL = {("cut-after", "exportfs -o")}


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        pytest.param(kind, match, marks=() if (kind, match) in USUAL else pytest.mark.sample)
        for kind in ("cut-before", "cut-mid", "cut-after", "reboot")
        for match in CUT
    ],
)
def test_what_was_cut_off_is_made_once_by_the_same_command(minipc, kind, match):
    planned = minipc.run("plan")
    minipc.world.faults.arm(kind, match)
    minipc.until_done(planned.digest)
    assert minipc.run("verify").error is None
    shown = minipc.world.machines["mini"].run("exportfs -s").finished().out.decode()
    assert shown.count("192.168.8.0/24(") == 1


def test_each_phase_of_the_small_example_has_its_runbooks():
    names = [each.name for each in runbooks(MINIPC)]
    assert names == ["phase1_proxmox", "phase2"]
    for each in runbooks(MINIPC):
        assert runbook(MINIPC, each.phase, lambda vm: "", each.part).names


def test_the_second_phase_stands_on_what_the_first_one_made(tmp_path):
    with served(tmp_path, path="data/examples/minipc", runbook="phase2") as there:
        assert there.world is not None


# A plain Linux machine --------------------------------------------------------------------------


def share(**more):
    """The lab's NAS shares a folder; somebody at the router, and at the hypervisor, sees it."""
    given = {"path": "/srv/files", "networks": [NETWORK], "phase": 1} | more
    changes = [
        ("nfs_shares", {"nas": {"files": given}}),
        ("hosts.nas.ssh", {"address": "10.0.30.5", "user": "ops"}),
        ("hosts.router.ssh", {"address": "10.0.30.1", "user": "root"}),
    ]
    return changed(LINUX, *changes)


def bench(lab):
    made = Bench(lab, linux.steps(lab, 1))
    made.world.machines["router"].packages["nfs-common"] = "1"
    return made


def test_a_folder_is_exported_and_a_client_mounts_it():
    there = bench(share(maproot_user="root"))
    assert there.stops() == ("", "")
    client, nas = there.world.machines["router"], there.world.machines["nas"]
    client.run("mkdir -p /mnt/files")
    assert client.run("mount -t nfs4 10.0.30.5:/srv/files /mnt/files").finished().status == 0
    client.run("echo hello > /mnt/files/note")
    assert nas.files.text("/srv/files/note") == "hello\n"
    there.wire.sent.clear()
    assert there.stops() == ("", "")
    assert there.wire.sent == []
    assert there.step("nfs", "verify").status == "already"


def test_what_a_client_sees_is_looked_at():
    there = bench(share())
    told = [each.says for each in there.step("nfs").checks]
    assert "it exports /srv/files" in told
    there.world.machines["nas"].run("sudo exportfs -u 10.0.30.0/24:/srv/files")
    outcome = there.step("nfs", "verify")
    assert outcome.status == "drift"


@pytest.mark.parametrize(
    "line",
    [
        "exportfs -o rw,no_subtree_check 192.0.2.0/24:/srv/files",
        "echo '/srv/files 192.0.2.0/24(rw,no_subtree_check)' > /etc/exports; exportfs -r",
        "exportfs -o ro,no_subtree_check 10.0.30.0/24:/srv/files",
    ],
)
def test_what_somebody_exports_stays_and_stops_us(line):
    there = bench(share())
    nas = there.world.machines["nas"]
    nas.files.mkdir("/srv/files", parents=True)
    nas.run("sudo apt-get install -y nfs-kernel-server").finished()
    assert nas.run(f"sudo sh -c {line!r}").finished().status == 0
    before = nas.run("sudo exportfs -s").finished().out
    where, said = there.stops()
    assert where == "nfs"
    assert "by somebody" in said
    assert nas.run("sudo exportfs -s").finished().out == before


def test_what_somebody_else_shares_stays_as_it_is():
    there = bench(share())
    nas = there.world.machines["nas"]
    nas.run("sudo apt-get install -y nfs-kernel-server").finished()
    nas.files.mkdir("/srv/theirs", parents=True)
    nas.run("sudo exportfs -o ro,no_subtree_check 192.0.2.0/24:/srv/theirs")
    assert there.stops() == ("", "")
    assert "/srv/theirs  192.0.2.0/24" in nas.run("sudo exportfs -s").finished().out.decode()


def test_another_network_in_the_lab_takes_the_old_one_back():
    there = bench(share())
    assert there.stops() == ("", "")
    lab = share(networks=["10.0.60.0/30"])
    there.steps = tuple(linux.steps(lab, 1))
    there.lab = lab
    assert there.stops() == ("", "")
    shown = there.world.machines["nas"].run("sudo exportfs -s").finished().out.decode()
    assert ("10.0.60.0/30(" in shown, NETWORK in shown) == (True, False)


# A dataset --------------------------------------------------------------------------------------


@pytest.fixture
def mini():
    """The small example's host with its pool."""
    made = Bench(MINIPC, (*proxmox_steps(MINIPC, 1), *linux.on_proxmox(MINIPC, 1)))
    made.step("pool-tank")
    return made


def zfs(mini, line):
    return mini.world.machines["mini"].run(f"zfs {line}").finished()


def test_a_dataset_of_somebody_is_left_alone(mini):
    assert zfs(mini, "create tank/files").status == 0
    with pytest.raises(Exception, match="tank/files of mini is somebody's, and has recordsize"):
        mini.step("datasets")
    zfs(mini, "set homelab:lab=minipc tank/files")
    assert mini.step("datasets").status == "changed"
    assert zfs(mini, "get -H -p -o value recordsize tank/files").out == b"1048576\n"


def test_a_mark_that_comes_from_above_is_none(mini):
    zfs(mini, "set homelab:lab=minipc tank")
    zfs(mini, "create tank/files")
    with pytest.raises(Exception, match="is somebody's"):
        mini.step("datasets")


def test_a_dataset_that_is_mounted_elsewhere(mini):
    zfs(mini, "create -o mountpoint=/srv/files tank/files")
    with pytest.raises(Exception, match="mounted at /srv/files, and the lab has it at /tank/files"):
        mini.step("datasets")


def test_a_dataset_that_is_not_mounted_is_not_exported(mini):
    mini.step("datasets")
    mini.step("nfs")
    host = mini.world.machines["mini"]
    zfs_state = host.kept["zfs"]["tank/files"]
    zfs_state.mounted = False
    host.files.umount("/tank/files")
    assert host.export_for("/tank/files", "192.168.8.77") is None
    assert mini.step("datasets").status == "changed"
    assert host.export_for("/tank/files", "192.168.8.77") is not None


def test_whether_the_pool_is_scrubbed_is_looked_at(mini):
    [scrubbed] = [each for each in mini.step("pool-tank").checks if "scrubbed" in each.title]
    assert scrubbed.holds
    mini.world.machines["mini"].run("zfs set org.debian:periodic-scrub=disable tank")
    with pytest.raises(Exception, match="somebody has switched it off"):
        mini.step("pool-tank")
    mini.world.machines["mini"].run("rm /etc/cron.d/zfsutils-linux")
    with pytest.raises(Exception, match="has no such job"):
        mini.step("pool-tank")


# What can't be ----------------------------------------------------------------------------------


def test_a_clients_root_becomes_root_or_nobody():
    with pytest.raises(BadParameter, match="root is to become ann on share"):
        list(linux.steps(share(maproot_user="ann"), 1))


def test_a_machine_on_which_nobody_logs_in():
    lab = changed(share(), ("hosts.nas.ssh", None))
    with pytest.raises(BadParameter, match="no runbook logs in there"):
        list(linux.steps(lab, 1))


def test_datasets_lie_on_a_pool_that_somebody_has_made(monkeypatch):
    monkeypatch.setenv("ANN_PASSWORD", "correct-horse")
    monkeypatch.setenv("BEN_PASSWORD", "battery-staple")
    there = Bench(lab := load_lab("tests/machine/lab"), linux.steps(lab, 1))
    assert there.stops() == ("", "")
    nas = there.world.machines["nas"]
    shown = nas.run("zfs list -H -o name,mountpoint").finished().out.decode().splitlines()
    assert shown[1:] == ["tank/files\t/tank/files", "tank/photos\t/tank/photos"]
    there.wire.sent.clear()
    assert there.stops() == ("", "")
    assert there.wire.sent == []
