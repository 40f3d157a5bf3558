"""The chance of losing a pool in two ways that share no line: a chain, and a simulation."""

from dataclasses import dataclass

import numpy as np

from homelab_lib.audit.facts_storage import PoolFacts, other_layouts
from homelab_lib.models.durability import HOURS_PER_YEAR, any_of
from homelab_lib.models.montecarlo import simulate_loss

YEARS = 10.0
"""The mission time of the comparison [years]."""
_EXPOSED_HOURS = (12.0, 36.0, 98.0, 336.0)


@dataclass(frozen=True)
class Losses:
    """The chance of losing one layout, in two ways.

    Parameters
    ----------
    layout
        The layout in words.
    hours, markov
        Hours without full redundancy, and the chain's probability at each.
    played_hours, played, low, high
        The simulation's points with their 95 % interval.
    chain
        The chain's probability at these points.
    planned
        Whether it is the layout of the pool.
    """

    layout: str
    hours: tuple[float, ...]
    markov: tuple[float, ...]
    played_hours: tuple[float, ...]
    played: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    chain: tuple[float, ...]
    planned: bool


def losses(pool: PoolFacts, *, histories: int = 40_000, seed: int = 14) -> list[Losses]:
    """Both ways for every layout that has redundancy; the chain without unreadable sectors.

    Parameters
    ----------
    pool
        The pool whose disks they are; none comes back where the catalog does not rate them.
    histories
        Histories for a point of the simulation.
    seed
        Of its chance; the same seed gives the same points.
    """
    if not pool.rated:
        return []
    rng = np.random.default_rng(seed)
    hours = tuple(float(h) for h in np.geomspace(8, 720, 25))
    found = []
    for other in other_layouts(pool):
        if other.parity == 0:
            continue
        points = [
            simulate_loss(
                other.width,
                other.parity,
                afr=float(other.afr or 0),
                mttr_hours=exposed,
                years=YEARS,
                histories=histories,
                rng=rng,
                biased=other.width * -np.log1p(-(other.afr or 0)) * exposed < 0.1 * HOURS_PER_YEAR,
            )
            for exposed in _EXPOSED_HOURS
        ]
        found.append(
            Losses(
                layout=other.title,
                hours=hours,
                markov=tuple(other.loss(h, YEARS) for h in hours),
                played_hours=_EXPOSED_HOURS,
                played=tuple(any_of(p.probability, other.vdevs) for p in points),
                low=tuple(any_of(p.low, other.vdevs) for p in points),
                high=tuple(any_of(p.high, other.vdevs) for p in points),
                chain=tuple(other.loss(h, YEARS) for h in _EXPOSED_HOURS),
                planned=other.title == pool.title,
            )
        )
    return found
