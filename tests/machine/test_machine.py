"""The real thing: Debian with OpenZFS boots, and the runbooks that a user runs are run on it.

``make test-machine``. The machine is built once and cached. What a rehearsal says would happen is
held against what happens; capacities against the model's, to the byte.
"""

import subprocess
import threading
import time

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.models.zfs import Vdev, capacity
from homelab_lib.recipes.hardware.parts import Parts
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.proof import check
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook
from homelab_lib.secret import Mask
from homelab_lib.target.ssh import SshTarget
from machine.carried_out import (
    FORGET,
    GIB,
    LAB,
    LARGER,
    PASSWORD,
    SERIALS,
    blank,
    by_serial,
    cut,
    planned,
    run,
    sent,
)

pytestmark = pytest.mark.machine

OPENZFS = (2, 3, 9)


@pytest.fixture
def tank(nas, tmp_path, monkeypatch):
    """A pool of four of them, found by serial, as a person makes it; and nothing of ours yet."""
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    for who in ("ANN", "BEN"):
        monkeypatch.setenv(f"{who}_PASSWORD", PASSWORD)
    blank(nas)
    nas.ssh(f"zpool create -o ashift=12 tank raidz2 {by_serial(nas, SERIALS[:4])}")
    yield nas
    nas.ssh(FORGET, check=False)


def test_what_was_foretold_is_what_happens_and_it_happens_once(tank):
    plan = planned(tank)
    ran, error = run(tank, approve=plan.digest)
    assert error is None, error
    assert sent(ran) == len(plan.changes)
    assert list(check(ran.record.folder)) == []
    again, error = run(tank, approve=plan.digest)
    assert (error, sent(again)) == (None, 0)
    assert run(tank, "verify")[1] is None
    assert planned(tank).changes == ()
    shown = tank.says("zfs get -Hp -o value recordsize,quota,homelab:lab tank/files").split()
    assert shown == [str(2**20), str(64 * 2**20), "machine"]


def test_a_client_mounts_the_share_and_its_quota_holds(tank):
    run(tank, approve=planned(tank).digest)
    address = tank.says("hostname -I").split()[0]
    tank.ssh("chmod 777 /tank/files")  # a client's root is nobody here
    tank.ssh(f"mkdir -p /mnt/files && mount -t nfs4 {address}:/tank/files /mnt/files")
    try:
        full = tank.ssh("dd if=/dev/urandom of=/mnt/files/a bs=1M count=80 conv=fsync", check=False)
        assert "quota" in full.stderr.lower(), full.stderr
    finally:
        tank.ssh("umount /mnt/files")


def test_the_family_writes_to_its_share_and_nobody_else_does(tank):
    run(tank, approve=planned(tank).digest)
    login = f"smbclient //127.0.0.1/files -U 'ann%{PASSWORD}' -c"
    tank.ssh(f"cd /etc && {login} 'mkdir 2026; put hostname 2026/name'")
    tank.ssh(f"cd /etc && {login.replace('ann%', 'ben%')} 'put hosts 2026/name'")
    shown = tank.says("stat -c %a:%U:%G /tank/files/2026 /tank/files/2026/name").split()
    assert shown == ["2770:ann:family", "660:ann:family"]
    stranger = tank.ssh("smbclient -N //127.0.0.1/files -c ls", check=False)
    assert "ACCESS_DENIED" in stranger.stdout


def test_what_somebody_else_made_in_the_place_stops_it_before_anything_is_sent(tank):
    tank.ssh("zfs create -o recordsize=16K tank/files && echo photos > /tank/files/photo")
    _, error = run(tank, "plan")
    assert "somebody's" in str(error)
    assert tank.says("cat /tank/files/photo") == "photos"


def test_a_disk_that_is_gone_is_named_by_its_serial_number(nas, tmp_path, monkeypatch):
    """Names such as sda move on; what the lab does not know does no harm."""
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    blank(nas)
    before = drives(nas)
    nas.pull(SERIALS[1])
    try:
        nas.ssh(f"while [ -e {by_serial(nas, SERIALS[1:2])} ]; do sleep 0.2; done")
        without = drives(nas)
    finally:
        nas.plug(SERIALS[1])
        nas.ssh(f"until [ -e {by_serial(nas, SERIALS[1:2])} ]; do sleep 0.2; done")
    again = drives(nas)
    assert [each.holds for each in (before, without, again)] == [True, False, True]
    assert f"missing: b ({SERIALS[1]});" in without.says


def drives(nas):
    """What the look at the machine's parts says of its drives; of its cards the image can tell
    nothing, since it has no lspci."""
    lab = load_lab(LAB)
    target = SshTarget(lab, str(nas.folder / "ssh_config"), allow_changes=False)
    mask = Mask()
    sender = Sender(target.link, target.clock, Journal(None, mask=mask, wall=str), mask)
    try:
        engine = Engine(Runbook("look", "Look", ()), "verify", sender, target.trust, target.seal)
        [found] = Parts(lab, lab.hosts["nas"])._drives(engine.host("nas"))
        return found
    finally:
        target.close()


@pytest.mark.parametrize("after", [1, 3])
def test_the_power_goes_in_the_middle_and_the_same_command_goes_on(tank, after):
    plan = planned(tank)
    cutter = threading.Thread(target=cut, args=(tank, plan, after))
    cutter.start()
    _, error = run(tank, approve=plan.digest)
    cutter.join()
    assert error is not None, "the power went too late"
    tank.start()
    assert tank.says("zpool list -H -o health tank") == "ONLINE"
    for _ in range(3):
        ran, error = run(tank, approve=plan.digest)
        if error is None:
            break
    assert error is None, error
    assert list(check(ran.record.folder)) == []
    assert run(tank, "verify")[1] is None


@pytest.mark.parametrize(
    ("layout", "width"),
    [("stripe", 1), ("mirror", 2), ("raidz1", 3), ("raidz2", 4), ("raidz2", 6), ("raidz3", 6)],
)
@pytest.mark.parametrize("ashift", [9, 12])
def test_a_pool_holds_what_the_model_says_to_the_byte(nas, layout, width, ashift):
    blank(nas)
    kind = "" if layout == "stripe" else layout
    disks = by_serial(nas, SERIALS[:width])
    nas.ssh(f"zpool create -o ashift={ashift} try {kind} {disks}")
    used, free = map(int, nas.says("zfs list -Hp -o used,avail try").split())
    size = int(nas.says("zpool list -Hp -o size try"))
    nas.ssh("zpool destroy try")
    found = capacity([Vdev(layout, (GIB,) * width, ashift=ashift)], openzfs=OPENZFS)
    assert (size, used + free) == (found.size_bytes, found.usable_bytes)


@pytest.mark.parametrize(
    ("size_gib", "kept_bytes"),
    [(20, 20 * GIB // 100), (300, 2 * GIB)],
    ids=["a hundredth is kept back", "2 GiB are kept back"],
)
def test_on_partitions_of_truenas_a_pool_holds_what_the_model_says_to_the_byte(
    nas, size_gib, kept_bytes
):
    """Partitions as the middleware of TrueNAS makes them (plugins/disk_/format.py, `format`), by
    the same program with the same words, and `zpool` with the options that it has."""
    blank(nas)
    disk_bytes = size_gib * GIB
    mine = [serial for serial, size_bytes in LARGER.items() if size_bytes == disk_bytes]
    kib = (disk_bytes - kept_bytes) // 2**20 * 2**10
    for each in mine:
        words = ["sgdisk", "-n", f"1:0:+{kib}k", "-t", "1:BF01", nas.folder / each]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    # Written behind the machine's back, which has read these sectors before.
    nas.ssh("for d in /dev/sd?; do blockdev --flushbufs $d; done; partprobe; udevadm settle")
    parts = " ".join(f"{disk}-part1" for disk in by_serial(nas, mine).split())
    nas.ssh(f"zpool create -o ashift=12 -o autoexpand=on try raidz1 {parts}")
    used, free = map(int, nas.says("zfs list -Hp -o used,avail try").split())
    shown = int(nas.says("zpool list -Hp -o size try"))
    nas.ssh("zpool destroy try")
    disks = (disk_bytes,) * len(mine)
    found = capacity([Vdev("raidz1", disks, partitioner="truenas")], openzfs=OPENZFS)
    assert (shown, used + free) == (found.size_bytes, found.usable_bytes)
    plain = capacity([Vdev("raidz1", disks)], openzfs=OPENZFS)
    assert found.usable_bytes < plain.usable_bytes, "such disks can't tell who has partitioned"


def test_a_disk_is_pulled_and_it_is_told(tank):
    run(tank, approve=planned(tank).digest)
    tank.pull(SERIALS[0])
    tank.ssh("dd if=/dev/urandom of=/tank/photos/a bs=1M count=8 conv=fsync")
    assert tank.says("zpool list -H -o health tank") == "DEGRADED"
    tank.ssh(f"zpool replace tank {by_serial(tank, SERIALS[:1])} {by_serial(tank, SERIALS[4:5])}")
    for _ in range(60):
        if tank.says("zpool list -H -o health tank") == "ONLINE":
            break
        time.sleep(1)
    assert "resilvered" in tank.says("zpool status tank")
    looked, _ = run(tank, "verify")
    told = [check.says for outcome in looked.outcomes for check in outcome.checks]
    assert any(f"the lab says {SERIALS[0]} (a), it lies on {SERIALS[4]}" in says for says in told)
    tank.plug(SERIALS[0])


def test_the_description_fits_the_machine():
    lab = load_lab(LAB)
    assert [disk.serial for disk in lab.hardware("nas").disks.values()] == SERIALS[:4]
