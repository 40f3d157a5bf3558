"""The first phase's notebooks as a person runs them, on every release: each within its time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from releases import RELEASES, lab_of

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 15.0
"""On two cores that have nothing else to do."""
BOOKS = ("phase1", "phase1_proxmox", "phase1_network", "access")


@pytest.mark.long
@pytest.mark.parametrize("releases", RELEASES, ids=" ".join)
@pytest.mark.parametrize("book", BOOKS)
def test_is_rehearsed_in_time(book, releases, tmp_path):
    lab = lab_of(tmp_path / "lab", releases)
    words = ("-m", "papermill", "--no-progress-bar", "-p", "lab", str(lab))
    began_s = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, *words, str(ROOT / "runbooks" / f"{book}.ipynb"), "out.ipynb"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "HOMELAB_REPORTS": str(tmp_path / "reports"),
            "HOMELAB_STATE": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = time.perf_counter() - began_s
    assert ran.returncode == 0, ran.stderr[-3000:]
    (record,) = (tmp_path / "reports").iterdir()
    assert json.loads((record / "summary.json").read_text())["status"] == "completed"
    print(f"{book} on {' '.join(releases)}: {took_s:.1f} s")
    assert took_s < WITHIN_S
