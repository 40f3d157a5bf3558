"""What a parameters cell declares, and what may be given."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from homelab_lib.notebook.parameters import declared, problems

CELL = """
# A line of its own.
count: int = 3  # how many
factor: float = 1  # of safety
dry: bool = True
name: str = "a"  # what it is called
mode: str = "plan"  # plan | apply | verify; what to do
heads: int = 2  # read | write heads
only: list = []  # names
sizes: list[int] = [1]
texts: list[str] = []
kind: Literal["a", "b"] = "a"
perhaps: str | None = None
maybe: Optional[int] = None
strange: pathlib.Path = "x"
labels: dict = {
    "a": 1,
}  # of the host
free = 1
"""


@pytest.fixture(scope="module")
def known():
    return declared(
        new_notebook(cells=[new_code_cell(CELL, metadata={"tags": ["parameters"]})]),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 4), ("factor", 2), ("factor", 0.5), ("dry", False), ("name", "b"),
        ("mode", "apply"), ("heads", 3), ("only", "image,machines"), ("only", ["image"]),
        ("sizes", [1, 2]), ("texts", ["a"]), ("texts", "a,b"), ("kind", "b"),
        ("perhaps", None), ("perhaps", "x"), ("maybe", 3), ("strange", "anything"),
        ("labels", {"b": 2}), ("free", "anything"), ("PAPERMILL_INPUT_PATH", "in.ipynb"),
    ],
)  # fmt: skip
def test_what_fits_is_taken(known, name, value):
    assert problems(known, {name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("cuont", 4, "no parameter 'cuont'; did you mean 'count'?; it has count, factor"),
        (True, 4, "no parameter True"),
        ("count", "many", "count is 'many'; it has to be of type int"),
        ("count", True, "count is True; it has to be of type int"),
        ("count", None, "it has to be of type int"),
        ("factor", "x", "it has to be of type float"),
        ("dry", "no", "it has to be of type bool"),
        ("dry", 1, "it has to be of type bool"),
        ("name", 7, "with -r in place of -p it stays text"),
        ("mode", "aply", "allowed are: plan, apply, verify; did you mean 'apply'?"),
        ("only", 3, "it has to be of type list"),
        ("sizes", [1, "x"], "it has to be of type list[int]"),
        ("sizes", "1,2", "it has to be of type list[int]"),
        ("kind", "c", "allowed are: a, b"),
        ("perhaps", 3, "it has to be of type str | None"),
        ("maybe", "x", "it has to be of type Optional[int]"),
        ("labels", "x", "it has to be of type dict"),
    ],
)
def test_what_does_not_fit_is_named(known, name, value, says):
    (problem,) = problems(known, {name: value})
    assert says in problem


def test_without_a_parameters_cell_nothing_may_be_given():
    known = declared(new_notebook(cells=[new_code_cell("count = 3")]))
    assert problems(known, {"count": 4}) == [
        "there is no parameter 'count': no cell with the tag `parameters`"
    ]


def test_a_cell_that_is_not_python_is_said():
    cell = new_code_cell("count: int = = 3", metadata={"tags": ["parameters"]})
    with pytest.raises(SyntaxError):
        declared(new_notebook(cells=[cell]))
