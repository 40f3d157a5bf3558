"""Cards passed through, as the user has it done: planned, carried out, looked at again."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.notebook.closing import closing
from homelab_lib.recipes.kubernetes import compute
from homelab_lib.runbook.proof import check
from homelab_lib.twin.proxmox.container import Container
from recipes.bench import Bench
from standing import served

CARDS = "tests/recipes/labs/cards.yaml"
STEPS = "groups,boot,mappings,passthrough,second-start"
JOINS = f"room,image,machines,agents,{STEPS}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f x"


def carried_out(folder, patch, **lab):
    """Planned, applied, applied again, verified; in that order."""
    options = {"only": lab.pop("only"), "confirm": ["second-start"]}
    with served(folder, **lab) as there:
        there.surround(patch)
        planned = there.run("plan", **options)
        assert planned.error is None
        applied = there.run("apply", planned.digest, **options)
        assert applied.error is None
        assert applied.sent == planned.changes > 0, "what was planned is sent"
        assert list(check(applied.record)) == []
        again = there.run("apply", planned.digest, **options)
        assert (again.error, again.sent) == (None, 0)
        verified = there.run("verify", only=options["only"])
        assert (verified.error, verified.sent) == (None, 0)
        return there.world


@pytest.mark.sample
def test_what_is_planned_is_sent_once_and_verify_is_clean(tmp_path, monkeypatch):
    """Long: without a person's part, `test_cards_given.py` has it at every change."""
    world = carried_out(tmp_path, monkeypatch, path=CARDS, runbook="phase2", only=STEPS)
    config = world.machines["hyper"].vms[202].config
    assert (config["hostpci0"], config["onboot"]) == ("mapping=gpu-red,pcie=1", "1")


@pytest.mark.sample
def test_the_shipped_lab_gets_its_cards(tmp_path, monkeypatch):
    world = carried_out(tmp_path, monkeypatch, runbook="phase3", only=JOINS)
    lab = load_lab()
    for allocation in lab.gpu_allocation.values():
        if allocation.phase is None:
            continue
        device = allocation.device.partition(".")[2]
        vm = next(v for v in lab.vms.values() if device in v.gpus)
        [card] = {f.id for f in world.machines[vm.name].bus if f.class_code == "0300"}
        assert card in lab.hosts["proxmox"].devices[device].part.pci_ids


def test_a_plan_names_the_guests_that_go_down_with_the_host(tmp_path, monkeypatch):
    with served(tmp_path, path=CARDS, runbook="phase2") as there:
        there.surround(monkeypatch)
        node = there.world.machines["hyper"]
        node.vms[200].config["onboot"] = "0"
        node.containers[301] = Container(301, {"hostname": "dns", "onboot": "1"}, running=True)
        folder = there.run("plan", only="groups,boot").record
        [plan] = [json.loads(file.read_text()) for file in folder.glob("plan.json")]
        [restart] = [c for c in plan["changes"] if c["call"] == "systemctl reboot"]
        assert restart["replaces"] == (
            "guests that are shut down for it: cuda (201); dns (301); plain (200), which stays off "
            "afterwards; rocm (202)"
        )


@pytest.mark.sample
def test_nobody_is_started_twice_who_has_not_agreed(tmp_path, monkeypatch):
    with served(tmp_path, path=CARDS, runbook="phase2") as there:
        there.surround(monkeypatch)
        planned = there.run("plan", only=STEPS)
        digest = planned.digest
        told = closing(planned.record, ["homelab", "apply", CARDS, "--approve", "PLAN"])
        assert "; it stops for a person in second-start. Nothing was sent." in told
        asks, apply = told.splitlines()[-2:]
        assert asks.startswith("Asks:  ")
        assert "--confirm second-start" in asks
        assert "--confirm" not in apply, "nobody signs beforehand by copying a line"
        told = closing(planned.record, ["papermill", "x", "y", "-p", "confirm", "one"])
        assert told.splitlines()[-2].endswith("-p confirm one,second-start")
        signed = there.run("plan", only=STEPS, confirm=["second-start"])
        assert signed.digest == digest
        assert "for a person" not in closing(signed.record, ["homelab"])
        ran = there.run("apply", digest, only=STEPS)
        assert "a person has to act" in str(ran.error)
        assert 'confirm=["second-start"]' in str(ran.error)
        assert "It waits for a person at second-start: " in closing(ran.record, ["homelab"])
        assert list(check(ran.record)) == []
        configs = [there.world.machines["hyper"].vms[n].config for n in (201, 202)]
        assert [each["onboot"] for each in configs] == ["0", "0"]


def test_a_worker_that_a_later_phase_makes_joins_then():
    lab = load_lab()
    there = Bench(lab, compute.steps(lab, 3, lambda vm: KEY), phase=3)
    assert there.stops() == ("", "")
    said = (
        there.world.machines["k3s-control"].run("sudo -n k3s kubectl get nodes -o json").finished()
    )
    nodes = [each["metadata"]["name"] for each in json.loads(said.out)["items"]]
    assert nodes == ["k3s-control", "k3s-gpu1", "k3s-gpu2", "k3s-gpu3"]
    # The runbook that made the cluster does not take it for a stranger.
    there.steps = tuple(compute.steps(lab, 2, lambda vm: KEY))
    assert all(each.holds for each in there.step("agents", "verify").checks)
