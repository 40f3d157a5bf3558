"""What real machines printed goes through whatever of ours reads such a command.

The readers stand in ``outputs_ROOM.py``, a module for each room. How many rows nobody of us reads
is said at the end of the run.
"""

import pytest

from contract.oracle import contract
from contract.readers import load, unlike

pytestmark = pytest.mark.contract

ROWS = contract("real-outputs.jsonl")
READERS = load()
PAIRS = [
    pytest.param(reader, row, id=f"{reader.room}-{number}-{row['command'][:40]}")
    for number, row in enumerate(ROWS)
    for reader in READERS
    if reader.fits(row)
]


@pytest.mark.parametrize(("reader", "row"), PAIRS)
def test_a_real_output_is_read_for_what_it_is(reader, row):
    reader.feed(row)


@pytest.mark.parametrize("reader", READERS, ids=lambda r: f"{r.room}-{r.pattern.pattern}")
def test_each_reader_has_something_real_to_read(reader):
    assert any(reader.fits(row) for row in ROWS)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({"a": 1, "b": "x"}, []),
        ({"a": 1.5}, []),
        ({"b": "x"}, [".a is missing"]),
        ({"a": "1"}, [".a is str, and really number"]),
        ({"a": 1, "c": 2}, [".c is not known"]),
        ({"a": True}, [".a is bool, and really number"]),
    ],
)
def test_shapes_are_told_apart(ours, said):
    assert unlike(ours, [{"a": 1}, {"a": 2, "b": "y"}]) == said
