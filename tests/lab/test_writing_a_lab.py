"""What the page on writing a lab shows of cards, models and clusters loads, and is made as it
says."""

import re
from pathlib import Path

import pytest
import yaml

from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.checks import lab_faults
from homelab_lib.recipes.kubernetes import production
from homelab_lib.recipes.phase import runbook

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHomelabTestKeyHomelabTestKeyHomelabTestKeyA test"
VM = """
images: {ubuntu: {kind: disk, filename: ubuntu.qcow2, release: Ubuntu 24.04 LTS, exists: true}}
vms:
  chat:
    {host: box, vmid: 110, vcpu: 4, memory_bytes: 16 GiB, disk_bytes: 64 GiB, vlan: 1,
     storage: local-zfs, image: ubuntu, address: 10.20.0.41/24, gateway: 10.20.0.1,
     gpus: [card], purpose: Chat, phase: 1}
"""


@pytest.fixture
def lab(tmp_path):
    box = re.findall(r"```yaml\n(.*?)```", (DOCS / "one-box.md").read_text(), re.DOTALL)[0]
    box = box.replace("hba: {part: lsi-9300-8i,", "card: {part: rtx-4060-ti-16gb,")
    box = re.sub(r"      (fan|d1|d2): .*\n", "", box)
    page = (DOCS / "writing-a-lab.md").read_text().partition("## A card, and a model on it")[2]
    (shown,) = re.findall(r"```yaml\n(.*?)```", page.partition("\n## ")[0], re.DOTALL)
    (tmp_path / "lab.yaml").write_text(box + VM + shown)
    return load_lab(tmp_path)


def test_a_cluster_that_flux_keeps():
    page = (DOCS / "writing-a-lab.md").read_text().partition("## A cluster that Flux keeps")[2]
    (shown,) = re.findall(r"```yaml\n(.*?)```", page.partition("\n## ")[0], re.DOTALL)
    told = yaml.safe_load(shown)
    without = changed(load_lab(), ("clusters.homelab.gitops", None))
    kept = changed(without, ("clusters.homelab.gitops", told["clusters"]["homelab"]["gitops"]),
                   ("services.fluxcd", told["services"]["fluxcd"]))  # fmt: skip
    assert not list(lab_faults(kept))
    more = {step.name for step in production.steps(kept, 4)}
    more -= {step.name for step in production.steps(without, 4)}
    assert more == {"repository", "gitops"}


def test_a_card_a_server_and_a_model(lab):
    assert not list(lab_faults(lab))
    names = [step.name for step in runbook(lab, 1, lambda vm: KEY).steps]
    made = ["machines", "passthrough", "drivers", "model-servers", "models", "answers"]
    assert [name for name in names if name in made] == made
    assert "model-does-not-fit" not in {finding.rule for finding in findings(lab)}


def test_one_model_over_several_machines(tmp_path):
    page = (DOCS / "writing-a-lab.md").read_text()
    page = page.partition("## One model over the cards of several machines")[2]
    (shown,) = re.findall(r"```yaml\n(.*?)```", page.partition("\n## ")[0], re.DOTALL)
    shown = shown.replace("https://…", "https://models.example.org").replace(
        ": …", f": {'ab' * 32}"
    )
    for name, there in (("desk.card", "desk.gpu"), ("box.green", "hyper.green"),
                        ("box.red", "hyper.red"), ("phase: 3", "phase: 2")):  # fmt: skip
        shown = shown.replace(name, there)
    lab = (DOCS.parent / "tests/recipes/labs/pooled.yaml").read_text()
    for key in ("nvidia_driver", "downloads", "models", "services"):
        lab = re.sub(rf"^{key}:\n(  .*\n)+", "", lab, flags=re.MULTILINE)
    # The page's model wants larger cards than these.
    shown = shown.replace("llama-3.1-70b", "qwen2.5-32b")
    (tmp_path / "lab.yaml").write_text(lab + shown)
    names = [
        step.name for step in runbook(load_lab(tmp_path / "lab.yaml"), 2, lambda vm: KEY).steps
    ]
    assert names[-3:] == ["pool-workers", "pool-server", "pool-answers"]
