"""Every Kubernetes object that a runbook of ours sends, over the labs that are here."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from homelab_lib import paths, session
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.recipes import runbook

SMALL = Path(__file__).parents[1] / "recipes" / "labs"


def labs() -> dict[str, str]:
    """The labs, by name: where each is described; empty for the shipped one."""
    examples = {folder.name: str(folder) for folder in (paths.data() / "examples").iterdir()}
    return {"shipped": ""} | examples


def sent(lab: str, folder: Path) -> list[dict[str, Any]]:
    """What the runbooks of a lab's phases apply to its clusters, from their rehearsals."""
    described = load_lab(lab or None)
    found = []
    for phase in sorted({each.number for each in described.phases}):
        try:
            runbook(described, phase, lambda name: "ssh-ed25519 AAAA x")
        except HomelabError:
            continue  # it has nothing that a runbook makes yet
        run = session.begin(f"phase{phase}", lab=lab, target="twin", mode="plan")
        try:
            run.plan()
            changes = run._plan.changes
        finally:
            run.close()
        found += [json.loads(c.shows) for c in changes if " kubectl apply " in c.call]
    return found
