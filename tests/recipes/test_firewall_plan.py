"""A firewall that stands by itself: planned on a twin of it, carried out as planned, left alone."""

import shutil
from pathlib import Path

import pytest

from recipes.test_labs import MINIPC, round_trip
from standing import standing as serve_standing

pytestmark = pytest.mark.long
LAB = Path(__file__).parent / "labs" / "firewall.yaml"


@pytest.fixture(params=["26.7", "26.1"])
def gate(request, tmp_path, monkeypatch):
    folder = tmp_path / "described"
    shutil.copytree(MINIPC / "catalog", folder / "catalog")
    text = LAB.read_text().replace('version: "26.7"', f'version: "{request.param}"')
    (folder / "lab.yaml").write_text(text)
    for name in ("GATE_KEY", "GATE_SECRET"):
        monkeypatch.setenv(name, f"{name.lower()}-of-a-test")
    path = str(folder / "lab.yaml")
    with serve_standing(tmp_path / "lab", monkeypatch, path=path, runbook="phase1") as there:
        yield there


def test_what_is_planned_is_what_is_sent(gate):
    by_hand = ["build-gate", "parts-gate"]  # signed for; no part of this
    round_trip(gate, confirm=["interfaces", "time", "prevention", *by_hand])
