"""What is wrong with a run's lab, steps or approval is said before a kernel starts."""

import nbformat
import pytest

from homelab_lib import paths
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.notebook.parameters import runbook_of
from homelab_lib.notebook.preflight import refuse

PHASE2 = nbformat.read(paths.root() / "runbooks" / "phase2.ipynb", as_version=4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lab": "no/such/lab"}, "there is no such lab"),
        ({"only": ["machine"]}, "no step 'machine'; did you mean 'machines'?"),
        ({"skip": "image,rooom"}, "no step 'rooom'; did you mean 'room'?"),
        ({"confirm": ["imagee"]}, "no step 'imagee'"),
        ({"lab": "data/examples/minipc", "only": ["agents"]}, "no step 'agents'"),
        (
            {"target": "ssh", "approve": "p0123456789abcdef"},
            "no plan 'p0123456789abcdef' for this lab; nothing was done",
        ),
    ],
)
def test_what_is_wrong_is_said(given, says, monkeypatch, tmp_path):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path))
    with pytest.raises(HomelabError) as told:
        refuse(PHASE2, given)
    assert says in str(told.value)
    assert told.value.fix


@pytest.mark.parametrize(
    "given", [{}, {"only": "room, image"}, {"approve": "p1"}, {"target": "ssh", "mode": "plan"}]
)
def test_what_is_right_is_let_through(given):
    refuse(PHASE2, given)


def test_a_phase_that_the_lab_does_not_have():
    notebook = nbformat.from_dict(PHASE2)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"phase2"', '"phase7"')
    assert runbook_of(notebook) == "phase7"
    with pytest.raises(BadParameter, match="phase"):
        refuse(notebook, {})


def test_a_notebook_that_begins_no_runbook_is_let_through():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("%matplotlib inline\nbegin("), PHASE2.cells[1]]
    )
    refuse(notebook, {"lab": "no/such/lab"})
