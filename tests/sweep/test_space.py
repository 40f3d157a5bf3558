"""The space around a lab: what its variants are, and how they are numbered."""

import pickle

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.paths import data
from homelab_lib.sweep.choices import CardsChoice, LinkChoice, PoolChoice, cards, drive_bytes, pools
from homelab_lib.sweep.facts import largest_pool
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


EXAMPLES = data() / "examples"


@pytest.mark.parametrize("name", ["", "minipc", "cluster", "server"])
def test_the_labs_own_design_is_the_first_and_in_every_sample(name):
    lab = load_lab(EXAMPLES / name if name else None)
    space = space_of(lab, layouts=("mirror",), disks=(2,))
    assert space.own == 0
    own, pool = space[0], largest_pool(lab)
    assert (own.pool.layout, own.pool.width, own.pool.vdevs) == pool.shape
    assert own.pool.disk_bytes == lab.hardware(pool.host).disks[pool.disks[0]].capacity_bytes
    assert own.link == space.links[0]
    host = lab.hosts.get(space.facts.hypervisor)
    if host and host.psus:
        assert own.supply_w == host.psus[0].power_w
    assert all(0 in space.sample(3, seed=seed) for seed in range(5))
    assert len(space.sample(3, seed=1)) == min(3, len(space))


def test_a_pool_of_unequal_vdevs_is_no_choice_here(tmp_path):
    lab = changed(
        load_lab(EXAMPLES / "server"),
        ("pools.vault.tank.layout", None),
        ("pools.vault.tank.disks", None),
        ("pools.vault.tank.vdevs", [
            {"layout": "raidz2", "disks": ["d1", "d2", "d3", "d4"]},
            {"layout": "raidz2", "disks": [f"d{n}" for n in range(5, 13)]},
        ]),
    )  # fmt: skip
    assert space_of(lab).own is None


def test_a_supply_that_nobody_names_is_reckoned_and_not_a_constant():
    small = space_of(load_lab(EXAMPLES / "cluster")).supplies_w
    assert len(small) == 1
    assert 50 <= small[0] <= 200, "an office PC of 35 W"


def test_the_memory_of_the_labs_own_design_is_that_of_its_vms():
    lab = load_lab()
    own = space_of(lab)[0].cards
    holders = [vm for vm in lab.vms.values() if vm.gpus]
    assert own.cards == tuple(card.id for card in lab.hosts["proxmox"].gpus.values())
    assert len(own.cards) * own.vm_bytes == sum(vm.memory_bytes for vm in holders)
