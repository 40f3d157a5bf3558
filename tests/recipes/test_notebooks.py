"""Every runbook in the house, and every one that is written: the steps and parameters they have.

Their prose is their own: it is not held to anything.
"""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from homelab_lib import paths
from homelab_lib.__main__ import main
from homelab_lib.lab import load_lab
from homelab_lib.notebook.parameters import declared
from homelab_lib.recipes import health, named, runbook
from homelab_lib.session.rehearsed import earlier

LOOKS, HOUSE = (paths.root() / "runbooks" / f"{name}.ipynb" for name in ("health", "house"))
SHIPPED = sorted({*(paths.root() / "runbooks").glob("*.ipynb")} - {LOOKS, HOUSE})
LABS = {"": 1, str(paths.data() / "examples" / "minipc"): 2}


def sources(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def defaults(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """The parameters with their defaults, in order."""
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    tree = ast.parse(cell.source).body
    return {line.target.id: ast.literal_eval(line.value) for line in tree}


@pytest.fixture(params=[*SHIPPED, *LABS.items()], ids=lambda p: str(getattr(p, "stem", p)))
def notebook(request, tmp_path):
    """One that lies in the house, or one that is written for a lab's phase."""
    if isinstance(request.param, Path):
        return nbformat.read(request.param, as_version=4)
    lab, phase = request.param
    file = tmp_path / "written.ipynb"
    assert main(["runbook", *([lab] if lab else []), "-o", str(file)]) == 0, phase
    return nbformat.read(file, as_version=4)


def test_a_runbook_has_the_steps_of_its_phase_and_the_parameters_of_all(notebook):
    nbformat.validate(notebook)
    code = sources(notebook)
    what = named(re.search(r'begin\(\s*"(phase\w+)"', code[1])[1])
    given = defaults(notebook)
    wanted = runbook(load_lab(paths.locate(given["lab"]) if given["lab"] else None),
                     what.phase, lambda vm: "", what.part)  # fmt: skip
    steps = [re.findall(r'run\.step\("(.+)"\)', source) for source in code]
    assert [each for found in steps for each in found] == list(wanted.names)
    assert code[-1].endswith("run.finish()")
    model = nbformat.read(paths.root() / "runbooks" / "phase2.ipynb", as_version=4)
    assert declared(notebook) == declared(model)
    assert list(given) == list(declared(model))
    assert given | {"lab": ""} == defaults(model)
    for parameter in given:
        assert f"{parameter}={parameter}," in code[1], "it is handed on"


def test_the_look_at_everything_leaves_no_runbook_out(tmp_path):
    file = tmp_path / "written.ipynb"
    assert main(["runbook", str(paths.data()), "health", "-o", str(file)]) == 0
    lab = load_lab()
    looks = health.runbook(lab, lambda vm: "", health.carried_out(lab))
    for each in (file, LOOKS):
        notebook = nbformat.read(each, as_version=4)
        nbformat.validate(notebook)
        code = sources(notebook)
        looked = [re.findall(r'run\.look\("(.*)"\)', source) for source in code]
        assert [part for found in looked for part in found] == health.parts(looks)
        for parameter in defaults(notebook):
            assert f"{parameter}={parameter}," in code[1], "it is handed on"


def test_the_house_has_all_runbooks_in_order(tmp_path):
    file = tmp_path / "written.ipynb"
    assert main(["runbook", str(paths.data()), "house", "-o", str(file)]) == 0
    books = [book.name for book in earlier(load_lab(), None)]
    for each in (file, HOUSE):
        code = "\n".join(sources(nbformat.read(each, as_version=4)))
        assert re.findall(r'house\.carry_out\("(.+)"\)', code) == books


@pytest.mark.parametrize("lab", LABS)
def test_every_step_says_what_it_is_for(lab):
    for step in runbook(load_lab(lab or None), LABS[lab], lambda vm: "").steps:
        assert re.fullmatch(r"[A-Zk].{60,}[.?]", step.why), step.name


def test_what_a_phase_holds_and_no_step_installs_is_named(tmp_path):
    file = tmp_path / "written.ipynb"
    main(["runbook", str(paths.data()), "2", "-o", str(file)])
    assert "services.nfs-volumes" in json.loads(file.read_text())["cells"][0]["source"][-1]


def test_a_phase_that_has_no_runbook_is_an_error_and_writes_nothing(tmp_path, capsys):
    file = tmp_path / "written.ipynb"
    assert main(["runbook", str(paths.data()), "phase2_network", "-o", str(file)]) == 1
    assert "has nothing that this runbook makes" in capsys.readouterr().err
    assert not file.exists()
    assert main(["runbook", str(paths.data()), "2", "-o", "/dev/full"]) == 1
    assert "it can't be written: No space left on device" in capsys.readouterr().err
