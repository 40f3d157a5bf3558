"""A VM's archive out of the real restic: which one a drill takes, and what its restore is given.

Of Proxmox there is no more here than a `pvesh` that keeps what comes in by standard input.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from homelab_lib.control.linux.restic import tags
from homelab_lib.control.proxmox import guest_drill
from homelab_lib.control.proxmox.drill_sources import Carried
from homelab_lib.control.proxmox.guest_drill import GuestDrill
from homelab_lib.secret import Secret
from real.test_restic import KEY, LAB, LOGIN, bucket, place  # noqa: F401

PROGRAMS = {"restic": "restic", "zstd": "zstd", "moto_server": "moto[s3,server], from PyPI"}
MISSING = [f"{p} ({package})" for p, package in PROGRAMS.items() if shutil.which(p) is None]
WHY = f"this machine has no {', '.join(MISSING)}"
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=WHY)]
PVESH = """#!/bin/sh
case "$1" in
create) echo "$*" > {folder}/asked; head -c 1000 > {folder}/came
    restic --no-cache -r "$(cat {folder}/url)" list locks --no-lock > {folder}/locks
    cat >> {folder}/came; echo '"UPID:pve:1:2:3:qmrestore::"';;
get) echo '{{"exitstatus":"what this test says"}}';;
esac
"""


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A folder with the programs of a node, first in the path."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "pvesh").write_text(PVESH.format(folder=tmp_path))
    (bin_ / "qm").write_text("#!/bin/sh\nexit 0\n")
    for program in bin_.iterdir():
        program.chmod(0o755)
    monkeypatch.setattr(guest_drill, "FOLDER", str(tmp_path / "drills"))
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    return tmp_path


def carried_out(drill, paper, tmp_path):
    """What a drill sends, one after the other; what the last came to."""
    number = {"taken": "", "left": False, "volumes": []}
    changes = drill.diff({"last": "none", "takes_bytes": 1, "free_bytes": 2} | number).changes
    done = None
    for change in changes:
        words = [word.replace("/run/homelab", f"{tmp_path}/homelab") for word in change.call.argv]
        stdin = paper if change.call.stdin else ""
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=120)
        assert len(changes) == 2
    return done


def archive(folder, name, data):
    path = folder / name
    if name.endswith(".zst"):
        path.write_bytes(subprocess.run(["zstd", "-qc"], input=data, capture_output=True).stdout)
    else:
        path.write_bytes(data)


@pytest.mark.parametrize("rotten", [False, True])
def test_the_newest_archive_of_that_vm_comes_through_unpacked(node, bucket, rotten):  # noqa: F811
    url, dump = f"{bucket}/vms-{rotten}", node / "dump"
    (node / "url").write_text(url)
    dump.mkdir()
    wanted = os.urandom(3_000_000)
    archive(dump, "vzdump-qemu-201-2026_08_01-02_30_00.vma.zst", b"an old one")
    archive(dump, "vzdump-qemu-201-2026_08_03-02_30_00.vma.zst", wanted)
    archive(dump, "vzdump-qemu-201-2026_08_03-02_30_00.vma.zst.notes", b"k3s")
    archive(dump, "vzdump-qemu-201-2026_08_03-02_30_00.log", b"INFO: done")
    archive(dump, "vzdump-qemu-2011-2026_08_09-02_30_00.vma.zst", b"somebody else's")
    archive(dump, "vzdump-lxc-201-2026_08_09-02_30_00.tar.zst", b"a container")
    login = {
        "RESTIC_PASSWORD": KEY,
        "AWS_ACCESS_KEY_ID": LOGIN[0],
        "AWS_SECRET_ACCESS_KEY": LOGIN[1],
    }
    marks = [word for tag in tags(LAB, "vms").split(",") for word in ("--tag", tag)]
    for words in (["init"], ["backup", *marks, str(dump)]):
        subprocess.run(["restic", "-r", url, *words], env=os.environ | login, check=True)
    paper = "".join(f"{line}\n" for line in login.values())
    words = ("restic", "--no-cache", "-r", url)
    carried = Carried("vms", tags(LAB, "vms"), words, Secret("env:KEY", lambda: paper))
    drill = GuestDrill(
        "here", "pve", "fire", carried, 201, "web", 9201, "fast", 3, 1, 9.0, False, LAB
    )
    if rotten:
        paper = f"another key\n{LOGIN[0]}\n{LOGIN[1]}\n"
    done = carried_out(drill, paper, node)
    assert not (node / "homelab-drill-fire").exists(), "what stood on paper was read once"
    if rotten:
        assert "wrong password" in done.stderr
        assert not (node / "came").exists()
        return
    assert (node / "came").read_bytes() == wanted
    locks = (node / "locks").read_text()
    assert not locks, "it may take hours, and a night's copies are tidied up meanwhile"
    asked = (node / "asked").read_text()
    assert "--archive - --storage fast --unique 1 --onboot 0 --protection 0" in asked
    assert "what this test says" in done.stderr, "what the task came to is told"
    note = (Path(guest_drill.FOLDER) / "fire").read_text()
    assert "vzdump-qemu-201-2026_08_03-02_30_00.vma.zst" in note
    assert note.splitlines()[1:] == ["lost the whole VM"]
