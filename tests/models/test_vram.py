"""What fits which card, and how fast it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import vram


def test_layers_fill_one_card_after_the_other():
    layers = [100] * 10
    assert vram.split_layers(layers, [450, 800], reserve_bytes=[50, 50]) == (4, 6)
    assert vram.split_layers(layers, [450, 350], reserve_bytes=[50, 50]) == (4, 3)
    assert vram.split_layers(layers, [450, 650], reserve_bytes=[50, 0], output_bytes=60) == (4, 5)


@given(st.lists(st.integers(1, 100), max_size=40), st.lists(st.integers(0, 500), max_size=4))
def test_no_card_is_given_more_than_it_has(layers, cards):
    counts = vram.split_layers(layers, cards, reserve_bytes=[0] * len(cards))
    start = 0
    for count, available in zip(counts, cards, strict=True):
        assert sum(layers[start : start + count]) <= available
        start += count


def test_devices_in_turn_add_their_times():
    alone = vram.decode_tokens_per_second([4e9], [672e9])
    assert alone == pytest.approx(168)
    spilt = vram.decode_tokens_per_second([4e9, 1e9], [672e9, 70e9])
    assert spilt == pytest.approx(1 / (1 / 168 + 1 / 70))


def test_impossible_input_names_itself():
    with pytest.raises(ValueError, match="efficiency is 2"):
        vram.decode_tokens_per_second([1], [1], efficiency=2)
