"""YAML from elsewhere: what is right is read, what is not is refused soon and without a quote."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.yaml_safe import MAX_BYTES, MAX_DEPTH, MAX_VALUES, BadYaml, load

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}], k{i}: v}}\n" for i in range(1, 12)
)

_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


@given(_plain)
def test_what_yaml_wrote_is_read_back(document):
    assert load(yaml.safe_dump(document)) == document


def test_aliases_and_merges_within_bounds_mean_what_yaml_says():
    text = "base: &base {a: 1}\nboth: {<<: *base, b: 2}\nagain: [*base, *base]\n"
    assert load(text)["both"] == {"a": 1, "b": 2}
    assert load(text)["again"] == [{"a": 1}, {"a": 1}]


def test_nothing_is_nothing():
    assert load(b"# only a remark\n") is None


@pytest.mark.parametrize(
    ("document", "place", "said"),
    [
        (BOMB, 5, f"more than {MAX_VALUES} values"),
        (MERGES, 6, f"more than {MAX_VALUES} values"),
        ("- 1\n" * (MAX_VALUES + 1), MAX_VALUES, f"more than {MAX_VALUES} values"),
        ("[" * 100_000, 1, "nested too deeply"),
        ("\n".join(" " * i + "k:" for i in range(300)), MAX_DEPTH + 1, "nested"),
        ("#" * (MAX_BYTES + 1), 0, "larger than"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: &a [*a]", 1, "an alias without its anchor"),
        ("a: 1\nb: \0\n", 2, "character #x0000"),
        (b"a: 1\nb: \xff\n", 2, "no UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, "UTF-16"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "can't be made"),
        ("a: 1\nb: 2026-13-45\n", 0, "can't be made"),
        (f"a: {'9' * 5000}\n", 0, "can't be made"),
        ("? [a, b]\n: 1\n? {c: d}\n: 2\n", 1, "can't be made"),
    ],
)
def test_what_goes_beyond_is_refused_with_its_place(document, place, said):
    with pytest.raises(BadYaml, match=said) as caught:
        load(document)
    assert caught.value.line == place


@pytest.mark.parametrize(
    "broken",
    [
        "key: [CANARY",
        "key: *CANARY",
        "key: !CANARY x",
        "key: !!CANARY x",
        "key: !CANARY!x y",
        'key: "CANARY',
        "key: 'CANARY",
        "key: %CANARY",
        "key: @CANARY",
        "key: |CANARY\n",
        "CANARY\nkey: 1",
        "key: 1\n\tCANARY: 2",
        '"\\xZCANARY"',
        "%CANARY 1\n---\n1",
        "&CANARY &CANARY x",
    ],
)
def test_what_is_broken_is_never_quoted(broken):
    """The private key of a kubeconfig stands in such lines."""
    with pytest.raises(BadYaml) as caught:
        load(broken)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__} {caught.value.args}"
    assert "CANARY" not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
