"""The space around a lab: what its variants are, and how they are numbered."""

import pickle

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.paths import data
from homelab_lib.sweep.choices import CardsChoice, LinkChoice, PoolChoice, cards, drive_bytes, pools
from homelab_lib.sweep.space import space_of


@pytest.fixture(scope="module")
def space():
    return space_of(load_lab(), load_lab(decisions=False))


def test_each_number_is_another_variant(space):
    assert len({repr(space[n]).partition("pool=")[2] for n in space.grid()}) == len(space)


def test_a_number_outside_of_the_space_is_none(space):
    with pytest.raises(IndexError):
        space[len(space)]


def test_a_sample_is_the_same_each_time_and_has_no_variant_twice(space):
    first = space.sample(100, seed=7)
    assert first == space.sample(100, seed=7) == sorted(set(first))
    assert first != space.sample(100, seed=8)
    assert space.sample(10**9) == list(space.grid())


def test_the_digest_knows_the_axes_and_survives_a_journey(space):
    assert pickle.loads(pickle.dumps(space)).digest == space.digest
    assert space_of(load_lab()).digest != space.digest


def test_the_ways_to_the_storage_are_the_lab_s_cables(space):
    assert [(link.name, bool(link.fault)) for link in space.links] == [
        ("Cat6A straight, 10 Gb/s", False),
        ("Cat6 through the switch, 2.5 Gb/s", False),
        ("DAC straight, 10 Gb/s", True),
    ]


def test_the_network_card_s_slot_has_two_lanes_for_it(space):
    assert 5.5e9 < space.links[0].bus_bps < 5.6e9  # 82599: Gen2, and two of its lanes


def test_a_lab_without_cards_has_a_space_too():
    space = space_of(load_lab(data() / "examples" / "minipc"), disks=(2,))
    assert space.cards == (CardsChoice(),)
    assert [link.name for link in space.links] == ["Cat6 through the switch, 1 Gb/s"]


def test_a_card_that_nobody_knows_is_refused(space):
    from dataclasses import replace

    with pytest.raises(BadParameter, match="knows 'rx-9999'"):
        replace(space, cards=(CardsChoice(("rx-9999",)),))
    with pytest.raises(BadParameter, match="axis 'links'"):
        replace(space, links=())


def test_drives_have_the_size_that_they_have():
    assert drive_bytes(14_000) == 14_000_519_643_136
    assert drive_bytes(4_000) == 4_000_787_030_016


def test_pools_are_those_that_can_be():
    assert pools(("mirror", "raidz2"), (4,), (10**12,)) == (
        PoolChoice("mirror", 2, 2, 10**12),
        PoolChoice("raidz2", 4, 1, 10**12),
    )
    assert PoolChoice("raidz2", 4, 2, 10**12) in pools(("raidz2",), (8,), (10**12,))


def test_two_equal_cards_are_chosen_once():
    assert [c.cards for c in cards(("a", "a"), (1,))] == [(), ("a",), ("a", "a"), ("a", "a")]


def test_a_link_says_its_name():
    assert str(LinkChoice("a wire", 1e9)) == "a wire"
