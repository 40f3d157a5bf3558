"""What runbooks of ours send: every object and every text, over the labs that are here."""

import fcntl
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from homelab_lib import paths
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.recipes import runbook
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.session import run as session

_DESCRIBED = Path(__file__).parents[1] / "recipes" / "labs"


class _Plain(yaml.SafeDumper):
    """Writes out what is there twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class Sent(NamedTuple):
    """What a plan shows of a change: its call, and the text that goes with it."""

    call: str
    shows: str


def planned(shared: Path) -> tuple[Sent, ...]:
    """The changes of every phase of every lab, from their rehearsals.

    Parameters
    ----------
    shared
        A folder of this session of tests: whoever asks first rehearses them, for all its workers.
    """
    kept = shared / "planned.json"
    with (shared / "planned.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(_rehearsed(shared)))
    return tuple(Sent(*each) for each in json.loads(kept.read_text()))


def objects(changes: Iterable[Sent]) -> list[dict[str, Any]]:
    """The Kubernetes objects among them, each once."""
    texts = dict.fromkeys(c.shows for c in changes if " kubectl apply " in c.call)
    # What is in a Secret is shown to nobody.
    return [json.loads(text) for text in texts if text.startswith("{")]


def _rehearsed(folder: Path) -> list[Sent]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMELAB_STATE", str(folder / "state"))
        patch.setenv("HOMELAB_REPORTS", str(folder / "reports"))
        changes = (change for lab in _labs(folder) for change in _changes(lab))
        return [Sent(change.call, change.shows) for change in changes]


def _labs(folder: Path) -> list[str]:
    """Where each is described; empty for the shipped one."""
    found = ["", *(str(each) for each in (paths.data() / "examples").iterdir())]
    for file in sorted(_DESCRIBED.glob("*.yaml")):
        place = folder / "labs" / file.stem
        shutil.copytree(paths.data() / "examples" / "minipc" / "catalog", place / "catalog")
        # Its aliases and merges are the tests' own shorthand: a lab has none.
        written = yaml.dump(yaml.safe_load(file.read_text()), Dumper=_Plain)
        (place / "lab.yaml").write_text(written)
        found.append(str(place))
    return found


def _changes(lab: str) -> list[PlannedChange]:
    described = load_lab(lab or None)
    found: list[PlannedChange] = []
    for phase in sorted({each.number for each in described.phases}):
        try:
            runbook(described, phase, lambda name: "ssh-ed25519 AAAA x")
        except HomelabError:
            continue  # it has nothing that a runbook makes yet
        run = session.begin(f"phase{phase}", lab=lab, target="twin", mode="plan")
        try:
            run.plan()
            found += run._plan.changes
        finally:
            run.close()
    return found
