"""`papermill runbooks/phase2.ipynb`, as the README has it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from homelab_lib.__main__ import main
from homelab_lib.lab import load_lab
from homelab_lib.target import serve_twin

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "runbooks" / "phase2.ipynb"
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


def test_plan_apply_again_verify(papermill, tmp_path):
    with serve_twin(load_lab(), tmp_path / "twin", before_phase=2, speed=500.0):
        common = ("-p", "target", "ssh", "-p", "ssh_config", str(tmp_path / "twin" / "ssh_config"))
        ran = papermill(str(RUNBOOK), "plan.ipynb", "-p", "mode", "plan", *common)
        assert ran.returncode == 0, ran.stderr
        digest = summary(tmp_path / "reports")["plan"]

        ran = papermill(str(RUNBOOK), "apply.ipynb", "-p", "approve", digest, *common)
        assert ran.returncode == 0, ran.stderr
        done = summary(tmp_path / "reports")
        assert (done["status"], done["evidence"]) == ("completed", "rehearsed")
        assert sum(step["changes_sent"] for step in done["steps"]) > 30
        record = newest(tmp_path / "reports")
        assert {"notebook.ipynb", "notebook.html", "report.html", "journal.jsonl", "plan.json",
                "summary.json", "timeline.svg"} <= {f.name for f in record.iterdir()}  # fmt: skip

        ran = papermill(str(RUNBOOK), "again.ipynb", "-p", "approve", digest, *common)
        assert ran.returncode == 0, ran.stderr
        assert sum(s["changes_sent"] for s in summary(tmp_path / "reports")["steps"]) == 0

        ran = papermill(str(RUNBOOK), "verify.ipynb", "-p", "mode", "verify", *common)
        assert ran.returncode == 0, ran.stderr
    import scrapbook

    frame = scrapbook.read_notebook(str(tmp_path / "apply.ipynb")).scraps["steps"].data
    assert list(frame["step"])[:3] == ["room", "image", "machines"]
    assert frame["changes_sent"].sum() > 30


def test_plain_papermill_without_an_output_prints_the_notebook(papermill, tmp_path):
    ran = papermill(str(RUNBOOK), "-p", "only", "room,image", engine=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["cells"]
    assert summary(tmp_path / "reports")["status"] == "completed", (
        "the record is there all the same"
    )


def test_a_notebook_that_was_written_runs(papermill, tmp_path):
    lab = str(ROOT / "data" / "examples" / "minipc")
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


@pytest.mark.parametrize("engine", [True, False])
def test_a_failed_step_stops_the_run_and_says_why(papermill, tmp_path, engine):
    shutil.copytree(ROOT / "data", tmp_path / "lab")
    file = tmp_path / "lab" / "decisions.yaml"
    kept = [d for d in yaml.safe_load(file.read_text())["decisions"] if d["id"] != "managed-switch"]
    file.write_text(yaml.safe_dump({"decisions": kept}))
    words = (str(RUNBOOK), "out.ipynb", "-p", "lab", str(tmp_path / "lab"))
    ran = papermill(*words, engine=engine)
    assert ran.returncode == 1
    assert "phase1 comes first, and its rehearsal did not come to its end" in ran.stderr
    assert "no rule between them means anything" in ran.stderr
    assert "where: phase1: ports" in ran.stderr
    assert "session.py" not in ran.stderr, "no traceback for what is no fault of ours"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-p", "mode", "aply"), "mode is 'aply'"),
        (("-p", "run_id", "r999999"), "r999999"),
    ],
)
def test_bad_parameters_are_told_by_plain_papermill_too(papermill, words, says):
    ran = papermill(str(RUNBOOK), "out.ipynb", *words, engine=False)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert "session.py" not in ran.stderr


def test_a_reports_folder_that_can_not_be_written(papermill, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = papermill(str(RUNBOOK), "out.ipynb", HOMELAB_REPORTS=str(tmp_path / "file" / "reports"))
    assert ran.returncode == 1
    assert "can't be written" in ran.stderr
    assert "session.py" not in ran.stderr
