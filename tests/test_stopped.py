"""A run that stands still for hours between its plan and its changes, as on a laptop that sleeps:
it finds its connections gone, looks anew, and sends what was approved or nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from homelab_lib import paths
from homelab_lib.lab import load_lab
from homelab_lib.runbook.proof import check
from homelab_lib.session.run import begin
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import ScaledClock
from homelab_lib.twin.server import serve, ssh_config
from standing import login

SPEED = 20_000  # simulated seconds in one: a second's stop is five hours
RUN = """
import sys
from homelab_lib.errors import HomelabError
from homelab_lib.session.run import begin
config, approve = sys.argv[1:]
run = begin("phase2", target="ssh", approve=approve, only=["share"], ssh_config=config)
try:
    run.plan()
    print("planned", run.record.folder, flush=True)
    sys.stdin.readline()
    run.step("share")
    run.finish()
except HomelabError as error:
    sys.exit(f"{type(error).__name__}: {error}")
finally:
    run.close()
"""


@pytest.fixture
def there(tmp_path, monkeypatch):
    """The lab before phase 2, on a clock that goes on by itself, and the way to it."""
    for name in ("reports", "state"):
        monkeypatch.setenv(f"HOMELAB_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    world = built(load_lab(), before_phase=2, clock=ScaledClock(SPEED))
    identity, key = login(tmp_path)
    with serve(world, authorized_keys=[key]) as doors:
        hosts = tmp_path / "known_hosts"
        hosts.write_text("".join(f"{line}\n" for line in doors.known_hosts()))
        config = tmp_path / "ssh_config"
        config.write_text(ssh_config(doors, identity_file=identity, known_hosts_file=hosts))
        yield world, str(config)


@contextmanager
def planned(config):
    """A run in a process of its own that has made its plan, which was approved; and its record."""
    share = {"target": "ssh", "only": ["share"], "ssh_config": config}
    with closing(begin("phase2", mode="plan", **share)) as first:
        first.plan()
        approve = first._plan.digest
    words = [sys.executable, "-c", RUN, config, approve]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(words, text=True, cwd=paths.root(), **pipes) as run:
        try:
            line = run.stdout.readline()
            assert line.startswith("planned"), run.communicate()
            yield run, Path(line.split()[1])
        finally:
            run.kill()


def stopped(run, world, meanwhile):
    """Stop it for hours, in which its connections are lost; what it says when it goes on."""
    os.kill(run.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WNOWAIT)
    before_s = world.clock.now()
    meanwhile(world.machines["truenas"])
    for machine in world.machines.values():
        for gone in world.down_hooks:
            gone(machine)
    time.sleep(1)
    assert world.clock.now() - before_s > 4 * 3600
    os.kill(run.pid, signal.SIGCONT)
    said, complained = run.communicate("\n", timeout=60)
    return run.returncode, said + complained


def shares(nas):
    rows = json.loads(nas.run("midclt call sharing.nfs.query").finished().stdout)
    return [row["comment"] for row in rows if row["path"] == "/mnt/tank/k3s"]


def theirs(nas):
    """Somebody makes what was to be made, for a purpose of his own."""
    dataset = {"name": "tank/k3s", "comments": "films"}
    share = {"path": "/mnt/tank/k3s", "comment": "media player", "networks": ["10.0.10.0/24"]}
    nas.run(f"midclt call pool.dataset.create '{json.dumps(dataset)}'").finished()
    nas.run(f"midclt call sharing.nfs.create '{json.dumps(share)}'").finished()


@pytest.mark.slow
def test_it_goes_on_over_new_connections_and_sends_each_change_once(there):
    world, config = there
    with planned(config) as (run, record):
        status, said = stopped(run, world, lambda nas: None)
    assert status == 0, said
    assert shares(world.machines["truenas"]) == ["homelab: homelab"]
    assert list(check(record)) == []


@pytest.mark.sample
def test_what_somebody_made_meanwhile_is_left_alone(there):
    world, config = there
    with planned(config) as (run, _):
        status, said = stopped(run, world, theirs)
    assert status == 1
    assert "we did not make it: 'media player'" in said
    assert shares(world.machines["truenas"]) == ["media player"]
