"""A model over cards of several machines: which layers go where, and what the network costs."""

from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from homelab_lib.models.spread import sending_s, spread_layers, spread_tokens_per_second
from homelab_lib.models.vram import decode_tokens_per_second, split_layers

SIZES = st.lists(st.integers(1, 100), min_size=1, max_size=9)
CARDS = st.lists(st.integers(50, 500), min_size=1, max_size=3)


def fullest(layers, cards, reserve, output, counts):
    """The largest share of a card that is taken, where the cards with layers come first."""
    shares, first = [], 0
    last = max(n for n, count in enumerate(counts) if count)
    for number, (count, room) in enumerate(zip(counts, cards, strict=True)):
        taken = sum(layers[first : first + count]) + (output if number == last else 0)
        shares.append((taken + reserve) / room if count else 0.0)
        first += count
    return max(shares)


def ways(layers, cards):
    """Every way of cutting the layers, in order, into one part for each card."""
    for cuts in combinations(range(len(layers) + len(cards) - 1), len(cards) - 1):
        ends = [cut - number for number, cut in enumerate(cuts)]
        yield [b - a for a, b in zip([0, *ends], [*ends, len(layers)], strict=True)]


@given(SIZES, CARDS, st.integers(0, 40), st.integers(0, 60))
def test_no_other_way_leaves_the_fullest_card_emptier(layers, cards, reserve, output):
    reserves = [reserve] * len(cards)
    whole = split_layers(layers, cards, reserve_bytes=reserves, output_bytes=output)
    assume(sum(whole) == len(layers))
    counts = spread_layers(layers, cards, reserve_bytes=reserves, output_bytes=output)
    assert sum(counts) == len(layers)
    best = min(fullest(layers, cards, reserve, output, way) for way in ways(layers, cards))
    found = fullest(layers, cards, reserve, output, counts)
    grain = 1 / min(cards) + 1e-3  # shares are thousandths, and rooms whole bytes
    assert best <= found <= best + grain


@given(st.lists(st.integers(60, 100), min_size=9, max_size=9),
       st.lists(st.integers(0, 170), min_size=1, max_size=3))  # fmt: skip
def test_where_there_is_no_room_fewer_layers_come_back(layers, cards):
    assert sum(spread_layers(layers, cards, reserve_bytes=[0] * len(cards))) < len(layers)


def test_the_network_adds_its_answers_and_its_time():
    cards = [12e9, 15e9], [672e9, 800e9]
    alone = decode_tokens_per_second(*cards)
    told = {"crossings": 2, "crossing_bytes": 20480, "network_bps": 2.5e9}
    over = spread_tokens_per_second(*cards, answers_s=[3e-4], **told)
    assert 1 / over - 1 / alone == pytest.approx(3e-4 + 2 * 20480 * 8 / 2.5e9)
    twice = spread_tokens_per_second(*cards, answers_s=[3e-4, 3e-4], **told)
    assert 1 / twice - 1 / over == pytest.approx(3e-4)


def test_forty_gigabytes_take_two_minutes_over_a_slow_network_and_half_a_minute_over_a_fast_one():
    assert sending_s(40e9, 2.5e9) == pytest.approx(128)
    assert sending_s(40e9, 10e9) == pytest.approx(32)
