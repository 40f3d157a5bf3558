"""What a cable between two ports comes up at, and why it does not.

References
----------
SFF-8419 and SFF-8665 for which plugs a cage takes. IEEE 802.3: clauses 40 (1000BASE-T), 55
(10GBASE-T; 55 m on category 6 by ISO/IEC TR 24750), 113 (25GBASE-T), 126 (2.5G and 5GBASE-T),
38 and 52 (1000BASE-SX and -LX, 10GBASE-SR and -LR), 110 and 92 (25G and 100G over copper), 112,
95 and 88 (25G and 100G over fibre); SFF-8431 for 10 Gb/s over twinaxial copper.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from homelab_lib.models.bounds import NOT_NEGATIVE, POSITIVE

CAGES = ("SFP", "SFP+", "SFP28", "QSFP+", "QSFP28")

_TAKES = {
    "SFP+": {"SFP", "SFP+"},
    "SFP28": {"SFP", "SFP+", "SFP28"},
    "QSFP28": {"QSFP+", "QSFP28"},
}
_PLUGS = {"RJ45": ("Cat5e", "Cat6", "Cat6A", "Cat8"), "LC": ("OM3", "OM4", "OS2")}
_MEDIUM_PLUG = {medium: plug for plug, media in _PLUGS.items() for medium in media}
_MEDIUM_PLUG |= {"WiFi": "WiFi", "USB-C": "USB-C"}
_PLUGGED_INTO_CAGES = ("DAC", "AOC")
MEDIA = (*_MEDIUM_PLUG, *_PLUGGED_INTO_CAGES)

_G = 10**9
REACH_M: Mapping[str, Mapping[float, float]] = {
    "Cat5e": {5 * _G: 100},
    "Cat6": {5 * _G: 100, 10 * _G: 55},
    "Cat6A": {10 * _G: 100},
    "Cat8": {10 * _G: 100, 40 * _G: 30},
    "OM3": {1 * _G: 550, 10 * _G: 300, 100 * _G: 70},
    "OM4": {1 * _G: 550, 10 * _G: 400, 100 * _G: 100},
    "OS2": {100 * _G: 10_000},
    "DAC": {10 * _G: 7, 100 * _G: 5},
    "AOC": {100 * _G: 100},
}
"""How far a medium carries up to which speed [bit/s to m]; WiFi and USB-C are not judged."""


@dataclass(frozen=True)
class Module:
    """A transceiver.

    Parameters
    ----------
    cage
        The cage it goes in.
    connector
        What it offers outside.
    speeds_bps
        Speeds on the line [bit/s].
    media
        Cables it drives; empty where that is not known.
    """

    cage: str
    connector: str
    speeds_bps: Collection[float]
    media: Collection[str] = ()


@dataclass(frozen=True)
class End:
    """A port at one end of a cable.

    Parameters
    ----------
    connector
        The jack or cage.
    speeds_bps
        Speeds it negotiates [bit/s].
    module
        What is in the cage.
    name
        What it is called in a reason.
    """

    connector: str
    speeds_bps: Collection[float]
    module: Module | None = None
    name: str = field(default="the port")

    @property
    def outside(self) -> str:
        """The jack that a cable meets."""
        return self.module.connector if self.module else self.connector

    @property
    def line_bps(self) -> set[float]:
        """Speeds on the line [bit/s]; a module adapts them to what its cage does, not beyond."""
        if self.module is None:
            return set(self.speeds_bps)
        return {s for s in self.module.speeds_bps if s <= max(self.speeds_bps)}


class LinkSpeed(NamedTuple):
    """What a cable comes up at.

    Parameters
    ----------
    speed_bps
        As negotiated [bit/s]; 0 where the link stays down.
    limited_by
        ``a``, ``b``, ``both``, or ``medium``: which one keeps it from more. ``fit``: it can't be
        plugged in, or the ends agree on nothing.
    reason
        Why it is down, or below what the better end could do; empty where it is neither.
    """

    speed_bps: float
    limited_by: str
    reason: str


def link_speed(
    a: End,
    b: End,
    medium: str,
    *,
    length_m: float | None = None,
    plugs: Sequence[str] | None = None,
    reach_m: Mapping[float, float] | None = None,
) -> LinkSpeed:
    """The speed that two ends and what lies between them agree on.

    Ends choose the highest speed that both know. They ask nothing of the cable but whether it
    carries a signal: what is given here is the highest common speed that the standard, or the
    maker, promises over that length.

    Parameters
    ----------
    a, b
        The two ports, with their modules.
    medium
        One of `MEDIA`.
    length_m
        Length [m]; without it the cable is short enough.
    plugs
        The cable's plugs, either way round; as is usual for the medium if not given.
    reach_m
        How far this very cable carries a speed [bit/s to m]; `REACH_M` if not given.

    Returns
    -------
    LinkSpeed
        Exact for what standards promise; a good short cable often does more.

    Raises
    ------
    ValueError
        An unknown medium, a negative length, a port without a speed, or not two plugs.

    References
    ----------
    IEEE 802.3, clause 28 (auto-negotiation: highest common speed), and those named above.
    """
    _check(a, b, medium, length_m, plugs)
    wrong = _misfit(a, b, medium, plugs)
    if wrong:
        return LinkSpeed(0.0, "fit", wrong)
    common = a.line_bps & b.line_bps
    if not common:
        said = " and ".join(f"{end.name} does {_speeds(end.line_bps)}" for end in (a, b))
        return LinkSpeed(0.0, "fit", f"{said}: they agree on no speed")
    reach = REACH_M.get(medium) if reach_m is None else reach_m
    carried = {s for s in common if not reach or _reaches(reach, s, length_m)}
    best = max(common)
    if not carried or max(carried) < best:
        over = f" over {length_m:g} m" if length_m is not None else ""
        reason = f"{medium} does not carry {_gbps(best)}{over}"
        return LinkSpeed(max(carried, default=0.0), "medium", reason)
    highest = {"a": max(a.line_bps), "b": max(b.line_bps)}
    if highest["a"] == highest["b"] == best:
        return LinkSpeed(best, "both", "")
    slow = min(highest, key=lambda side: highest[side])
    if highest[slow] > best:
        return LinkSpeed(best, "both", f"{_gbps(best)} is the highest speed that both ends know")
    end = a if slow == "a" else b
    return LinkSpeed(best, slow, f"{end.name} does at most {_gbps(best)}")


def _check(
    a: End, b: End, medium: str, length_m: float | None, plugs: Sequence[str] | None
) -> None:
    if medium not in MEDIA:
        raise ValueError(f"medium is {medium!r}; it has to be one of {', '.join(MEDIA)}")
    if length_m is not None:
        NOT_NEGATIVE.check("length_m", length_m)
    if plugs is not None and len(plugs) != 2:
        raise ValueError(f"plugs has {len(plugs)} entries; a cable has 2 ends")
    for end in (a, b):
        speeds = [*end.speeds_bps, *(end.module.speeds_bps if end.module else ())]
        if not end.speeds_bps:
            raise ValueError(f"speeds_bps of {end.name} is empty; a port has a speed")
        for speed in speeds:
            POSITIVE.check(f"speeds_bps of {end.name}", speed)


def _misfit(a: End, b: End, medium: str, plugs: Sequence[str] | None) -> str:
    """What does not fit, whichever way round the cable is laid; empty where it does."""
    if plugs is not None:
        sides = [{plug} for plug in plugs]
    elif medium in _PLUGGED_INTO_CAGES:
        sides = [set(CAGES)] * 2
    else:
        sides = [{_MEDIUM_PLUG[medium]}] * 2
    ways: list[list[str]] = []
    for first, second in (sides, sides[::-1]):
        said = [_end_misfit(a, first, medium), _end_misfit(b, second, medium)]
        ways.append([each for each in said if each])
    fewest: list[str] = min(ways, key=len)
    return "; ".join(fewest)


def _end_misfit(end: End, plugs: set[str], medium: str) -> str:
    if end.module is not None:
        if end.module.cage not in _TAKES.get(end.connector, {end.connector}):
            return f"a {end.module.cage} module does not go into the {end.connector} of {end.name}"
        if end.module.media and medium not in end.module.media:
            return f"the module in {end.name} does not drive {medium}"
    if not plugs & _TAKES.get(end.outside, {end.outside}):
        wanted = " or ".join(sorted(plugs))
        return f"{end.name} is {end.outside}, the plug of a {medium} cable is {wanted}"
    return ""


def _reaches(reach: Mapping[float, float], speed_bps: float, length_m: float | None) -> bool:
    """Whether a speed is carried: what reaches at a higher one does at a lower."""
    longest = max((far for top, far in reach.items() if top >= speed_bps), default=None)
    return longest is not None and (length_m is None or length_m <= longest)


def _gbps(speed_bps: float) -> str:
    return f"{speed_bps / 1e9:g} Gb/s"


def _speeds(speeds_bps: Collection[float]) -> str:
    return " or ".join(map(_gbps, sorted(speeds_bps))) or "nothing its cage can follow"
