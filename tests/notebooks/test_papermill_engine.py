"""What the record says after every kind of end; papermill is run as a person runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

# The same as `papermill --engine runbook`, where the package is not installed, too.
CLI = (
    "from papermill.engines import papermill_engines; from papermill.cli import papermill;"
    "from homelab_lib.papermill_engine import RunbookEngine;"
    "papermill_engines.register('runbook', RunbookEngine); papermill()"
)
ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = """
count: int = 3  # how many
name: str = "a"  # what it is called
mode: str = "plan"  # plan | apply | verify; what to do
only: list = []  # names
"""


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of cells after a parameters cell."""

    def write(*cells: str) -> Path:
        first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        nb = new_notebook(cells=[first, *map(new_code_cell, cells)])
        nb.metadata.kernelspec = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(nb, tmp_path / "in.ipynb")
        return tmp_path / "in.ipynb"

    return write


def command(notebook: Path, *options: str) -> list[str]:
    out = str(notebook.with_name("out.ipynb"))
    return [sys.executable, "-c", CLI, "--engine", "runbook", "--no-progress-bar",
            str(notebook), out, *options]  # fmt: skip


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def papermill(notebook: Path, *options: str) -> subprocess.CompletedProcess[str]:
    line = command(notebook, *options)
    return subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)


def statuses(notebook: Path) -> list[str]:
    out = nbformat.read(notebook.with_name("out.ipynb"), as_version=4)
    cells = [c for c in out.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", ())]
    return [cell.metadata.papermill.status for cell in cells]


def test_a_good_run(notebook):
    file = notebook("x = count * 2", "print(x)")
    ran = papermill(file, "-p", "count", "4")
    assert ran.returncode == 0, ran.stderr
    assert set(statuses(file)) == {"completed"}
    out = nbformat.read(file.with_name("out.ipynb"), as_version=4)
    assert out.cells[-1].outputs[0].text == "8\n"
    assert not list(file.parent.glob(".out.ipynb.*")), "a file beside it was left"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-p", "cuont", "4"), "no parameter 'cuont'; did you mean 'count'?"),
        (("-p", "count", "many"), "count is 'many'; it has to be of type int"),
        (("-p", "count", "True"), "count is True; it has to be of type int"),
        (("-p", "name", "007"), "with -r in place of -p it stays text"),
        (("-p", "mode", "aply"), "allowed are: plan, apply, verify; did you mean 'apply'?"),
        (("-p", "only", "3"), "only is 3; it has to be of type list"),
    ],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(notebook, options, says):
    file = notebook(f"open({str(notebook)!r}[:0] + 'ran', 'w')")
    kept = file.with_name("out.ipynb")
    kept.write_text("what was there before")
    ran = papermill(file, *options)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert kept.read_text() == "what was there before"


def test_a_list_may_be_written_with_commas(notebook):
    file = notebook("print(only)")
    assert papermill(file, "-p", "only", "image,machines").returncode == 0


def test_a_failed_cell_stops_the_run(notebook):
    file = notebook("1 / 0", "print('never')")
    assert papermill(file).returncode == 1
    assert statuses(file) == ["completed", "failed", "pending"]


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("import os; os._exit(3)", 138),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 138),
    ],
)
def test_a_dead_kernel(notebook, code, returncode):
    file = notebook(code, "print('never')")
    assert papermill(file).returncode == returncode
    assert statuses(file) == ["completed", "interrupted", "pending"]


def test_a_time_out(notebook):
    file = notebook("import time; time.sleep(600)", "print('never')")
    assert papermill(file, "--execution-timeout", "2").returncode != 0
    assert statuses(file) == ["completed", "interrupted", "pending"]


def test_leaving_early_is_no_success(notebook):
    file = notebook("import sys; sys.exit(0)", "print('never')")
    ran = papermill(file)
    assert ran.returncode != 0
    assert statuses(file)[-1] == "pending"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_cell_gets_to_its_end(notebook, tmp_path, number):
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    file = notebook(
        "import pathlib, time\n"
        "try:\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n"
        "    time.sleep(600)\n"
        "finally:\n"
        f"    pathlib.Path({str(ended)!r}).touch()\n",
        "print('never')",
    )
    line = command(file)
    with subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0, stderr
    assert ended.exists(), "the cell's own clearing up was cut off"
    assert statuses(file) == ["completed", "interrupted", "pending"]
    out = nbformat.read(file.with_name("out.ipynb"), as_version=4)
    assert out.metadata.papermill.interrupted_by == signal.Signals(number).name


def _with_record(folder: Path) -> str:
    scrap = {"name": "record", "data": {"path": str(folder), "status": "completed"},
             "encoder": "json", "version": 1}  # fmt: skip
    return (
        "from IPython.display import display\n"
        f"display({{'application/scrapbook.scrap.json+json': {scrap!r}}}, raw=True,\n"
        "        metadata={'scrapbook': {'name': 'record', 'data': True, 'display': False}})\n"
        "print('for the reader')"
    )


def test_the_notebook_joins_its_record(notebook, tmp_path):
    folder = tmp_path / "record"
    folder.mkdir()
    file = notebook(_with_record(folder))
    assert papermill(file).returncode == 0
    assert json.loads((folder / "notebook.ipynb").read_text())["cells"]
    page = (folder / "notebook.html").read_text()
    assert "for the reader" in page
    assert "from IPython" not in page, "the page is without code"
    assert "src=" not in page, "nothing is fetched"
    assert 'rel="stylesheet"' not in page


def test_a_record_that_is_gone_does_not_fail_the_run(notebook, tmp_path):
    file = notebook(_with_record(tmp_path / "nowhere"))
    ran = papermill(file)
    assert ran.returncode == 0
    assert "could not be put into" in ran.stderr


def test_a_folder_that_is_not_there_is_said(notebook, tmp_path):
    file = notebook("1")
    line = command(file)
    line[-1] = str(tmp_path / "nowhere" / "out.ipynb")
    ran = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
    assert ran.returncode != 0
    assert "there is no folder" in ran.stderr
    assert "Traceback" not in ran.stderr
