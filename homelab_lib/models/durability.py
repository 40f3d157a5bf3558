"""How likely a pool is to lose data: unreadable sectors, rebuild times, and a Markov chain.

The chain knows independent drives with exponential lifetimes, repairs, and sectors found to be
unreadable when no redundancy is left. It does not know a bad batch, heat, a power supply that
takes two drives along, wear-out, or a person: see `LIMITS`. A number from here is a floor.

References
----------
K. M. Greenan, J. S. Plank, J. J. Wylie, "Mean time to meaningless", HotStorage 2010 (why the
probability over a mission time, and not MTTDL, is the number to read). P. M. Chen et al.,
"RAID: High-performance, reliable secondary storage", ACM CSUR 26(2), 1994 (the chain).
"""

from typing import Any, Literal

import numpy as np

from homelab_lib.models.bounds import (
    BELOW_ONE,
    COUNT,
    LIMIT,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    SHARE,
    Span,
    takes,
)

LIMITS = (
    "Drives fail independently at a constant rate; same batch, heat, shared power, wear-out, "
    "theft, fire, ransomware and mistakes are not in this number."
)

HOURS_PER_YEAR = 8760.0
Repair = Literal["parallel", "serial"]
CONVENTION: Repair = "parallel"
"""How failed drives are rebuilt where nobody says otherwise; it stands beside each number."""
_RATE = Span("goes from above 0 up to but not 1", high=1.0, above=True, below=True)
Real = Any
"""A float, or an array of floats where a sweep needs it."""


# Unreadable sectors ------------------------------------------------------------------------------


@takes(bytes_read=NOT_NEGATIVE, ure_per_bit=BELOW_ONE)
def ure_probability(bytes_read: Real, ure_per_bit: Real) -> Real:
    """The probability of at least one unreadable sector while reading.

    Parameters
    ----------
    bytes_read
        What is read [bytes].
    ure_per_bit
        Unrecoverable read errors per bit, as quoted: 1e-14 or 1e-15. It is the vendor's upper
        bound; disks in the field do better by one or two orders of magnitude.

    Returns
    -------
    float or ndarray
        A probability. In ZFS such an error costs a record, and only where no redundancy is left.

    References
    ----------
    1 - (1 - p)^(8 n) for independent bits.
    """
    return _plain(-np.expm1(8.0 * np.asarray(bytes_read) * np.log1p(-np.asarray(ure_per_bit))))


@takes(probability=BELOW_ONE, bytes_read=POSITIVE)
def ure_rate_for(probability: float, bytes_read: float) -> float:
    """The rate per bit at which reading `bytes_read` meets an error with `probability`.

    The inverse of `ure_probability`: what "1 in 8" would take.
    """
    return float(-np.expm1(np.log1p(-probability) / (8.0 * bytes_read)))


@takes(errors_per_year=POSITIVE, scrub_days=POSITIVE)
def latent_error_probability(errors_per_year: Real, scrub_days: Real) -> Real:
    """The probability that a drive holds an unreadable sector no scrub has found yet.

    Parameters
    ----------
    errors_per_year
        Rate at which a drive develops its first latent error [1/year].
    scrub_days
        Days between scrubs; one at a random moment in between is asked for.

    References
    ----------
    The mean over the scrub interval of 1 - exp(-r t): 1 - (1 - exp(-r S)) / (r S).
    """
    exposure = np.asarray(errors_per_year) * np.asarray(scrub_days) / 365.0
    return _plain(1.0 + np.expm1(-exposure) / exposure)


@takes(probability=PROBABILITY, count=COUNT)
def any_of(probability: Real, count: int) -> Real:
    """The probability that at least one of `count` independent things happens."""
    return _plain(-np.expm1(count * np.log1p(-np.minimum(np.asarray(probability), 1 - 1e-16))))


# Rebuild -----------------------------------------------------------------------------------------


@takes(outer_bps=POSITIVE, inner_bps=POSITIVE, fill=PROBABILITY)
def zone_average_bps(outer_bps: float, inner_bps: float, fill: float) -> float:
    """The mean sequential rate over the outer `fill` of a disk.

    Parameters
    ----------
    outer_bps, inner_bps
        Rates of the outermost and the innermost track [bytes/s].
    fill
        Share of the disk that is read, from the outside in.

    References
    ----------
    The rate falls linearly with the position read: the harmonic mean along it is
    f (Ro - Ri) / ln(Ro / (Ro - (Ro - Ri) f)).
    """
    if outer_bps < inner_bps:
        raise ValueError(f"outer_bps is {outer_bps}, below inner_bps {inner_bps}")
    span = outer_bps - inner_bps
    if span == 0 or fill == 0:
        return outer_bps
    return fill * span / float(np.log(outer_bps / (outer_bps - span * fill)))


@takes(
    disk_bytes=POSITIVE,
    fill=PROBABILITY,
    outer_bps=POSITIVE,
    inner_bps=POSITIVE,
    efficiency=SHARE,
    uplink_bps=LIMIT,
    readers=COUNT,
)
def rebuild_seconds(
    disk_bytes: float,
    fill: float,
    *,
    outer_bps: float,
    inner_bps: float,
    efficiency: float = 0.6,
    uplink_bps: float = float("inf"),
    readers: int = 1,
) -> float:
    """How long a resilver takes once it runs.

    ZFS copies allocated blocks only. The slowest of three counts: the disk, and the survivors'
    share of the link they all stand behind.

    Parameters
    ----------
    disk_bytes
        The disk's size [bytes].
    fill
        Share of it that is allocated.
    outer_bps, inner_bps
        The disk's sequential rates [bytes/s].
    efficiency
        What is left of them with seeks and other work: 0.8 idle, 0.6 typical, 0.33 busy or
        fragmented. The honest unknown; give a range.
    uplink_bps
        What the controller's uplink carries [bytes/s].
    readers
        Survivors that read at the same time.

    Returns
    -------
    float
        Time [s]; the wait for a spare comes on top.

    References
    ----------
    `vdev_raidz_io_start_read`: a resilver reads every allocated column of all survivors.
    """
    disk = efficiency * zone_average_bps(outer_bps, inner_bps, fill)
    return disk_bytes * fill / min(disk, uplink_bps / readers)


# The Markov chain --------------------------------------------------------------------------------


def chain(
    drives: int, parity: int, afr: float, mttr_hours: float, p_unreadable: float, repair: Repair
) -> np.ndarray:
    """Rates between 0 … parity failed drives, per hour; the last state is loss.

    The state with all redundancy gone is entered with probability 1 - `p_unreadable`: otherwise
    an unreadable sector has lost data right there.
    """
    COUNT.check("drives", drives)
    COUNT.check("parity", parity)
    if parity >= drives:
        raise ValueError(f"parity is {parity} of {drives} drives; it goes from 1 to drives - 1")
    _RATE.check("afr", afr)
    POSITIVE.check("mttr_hours", mttr_hours)
    PROBABILITY.check("p_unreadable", p_unreadable)
    if repair not in ("parallel", "serial"):
        raise ValueError(f"repair is {repair!r}; it has to be 'parallel' or 'serial'")
    failure = -np.log1p(-afr) / HOURS_PER_YEAR
    mend = 1.0 / mttr_hours
    lost = parity + 1
    rates = np.zeros((parity + 2, parity + 2))
    for failed in range(parity + 1):
        out = (drives - failed) * failure
        last = failed + 1 == parity
        rates[failed, failed + 1] += out * (1 - p_unreadable if last else 1)
        rates[failed, lost] += out * p_unreadable if last else 0.0
        if failed:
            rates[failed, failed - 1] += mend * (failed if repair == "parallel" else 1)
    np.fill_diagonal(rates, rates.diagonal() - rates.sum(axis=1))
    return rates


@takes(years=POSITIVE)
def loss_probability(
    drives: int,
    parity: int,
    *,
    afr: float,
    mttr_hours: float,
    years: float,
    p_unreadable: float = 0.0,
    repair: Repair = CONVENTION,
) -> float:
    """The probability that a vdev loses data within a mission time.

    Parameters
    ----------
    drives
        Disks in the vdev.
    parity
        How many may fail: 1 to 3 for raidz, copies less one for a mirror.
    afr
        Annual failure rate of a drive, as a probability.
    mttr_hours
        Mean time from a drive's failure to redundancy restored: noticing, getting a spare and
        resilvering [h].
    years
        Mission time [years].
    p_unreadable
        That a read of the survivors meets an unreadable sector once the last redundancy is gone.
    repair
        ``parallel``: failed drives are rebuilt at the same time (true of ZFS, and close to what
        a fixed rebuild time gives). ``serial``: one after the other, the textbook's pessimist.

    Returns
    -------
    float
        A probability, to 1e-9 relative and down to the smallest a double holds. For k vdevs
        use `any_of`. Read it with `LIMITS`.

    References
    ----------
    Chen et al. 1994, §4; transient solution by uniformisation without subtraction (W. K.
    Grassmann, "Transient solutions in Markovian queueing systems", 1977): every term is
    positive, so a probability of 1e-15 is as exact as one of 0.1.
    """
    rates = chain(drives, parity, afr, mttr_hours, p_unreadable, repair)
    return _absorbed(rates, years * HOURS_PER_YEAR)


def _absorbed(rates: np.ndarray, hours: float) -> float:
    """The last state's probability after `hours`, from the first, without cancellation.

    The matrix exponential over a step so short that its series is all positive, squared until
    the whole time is covered: products and sums of non-negative numbers keep relative accuracy.
    """
    peak = -rates.diagonal().min()
    doublings = max(0, int(np.ceil(np.log2(max(peak * hours, 1e-300)))) + 1)
    step = hours / 2.0**doublings
    jump = rates * step + np.eye(len(rates)) * peak * step  # non-negative
    # e^{Q t} = e^{-peak t} e^{jump}; the sum stops when nothing more is added
    series, term, order = np.eye(len(rates)), np.eye(len(rates)), 0
    while term.max() > 0 and order < 60:
        order += 1
        term = term @ jump / order
        series = series + term
    total = series * np.exp(-peak * step)
    for _ in range(doublings):
        total = total @ total
        total /= total.sum(axis=1, keepdims=True)  # rows are distributions; keep them so
    return float(total[0, -1])


def mttdl_years(
    drives: int,
    parity: int,
    *,
    afr: float,
    mttr_hours: float,
    years: float | None = None,
    p_unreadable: float = 0.0,
    repair: Repair = CONVENTION,
) -> float:
    """The mean time to data loss, for comparison with tools that print it.

    It is no lifetime: a drive with an MTTDL of a million years is scrap after ten. Parameters as
    for `loss_probability`; `years` is taken and not needed.

    References
    ----------
    Chen et al. 1994, §4: mean absorption time by elimination without subtraction (W. K.
    Grassmann, M. I. Taksar, D. P. Heyman, "Regenerative analysis and steady state
    distributions for Markov chains", 1985).
    """
    if years is not None:
        POSITIVE.check("years", years)
    rates = chain(drives, parity, afr, mttr_hours, p_unreadable, repair)
    states = parity + 1
    onward = rates.copy()
    np.fill_diagonal(onward, 0.0)
    hours = np.ones(states)  # counted per hour spent there, eliminated states included
    # Eliminate the states from the last to the first; every operation adds or multiplies.
    for state in range(states - 1, 0, -1):
        leaving = onward[state, :state].sum() + onward[state, states:].sum()
        for other in range(state):
            share = onward[other, state] / leaving
            onward[other, :state] += share * onward[state, :state]
            onward[other, states:] += share * onward[state, states:]
            hours[other] += share * hours[state]
        np.fill_diagonal(onward[:states, :states], 0.0)
    return float(hours[0] / onward[0, states:].sum() / HOURS_PER_YEAR)


def mttdl_closed_form_years(
    drives: int, parity: int, *, afr: float, mttr_hours: float, repair: Repair = CONVENTION
) -> float:
    """The textbook's formula, as a check: right while N λ MTTR is small, and 10 % off beyond.

    References
    ----------
    Chen et al. 1994, §4: MTTDL = f μ^p / (Π (N - i) λ^(p+1)), with f = p! where repairs run in
    parallel and 1 where they don't.
    """
    chain(drives, parity, afr, mttr_hours, 0.0, repair)  # refuses what can't be
    failure = -np.log1p(-afr) / HOURS_PER_YEAR
    mend = 1.0 / mttr_hours
    paths = float(np.prod([drives - i for i in range(parity + 1)])) * failure ** (parity + 1)
    factor = float(np.prod(range(1, parity + 1))) if repair == "parallel" else 1.0
    return factor * mend**parity / paths / HOURS_PER_YEAR


def _plain(value: Any) -> Any:
    """A float where one number was asked for, the array where many were."""
    return float(value) if np.ndim(value) == 0 else value
