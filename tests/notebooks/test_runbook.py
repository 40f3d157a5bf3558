"""`papermill runbooks/phase2.ipynb`, as the README has it.

Each run takes seconds of a process and a kernel: at every change there is one of a kind.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homelab_lib.__main__ import main
from homelab_lib.lab import load_lab
from homelab_lib.target.served import serve_twin

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "runbooks" / "phase2.ipynb"
SMALL = ROOT / "runbooks" / "minipc-phase2.ipynb"
"""One VM: for what is about papermill, and not about the lab."""
LABS = {RUNBOOK: ROOT / "data", SMALL: ROOT / "data" / "examples" / "minipc"}
WITH_ENGINE = (
    "from papermill.engines import papermill_engines; from papermill.cli import papermill;"
    "from homelab_lib.papermill_engine import RunbookEngine;"
    "papermill_engines.register('runbook', RunbookEngine); papermill()"
)


@pytest.fixture
def papermill(tmp_path):
    """Runs papermill with reports and state of its own; with our engine unless told otherwise."""

    def run(*words: str, engine: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        program = ["-c", WITH_ENGINE, "--engine", "runbook"] if engine else ["-m", "papermill"]
        surroundings = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HOMELAB_REPORTS": str(tmp_path / "reports"),
            "HOMELAB_STATE": str(tmp_path / "state"),
        }
        return subprocess.run(
            [sys.executable, *program, *words],
            capture_output=True,
            text=True,
            env=surroundings | env,
            cwd=tmp_path,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


def newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda each: each.stat().st_mtime_ns)


def summary(folder: Path) -> dict:
    return json.loads((newest(folder) / "summary.json").read_text())


def planned_and_applied(papermill, tmp_path, book):
    """Plan a runbook for a twin that stands by itself, and carry it out; what leads there, and what
    was approved."""
    common = ("-p", "target", "ssh", "-p", "ssh_config", str(tmp_path / "twin" / "ssh_config"))
    ran = papermill(str(book), "plan.ipynb", "-p", "mode", "plan", *common)
    assert ran.returncode == 0, ran.stderr
    digest = summary(tmp_path / "reports")["plan"]

    ran = papermill(str(book), "apply.ipynb", "-p", "approve", digest, *common)
    assert ran.returncode == 0, ran.stderr
    done = summary(tmp_path / "reports")
    assert (done["status"], done["evidence"]) == ("completed", "rehearsed")
    assert sum(step["changes_sent"] for step in done["steps"]) > 10
    return common, digest


@pytest.mark.sample
def test_plan_and_apply(papermill, tmp_path):
    with serve_twin(load_lab(LABS[SMALL]), tmp_path / "twin", before_phase=2, speed=20_000.0):
        planned_and_applied(papermill, tmp_path, SMALL)
        record = newest(tmp_path / "reports")
        assert {"notebook.ipynb", "notebook.html", "report.html", "journal.jsonl", "plan.json",
                "summary.json", "timeline.svg"} <= {f.name for f in record.iterdir()}  # fmt: skip
    import scrapbook

    frame = scrapbook.read_notebook(str(tmp_path / "apply.ipynb")).scraps["steps"].data
    assert list(frame["step"])[:3] == ["room", "image", "machines"]
    assert frame["changes_sent"].sum() > 10


@pytest.mark.sample
def test_plan_apply_again_verify(papermill, tmp_path):
    with serve_twin(load_lab(), tmp_path / "twin", before_phase=2, speed=500.0):
        common, digest = planned_and_applied(papermill, tmp_path, RUNBOOK)
        ran = papermill(str(RUNBOOK), "again.ipynb", "-p", "approve", digest, *common)
        assert ran.returncode == 0, ran.stderr
        assert sum(s["changes_sent"] for s in summary(tmp_path / "reports")["steps"]) == 0

        ran = papermill(str(RUNBOOK), "verify.ipynb", "-p", "mode", "verify", *common)
        assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_plain_papermill_without_an_output_prints_the_notebook(papermill, tmp_path):
    ran = papermill(str(SMALL), "-p", "only", "room,image", engine=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["cells"]
    assert summary(tmp_path / "reports")["status"] == "completed", (
        "the record is there all the same"
    )


@pytest.mark.sample
def test_a_notebook_that_was_written_runs(papermill, tmp_path):
    lab = str(LABS[SMALL])
    file = tmp_path / "written.ipynb"
    assert main(["runbook", lab, "2", "-o", str(file)]) == 0
    ran = papermill(str(file), "out.ipynb")
    assert ran.returncode == 0, ran.stderr
    done = summary(tmp_path / "reports")
    assert (done["status"], done["runbook"]) == ("completed", "phase2")
    assert sum(step["changes_sent"] for step in done["steps"]) > 10


def test_the_parameters_are_explained(papermill):
    ran = papermill("--help-notebook", str(RUNBOOK), engine=False)
    for line in ("target: str (default \"twin\")", "twin | ssh", "mode: str (default \"apply\")",
                 "the digest of the plan you have read"):  # fmt: skip
        assert line in ran.stdout


@pytest.mark.parametrize("engine", [pytest.param(True, marks=pytest.mark.sample), False])
def test_a_failed_step_stops_the_run_and_says_why(papermill, tmp_path, engine):
    shutil.copytree(LABS[SMALL], tmp_path / "lab")
    file = tmp_path / "lab" / "lab.yaml"
    file.write_text(file.read_text().replace("memory_bytes: 4 GiB", "memory_bytes: 64 GiB"))
    words = (str(SMALL), "out.ipynb", "-p", "lab", str(tmp_path / "lab"))
    ran = papermill(*words, engine=engine)
    assert ran.returncode == 1
    assert "the rehearsal did not get to the end: room" in ran.stderr
    assert "GiB" in ran.stderr
    assert "session.py" not in ran.stderr, "no traceback for what is no fault of ours"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-p", "mode", "aply"), "mode is 'aply'"),
        pytest.param(("-p", "run_id", "r999999"), "r999999", marks=pytest.mark.sample),
    ],
)
@pytest.mark.slow
def test_bad_parameters_are_told_by_plain_papermill_too(papermill, words, says):
    ran = papermill(str(RUNBOOK), "out.ipynb", *words, engine=False)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert "session.py" not in ran.stderr


@pytest.mark.sample
def test_a_reports_folder_that_can_not_be_written(papermill, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = papermill(str(SMALL), "out.ipynb", HOMELAB_REPORTS=str(tmp_path / "file" / "reports"))
    assert ran.returncode == 1
    assert "can't be written" in ran.stderr
    assert "session.py" not in ran.stderr
