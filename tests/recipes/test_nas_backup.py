"""A NAS's configuration before and after, and what it boots from."""

import pytest

from homelab_lib.errors import StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.recipes.nas import configuration
from nas_bench import Bench

LAB = load_lab()
FOLDER = "/root/homelab"


@pytest.fixture
def bench():
    there = Bench(LAB, configuration.before, configuration.after)
    yield there
    there.close()


def kept(nas):
    return [path for path in nas.files.walk(FOLDER) if path.endswith(".tar")]


def test_the_configuration_is_kept_once_for_root_alone(bench):
    outcomes = bench.apply(confirm=["nas-backup-elsewhere"])
    assert len(kept(bench.nas)) == 2
    for path in kept(bench.nas):
        entry = bench.nas.files.entry(path)
        assert (entry.mode, entry.user) == (0o600, "root")
        assert entry.data.startswith(b"freenas-v1.db")
    assert bench.nas.downloads == {}, "a download is fetched once"
    [check] = outcomes["nas-backup-before"].checks
    digests = [bench.nas.files.entry(path).sha256 for path in kept(bench.nas)]
    assert check.says.startswith("sealed ")
    assert not any(digest[:16] in check.says for digest in digests)
    bench.apply(confirm=["nas-backup-elsewhere"])
    assert bench.sent == []


def test_nothing_of_it_or_of_its_token_is_on_a_command_line(bench):
    bench.apply(confirm=["nas-backup-elsewhere"])
    assert not any("auth_token=" in line for line in bench.sent)


@pytest.mark.parametrize("match", ["core.download", "curl"])
def test_a_copy_that_did_not_come_leaves_nothing_behind(bench, match):
    bench.nas.instead.append(
        lambda call, run: type(run())(1, stderr="no") if match in call.argv else None
    )
    with pytest.raises(StepFailed):
        bench.apply("nas-backup-before")
    assert bench.nas.files.listdir(FOLDER) == []


def test_a_file_that_is_no_copy_of_ours_is_left_alone(bench):
    bench.apply("nas-backup-before")
    [path] = kept(bench.nas)
    bench.nas.files.chmod(path, 0o644)
    with pytest.raises(StepFailed, match="no copy of ours"):
        bench.apply("nas-backup-before")


def test_a_stick_is_told_and_a_system_pool_that_fails_stops(bench):
    says = [check.title for check in bench.apply("nas-boot")["nas-boot"].checks]
    assert "truenas boots from a stick" in says
    boot = next(disk for disk in bench.nas.disks.values() if disk.boot)
    boot.serial = "ANOTHER"
    with pytest.raises(StepFailed, match="boots from the disk that the lab has: ANOTHER"):
        bench.apply("nas-boot")
