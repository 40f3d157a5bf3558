"""Every planning notebook on every example lab: it shows what there is, says what is missing, and
never fails. The cells run in this process; that they run in a kernel, nbval holds."""

import ast
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest
import yaml

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


# Labs that lack nearly everything ----------------------------------------------------------------

MINI = yaml.safe_load((LABS["minipc"] / "lab.yaml").read_text())
MACHINE = MINI["hosts"]["mini"]
BARE = {"title": "PC", "role": "Anything", "os": {"kind": "debian"}}
UNWIRED = {key: value for key, value in MACHINE.items() if key != "ports"}
NVME = {"nvme": MACHINE["disks"]["nvme"]}
STRIPE = {"layout": "stripe", "purpose": "Anything"}

ODD = {
    "a machine of which nothing is known": {"hosts": {"pc": BARE}},
    "three machines that nothing joins": {"hosts": dict.fromkeys(("a", "b", "c"), BARE)},
    "a machine without ports or pool": {"hosts": {"mini": UNWIRED}},
    "a machine without disks": {
        "hosts": {"mini": {key: value for key, value in UNWIRED.items() if key != "disks"}}},
    "a house of NVMe only": {
        "hosts": {"mini": UNWIRED | {"disks": NVME}},
        "pools": {"mini": {"rpool": STRIPE | {"disks": ["nvme"]}}}},
    "two pools of a disk each, one of them in no slot": {
        "hosts": {"mini": UNWIRED | {"disks": NVME | {"two": {"part": "nvme-500gb"}}}},
        "pools": {"mini": {"a": STRIPE | {"disks": ["nvme"]}, "b": STRIPE | {"disks": ["two"]}}}},
    "disks without a board": {
        "hosts": {"mini": BARE | {"disks": {"a": {"part": "sata-hdd-4tb"},
                                            "b": {"part": "sata-hdd-4tb"}}}},
        "pools": {"mini": {"tank": {"layout": "mirror", "disks": ["a", "b"], "purpose": "x"}}}},
    "a card, a supply and no model": {
        "hosts": {"pc": BARE | {"psus": ["corsair-rm750e-2025"],
                                "devices": {"gpu": {"part": "rtx-4090"}}}}},
    "networks and nobody in them": {"hosts": {"pc": BARE}, "vlans": MINI["vlans"]},
}  # fmt: skip
"""What of a lab there is, and no more; its folder has a name with spaces."""


@pytest.mark.sample
@pytest.mark.parametrize("name", ODD)
def test_an_odd_lab_is_told_what_it_lacks(tmp_path, name):
    folder = tmp_path / f"my lab, {name}"
    (folder / "catalog").mkdir(parents=True)
    for file in (LABS["minipc"] / "catalog").iterdir():
        (folder / "catalog" / file.name).write_text(file.read_text())
    lab = {key: MINI[key] for key in ("operator",)} | {"name": "odd", "title": name} | ODD[name]
    (folder / "lab.yaml").write_text(yaml.safe_dump(lab))
    for file in NOTEBOOKS:
        shown = run_cells(file, str(folder))
        empty = [each for each in shown if isinstance(each, pd.DataFrame) and not len(each)]
        assert not empty, f"{file.stem} shows a table without a row, and says nothing"
