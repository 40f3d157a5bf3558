"""An answer held against its shape."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.answers import SCALAR, Unfit, fitted, parse, understood, whole
from homelab_lib.errors import NotUnderstood
from homelab_lib.secret import Mask
from mutations import NO_JSON

ROW = {"vmid": whole, "name?": str, "tags?": [str], "disk?": {"size": float, "unit?": str}}


def test_what_is_read_is_there_and_all_else_is_left_as_it_is():
    row = {"vmid": "301", "name": None, "disk": {"size": 4, "unit": None}, "other": [1]}
    assert fitted([row], [ROW]) == [{"vmid": 301, "disk": {"size": 4}, "other": [1]}]
    assert row["name"] is None  # the answer itself was not touched


@pytest.mark.parametrize(
    ("value", "shape", "says"),
    [
        ([{"name": "a"}], [ROW], "[0].vmid is missing"),
        ([{"vmid": 1.5}], [ROW], "[0].vmid is 1.5: expected is a whole number"),
        ([{"vmid": 1, "tags": ["a", 7]}], [ROW], "[0].tags[1] is 7; expected is text"),
        ([{"vmid": 1, "disk": {}}], [ROW], "[0].disk.size is missing; expected is a number"),
        ({"rows": 1}, [ROW], "it is a mapping; expected is a list, each of it a mapping with vmid"),
        (True, int, "it is true; expected is a whole number"),
        (1, bool, "it is 1; expected is true or false"),
        (None, str, "it is null; expected is text"),
        ("x" * 500, int, "it is a text of 502 characters; expected is a whole number"),
        ({"a": [1]}, {str: SCALAR}, "a is a list; expected is text or a whole number or"),
        ([{"a": 1}], ([{"a": str}], {"result": [dict]}), "[0].a is 1; expected is text"),
    ],
)
def test_what_is_otherwise_is_named_with_its_place(value, shape, says):
    with pytest.raises(Unfit) as caught:
        fitted(value, shape)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", [each for each in NO_JSON if each not in ("null", "7", '"x"')])
def test_what_no_answer_holds_is_refused(text):
    with pytest.raises(NotUnderstood, match="nas answers otherwise than expected") as caught:
        understood(text, [ROW], host="nas", line="midclt call pool.query")
    assert caught.value.where == "nas: midclt call pool.query"


def test_a_secret_in_what_is_shown_is_masked_before_it_is_cut():
    mask = Mask()
    mask.learn(["correct horse battery staple"])
    text = "x" * 110 + "correct horse battery staple"
    with pytest.raises(NotUnderstood) as caught:
        understood(text, host="nas", line="x", cut=mask.cut)
    assert "correct" not in str(caught.value)


@given(st.text(max_size=40))
def test_whatever_is_printed_is_a_value_or_refused(text):
    try:
        value = parse(text)
    except Unfit:
        return
    assert json.loads(text) == value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["vmid", "name", "tags", "disk", "size", "x"]), inner)
    ),
    max_leaves=12,
)


@given(values)
def test_a_value_fits_or_is_refused_and_what_fits_stays_so(value):
    try:
        found = fitted(value, [ROW])
    except Unfit:
        return
    assert fitted(found, [ROW]) == found
    assert all(isinstance(row["vmid"], int) for row in found)
    assert all(isinstance(row.get("name", ""), str) for row in found)


@given(st.lists(st.fixed_dictionaries(
    {"vmid": st.integers(0, 10**9)},
    optional={"name": st.none() | st.text(), "tags": st.none() | st.lists(st.text())},
)))  # fmt: skip
def test_what_has_the_shape_fits(rows):
    assert [row["vmid"] for row in fitted(rows, [ROW])] == [row["vmid"] for row in rows]
