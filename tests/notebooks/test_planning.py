"""Every planning notebook takes another lab, and runs on the smallest one there is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_nine():
    assert [file.name[:2] for file in NOTEBOOKS] == [f"{n:02d}" for n in range(9)]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs_on_the_example(tmp_path, file):
    out = tmp_path / "out.ipynb"
    line = [sys.executable, "-m", "papermill", "--no-progress-bar", str(file), str(out), "-p",
            "lab_folder", str(ROOT / "data" / "examples" / "minipc")]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "unknown parameter" not in ran.stderr
    cells = json.loads(out.read_text())["cells"]
    assert all(c["execution_count"] for c in cells if c["cell_type"] == "code" and c["source"])
