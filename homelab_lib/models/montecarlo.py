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

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from homelab_lib.models.bounds import COUNT, POSITIVE, takes
from homelab_lib.models.durability import HOURS_PER_YEAR, Repair, chain

Floats = npt.NDArray[np.float64]

_AT_ONCE = 2**14  # histories that stay in a processor's cache
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
    states = np.arange(parity + 1)
    busy = states if repair == "parallel" else np.minimum(states, 1)
    mending = np.asarray(mend * busy, dtype=np.float64)
    odds = _Odds.of((drives - states) * failure, mending, biased)
    mission = years * HOURS_PER_YEAR
    weight, squared = 0.0, 0.0
    for first in range(0, histories, _AT_ONCE):
        count = min(_AT_ONCE, histories - first)
        for lost in _losses(count, parity, odds, mission, p_unreadable, biased, rng):
            weight += float(lost.sum())
            squared += float(lost @ lost)
    mean = weight / histories
    spread = math.sqrt(max(squared - histories * mean**2, 0.0) / max(histories - 1, 1) / histories)
    spread *= _Z95
    return Estimate(mean, max(mean - spread, 0.0), mean + spread, histories, histories * years)


class _Odds(NamedTuple):
    """What comes next, by the number of failed drives: tables are faster than sums.

    Parameters
    ----------
    mean_h
        Mean time to the next event [h].
    fails
        The chance with which it is made a failure.
    if_fails, if_mends
        What a history's weight is multiplied by where it is one, and where not.
    """

    mean_h: Floats
    fails: Floats
    if_fails: Floats
    if_mends: Floats

    @classmethod
    def of(cls, failing: Floats, mending: Floats, biased: bool) -> "_Odds":
        """From the rates of both [1/h]; where failures would be rare they are half of all."""
        total = failing + mending
        true = failing / total
        fails = np.where((mending > 0) & biased, 0.5, true)
        return cls(1 / total, fails, true / fails, (1 - true) / np.maximum(1 - fails, 1e-300))


def _losses(
    count: int,
    parity: int,
    odds: _Odds,
    mission_h: float,
    p_unreadable: float,
    biased: bool,
    rng: np.random.Generator,
) -> Iterator[Floats]:
    """The weights of those of `count` histories that lose data, as they come to it."""
    state, clock, weight = np.zeros(count, np.intp), np.zeros(count), np.ones(count)
    for _ in range(_STEPS):
        if not len(state):
            return
        wait = rng.standard_exponential(len(state))
        if biased and len(whole := np.flatnonzero(state == 0)):
            # The next failure of a healthy vdev is forced into what is left of the mission.
            reach = -np.expm1((clock[whole] - mission_h) / odds.mean_h[0])
            wait[whole] = -np.log1p(-rng.random(len(whole)) * reach)
            weight[whole] *= reach
        clock += wait * odds.mean_h[state]
        fails = rng.random(len(state)) < odds.fails[state]
        weight *= np.where(fails, odds.if_fails[state], odds.if_mends[state])
        state += np.where(fails, 1, -1)
        gone = state > parity
        if p_unreadable:
            last = fails & (state == parity)
            gone |= last & (rng.random(len(state)) < p_unreadable)
        inside = clock < mission_h
        yield weight[gone & inside]
        # A history that weighs nothing any more is let go: what is rarer counts no more.
        kept = np.flatnonzero(inside & ~gone & (weight > 1e-60))
        state, clock, weight = state[kept], clock[kept], weight[kept]
