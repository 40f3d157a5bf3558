"""What keeps a NAS going and in time: a UPS that it watches or hears of, and clocks."""

import json

import pytest

from homelab_lib.errors import StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.nas import power
from nas_bench import Bench

LAB = load_lab()
RELEASES = ("25.04.2", "25.10.1", "26.0.0-BETA.3")
UPS = {
    "title": "The UPS in the cellar",
    "part": "smart-ups-1500",
    "feeds": ["truenas", "proxmox"],
    "phase": 1,
}
NUT = {"host": "truenas", "driver": "usbhid-ups", "password": "env:NUT", "tells": ["proxmox"]}
CLOCK = {"servers": {"10.0.30.1": {"prefer": True}}, "phase": 1}


@pytest.fixture
def bench():
    made = []

    def up(*changes):
        part = next(iter(LAB.catalog.upses))
        ups = UPS | {"part": part, "nut": NUT}
        made.append(Bench(changed(LAB, ("upses", {"cellar": ups}), *changes), power.steps))
        return made[-1]

    yield up
    for each in made:
        each.close()


@pytest.mark.parametrize("release", RELEASES)
def test_a_ups_that_the_nas_watches(bench, release):
    there = bench(("hosts.truenas.os.version", release))
    outcome = there.apply()["ups-cellar-truenas"]
    config = json.loads(there.midclt("ups.config"))
    assert (config["mode"], config["driver"], config["port"]) == (
        "MASTER",
        "usbhid-ups$(various)",
        "auto",
    )
    assert config["rmonitor"] is True
    assert [check.says for check in outcome.checks] == ["OL"]
    assert {row.name: row.value for row in outcome.measurements}[
        "battery.runtime of cellar"
    ] == 1572
    assert there.nas.services["ups"].enable
    there.apply()
    assert there.sent == []


def test_its_password_is_on_no_command_line(bench, monkeypatch):
    monkeypatch.setenv("NUT", "correct-horse-battery")
    there = bench()
    there.apply()
    assert not any("correct-horse" in line for line in there.sent)


def test_a_ups_that_another_machine_watches(bench):
    nut = NUT | {"host": "proxmox", "tells": ["truenas"]}
    there = bench(("upses.cellar.nut", nut))
    there.apply()
    config = json.loads(there.midclt("ups.config"))
    assert (config["mode"], config["remotehost"]) == ("SLAVE", "10.0.30.10")


def test_a_ups_that_says_nothing_stops(bench):
    there = bench()
    there.nas.instead.append(
        lambda call, run: type(run())(1, stderr="Error") if call.argv[0] == "upsc" else None
    )
    with pytest.raises(StepFailed, match="it says nothing: look at its cable"):
        there.apply()


def test_a_driver_that_the_nas_has_not(bench):
    there = bench(("upses.cellar.nut.driver", "nutdrv_qx"))
    with pytest.raises(StepFailed, match="has no driver nutdrv_qx"):
        there.apply("ups-cellar-truenas")
    assert there.sent == []


@pytest.mark.parametrize("release", RELEASES)
def test_the_house_s_clock_is_asked_besides_others(bench, release):
    there = bench(("ntp.truenas", CLOCK), ("hosts.truenas.os.version", release))
    there.apply("nas-time-truenas")
    asked = {row["address"]: row["prefer"] for row in there.nas.tables["system.ntpserver"].rows()}
    assert asked["10.0.30.1"] is True
    assert len(asked) == 4
    there.apply("nas-time-truenas")
    assert there.sent == []


def test_a_lab_without_either_has_no_step():
    assert list(power.steps(changed(LAB, ("ntp", {})), 1)) == []
