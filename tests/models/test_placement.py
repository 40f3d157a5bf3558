"""Placement: optimal by comparison with trying everything, and honest about what has no place."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab_lib.models.placement import Card, Model, place

GIB = 2**30
CUDA, ROCM = frozenset({"cuda"}), frozenset({"rocm"})
BOTH = CUDA | ROCM


def card(name, gib, runtimes=CUDA, group="a", bandwidth=500e9) -> Card:
    return Card(name, gib * GIB, bandwidth, frozenset(runtimes), group)


def model(name, layers, layer_gib, runtimes=BOTH, buffer_gib=0.0, weight=1.0) -> Model:
    return Model(name, layers, layer_gib * GIB, buffer_gib * GIB, frozenset(runtimes), weight)


def test_one_model_on_one_card():
    found = place([model("llama", 32, 0.15)], [card("4070", 16)])
    assert found.layers == {"llama": {"4070": 32}}
    assert found.runtime == {"4070": "cuda"}
    assert found.complete


def test_the_faster_card_is_taken():
    cards = [card("slow", 16, bandwidth=300e9), card("fast", 16, bandwidth=800e9, group="b")]
    assert place([model("llama", 32, 0.15)], cards).layers == {"llama": {"fast": 32}}


def test_a_large_model_is_split_within_a_group_and_not_across():
    big = model("big", 40, 0.5, CUDA)
    together = [card("one", 12), card("two", 12)]
    apart = [card("one", 12), card("two", 12, group="b")]
    assert sum(place([big], together).layers["big"].values()) == 40
    assert place([big], apart).unplaced == {
        "big": "40 layers, and the best group of cards holds 24 of them"
    }


def test_a_card_runs_one_runtime():
    cards = [card("any", 24, BOTH)]
    found = place([model("c", 10, 0.5, CUDA), model("r", 10, 0.5, ROCM)], cards)
    assert len(found.layers) == 1
    assert list(found.unplaced.values()) == [
        "it fits alone, and the cards are taken by models that are worth more"
    ]


def test_nothing_runs_what_no_card_can():
    found = place([model("r", 10, 0.5, ROCM)], [card("4070", 16)])
    assert found.unplaced == {"r": "no card runs rocm"}


def test_what_is_worth_more_goes_first():
    models = [model("small", 10, 0.5), model("dear", 10, 0.5, weight=3.0)]
    assert set(place(models, [card("one", 6)]).layers) == {"dear"}


sizes = st.integers(1, 12)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(sizes, st.sampled_from([CUDA, ROCM, BOTH])), min_size=1, max_size=3),
    st.lists(st.tuples(sizes, st.sampled_from([CUDA, ROCM])), min_size=1, max_size=3),
)
def test_as_many_are_served_as_trying_everything_finds(wanted, owned):
    """Models of one layer and cards of one group each, so that trying everything is possible."""
    models = [model(f"m{i}", 1, size, kinds) for i, (size, kinds) in enumerate(wanted)]
    cards = [card(f"c{i}", size, kinds, group=str(i)) for i, (size, kinds) in enumerate(owned)]
    best = 0
    for spots in product([None, *cards], repeat=len(models)):
        pairs = [(m, c) for m, c in zip(models, spots, strict=True) if c is not None]
        fits = all(m.runtimes & c.runtimes for m, c in pairs) and all(
            sum(m.layer_bytes for m, where in pairs if where is c) <= c.vram_bytes for c in cards
        )
        best = max(best, len(pairs) if fits else 0)
    found = place(models, cards)
    assert len(found.layers) == best
    assert len(found.unplaced) == len(models) - best


def test_names_given_twice_are_refused():
    with pytest.raises(ValueError, match="model 'a' is given twice"):
        place([model("a", 1, 1), model("a", 1, 1)], [card("one", 6)])
