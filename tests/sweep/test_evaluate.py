"""One variant through the models, and why some are none."""

from dataclasses import replace

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.models import zfs
from homelab_lib.sweep.choices import CardsChoice, LinkChoice, PoolChoice, ServingChoice
from homelab_lib.sweep.evaluate import AIMS, Evaluator, passed
from homelab_lib.sweep.space import GIB, Wants, space_of

DISK = 14_000_519_643_136
FOUR = PoolChoice("raidz2", 4, 1, DISK)


@pytest.fixture(scope="module")
def space():
    whole = space_of(load_lab(), load_lab(decisions=False))
    return replace(whole, pools=(FOUR,), supplies_w=(1600,))


def _row(space, **axes):
    one = replace(space, **{name: (value,) for name, value in axes.items()})
    links = axes.get("links", space.links[0])
    servings = axes.get("servings", ServingChoice("no model"))
    cards = axes.get("cards", CardsChoice())
    return Evaluator(replace(one, links=(links,), servings=(servings,), cards=(cards,)))(0)


def test_the_shipped_pool_has_the_values_of_the_models(space):
    row = _row(space)
    assert row["ruled_out"] == []
    holds = zfs.pool_capacity("raidz2", 4, DISK, partitioner="truenas")
    assert row["usable_bytes"] == holds.usable_bytes
    assert 1e-6 < row["loss_probability"] < 1e-2
    assert row["tokens_per_s"] == 0.0


def test_the_ten_gigabit_path_ends_at_the_disks(space):
    row = _row(space)
    assert row["limited_by"] == "the disks"
    assert 2.5e9 < row["storage_path_bps"] < 10e9


def test_the_switch_is_slower_than_the_disks(space):
    row = _row(space, links=space.links[1])
    assert (row["limited_by"], row["storage_path_bps"]) == ("the wire", 2_353_706_112)


BIG = ("rtx-4070-ti-super", "rx-7900-xt", "rx-6700-xt")


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ({"pools": PoolChoice("raidz2", 6, 1, DISK)}, "truenas has room for 4 disks, not for 6"),
        ({"pools": PoolChoice("raidz3", 3, 1, DISK)}, "width is 3"),
        ({"cards": CardsChoice(BIG[:2], False, 32 * GIB)}, "is promised 901.1 MiB more memory"),
        ({"cards": CardsChoice((*BIG, BIG[2]), True, GIB)}, "has slots for 3 cards, not 4"),
        ({"cards": CardsChoice(BIG, True, 16 * GIB), "supplies_w": 850}, "not of 850 W"),
        ({"links": LinkChoice("odd", 1e9, fault="it does not fit")}, "it does not fit"),
    ],
)
def test_what_can_t_be_built_says_why(space, axes, why):
    assert any(why in reason for reason in _row(space, **axes)["ruled_out"])


def test_a_model_without_a_place_says_why(space):
    pooled = next(s for s in space.servings if s.name == "pooled-70b")
    apart = _row(space, cards=CardsChoice(BIG, False, 8 * GIB), servings=pooled)
    assert any("pooled-70b: 80 layers" in reason for reason in apart["ruled_out"])
    together = _row(space, cards=CardsChoice(BIG, True, 16 * GIB), servings=pooled)
    assert together["ruled_out"] == []
    assert 2 < together["tokens_per_s"] < 20
    none = _row(space, servings=pooled)
    assert "pooled-70b: there is no card" in none["ruled_out"]


def test_wants_rule_out_what_falls_short(space):
    wanting = replace(space, wants=Wants(30e12, 1e-12, 9e9))
    assert len(_row(wanting)["ruled_out"]) == 3


def test_more_parity_is_never_likelier_to_lose_data(space):
    by_layout = [
        _row(space, pools=PoolChoice(layout, 4, 1, DISK))["loss_probability"]
        for layout in ("stripe", "raidz1", "raidz2", "raidz3")
    ]
    assert by_layout == sorted(by_layout, reverse=True)


def test_a_row_is_the_same_whoever_was_evaluated_before(space):
    whole = space_of(load_lab())
    numbers = whole.sample(200)
    one_by_one = [Evaluator(whole)(number) for number in numbers[:40]]
    assert [*map(Evaluator(whole), reversed(numbers))][::-1][:40] == one_by_one


def test_rows_that_passed_have_every_value(space):
    whole = space_of(load_lab())
    rows = passed(map(Evaluator(whole), whole.sample(300)))
    assert rows
    assert all(row[aim] is not None for row in rows for aim in AIMS)
