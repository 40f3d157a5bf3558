"""What is laid over a package's unit file: systemd takes it, and the twin goes by it as systemd."""

import os
import shutil
import subprocess

import pytest

from homelab_lib.control.linux.unit_file import FOLDER, dropin, dropin_text
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.program import Call

UNIT = "prometheus-node-exporter"
OF_DEBIAN = """[Unit]
Description=Prometheus exporter for machine metrics

[Service]
Restart=on-failure
User=nobody
ExecStart=/usr/bin/false $ARGS

[Install]
WantedBy=multi-user.target
"""
"""As Debian's package has it; but who runs it, and what, is there on any machine."""


@pytest.fixture
def verified(tmp_path):
    """What systemd says of a unit file with something laid over it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this machine has no systemd-analyze (package systemd)")

    def run(text):
        (tmp_path / f"{UNIT}.service").write_text(OF_DEBIAN)
        laid = tmp_path / dropin(UNIT).removeprefix(f"{FOLDER}/")
        laid.parent.mkdir(exist_ok=True)
        laid.write_text(text)
        words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"{UNIT}.service")]
        path = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
        done = subprocess.run(words, capture_output=True, text=True, env=path, check=False)
        return done.returncode, done.stderr

    return run


def test_systemd_takes_it(verified):
    status, says = verified(dropin_text("/bin/true --collector.drm", UNIT))
    assert status == 0, says


def test_systemd_would_not_take_two_commands(verified):
    text = dropin_text("/bin/true", UNIT).replace("ExecStart=\n", "")
    status, says = verified(text)
    assert status != 0
    assert "more than one ExecStart= setting" in says


@pytest.fixture
def host():
    """A machine with the package, whose service runs."""
    machine = built(load_lab(), before_phase=4).machines["desktop"]

    def run(*words):
        reply = machine.call(Call(words)).finished()
        assert reply.status == 0, reply.err
        return reply.out.decode()

    machine.run = run
    run("apt-get", "install", "-y", UNIT)
    return machine


def _unread(host):
    return host.run("systemctl", "show", f"{UNIT}.service", "-p", "NeedDaemonReload")


def test_what_is_laid_over_is_noticed_and_a_file_in_the_place_of_the_package_s_is_not(host):
    """systemd: `unit_need_daemon_reload` looks at the file that was read, and for what is laid
    over it."""
    host.files.put(f"{FOLDER}/{UNIT}.service", OF_DEBIAN)
    assert _unread(host) == "NeedDaemonReload=no\n"
    host.files.put(dropin(UNIT), dropin_text(f"/usr/bin/{UNIT} --collector.drm", UNIT))
    assert _unread(host) == "NeedDaemonReload=yes\n"


def test_it_runs_what_is_laid_over_and_nothing_that_it_can_t(host):
    listening = f"/usr/bin/{UNIT} --web.listen-address=10.0.10.50:9200"
    host.files.put(dropin(UNIT), dropin_text(listening, UNIT))
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", UNIT)
    assert host.listeners[9200]()
    elsewhere = listening.replace("10.0.10.50", "10.0.10.51")
    host.files.put(dropin(UNIT), dropin_text(elsewhere, UNIT))
    host.run("systemctl", "daemon-reload")
    failed = host.call(Call(("systemctl", "restart", UNIT))).finished()
    assert failed.status != 0
    assert not host.listeners[9200]()
