"""A NAS as a whole, but for what it stores: planned from what it says, and sent as planned."""

import json
import shutil

import pytest

from homelab_lib import paths
from homelab_lib.lab import Lab, load_lab
from homelab_lib.recipes import phase
from homelab_lib.recipes.nas import apps, configuration, network, power
from homelab_lib.recipes.phase import Part, Recipe
from homelab_lib.runbook.proof import check
from standing import standing as standing_lab

RECIPES = (
    configuration.before,
    network.steps,
    power.steps,
    apps.steps,
    configuration.after,
)
UPS = """
upses:
  cellar:
    title: The UPS in the cellar
    part: {part}
    feeds: [truenas, proxmox]
    phase: 1
    nut: {{host: truenas, driver: usbhid-ups, password: "env:NUT", tells: [proxmox]}}
"""
PASSWORD = "correct-horse-battery"
SIGNED = ["play-jellyfin", "transcode-jellyfin", "nas-backup-elsewhere"]


@pytest.fixture
def standing(tmp_path, monkeypatch):
    makes = tuple(Lab.model_fields)
    steps = tuple(Recipe(makes, lambda lab, n, _, each=each: each(lab, n)) for each in RECIPES)
    monkeypatch.setattr(phase, "PARTS", (Part("", "", steps),))
    monkeypatch.setattr(phase, "_MADE", makes)
    monkeypatch.setattr("homelab_lib.twin.world.World.internet", lambda world, source: "")
    monkeypatch.setenv("NUT", PASSWORD)
    folder = tmp_path / "described"
    shutil.copytree(paths.data(), folder, ignore=shutil.ignore_patterns("catalog", "examples"))
    for schema in folder.glob("*.json"):
        schema.unlink()
    part = next(iter(load_lab().catalog.upses))
    (folder / "ups.yaml").write_text(UPS.format(part=part))
    with standing_lab(tmp_path / "lab", monkeypatch, path=str(folder), runbook="phase1") as there:
        nas = there.world.machines["truenas"]
        disks = [name for name, disk in nas.disks.items() if not disk.boot]
        pool = {"name": "tank", "topology": {"data": [{"type": "RAIDZ2", "disks": disks}]}}
        nas.run(f"midclt call -j pool.create '{json.dumps(pool)}'").finished()
        nas.run('midclt call pool.dataset.create \'{"name": "tank/media"}\'').finished()
        yield there


@pytest.mark.sample
def test_planned_from_what_it_says_and_sent_as_planned(standing):
    before = standing.world.state()
    planned = standing.run("plan")
    assert planned.error is None
    assert standing.world.state() == before
    applied = standing.run("apply", planned.digest, confirm=SIGNED)
    assert applied.error is None
    assert applied.sent == planned.changes
    assert list(check(applied.record)) == []
    again = standing.run("apply", planned.digest, confirm=SIGNED)
    assert (again.error, again.sent) == (None, 0)
    assert standing.run("verify", confirm=SIGNED).error is None
    told = "\n".join(file.read_text() for file in applied.record.glob("*.json*"))
    assert "auth_token" not in told, "what fetches a copy of all secrets is told nowhere"
    assert PASSWORD not in told
    nas = standing.world.machines["truenas"]
    assert json.loads(nas.run("midclt call ups.config").finished().stdout)["monpwd"] == PASSWORD
