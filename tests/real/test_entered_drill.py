"""What a drill from a backup server sends, by a real shell: what `pvesm` gets to read, and what is
left of it. Of Proxmox there is no more here than programs that write down what they are given."""

import json
import os
import shutil
import subprocess

import pytest

from homelab_lib.control.proxmox import guest_drill
from homelab_lib.control.proxmox.drill_sources import Entered
from homelab_lib.control.proxmox.guest_drill import GuestDrill
from homelab_lib.secret import Secret

PROGRAMS = {"findmnt": "util-linux", "losetup": "mount"}
MISSING = [f"{p} ({package})" for p, package in PROGRAMS.items() if shutil.which(p) is None]
WHY = f"this machine has no {', '.join(MISSING)}"
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=WHY)]
STORAGE, TOKEN = "homelab-attic-drill-fire", "8c2f0f3a-1111-2222"
KEY = '{"kdf":null,"created":"2026-08-01T00:00:00Z","data":"AAECAwQF\\n=","hint":"%s $HOME `x`"}'
PVESM = """#!/bin/sh
echo "$*" >> {folder}/asked
case "$1" in
add) head -n 1 > {folder}/password
    for word in "$@"; do case "$word" in *.key) cat "$word" > {folder}/key
        stat -c %a "$word" "$(dirname "$word")/homelab-drill-fire" > {folder}/modes;; esac; done
    exit {added};;
list) echo 'Volid Format Type Size VMID'
    echo '{storage}:backup/vm/201/2026-08-01T02:30:00Z pbs-vm  backup    34359738368 201'
    echo '{storage}:backup/vm/201/2026-08-03T02:30:00Z pbs-vm  backup    34359738368 201'
    echo '{storage}:backup/vm/201/2026-08-04T02:30:00Z pbs-vm  backup              1 201';;
extractconfig) echo 'name: web'; exit {opened};;
esac
"""
PVESH = """#!/bin/sh
echo "$*" >> {folder}/asked
case "$1" in
create) echo '"UPID:pve:1:2:3:qmrestore::"';;
get) echo '{{"exitstatus":"what this test says"}}';;
esac
"""


@pytest.fixture
def carried_out(tmp_path, monkeypatch):
    """Carries a drill out, with programs that end as they are told to."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    monkeypatch.setattr(guest_drill, "FOLDER", str(tmp_path / "drills"))
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")

    def run(added=0, opened=0):
        for name, text in {"pvesm": PVESM, "pvesh": PVESH, "qm": "#!/bin/sh\nexit 0\n"}.items():
            given = {"folder": tmp_path, "storage": STORAGE, "added": added, "opened": opened}
            (bin_ / name).write_text(text.format(**given) if name != "qm" else text)
            (bin_ / name).chmod(0o755)
        paper = f"{TOKEN}\n{KEY}\n"
        source = Entered(STORAGE, "pve", "198.51.100.9", "house", "pve@pbs!node", "ab:cd",
                         Secret("env:KEY", lambda: paper))  # fmt: skip
        drill = GuestDrill(
            "here", "pve", "fire", source, 201, "web", 9201, "fast", 3, 1, 9.0, False, "attic"
        )
        seen = {"last": "none", "takes_bytes": 1, "free_bytes": 2, "entered": None}
        seen |= {"taken": "", "left": False, "volumes": []}
        done = None
        for change in drill.diff(seen).changes:
            words = [w.replace("/run/homelab", f"{tmp_path}/homelab") for w in change.call.argv]
            assert not [word for word in words if TOKEN in word or "AAECAwQF" in word]
            stdin = paper if change.call.stdin else ""
            done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60)
        assert [each.name for each in tmp_path.glob("homelab-drill*")] == [], "read once, and gone"
        return done, (tmp_path / "asked").read_text().splitlines()

    return run


def test_pvesm_reads_the_token_and_a_key_for_root_alone_and_the_storage_goes(carried_out, tmp_path):
    done, asked = carried_out()
    assert (tmp_path / "password").read_text() == f"{TOKEN}\n"
    assert (tmp_path / "key").read_text() == f"{KEY}\n"
    assert json.loads(KEY)["hint"] == "%s $HOME `x`", "a shell makes nothing of it"
    assert (tmp_path / "modes").read_text().split() == ["600", "600"]
    added, *_, removed = asked
    assert added.startswith(f"add pbs {STORAGE} --server 198.51.100.9 --datastore house")
    assert added.endswith("--password")
    assert removed == f"remove {STORAGE}"
    [restored] = [line for line in asked if line.startswith("create")]
    assert f"--archive {STORAGE}:backup/vm/201/2026-08-03T02:30:00Z --storage fast" in restored
    assert "what this test says" in done.stderr, "what the task came to is told"
    note = (tmp_path / "drills" / "fire").read_text().splitlines()
    assert note[1:] == ["lost the whole VM"]


def test_one_that_is_not_entered_is_not_left_and_one_that_does_not_open_is(carried_out, tmp_path):
    done, asked = carried_out(added=255)
    assert done.returncode
    assert len(asked) == 1, "whatever has that name is somebody's"
    (tmp_path / "asked").unlink()
    done, asked = carried_out(opened=255)
    assert done.returncode
    assert [line.split()[0] for line in asked] == ["add", "list", "extractconfig", "remove"]
    assert not (tmp_path / "drills" / "fire.d").exists()
