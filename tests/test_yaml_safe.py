"""Other people's YAML is read within bounds, and never quoted."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.yaml_safe import MAX_BYTES, BadYaml, compose, load

KEY = "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ"
BOMB = "z0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"z{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
BAD = {
    "an alias bomb": BOMB,
    "nested too deeply": "[" * 10_000,
    "nested too deeply, in blocks": "".join(f"{' ' * n}a:\n" for n in range(200)),
    "too large": "a: " + "x" * MAX_BYTES,
    "too many values": "[" + "1," * 200_000 + "]",
    "an alias of what it stands in": "a: &a [*a]",
    "an alias of nothing": f"a: *{KEY}",
    "not YAML": f"key: [{KEY}\nb: c: d",
    "a control character": f"a: {KEY}\x07",
    "an object": f"!!python/object/apply:os.system ['{KEY}']",
    "a tag nobody knows": f"!{KEY} x",
    "two documents": f"a: 1\n---\n{KEY}: 2\n",
    "a day that isn't": "a: 2024-99-99",
    "a key that can't be one": f"? [{KEY}]\n: 1",
    "half a character": "a: \ud800",
    "a quote that never ends": f"a: '{KEY}",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_document_is_refused_soon_and_not_quoted(text):
    begun = time.monotonic()
    with pytest.raises(BadYaml) as caught:
        load(text)
    assert time.monotonic() - begun < 5
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 100


def test_nothing_is_nothing():
    assert load("") is None
    assert load("# a comment\n") is None
    assert compose("") is None


def test_an_alias_that_somebody_uses_is_read():
    assert load("base: &b {a: 1}\nmore: [*b, *b]\n") == {"base": {"a": 1}, "more": [{"a": 1}] * 2}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(values)
def test_what_pyyaml_writes_is_read_as_it_was(value):
    assert load(yaml.safe_dump(value)) == value
