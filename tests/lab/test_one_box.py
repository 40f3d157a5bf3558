"""The lab that a page of the documentation tells in pieces loads, and is made as the page says."""

import re
from pathlib import Path

import pytest

from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.lab.checks import lab_faults
from homelab_lib.recipes.phase import PARTS, runbook
from recipes.bench import Bench, Plugged
from recipes.onto_pbs import SECRET

PAGE = Path(__file__).resolve().parents[2] / "docs" / "one-box.md"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHomelabTestKeyHomelabTestKeyHomelabTestKeyA test"


@pytest.fixture
def lab(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "lab.yaml").write_text("".join(blocks))
    return load_lab(tmp_path)


def test_its_blocks_one_below_the_other_are_a_lab_in_which_nothing_is_wrong(lab):
    assert not list(lab_faults(lab))
    assert lab.vms["files"].passthrough == ("hba",)
    found = {finding.rule: finding.says for finding in findings(lab)}
    assert "0 of 1 in another place" in found["fewer-than-three-copies"], "as the page says"
    assert "card-without-fast-peer" not in found, "where its ports lead is not described"


def test_its_machines_are_made_and_what_comes_after_stands_on_those(lab, monkeypatch):
    monkeypatch.setenv("PBS_TOKEN", SECRET)
    there = Bench(lab, runbook(lab, 1, lambda vm: KEY).steps, 1)
    there.wire = Plugged(there.world)
    assert there.stops() == ("", "")
    node = there.world.machines["box"]
    assert all(vm.running for vm in node.vms.values())
    there.world.clock.sleep(120)
    up = {name for name in lab.vms if there.world.machines[name].accepts_logins()}
    assert up == {"files", "home", "keeper"}, "nobody can look inside the firewall here"
    keeper = there.world.machines["keeper"]
    assert (keeper.user, keeper.address) == ("root", "10.20.0.12")
    seen = there.world.machines["files"].run("lsblk -d -n -o SERIAL").finished().out.decode()
    assert {"ZL000001", "ZL000002"} < set(seen.split()), "the disks behind the HBA"
    (backup,) = [part for part in PARTS if part.name == "backup"]
    there.steps = tuple(runbook(lab, 2, lambda vm: KEY, backup).steps)
    planned = there.likeness()
    planned.wire = Plugged(planned.world)
    assert planned.stops() == ("", "")
    there.wire.sent.clear()
    assert there.stops() == ("", "")
    assert there.wire.sent == planned.wire.sent
    assert "house" in keeper.kept["proxmox-backup"].rows
    there.wire.sent.clear()
    assert there.stops() == ("", "")
    assert there.wire.sent == []
