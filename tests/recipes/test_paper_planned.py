"""A drill by what stands on paper, as a person comes to it on real hosts: the key is drawn, printed
and typed between two plans, and is found in nothing that a run leaves."""

import json
import shutil

import pytest
import yaml

from homelab_lib import paths
from recipes.onto_pbs import ENTERED, SECRET
from recipes.test_entered_drill import KEPT, PRINT, SERVER, printed
from recipes.test_phase4_backup import SECRETS
from standing import standing as serve_standing

DESTROYED = ("VM 9201 (drill of k3s-control)",)


def described(folder):
    """The shipped lab, with its guests on a backup server in another place and nothing else."""
    shutil.copytree(paths.data(), folder)
    store = ENTERED | {
        "server": SERVER, "fingerprint": PRINT, "encrypted": True, "paper": "an aunt",
    }  # fmt: skip
    guests = {
        "host": "proxmox", "guests": ["k3s-control"], "storage": "away", "offsite": True,
        "schedule": "30 2 * * *", "keep": {"daily": 7}, "medium": "an aunt's", "phase": 4,
    }  # fmt: skip
    drill = {
        "backup": "vms", "vm": "k3s-control", "vmid": 9201, "storage": "fastmirror", "files": 4,
        "from_paper": "env:PBS_KEY", "phase": 4,
    }  # fmt: skip
    kept = {"guests": {"vms": guests}, "guest_drills": {"fire": drill}}
    (folder / "backups.yaml").write_text(yaml.safe_dump({"backups": kept}))
    text = (folder / "storage.yaml").read_text()
    document = yaml.safe_load(text)
    document["storages"]["proxmox"]["away"] = store
    (folder / "storage.yaml").write_text(yaml.safe_dump(document))
    return str(folder)


@pytest.mark.sample
def test_it_is_typed_between_two_plans_and_lands_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("PBS_TOKEN", SECRET)
    for secret in SECRETS:
        monkeypatch.setenv(secret, f"nobody's {secret.lower()}")
    lab = described(tmp_path / "lab")
    left = tmp_path / "left"
    with serve_standing(left, monkeypatch, runbook="phase4_backup", path=lab) as there:
        said = there.run("plan")
        assert "printed by step key-away" in str(said.error)
        late = ["drill-fire", "three-two-one"]
        first = there.run("plan", skip=late)
        assert first.error is None
        signed = {"confirm": ["key-away"], "allow_destroy": list(DESTROYED)}
        assert there.run("apply", first.digest, skip=late, **signed).error is None
        node = there.world.machines["proxmox"]
        key = json.loads(node.files.text(f"{KEPT}/away.enc"))["data"]
        node.files.put(f"{KEPT}/pbs.enc", node.files.read(f"{KEPT}/away.enc"))
        monkeypatch.setenv("PBS_KEY", printed(node))
        node.files.remove(f"{KEPT}/pbs.enc")
        second = there.run("plan", confirm=["key-away"])
        assert second.error is None
        assert second.changes == 2
        done = there.run("apply", second.digest, **signed)
        assert (done.error, done.sent) == (None, 2)
        again = there.run("apply", second.digest, **signed)
        assert (again.error, again.sent) == (None, 0)
        assert [name for name in node.stores if "drill" in name] == []
    for file in left.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert key.encode() not in data, file
            assert SECRET.encode() not in data, file
