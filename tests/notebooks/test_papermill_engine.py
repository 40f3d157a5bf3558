"""What the record says after every kind of end; papermill is run as a person runs it.

Runs of one test go side by side: a run costs two seconds before its first cell.
"""

import json
import signal
import sys

import pytest

from notebooks.cli import papermill, written

NEVER = "print('never')"


def test_a_good_run(tmp_path):
    file = written(tmp_path / "in.ipynb", "import sys; print(sys.executable)", "print(count * 2)")
    ran = papermill(file, "-p", "count", "4", "-p", "only", "image,machines").ended()
    assert ran.returncode == 0, ran.stderr
    assert set(ran.statuses()) == {"completed"}
    assert ran.cells()[-2].outputs[0].text.strip() == sys.executable
    assert ran.cells()[-1].outputs[0].text == "8\n"
    assert {f.name for f in tmp_path.iterdir()} == {"in.ipynb", "out.ipynb", "runtime"}
    # What is neither ours nor something that a person could do something about.
    for noise in ("warn", "encryption", "debugger", "frozen"):
        assert noise not in ran.stderr.lower()


def test_what_a_kernel_stumbles_over_when_it_is_told_to_go_is_no_news(tmp_path):
    """It may find its own sockets closed, and its streams put back."""
    file = written(
        tmp_path / "in.ipynb",
        "import atexit, os, sys\n"
        "own = os.dup(sys.__stderr__.fileno())\n"
        "os.write(own, b'said at work')\n"
        "atexit.register(os.write, own, b'Traceback: Socket operation on non-socket')",
    )
    ran = papermill(file).ended()
    assert ran.returncode == 0
    assert "said at work" in ran.stderr
    assert "Socket" not in ran.stderr


def test_wrong_parameters_are_refused_before_a_kernel_starts(tmp_path):
    marker = tmp_path / "ran"
    file = written(tmp_path / "in.ipynb", f"open({str(marker)!r}, 'w')")
    (tmp_path / "out.ipynb").write_text("what was there before")
    ran = papermill(
        file, "-p", "cuont", "4", "-p", "count", "many", "-p", "mode", "aply", "-p", "name", "7"
    ).ended()
    assert ran.returncode == 1
    assert "no parameter 'cuont'; did you mean 'count'?" in ran.stderr
    assert "count is 'many'; it has to be of type int" in ran.stderr
    assert "allowed are: plan, apply, verify; did you mean 'apply'?" in ran.stderr
    assert "with -r in place of -p it stays text" in ran.stderr
    assert "papermill --help-notebook" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.out.read_text() == "what was there before"
    assert not marker.exists()


@pytest.mark.slow
def test_a_list_that_an_error_asks_for_is_said_as_papermill_takes_it(tmp_path):
    cell = """
from homelab_lib.errors import StepFailed
raise StepFailed('a person has to act', fix='run again with confirm=["a", "b"]')
"""
    ran = papermill(written(tmp_path / "in.ipynb", cell, NEVER)).ended()
    assert ran.returncode == 1
    assert "run again with -p confirm a,b" in ran.stderr


def test_a_failed_cell_stops_the_run_and_its_error_is_all_that_is_said(tmp_path):
    """Not what papermill and click were at; a fault of ours comes with the cell's own traceback."""
    drift = "from homelab_lib.errors import Drift; raise Drift('it is not so', fix='look')"
    ways = {"1 / 0": 1, drift: 4, "raise KeyError('Drift')": 1}
    runs = [
        papermill(written(tmp_path / str(n) / "in.ipynb", way, NEVER)) for n, way in enumerate(ways)
    ]
    for ran, status in zip(runs, ways.values(), strict=True):
        assert ran.ended().returncode == status
        assert ran.statuses() == ["completed", "failed", "pending"]
        assert "click" not in ran.stderr
        assert "execute_notebook" not in ran.stderr
    assert "1 / 0" in runs[0].stderr
    assert runs[1].stderr.splitlines()[-2:] == ["Error: it is not so", "  next:  look"]


@pytest.mark.sample
def test_a_dead_kernel(tmp_path):
    ways = ("import os; os._exit(3)", "import os; os.kill(os.getpid(), 9)")
    runs = [
        papermill(written(tmp_path / str(n) / "in.ipynb", way, NEVER)) for n, way in enumerate(ways)
    ]
    for ran in runs:
        assert ran.ended().returncode == 138
        assert ran.statuses() == ["completed", "interrupted", "pending"]
        assert ran.facts()["exception"] is True
        assert ran.kernels() == []


def _clearing_up(marker, *, then: str = "") -> str:
    """A cell that says it has begun, waits, and clears up for longer than no time at all."""
    return (
        "import pathlib, time\n"
        f"pathlib.Path({str(marker)!r}).touch()\n"
        "try:\n"
        "    time.sleep(600)\n"
        "finally:\n"
        "    time.sleep(0.5)\n"
        "    print('cleared up')\n"
    ).replace("finally:", "except KeyboardInterrupt:" if then == "swallows" else "finally:")


@pytest.mark.sample
def test_a_time_out_lets_the_cell_clear_up(tmp_path):
    file = written(tmp_path / "in.ipynb", _clearing_up(tmp_path / "begun"), NEVER)
    ran = papermill(file, "--execution-timeout", "1").ended()
    assert ran.returncode == 1
    assert ran.statuses() == ["completed", "interrupted", "pending"]
    assert ran.cells()[1].outputs[0].text == "cleared up\n"
    assert ran.kernels() == []


@pytest.mark.sample
def test_leaving_early_is_no_success(tmp_path):
    ran, failed = (
        papermill(written(tmp_path / str(n) / "in.ipynb", f"import sys; sys.exit({n})", NEVER))
        for n in (0, 3)
    )
    assert ran.ended().returncode == 1
    assert "a cell left by sys.exit; code cell 2 of 3 was the last; 1 were not run" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert failed.ended().returncode == 1
    for each in (ran, failed):
        assert each.statuses() == ["completed", "failed", "pending"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.sample)]
)
@pytest.mark.slow
def test_an_interrupted_cell_gets_to_its_end_and_no_other_begins(tmp_path, number):
    folders = [tmp_path / each for each in ("passes it on", "swallows")]
    runs = [
        papermill(written(f / "in.ipynb", _clearing_up(f / "begun", then=f.name), NEVER))
        for f in folders
    ]
    for ran, folder in zip(runs, folders, strict=True):
        assert len(ran.begun(folder / "begun").kernels()) == (sys.platform == "linux")
        ran.process.send_signal(number)
    for ran in runs:
        assert ran.ended().returncode == 128 + number, ran.stderr
        assert f"stopped by {number.name}; code cell 2 of 3 was the last" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert ran.statuses() == ["completed", "interrupted", "pending"]
        assert ran.cells()[1].outputs[0].text == "cleared up\n"
        assert ran.facts()["interrupted_by"] == number.name
        assert ran.kernels() == []


def test_a_signal_while_the_kernel_starts_runs_no_cell(tmp_path):
    ran = papermill(written(tmp_path / "in.ipynb", NEVER))
    ran.begun(ran.out).process.terminate()
    assert ran.ended().returncode == 143, ran.stderr
    assert ran.statuses() == ["pending", "pending"]
    assert ran.facts()["exception"] is True
    assert ran.facts()["interrupted_by"] == "SIGTERM"
    assert ran.kernels() == []


@pytest.mark.sample
def test_a_cell_that_will_not_end_is_broken_off_by_the_second_signal(tmp_path):
    begun, again = tmp_path / "begun", tmp_path / "again"
    file = written(
        tmp_path / "in.ipynb",
        f"import pathlib, time\nname = {str(begun)!r}\n"
        "while True:\n"
        "    try:\n"
        "        pathlib.Path(name).touch()\n"
        "        time.sleep(600)\n"
        "    except KeyboardInterrupt:\n"
        f"        name = {str(again)!r}\n",
        NEVER,
    )
    ran = papermill(file)
    ran.begun(begun).process.terminate()
    ran.begun(again).process.terminate()
    assert ran.ended().returncode == 143, ran.stderr
    assert ran.statuses() == ["completed", "interrupted", "pending"]
    assert ran.kernels() == []


def test_the_output_is_whole_at_every_moment(tmp_path):
    file = written(
        tmp_path / "in.ipynb", *["print('x' * 300_000)"] * 8, "import time;time.sleep(60)"
    )
    ran = papermill(file).begun(tmp_path / "out.ipynb")
    looked = 0
    while (
        json.loads(ran.out.read_text())["cells"][-1]["metadata"]["papermill"]["status"] != "running"
    ):
        assert ran.process.poll() is None
        looked += 1
    ran.process.kill()
    ran.ended()
    assert looked > 5
    assert ran.statuses() == ["completed"] * 9 + ["running"]


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_disk_that_is_full_leaves_the_last_whole_file(tmp_path):
    filling = (
        "import os, resource\n"
        "resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "print('x' * 100_000)"
    )
    ran = papermill(written(tmp_path / "in.ipynb", filling, NEVER)).ended()
    assert ran.returncode == 1
    assert "can't be written: File too large" in ran.stderr
    assert ran.statuses() == ["completed", "running", "pending"]
    assert {f.name for f in tmp_path.iterdir()} == {"in.ipynb", "out.ipynb", "runtime"}
    assert ran.kernels() == []


def test_a_folder_that_is_not_there_is_said(tmp_path):
    file = written(tmp_path / "in.ipynb", "1")
    ran = papermill(file, out=tmp_path / "nowhere" / "out.ipynb").ended()
    assert ran.returncode == 1
    assert "there is no folder" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.sample
def test_no_error_moves_the_terminal_of_whoever_runs_it(tmp_path):
    evil = r"x\x1b]52;c;cm0gLXJmIH4K\x07\x1b]0;title\x07\x9b31m\x08\x08\rDONE"
    plain = papermill(written(tmp_path / "a" / "in.ipynb", f"raise ValueError('{evil}')"))
    ours = papermill(
        written(
            tmp_path / "b" / "in.ipynb",
            f"from homelab_lib.errors import StepFailed; raise StepFailed('{evil}', fix='{evil}')",
        )
    )
    for ran in (plain, ours):
        assert ran.ended().returncode == 1
        assert "DONE" in ran.stderr
        for control in "\x1b\x07\x08\x9b\x00":
            assert control not in ran.stderr
            assert control not in ran.out.read_text()
        assert "\rDONE" not in ran.stderr
