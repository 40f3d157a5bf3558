"""The front against the definition, row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.sweep.pareto import front, non_dominated

SENSES = ("min", "max", "min")
ROWS = st.lists(st.tuples(*[st.integers(-3, 3)] * 3), max_size=40)


def _beats(one, other):
    signed = [
        (a, b) if sense == "min" else (-a, -b)
        for a, b, sense in zip(one, other, SENSES, strict=True)
    ]
    return all(a <= b for a, b in signed) and any(a < b for a, b in signed)


@given(ROWS)
def test_the_front_is_what_nothing_beats(rows):
    expected = [not any(_beats(other, row) for other in rows) for row in rows]
    found = non_dominated(np.array(rows, float).reshape(-1, 3), SENSES)
    assert found.tolist() == expected


@given(ROWS, st.randoms())
def test_order_does_not_matter(rows, random):
    mixed = rows[:]
    random.shuffle(mixed)
    aims = {"a": "min", "b": "max", "c": "min"}

    def best(table):
        named = [dict(zip(aims, row, strict=True)) for row in table]
        return sorted(table[n] for n in front(named, aims))

    assert best(rows) == best(mixed)


def test_designs_of_different_kinds_are_not_compared():
    rows = [{"usd": 2, "kind": "a"}, {"usd": 1, "kind": "b"}, {"usd": 3, "kind": "a"}]
    assert front(rows, {"usd": "min"}) == [1]
    assert front(rows, {"usd": "min"}, within="kind") == [0, 1]


@pytest.mark.parametrize(
    ("values", "senses", "match"),
    [
        ([[1.0, float("nan")]], ("min", "max"), r"values\[0, 1\] is no number"),
        ([[1.0]], ("least",), "it has to be 'min' or 'max'"),
        ([[1.0, 2.0]], ("min",), "one column for each of 1"),
    ],
)
def test_what_has_no_front_is_refused(values, senses, match):
    with pytest.raises(ValueError, match=match):
        non_dominated(values, senses)
