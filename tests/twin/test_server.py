"""A twin to OpenSSH's own client."""

import shutil
import subprocess

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.target.served import serve_twin
from homelab_lib.twin.clock import ScaledClock

SSH = shutil.which("ssh")
pytestmark = pytest.mark.skipif(SSH is None, reason="this machine has no ssh (openssh-client)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin")
    with serve_twin(load_lab(), folder, before_phase=2, speed=1000.0):
        yield folder


def ssh(folder, *words, stdin=b"", **options):
    line = [SSH, "-F", str(folder / "ssh_config"), *words]
    return subprocess.run(
        line, input=stdin, capture_output=True, timeout=30, check=False, **options
    )


@pytest.mark.parametrize(
    ("host", "line", "status", "says"),
    [
        ("proxmox", "pveversion", 0, b"pve-manager/9.1"),
        ("truenas", "midclt call system.ready", 0, b"True\n"),
        ("desktop", "cat /etc/hostname && id -un", 0, b"desktop\nhomelab\n"),
        ("proxmox", "frobnicate", 127, b""),
        ("proxmox", "exit 3", 3, b""),
    ],
)
def test_commands(folder, host, line, status, says):
    ran = ssh(folder, host, line)
    assert ran.returncode == status, ran.stderr
    assert says in ran.stdout


def test_what_comes_in_and_goes_out_is_the_same(folder):
    data = bytes(range(256)) * 2000
    assert ssh(folder, "desktop", "cat", stdin=data).stdout == data


def test_an_input_that_stays_open_is_no_input(folder):
    line = [SSH, "-F", str(folder / "ssh_config"), "proxmox", "hostname"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b"proxmox\n"
        process.stdin.close()


def test_a_machine_that_is_not_there_yet_refuses(folder):
    assert ssh(folder, "k3s-control", "true").returncode == 255


def test_a_stranger_is_not_let_in(folder, tmp_path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True
    )
    ran = ssh(
        folder,
        "-o",
        f"IdentityFile={tmp_path}/k",
        "-o",
        "IdentityFile=none",
        "nobody@proxmox",
        "true",
    )
    assert ran.returncode == 255
    assert b"Permission denied" in ran.stderr


def test_a_person_at_a_prompt(folder):
    ran = ssh(folder, "-tt", "truenas", stdin=b"hostname\nls /mnt\nexit\n")
    assert b"nothing here is real" in ran.stdout
    assert b"truenas\r\n" in ran.stdout
    assert b"tank\r\n" in ran.stdout


def test_a_mistake_of_the_twin_is_answered_and_not_waited_for(folder, monkeypatch):
    def sleep(clock, seconds):
        raise OSError("nobody expects this")

    monkeypatch.setattr(ScaledClock, "sleep", sleep)
    ran = ssh(folder, "desktop", "sudo apt-get update")
    assert ran.returncode == 70
    assert b"twin: fault in desktop: " in ran.stderr
