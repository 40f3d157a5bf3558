"""Every planning notebook on every example lab: it shows what there is, says what is missing, and
never fails. The cells run in this process; that they run in a kernel, nbval holds."""

import ast
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pytest

from homelab_lib import paths

NOTEBOOKS = sorted((paths.root() / "notebooks").glob("*.ipynb"))
WIDE = paths.root() / "tests" / "lab" / "wide"
LABS = {each.name: each for each in (paths.data() / "examples").iterdir()} | {"wide": WIDE}
QUICK = ("home", "server")
"""The lab that lacks most, and the one that has what the shipped one has not."""


def run_cells(file: Path, lab: str) -> list[Any]:
    """What the cells of a notebook show, for a lab's folder."""
    shown: list[Any] = []
    room: dict[str, Any] = {"__name__": "__main__", "display": shown.append}
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        lines = ast.parse(cell.source).body
        last = lines.pop() if lines and isinstance(lines[-1], ast.Expr) else None
        exec(compile(ast.Module(lines, []), file.name, "exec"), room)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), file.name, "eval"), room))
        if "parameters" in cell.metadata.get("tags", []):
            room["lab_folder"] = lab
    for each in shown:  # it is drawn only when a notebook asks for it
        for way in ("_repr_html_", "_repr_svg_", "__repr__"):
            if hasattr(each, way):
                getattr(each, way)()
    return shown


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    mpl.use("agg")
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path))
    monkeypatch.chdir(paths.root() / "notebooks")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        pytest.param(
            file,
            name,
            marks=[] if name in QUICK and not file.stem.startswith("08") else pytest.mark.sample,
            id=f"{file.stem}-{name}",
        )
        for file in NOTEBOOKS
        for name in LABS
    ],
)
def test_a_notebook_on_a_lab(file, name):
    assert run_cells(file, str(LABS[name])) is not None


def test_what_is_missing_is_said():
    """A lab without a pool: each question about one is answered with that."""
    shown = run_cells(paths.root() / "notebooks" / "01_storage.ipynb", str(LABS["home"]))
    answers = [str(getattr(each, "data", each)) for each in shown if each is not None]
    assert answers.count("lab 'home' has no pool") >= 9
    assert len(set(answers)) == 2, "besides that, only what durability doesn't reckon with"


def test_a_folder_means_the_same_from_a_notebooks_own():
    file = paths.root() / "notebooks" / "05_compute_power_cost.ipynb"
    shown = [str(getattr(each, "data", each)) for each in run_cells(file, "data/examples/server")]
    assert any("Rack in the cellar" in each for each in shown)
