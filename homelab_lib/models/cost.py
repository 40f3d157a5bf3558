"""Money: a shopping list with ranges, what sales bring, what the cloud takes each month."""

from collections.abc import Iterable
from typing import NamedTuple

from homelab_lib.models.bounds import FINITE, NOT_NEGATIVE, POSITIVE, SHARE, takes


class Range(NamedTuple):
    """A price that is not known to the cent, in one currency."""

    low: float
    high: float

    @classmethod
    def of(cls, low: float, high: float | None = None) -> "Range":
        """A range, or a fixed price.

        Raises
        ------
        ValueError
            Negative, or the wrong way round.
        """
        high = low if high is None else high
        if not 0 <= low <= high < float("inf"):
            raise ValueError(f"a price from {low} to {high} can't be")
        return cls(low, high)


def total(prices: Iterable[Range]) -> Range:
    """All of them together: the least if all are cheap, the most if none is.

    Prices that vary independently end nearer to the middle; this is what has to be at hand.
    """
    found = list(prices)
    for price in found:
        NOT_NEGATIVE.check("prices", price)
    return Range(sum(p.low for p in found), sum(p.high for p in found))


@takes(spent=NOT_NEGATIVE, earned=NOT_NEGATIVE)
def net(spent: Range, earned: Range) -> Range:
    """What is left to pay: at best dear sales against cheap buys, at worst the reverse."""
    return Range(spent.low - earned.high, spent.high - earned.low)


@takes(claimed=FINITE, computed=FINITE, tolerance=NOT_NEGATIVE)
def covers(claimed: Range, computed: Range, *, tolerance: float = 0.005) -> bool:
    """Whether a claimed range is the computed one, give or take a share of it."""
    return all(
        abs(said - found) <= tolerance * max(abs(found), 1.0)
        for said, found in zip(claimed, computed, strict=True)
    )


@takes(stored_bytes=NOT_NEGATIVE, price_per_tb=NOT_NEGATIVE, free_bytes=NOT_NEGATIVE)
def storage_per_month(
    stored_bytes: float, *, price_per_tb: float, free_bytes: float = 0.0
) -> float:
    """What off-site storage costs a month.

    Parameters
    ----------
    stored_bytes
        What is kept there [bytes].
    price_per_tb
        A month's price of a TB, 10^12 bytes.
    free_bytes
        What is kept for nothing [bytes].
    """
    return max(stored_bytes - free_bytes, 0.0) / 1e12 * price_per_tb


@takes(stored_bytes=NOT_NEGATIVE, uplink_bps=POSITIVE, efficiency=SHARE)
def upload_seconds(stored_bytes: float, uplink_bps: float, *, efficiency: float = 0.9) -> float:
    """How long the first copy takes through the house's uplink [s].

    Parameters
    ----------
    stored_bytes
        What is to be sent [bytes].
    uplink_bps
        The uplink [bit/s].
    efficiency
        What TCP and TLS leave of it.
    """
    return 8.0 * stored_bytes / (uplink_bps * efficiency)
