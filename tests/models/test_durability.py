"""Loss probabilities against a 60-digit oracle, and the laws they keep."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import durability
from models.measured import rows

chain = {
    "afr": st.floats(0.001, 0.5),
    "mttr_hours": st.floats(1, 500),
    "years": st.floats(0.1, 20),
    "p_unreadable": st.floats(0, 1),
    "repair": st.sampled_from(["parallel", "serial"]),
}
shapes = st.integers(2, 12).flatmap(
    lambda drives: st.tuples(st.just(drives), st.integers(1, min(3, drives - 1)))
)


@pytest.mark.parametrize("case", rows("durability"), ids=lambda case: case["name"])
def test_the_chain_agrees_with_sixty_digits(case):
    given_ = {
        "afr": case["afr"],
        "mttr_hours": case["mttr_h"],
        "p_unreadable": case["h"],
        "repair": case["repair"],
    }
    for years in (1, 10):
        found = durability.loss_probability(case["N"], case["parity"], years=years, **given_)
        assert found == pytest.approx(case[f"p_loss_{years}y"], rel=1e-9)
    found = durability.mttdl_years(case["N"], case["parity"], **given_)
    assert found == pytest.approx(case["mttdl_years"], rel=1e-9)


@pytest.mark.parametrize("case", rows("durability", "ure"), ids=lambda case: case["case"])
def test_unreadable_sectors(case):
    found = durability.ure_probability(case["bytes_read"], case["uer"])
    if "linear" in case["case"]:  # n p instead of 1 - (1 - p)^n: where a "1 in 8" comes from
        assert found < case["p"] == case["expected_errors"]
    else:
        assert found == pytest.approx(case["p"], rel=1e-9)


@given(shapes, st.fixed_dictionaries(chain))
def test_it_is_a_probability(shape, given_):
    assert 0 <= durability.loss_probability(*shape, **given_) <= 1


@given(st.integers(3, 12), st.fixed_dictionaries(chain))
def test_more_parity_never_raises_the_loss(drives, given_):
    losses = [
        durability.loss_probability(drives, parity, **given_)
        for parity in range(1, min(3, drives - 1) + 1)
    ]
    assert all(more <= less * (1 + 1e-9) for less, more in pairwise(losses))


@given(shapes, st.fixed_dictionaries(chain), st.floats(1, 3))
def test_a_longer_time_never_lowers_it(shape, given_, factor):
    before = durability.loss_probability(*shape, **given_)
    after = durability.loss_probability(*shape, **given_ | {"years": given_["years"] * factor})
    assert after >= before * (1 - 1e-9)


@given(shapes, st.fixed_dictionaries(chain), st.floats(1, 3))
def test_a_slower_repair_never_lowers_it(shape, given_, factor):
    # Of drives alone: each time redundancy is lost anew, an unreadable sector has a new chance,
    # so with such sectors a fast repair of drives that fail all the time can do worse.
    given_ = given_ | {"p_unreadable": 0.0}
    slower = given_ | {"mttr_hours": given_["mttr_hours"] * factor}
    before = durability.loss_probability(*shape, **given_)
    assert durability.loss_probability(*shape, **slower) >= before * (1 - 1e-9)


@given(shapes, st.floats(0.001, 0.02), st.floats(1, 24))
def test_the_textbook_agrees_where_it_should(shape, afr, mttr_hours):
    drives, parity = shape
    exact = durability.mttdl_years(drives, parity, afr=afr, mttr_hours=mttr_hours)
    text = durability.mttdl_closed_form_years(drives, parity, afr=afr, mttr_hours=mttr_hours)
    assert text == pytest.approx(exact, rel=0.02)


@given(st.floats(1e9, 1e14), st.floats(1e-17, 1e-13))
def test_the_rate_for_a_probability_is_the_inverse(read, rate):
    probability = durability.ure_probability(read, rate)
    if 1e-9 < probability < 0.999:
        assert durability.ure_rate_for(probability, read) == pytest.approx(rate, rel=1e-6)


def test_a_whole_sweep_at_once():
    found = durability.ure_probability(np.array([0.0, 14e12]), 1e-15)
    assert found == pytest.approx([0.0, 0.10595], abs=1e-4)


def test_latent_errors_between_scrubs():
    assert durability.latent_error_probability(0.095, 30) == pytest.approx(3.89e-3, rel=0.01)
    assert durability.any_of(0.5, 2) == pytest.approx(0.75)


@pytest.mark.parametrize(("fill", "hours"), [(1.0, 21.1), (0.8, 15.5), (0.5, 8.7)])
def test_the_floor_of_a_14_tb_resilver(fill, hours):
    found = durability.rebuild_seconds(
        14e12, fill, outer_bps=260e6, inner_bps=125e6, efficiency=1.0
    )
    assert found / 3600 == pytest.approx(hours, abs=0.06)


def test_a_shared_uplink_slows_the_rebuild():
    alone = durability.rebuild_seconds(14e12, 0.8, outer_bps=260e6, inner_bps=125e6)
    shared = durability.rebuild_seconds(
        14e12, 0.8, outer_bps=260e6, inner_bps=125e6, uplink_bps=150e6, readers=3
    )
    assert shared > alone


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parity": 0}, "parity is 0"),
        ({"parity": 4}, "parity is 4"),
        ({"afr": 0.0}, "afr is 0.0"),
        ({"afr": 1.0}, "afr is 1.0"),
        ({"mttr_hours": 0}, "mttr_hours is 0"),
        ({"years": -1}, "years is -1"),
        ({"p_unreadable": 1.5}, "p_unreadable is 1.5"),
        ({"repair": "slow"}, "repair is 'slow'"),
    ],
)
def test_impossible_input_names_itself(change, says):
    given_ = {"drives": 4, "parity": 2, "afr": 0.01, "mttr_hours": 24, "years": 1} | change
    with pytest.raises(ValueError, match=says):
        durability.loss_probability(**given_)
