"""nfs-utils' own `exportfs` beside the twin's, and our exports on it, in a namespace."""

import os
import shlex
import shutil

import pytest

from homelab_lib.control.linux.exports import NfsExport, exported, line
from homelab_lib.lab import load_lab
from homelab_lib.twin.machine.exportfs import exportfs_programs
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.world import World
from real.alone import Alone

pytestmark = pytest.mark.real

FOLDERS = ("/mnt/files", "/mnt/a b", "/mnt/other/below")
ALONE = """\
mkdir -p /etc/exports.d /mnt/files '/mnt/a b' /mnt/other/below
: > /etc/exports; : > /var/lib/nfs/etab; rm -f /etc/exports.d/*
"""
EXPORTS = "/etc/exports.d/homelab-files.exports"
OPTIONS = ("rw", "sync", "no_subtree_check", "root_squash")


@pytest.fixture
def alone():
    if os.geteuid() != 0 or shutil.which("exportfs") is None or shutil.which("unshare") is None:
        pytest.skip("not root, or no exportfs here (package nfs-kernel-server)")
    made = Alone(("/etc", "/var/lib/nfs"), ("/mnt",), ALONE)
    yield made
    made.close()


@pytest.fixture
def twin():
    machine = Machine("alone", World(load_lab("data/examples/minipc")), commands=UNIX)
    assert exportfs_programs in machine.commands
    machine.packages["nfs-kernel-server"] = "1"
    for folder in (*FOLDERS, "/etc/exports.d"):
        machine.files.mkdir(folder, parents=True)
    return machine


FILE = """# ours
/mnt/files 192.0.2.0/24(rw,sync,no_subtree_check,no_root_squash) 2001:db8::/64(ro,no_subtree_check)
"/mnt/a b" *(ro,async,no_subtree_check,fsid=0)
/mnt/other\\
 198.51.100.7(rw,sync,no_subtree_check,crossmnt)
"""
SEQUENCES = [
    ["exportfs -s", "exportfs -v"],
    ["exportfs -o rw,sync,no_subtree_check,mountpoint 192.0.2.0/24:/mnt/files"],
    ["exportfs -o rw,sync,no_subtree_check,mountpoint=/mnt 192.0.2.0/24:/mnt/files"],
    ["exportfs -o rw,no_subtree_check 192.0.2.0/24:/mnt/files",
     "exportfs -o ro,no_subtree_check,no_root_squash 192.0.2.0/24:/mnt/files"],
    ["exportfs -o ro,no_subtree_check [2001:db8::/64]:/mnt/files",
     "exportfs -o ro,no_subtree_check 2001:db8::/64:/mnt/files"],
    ["exportfs -o rw,no_subtree_check,bogus 192.0.2.0/24:/mnt/files"],
    ["exportfs -o rw,no_subtree_check 192.0.2.0/24:/mnt/nowhere"],
    ["exportfs -o rw,no_subtree_check,all_squash '*:/mnt/a b'",
     "exportfs -u '*:/mnt/a b'", "exportfs -u '*:/mnt/a b'"],
    [f"printf %s {shlex.quote(FILE)} > /etc/exports", "exportfs -r"],
    ["exportfs -o rw,no_subtree_check 192.0.2.0/24:/mnt/files",
     f"printf %s {shlex.quote(FILE)} > {EXPORTS}", "exportfs -ra",
     "exportfs -u [2001:db8::/64]:/mnt/files"],
    [f"printf %s {shlex.quote(FILE)} > /etc/exports.d/not-read", "exportfs -r"],
]  # fmt: skip


@pytest.mark.parametrize("lines", SEQUENCES, ids=lambda lines: lines[0][:60])
def test_the_twins_answers_are_the_real_ones(alone, twin, lines):
    for line_ in [*lines, "exportfs -s", "exportfs -v"]:
        real = alone.run(line_)
        ours = twin.run(line_).finished()
        assert ours.status == real.exit_status, (line_, real)
        assert sorted(ours.out.decode().splitlines()) == sorted(real.stdout.splitlines()), line_
        assert ours.err.decode().split() == real.stderr.split(), line_


def export(*clients: str, path: str = "/mnt/files", options=OPTIONS) -> NfsExport:
    return NfsExport("alone", path, clients, options, EXPORTS)


@pytest.mark.parametrize("path", ["/mnt/files", "/mnt/a b"])
def test_an_export_is_made_once_and_comes_back_from_its_file(alone, path):
    clients = ("192.0.2.0/24", "2001:db8::/64")
    wanted = export(*clients, path=path)
    assert len(alone.converge(wanted)) == 2
    assert alone.converge(wanted) == []
    alone.write(EXPORTS, line(path, clients, OPTIONS))
    assert alone.run("exportfs -au; exportfs -r").exit_status == 0
    assert alone.converge(wanted) == [], "as after a reboot"


def test_what_somebody_exports_stays(alone):
    alone.run("exportfs -o ro,no_subtree_check 198.51.100.0/24:/mnt/other")
    alone.converge(export("192.0.2.0/24"))
    assert "198.51.100.0/24" in exported(alone)["/mnt/other"], "what was by hand, too"
    alone.run("exportfs -o ro,no_subtree_check 198.51.100.0/24:/mnt/files")
    wanted = export("192.0.2.0/24")
    assert "198.51.100.0/24 by somebody" in wanted.diff(wanted.observe(alone)).conflict


def test_what_our_own_file_has_is_changed_and_taken_back(alone):
    before = ("192.0.2.0/24", "198.51.100.0/24")
    alone.converge(export(*before))
    alone.write(EXPORTS, line("/mnt/files", before, OPTIONS))
    read_only = ("ro", *OPTIONS[1:])
    assert alone.converge(export("192.0.2.0/24", options=read_only)) == [
        "export /mnt/files to 192.0.2.0/24",
        "export /mnt/files to 198.51.100.0/24 no more",
    ]
    assert set(exported(alone)["/mnt/files"]) == {"192.0.2.0/24"}
