"""Copies that a TrueNAS makes by itself, on a twin: made once, kept up, and what stops them."""

import pytest

from homelab_lib.control.truenas.midclt import changing
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.nas import CloudCredential, CloudTask
from homelab_lib.recipes.backup import files
from homelab_lib.recipes.nas import cloud
from recipes.bench import Bench

LAB = load_lab()
NAMES = ("B2_KEY_ID", "B2_APPLICATION_KEY", "B2_PASSWORD", "B2_SALT")
B2 = "B2:homelab-offsite/family"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, f"nobody's {name.lower()}")


def lab_with(**changes):
    login = {
        "provider": "B2",
        "secrets": {"account": "env:B2_KEY_ID", "key": "env:B2_APPLICATION_KEY"},
        "phase": 4,
        "name": "b2",
    }
    task = {
        "name": "family",
        "dataset": "tank/family",
        "credential": "b2",
        "bucket": "homelab-offsite",
        "folder": "/family",
        "schedule": "0 1 * * *",
        "encryption_password": "env:B2_PASSWORD",
        "encryption_salt": "env:B2_SALT",
        "phase": 4,
    }
    nas = LAB.nas["truenas"].model_copy(
        update={
            "cloud_credentials": {"b2": CloudCredential.model_validate(login)},
            "cloud_tasks": {"family": CloudTask.model_validate(task | changes)},
        }
    )
    return LAB.model_copy(update={"nas": {"truenas": nas}})


def bench_of(**changes):
    lab = lab_with(**changes)
    bench = Bench(lab, cloud.steps(lab, 4), phase=4)
    nas = bench.world.machines["truenas"]
    for number in range(3):
        nas.files.put(f"/mnt/tank/family/photo {number}", f"picture {number}")
    return bench, nas


def test_one_copy_is_made_though_the_rule_wants_three_and_its_lateness_stops():
    lab = lab_with().model_copy(update={"backups": Backups()})
    bench = Bench(lab, files.steps(lab, 4), phase=4)
    nas = bench.world.machines["truenas"]
    nas.files.put("/mnt/tank/family/photo", "a picture")
    assert bench.stops() == ("", "")
    [check] = bench.step("three-two-one").checks
    assert "the lab describes 2 of 3 copies" in check.says
    nas.tables["cloudsync"].rows()[0]["enabled"] = False
    bench.world.clock.sleep(3 * 86_400)
    [late] = bench.step("three-two-one", "verify").checks
    assert not late.holds
    assert "family is 3 days old (" in late.says


def test_made_once_copied_and_kept_up():
    bench, nas = bench_of()
    assert bench.stops() == ("", "")
    assert sorted(bench.world.repositories.buckets[B2]) == [f"photo {n}" for n in range(3)]
    [task] = nas.tables["cloudsync"].rows()
    assert (task["transfer_mode"], task["encryption"], task["pre_script"]) == ("COPY", True, "")
    assert not any("nobody's" in line for line in bench.wire.sent)
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    bench.world.clock.sleep(40 * 86_400)
    assert bench.stops() == ("", "")
    assert bench.wire.sent == [], "the NAS keeps it up by itself"


def test_what_was_deleted_here_stays_there():
    bench, nas = bench_of()
    assert bench.stops() == ("", "")
    for number in range(3):
        nas.files.remove(f"/mnt/tank/family/photo {number}")
    bench.world.clock.sleep(2 * 86_400)
    assert len(bench.world.repositories.buckets[B2]) == 3


def test_to_synchronise_an_empty_folder_deletes_nothing():
    bench, nas = bench_of(mode="SYNC", least_files=2)
    assert bench.stops() == ("", "")
    for number in range(3):
        nas.files.remove(f"/mnt/tank/family/photo {number}")
    bench.world.clock.sleep(30 * 3600)
    assert len(bench.world.repositories.buckets[B2]) == 3, "by its own schedule, too"
    where, said = bench.stops()
    assert where == "cloud-truenas-family"
    assert "/mnt/tank/family is empty" in said
    nas.files.put("/mnt/tank/family/one", "left")
    where, said = bench.stops()
    assert "Pre-script failed" in said
    assert len(bench.world.repositories.buckets[B2]) == 3


def test_a_key_that_has_expired_is_told():
    bench, _ = bench_of()
    bench.world.repositories.refuses["B2:"] = "bad_auth_token (401 bad_auth_token)"
    where, said = bench.stops()
    assert where == "cloud-truenas-family"
    assert "401 bad_auth_token" in said
    bench.world.repositories.refuses.clear()
    assert bench.stops() == ("", "")
    bench.world.repositories.refuses["B2:"] = "expired (401 expired_auth_token)"
    bench.world.clock.sleep(30 * 3600)
    [task] = lab_with().nas["truenas"].cloud_tasks.values()
    [check] = cloud.Task(bench.lab, "truenas", task).check(bench.engine("verify").context)
    assert (check.holds, "expired_auth_token" in check.says) == (False, True)


def test_another_bandwidth_or_hour_changes_the_task_and_nothing_else():
    bench, nas = bench_of()
    assert bench.stops() == ("", "")
    bench.wire.sent.clear()
    limits = [{"time": "08:00", "limit_bps": 20_000_000}, {"time": "23:00", "limit_bps": None}]
    bench.steps = tuple(cloud.steps(lab_with(bandwidth=limits), 4))
    assert bench.stops() == ("", "")
    assert ["cloudsync.update" in line for line in bench.wire.sent] == [True]
    [task] = nas.tables["cloudsync"].rows()
    assert task["bwlimit"] == [
        {"time": "08:00", "bandwidth": 2_500_000},
        {"time": "23:00", "bandwidth": None},
    ]


def test_a_snapshot_of_a_dataset_with_others_in_it_is_refused_by_the_nas():
    bench, _ = bench_of()
    bench.wire.run("truenas", _made("tank/family/photos"))
    where, said = bench.stops()
    assert (where, "no further nesting" in said) == ("cloud-truenas-family", True)


def _made(dataset):
    return changing("pool.dataset.create", {"name": dataset})


def test_a_plan_on_what_the_nas_says_is_what_is_sent():
    bench, _ = bench_of()
    planned = bench.likeness()
    assert planned.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert planned.wire.sent == bench.wire.sent
    bench.world.clock.sleep(86_400)
    again = bench.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []
