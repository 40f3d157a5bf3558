"""A look at pools: of a plain Linux NAS and of a TrueNAS, and when all that lies there was read."""

import pytest

from homelab_lib.house import House
from homelab_lib.lab import load_lab
from homelab_lib.recipes import looks, pool_looks
from homelab_lib.twin.machine.zfs import SCRUBS, datasets
from recipes.bench import Bench

PLAIN = "tests/recipes/labs/linux_nas.yaml"
DAY_S = 86_400.0


def test_a_plain_linux_nas_has_a_house_and_its_pool_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    with House(PLAIN) as house:
        assert house.books == ["phase7"]
        assert "A second run sent nothing" in house.carry_out("phase7").text
        assert "● What runs: 1 of 1 looks find all well" in house.look().text
        house.decay(40.0)
        assert [decay.name for decay, _ in house.decayed] == ["zpool-degraded"]
        assert "`zpool replace` its successor" in house.look().text


@pytest.fixture
def box():
    """The plain NAS, and the look at its pools."""
    bench = Bench(load_lab(PLAIN), tuple(looks.looks(load_lab(PLAIN), {7})), phase=8)
    [step] = [each.name for each in bench.steps]

    def told():
        return {c.title: (c.holds, c.says) for c in bench.step(step, "verify").checks}

    return bench, told


def test_when_a_pool_was_scrubbed_and_what_has_it_scrubbed(box):
    bench, told = box
    machine, title = bench.world.machines["box"], "pool tank was scrubbed"
    assert told()[title] == (True, "not yet")
    bench.world.clock.sleep(70 * DAY_S)
    assert told()[title][0]
    assert "days ago, with 0 errors" in told()[title][1]
    machine.files.put(SCRUBS, "# nothing\n")
    holds, says = told()[title]
    assert not holds
    assert says.startswith(f"never, and {SCRUBS} has no such job")
    datasets(machine)["tank"].scrubbed_s = machine.now_s() - 80 * DAY_S
    holds, says = told()[title]
    assert not holds
    assert says.startswith("80 days ago, with 0 errors; ")
    assert says.endswith("; `zpool scrub tank`")


def test_a_pool_that_is_gone_and_disks_that_cannot_be_asked(box):
    bench, told = box
    assert "package smartmontools" in told()["the disks of box call themselves well"][1]
    del datasets(bench.world.machines["box"])["tank"]
    holds, says = told()["pool tank is whole"]
    assert not holds
    assert "`zpool import` shows" in says


@pytest.mark.parametrize(
    ("scan", "task", "holds", "words"),
    [
        ({"function": "SCRUB", "state": "FINISHED", "errors": 0, "end_time": -3}, True, True,
         "3 days ago"),
        ({"function": "SCRUB", "state": "FINISHED", "errors": 2, "end_time": -3}, True, False,
         "with 2 errors; `zpool status -v`"),
        ({"function": "SCRUB", "state": "FINISHED", "errors": 0, "end_time": -90}, False, False,
         "90 days ago, with 0 errors; no scrub task of it is on"),
        ({"function": "SCRUB", "state": "SCANNING", "errors": 0, "end_time": None}, True, True,
         "just now"),
        ({"function": "SCRUB", "state": "CANCELED", "errors": 0, "end_time": -3}, False, False,
         "never, and no scrub task"),
        ({"function": "RESILVER", "state": "FINISHED", "errors": 0, "end_time": -9}, True, True,
         "a disk was replaced 9 days ago"),
        ({"function": "RESILVER", "state": "FINISHED", "errors": 0, "end_time": -99}, True, False,
         "a disk was replaced 99 days ago, and not since; start one"),
        (None, False, False, "never, and no scrub task of it is on"),
        (None, True, True, "33 days ago, with 0 errors"),
    ],
)  # fmt: skip
def test_what_a_truenas_says_of_a_scan(scan, task, holds, words):
    """Its pools' rows as its middleware has them: a resilver writes over what a scrub left."""
    lab = load_lab()
    bench = Bench(
        lab, tuple(s for s in looks.looks(lab, {1}) if s.name == "pools-truenas"), phase=2
    )
    nas = bench.world.machines["truenas"]
    bench.world.clock.sleep(60.0)
    if scan is not None:
        ended = scan["end_time"]
        stamp = None if ended is None else {"$date": int((nas.now_s() + ended * DAY_S) * 1000)}
        next(iter(nas.pools.values())).told["scan"] = scan | {"end_time": stamp}
    for row in nas.tables["pool.scrub"].rows():
        row["enabled"] = task
    [check] = [c for c in pool_looks.of_truenas(bench.engine("verify").context.host("truenas"))
               if c.title == "pool tank was scrubbed"]  # fmt: skip
    assert check.holds is holds
    assert words in check.says
