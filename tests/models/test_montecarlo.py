"""Two independent ways to the same number."""

import numpy as np
import pytest

from homelab_lib.models.durability import loss_probability
from homelab_lib.models.montecarlo import simulate_loss

RARE = {"afr": 0.0157, "mttr_hours": 48}
STRESS = {"afr": 0.4, "mttr_hours": 336}


@pytest.mark.parametrize(
    ("drives", "parity", "chain", "biased"),
    [
        (2, 1, RARE, True),
        (4, 2, RARE | {"p_unreadable": 0.2}, True),
        (4, 2, RARE | {"repair": "serial"}, True),
        (8, 3, RARE | {"p_unreadable": 0.47}, True),
        (4, 1, STRESS, False),
        (8, 3, STRESS | {"p_unreadable": 0.1}, False),
    ],
)
def test_the_simulation_agrees_with_the_chain(drives, parity, chain, biased):
    exact = loss_probability(drives, parity, years=10, **chain)
    rng = np.random.default_rng(20261123)
    found = simulate_loss(
        drives, parity, years=10, rng=rng, biased=biased, histories=200_000, **chain
    )
    sigma = (found.high - found.low) / 2 / 1.96
    assert abs(found.probability - exact) < 4 * sigma
    assert sigma < 0.05 * exact  # and it does see something: also at 1e-9


def test_the_same_seed_gives_the_same_number():
    def play():
        rng = np.random.default_rng(7)
        return simulate_loss(4, 2, years=10, rng=rng, histories=1000, **RARE)

    assert play() == play()


def test_biasing_is_refused_where_it_would_be_wrong():
    with pytest.raises(ValueError, match="biased=False"):
        simulate_loss(8, 2, years=10, rng=np.random.default_rng(7), **STRESS)
