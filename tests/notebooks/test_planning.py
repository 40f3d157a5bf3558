"""Every planning notebook takes another lab, and runs on the smallest one there is.

A kernel of its own for each takes long: at every change one has it, `test_every_lab.py` runs the
cells of all of them on other labs, and nbval all of them in kernels; CI has every one here, too.
"""

from pathlib import Path

import papermill
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_ten():
    assert [file.name[:2] for file in NOTEBOOKS] == [f"{n:02d}" for n in range(10)]


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, marks=() if file.stem == "07_audit" else pytest.mark.sample)
        for file in NOTEBOOKS
    ],
    ids=[file.stem for file in NOTEBOOKS],
)
def test_it_runs_on_the_example(tmp_path, monkeypatch, caplog, file):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    where = {"lab_folder": str(ROOT / "data" / "examples" / "minipc")}
    done = papermill.execute_notebook(file, tmp_path / "out.ipynb", where, progress_bar=False)
    assert "unknown parameter" not in caplog.text
    assert all(c.execution_count for c in done.cells if c.cell_type == "code" and c.source)
