"""The durability chain played out by chance: a cross-check of the arithmetic, not of its premises.

A plain simulation sees nothing at 1e-9. So failures are biased: while a vdev is degraded, the
next event is made a failure about half of the time, and each history carries the weight by which
it is less likely than it was made (importance sampling). Vectorised over histories, seeded.

References
----------
P. Shahabuddin, "Importance sampling for the simulation of highly reliable Markovian systems",
Management Science 40(3), 1994 (balanced failure biasing, with the first failure forced into the
mission time). Invalid, and refused, where failures are not rare beside repairs.
"""

from dataclasses import dataclass

import numpy as np

from homelab_lib.models.bounds import COUNT, POSITIVE, takes
from homelab_lib.models.durability import HOURS_PER_YEAR, Repair, chain

_STEPS = 400  # more events than any history has before it is decided
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A simulated probability.

    Parameters
    ----------
    probability
        The mean over histories.
    low, high
        Its 95 % confidence interval.
    histories
        How many were played.
    pool_years
        Years of pool life they stand for [years].
    """

    probability: float
    low: float
    high: float
    histories: int
    pool_years: float


@takes(years=POSITIVE, histories=COUNT)
def simulate_loss(
    drives: int,
    parity: int,
    *,
    afr: float,
    mttr_hours: float,
    years: float,
    p_unreadable: float = 0.0,
    repair: Repair = "parallel",
    histories: int = 100_000,
    rng: np.random.Generator,
    biased: bool = True,
) -> Estimate:
    """The probability that a vdev loses data within a mission time, by simulation.

    Parameters
    ----------
    drives, parity, afr, mttr_hours, years, p_unreadable, repair
        As for `homelab_lib.models.durability.loss_probability`.
    histories
        How many to play.
    rng
        The source of chance.
    biased
        Whether failures are made likelier and weighed down again.

    Returns
    -------
    Estimate
        With a 95 % confidence interval; it fails to cover the truth once in twenty.

    Raises
    ------
    ValueError
        With `biased`, where failures are not rare beside repairs: the weights would be wild.

    References
    ----------
    Shahabuddin 1994.
    """
    chain(drives, parity, afr, mttr_hours, p_unreadable, repair)  # refuses what can't be
    failure = -np.log1p(-afr) / HOURS_PER_YEAR
    mend = 1.0 / mttr_hours
    if biased and drives * failure > 0.1 * mend:
        raise ValueError("failures are not rare beside repairs here; use biased=False")
    mission = years * HOURS_PER_YEAR
    failed = np.zeros(histories, dtype=np.int64)
    clock = np.zeros(histories)
    weight = np.ones(histories)
    lost = np.zeros(histories)
    alive = np.arange(histories)
    for _ in range(_STEPS):
        if not len(alive):
            break
        state = failed[alive]
        failing = (drives - state) * failure
        mending = np.where(state > 0, mend * (state if repair == "parallel" else 1), 0.0)
        total = failing + mending
        # The time to the next event; from a healthy vdev it is forced into what is left.
        whole = state == 0
        draw = rng.random(len(alive))
        reach = np.where(whole & biased, -np.expm1(-total * (mission - clock[alive])), 1.0)
        clock[alive] -= np.log1p(-draw * reach) / total
        weight[alive] *= np.where(whole & biased, reach, 1.0)
        inside = clock[alive] < mission
        # Which event: a failure half of the time, where it would be rare.
        true_share = failing / total
        share = np.where((state > 0) & biased, 0.5, true_share)
        fails = rng.random(len(alive)) < share
        factor = np.where(
            fails, true_share / share, (1 - true_share) / np.maximum(1 - share, 1e-300)
        )
        weight[alive] *= np.where(inside, factor, 1.0)
        after = state + np.where(fails, 1, -1)
        unreadable = fails & (after == parity) & (rng.random(len(alive)) < p_unreadable)
        gone = inside & ((after > parity) | unreadable)
        lost[alive[gone]] = weight[alive[gone]]
        failed[alive] = after
        keep = inside & ~gone
        if biased:
            # Back to health: its next failure is rarer than what is counted already. Go on, but
            # with the weight it has; a history that weighs nothing any more is let go.
            keep &= weight[alive] > 1e-60
        alive = alive[keep]
    mean = float(lost.mean())
    spread = float(lost.std(ddof=1)) / np.sqrt(histories) * _Z95
    return Estimate(mean, max(mean - spread, 0.0), mean + spread, histories, histories * years)
