"""The first phase's notebooks as a person runs them, on every release: none is too slow."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from releases import RELEASES, lab_of

ROOT = Path(__file__).resolve().parents[2]
WITHIN_CPU_S = 15.0
"""What a run may take of papermill's and its kernel's processor time: one of them works at a time,
so that it is the time by the wall of a machine that does nothing else. By the wall itself it is
the machine's load that would be measured, and not the run."""
BOOKS = ("phase1", "phase1_proxmox", "phase1_network", "access")


def spent_s() -> float:
    """Processor time of all children that have ended, and of theirs [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.long
@pytest.mark.parametrize("releases", RELEASES, ids=" ".join)
@pytest.mark.parametrize("book", BOOKS)
def test_is_rehearsed_to_its_end_in_time(book, releases, tmp_path):
    lab = lab_of(tmp_path / "lab", releases)
    words = ("-m", "papermill", "--no-progress-bar", "-p", "lab", str(lab))
    before_s, began_s = spent_s(), time.perf_counter()
    ran = subprocess.run(
        [sys.executable, *words, str(ROOT / "runbooks" / f"{book}.ipynb"), "out.ipynb"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "HOMELAB_REPORTS": str(tmp_path / "reports"),
            "HOMELAB_STATE": str(tmp_path / "state"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = spent_s() - before_s
    assert ran.returncode == 0, ran.stderr[-3000:]
    (summary,) = (tmp_path / "reports").glob("*/summary.json")
    assert json.loads(summary.read_text())["status"] == "completed"
    wall_s = time.perf_counter() - began_s
    print(f"{book} on {' '.join(releases)}: {took_s:.1f} s of processor time, {wall_s:.1f} s")
    assert took_s < WITHIN_CPU_S
