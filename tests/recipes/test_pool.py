"""Pools: disks by their serial numbers, nothing wiped that nobody has named."""

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from contract.small_nas import made, small_nas
from homelab_lib.control.truenas.pool import Pool
from homelab_lib.control.vdevs import Vdev
from homelab_lib.errors import BadParameter, OutcomeUnknown, Refused
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.nas import pool as recipe
from homelab_lib.runbook.promises import destroys_only
from homelab_lib.runbook.step import Step
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.truenas.zfs import NasDisk
from recipes.on_nas import Looking, Wire, likeness, run

STEPS = ["nas-burn-in", "nas-pool"]


@pytest.fixture(params=["25.04.2", "25.10.1", "26.0.0-BETA.3"])
def lab(request):
    return changed(load_lab(), ("hosts.truenas.os.version", request.param))


def before(lab):
    return built(lab, before_phase=1, clock=SimulatedClock())


def test_a_pool_is_made_once_of_the_disks_that_are_named(lab):
    world = before(lab)
    ran = run(world, recipe.steps(lab, 1))
    assert ran.statuses == {"nas-burn-in": "already", "nas-pool": "changed"}
    nas = world.machines["truenas"]
    serials = {nas.disks[name].serial for name in nas.pools["tank"].disks}
    assert serials == {f"HLNAS14T000{number}" for number in range(1, 5)}
    (call,) = ran.sent
    assert "force_topology" not in call
    assert "allow_duplicate_serials" not in call
    measured = ran.measured["usable capacity of pool tank"]
    assert measured.value == measured.predicted
    again = run(world, recipe.steps(lab, 1))
    assert again.sent == []
    assert set(run(world, recipe.steps(lab, 1), "verify").statuses.values()) == {"already"}
    as_planned = run(likeness(lab, before(lab)), recipe.steps(lab, 1))
    assert as_planned.sent == ran.sent


def test_the_disks_have_to_be_tested_or_signed_off():
    lab = load_lab()
    world, plan = before(lab), ()
    nas = world.machines["truenas"]
    steps = [next(recipe.steps(lab, 1))]
    ran = run(world, steps, plan=plan, stops=True)
    assert "HLNAS14T0001 (sdb): it has had no long test" in str(ran.error)
    assert 'confirm=["nas-burn-in"]' in str(ran.error)
    assert run(world, steps, plan=plan, confirm=["nas-burn-in"]).stopped_at == ""
    for name in ("sdb", "sdc", "sdd", "sde"):
        assert nas.run(f"sudo smartctl -t long /dev/{name}", b"").status == 0
    running = run(world, steps, plan=plan, stops=True)
    assert "in progress" in str(running.error)
    world.clock.sleep(30 * 3600)
    assert run(world, steps, plan=plan).stopped_at == ""
    nas.disks["sdd"].self_tests.insert(0, ("long", False))
    assert "sdd): its long test failed" in str(run(world, steps, plan=plan, stops=True).error)


def partitioned(disk):
    disk.partitions = [disk.partition(1, 10**12, "0fc63daf-8483-4772-8e79-3d69d8477de4")]


MISTAKES = {
    "a foreign pool": (lambda d: setattr(d["sdc"], "exported_zpool", "photos"),
                       "sdc (HLNAS14T0002, 14 TB) carries the label of pool photos"),
    "a pool of that name that is not imported": (
        lambda d: [setattr(d[n], "exported_zpool", "tank") for n in ("sdb", "sdc", "sdd", "sde")],
        "a pool tank lies on disks of truenas and is not imported"),
    "a label of no pool any more": (lambda d: setattr(d["sdc"], "fstype", "zfs_member"),
                                    "carries the label of pool ?"),
    "a wrong serial": (lambda d: setattr(d["sdd"], "serial", "ZL2OTHER"),
                       "truenas has no disk with the serial number HLNAS14T0003"),
    "two disks of one serial": (lambda d: setattr(d["sda"], "serial", "HLNAS14T0001"),
                                "sda and sdb both say that their serial number is HLNAS14T0001"),
    "another disk than the lab says": (lambda d: setattr(d["sde"], "size_bytes", 4 * 10**12),
                                       "sde (HLNAS14T0004, 4 TB) should hold 14 TB"),
    "the disk that it starts from": (lambda d: setattr(d["sdb"], "boot", True),
                                     "TrueNAS starts from sdb"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_seeded_mistake_stops_before_anything_is_sent(mistake):
    lab = load_lab()
    world = before(lab)
    nas = world.machines["truenas"]
    do, words = MISTAKES[mistake]
    do(nas.disks)
    nas.blocks = blocks_of(nas)
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert ran.stopped_at == "nas-pool"
    assert words in str(ran.error)
    assert ran.sent == []


def test_what_lies_on_a_disk_goes_only_if_the_disk_is_named():
    lab = load_lab()
    world = before(lab)
    nas = world.machines["truenas"]
    partitioned(nas.disks["sdc"])
    nas.disks["sdd"].fstype = "ext4"
    nas.blocks = blocks_of(nas)
    steps, done = list(recipe.steps(lab, 1)), {"confirm": ["nas-burn-in"]}
    plan = run(likeness(lab, world), steps).planned
    assert any("pool tank, raidz2 of sdb (HLNAS14T0001, 14 TB), sdc" in str(each) for each in plan)
    ran = run(world, steps, plan=plan, stops=True, **done)
    assert "this would destroy disk HLNAS14T0002, disk HLNAS14T0003" in str(ran.error)
    assert ran.sent == []
    named = ["disk HLNAS14T0002", "disk HLNAS14T0003"]
    ran = run(world, steps, plan=plan, allow_destroy=named, **done)
    assert len(ran.sent) == 1
    assert "1 partition" in plan[0].replaces
    assert "ext4" in plan[0].replaces


ANOTHER = {
    "another layout": ("pools.truenas.tank.layout", "raidz1", "it is made of raidz2 of"),
    "encrypted by now": ("pools.truenas.tank.encryption", "key", "is not encrypted, and the lab"),
    "fewer disks": ("pools.truenas.tank.disks", ["hdd1", "hdd2", "hdd3"], "is another one"),
}


@pytest.mark.parametrize("other", ANOTHER)
def test_a_pool_that_is_there_is_never_made_another(other):
    lab = load_lab()
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    path, value, words = ANOTHER[other]
    layout = (("pools.truenas.tank.layout", "raidz1"),) if other == "fewer disks" else ()
    ran = run(world, recipe.steps(changed(lab, (path, value), *layout), 1), stops=True)
    assert words in str(ran.error)
    assert ran.sent == []


def test_a_pool_that_was_exported_is_not_made_anew_and_comes_back_as_it_was():
    lab = load_lab()
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    nas = world.machines["truenas"]
    made(nas, "pool.dataset.create", {"name": "tank/photos"})
    made(nas, "pool.export", 1)
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert "a pool tank lies on disks of truenas and is not imported" in str(ran.error)
    [found] = made(nas, "pool.import_find")
    made(nas, "pool.import_pool", {"guid": found["guid"]})
    assert run(world, recipe.steps(lab, 1)).sent == []
    assert "tank/photos" in nas.datasets
    made(nas, "pool.export", 1, {"destroy": True})
    assert run(world, recipe.steps(lab, 1)).sent, "that one is gone for good, and its disks empty"


def test_a_degraded_pool_is_told_as_such():
    lab = load_lab()
    world = before(lab)
    run(world, recipe.steps(lab, 1))
    world.machines["truenas"].pools["tank"].told |= {"status": "DEGRADED", "healthy": False}
    ran = run(world, recipe.steps(lab, 1), stops=True)
    assert "pool tank is DEGRADED" in str(ran.error)


def test_a_key_is_kept_elsewhere_before_there_is_data():
    lab = changed(load_lab(), ("pools.truenas.tank.encryption", "key"))
    world = before(lab)
    steps = list(recipe.steps(lab, 1))
    assert [step.name for step in steps] == [*STEPS, "nas-pool-keys"]
    run(world, steps)
    [row] = made(world.machines["truenas"], "pool.dataset.query", [["id", "=", "tank"]])
    assert (row["encrypted"], row["key_loaded"]) == (True, True)
    assert run(world, steps).sent == []


def test_a_disk_without_a_serial_is_no_disk():
    lab = changed(load_lab(), ("hosts.truenas.disks.hdd2.serial", None))
    with pytest.raises(BadParameter, match=r"disk hdd2 of pool truenas\.tank has no serial number"):
        list(recipe.steps(lab, 1))


GB = 10**9
VDEVS = [
    Vdev("data", "DRAID1", ("S-a", "S-b", "S-c", "S-d"), data=2, spares=1),
    Vdev("data", "RAIDZ1", ("S-a", "S-b", "S-c")),
    Vdev("special", "MIRROR", ("S-d", "S-e")),
    Vdev("log", "STRIPE", ("S-f",)),
    Vdev("cache", "STRIPE", ("S-g",)),
    Vdev("spare", "STRIPE", ("S-h",)),
]
SHAPES = {"draid with a spare": [0, 5], "raidz with all classes": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("release", ["25.04.2", "25.10.5", "26.0.0-BETA.3"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_vdev_is_made_and_found_again(release, shape):
    nas = small_nas(release, pool=False)
    world = nas.world
    for letter, disk in zip("abcdefgh", nas.disks.values(), strict=True):
        disk.serial = f"S-{letter}"
    world.machines["nas"] = nas
    wanted = Pool("nas", "deep", tuple(VDEVS[place] for place in SHAPES[shape]))
    step = Step("pool", "A pool", ensure=lambda ctx: [wanted])
    assert len(run(world, [step]).sent) == 1
    assert run(world, [step]).sent == []


@st.composite
def disks(draw: Any) -> list[dict[str, Any]]:
    """What may be plugged in: anything, in any state."""
    often = lambda usual, *others: draw(st.sampled_from([usual] * 8 + list(others)))  # noqa: E731
    return [
        {
            "name": f"sd{letter}",
            "serial": often(f"S{number}", "S1", "S2", ""),
            "size_bytes": often(14000 * GB, 4000 * GB),
            "boot": often(False, True),
            "exported_zpool": often(None, "tank", "photos"),
            "fstype": draw(st.sampled_from(["", "ext4", "LVM2_member", often("", "zfs_member")])),
            "parts": draw(st.integers(0, 2)),
        }
        for number, letter in enumerate("abcd", 1)
    ]


@settings(max_examples=150, deadline=None)
@given(disks=disks(), named=st.sets(st.sampled_from(["disk S1", "disk S2", "disk S3", "sda"])))
def test_nothing_is_wiped_but_a_disk_that_was_named(disks, named):
    nas = small_nas("25.10.5", pool=False)
    nas.disks.clear()
    for row in disks:
        parts = row.pop("parts")
        nas.disks[row["name"]] = disk = NasDisk(**row)
        disk.partitions = [disk.partition(number + 1, GB) for number in range(parts)]
    nas.blocks = blocks_of(nas)
    was = {name: (disk.fstype, list(disk.partitions)) for name, disk in nas.disks.items()}
    labelled = {n for n, d in nas.disks.items() if d.exported_zpool or d.fstype == "zfs_member"}
    wire = Wire(nas.world)
    wire.world.machines["nas"] = nas
    sizes = dict.fromkeys(("S1", "S2"), 14000 * GB)
    pool = Pool("nas", "tank", (Vdev("data", "MIRROR", ("S1", "S2")),), sizes)
    diff = pool.diff(pool.observe(Looking(wire, "nas")))
    for change in diff.changes:
        try:
            destroys_only(change, named, "here")
        except Refused:
            continue
        wire.run("nas", change.call)
        wire.world.clock.sleep(600)
    event("a pool was made" if "tank" in nas.pools else "nothing was sent")
    for name, disk in nas.disks.items():
        if (disk.fstype, disk.partitions) == was[name]:
            continue
        fstype, parts = was[name]
        assert name not in labelled
        assert not disk.boot
        assert disk.serial in ("S1", "S2")
        assert [d.serial for d in nas.disks.values()].count(disk.serial) == 1
        assert disk.size_bytes == 14000 * GB
        assert f"disk {disk.serial}" in named or not (fstype or parts)


class Lossy(Wire):
    """Loses the reply to the first change, after the host has got it."""

    lost = False

    def run(self, host, command):
        result = super().run(host, command)
        if command.kind == "change" and not self.lost:
            self.lost = True
            raise OutcomeUnknown("the connection dropped", where=host)
        return result

    def reconnect(self, host):
        pass


def test_a_pool_whose_reply_was_lost_is_waited_for_and_not_made_twice():
    """The NAS goes on with it, whoever listens."""
    lab = load_lab()
    world = before(lab)
    ran = run(world, recipe.steps(lab, 1), wire=Lossy)
    assert ran.statuses["nas-pool"] == "changed"
    assert len(ran.sent) == 1
    jobs = world.machines["truenas"].jobs.all.values()
    assert [job.state for job in jobs if job.method == "pool.create"] == ["SUCCESS"]


class Unplugged(Lossy):
    """The power goes while the disks are formatted."""

    def run(self, host, command):
        try:
            return super().run(host, command)
        except OutcomeUnknown:
            self.world.clock.sleep(10)
            self.world.machines[host].reboot()
            raise


def test_disks_that_we_had_half_formatted_are_named_before_they_are_wiped_again():
    """What our own broken-off attempt left is no exception."""
    lab = load_lab()
    world = before(lab)
    steps, done = list(recipe.steps(lab, 1)), {"confirm": ["nas-burn-in"], "stops": True}
    plan = run(likeness(lab, world), steps).planned
    first = run(world, steps, plan=plan, wire=Unplugged, **done)
    assert "tank" not in world.machines["truenas"].pools
    assert first.error is not None
    world.clock.sleep(600)
    plan = run(likeness(lab, world), steps).planned
    again = run(world, steps, plan=plan, **done)
    assert "this would destroy disk HLNAS14T0001" in str(again.error)
    named = [f"disk HLNAS14T000{number}" for number in range(1, 5)]
    assert run(world, steps, plan=plan, allow_destroy=named, **done).error is None
    assert "tank" in world.machines["truenas"].pools
