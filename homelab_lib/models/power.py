"""Watts: what a machine draws, which supply it takes, how long a UPS lasts, what a year costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from homelab_lib.models.bounds import NOT_NEGATIVE, POSITIVE, SHARE, Span, holds, takes

HOURS_PER_YEAR = 8760.0
Chemistry = Literal["lead", "lithium"]
_LEAD_SHARE, _LEAD_EXPONENT, _LEAD_MOST = 0.25, 0.7, 0.65
_LEAD_RATE = 4.0  # [1/h] at which it gives that share: all of its label in a quarter of an hour
_LITHIUM_SHARE = 0.9
_EXCURSION = Span("goes from 1 to 4", low=1.0, high=4.0)


@dataclass(frozen=True)
@holds(idle_w=NOT_NEGATIVE, load_w=NOT_NEGATIVE, peak_w=NOT_NEGATIVE)
class Draw:
    """What one part takes.

    Parameters
    ----------
    name
        The part.
    idle_w, load_w
        Idle, and at sustained full load [W].
    peak_w
        For milliseconds, or at spin-up [W].
    """

    name: str
    idle_w: float
    load_w: float
    peak_w: float


@dataclass(frozen=True)
class Budget:
    """What a machine takes together, at the supply's output [W]."""

    idle_w: float
    load_w: float
    peak_w: float


def budget(draws: Sequence[Draw]) -> Budget:
    """All parts together; the peak is the worst single one on top of everybody's load.

    Peaks of milliseconds don't coincide by chance; spin-up of several disks does, so give such
    disks as one draw.

    References
    ----------
    Intel, "ATX12VO / ATX 3.0 Multi Rail Desktop Platform Power Supply Design Guide", rev. 2.0
    (2022), §3.1.3: excursions are short and per device.
    """
    load = sum(draw.load_w for draw in draws)
    over = max((draw.peak_w - draw.load_w for draw in draws), default=0.0)
    return Budget(sum(draw.idle_w for draw in draws), load, load + max(over, 0.0))


@takes(board_w=NOT_NEGATIVE, excursion=_EXCURSION)
def gpu_peak_w(board_w: float, *, excursion: float = 2.0) -> float:
    """What a graphics card may take for a hundred microseconds [W].

    Parameters
    ----------
    board_w
        Board power [W].
    excursion
        How far above it; ATX 3.0 has supplies bear twice for 100 µs.

    References
    ----------
    ATX 3.0 design guide, rev. 2.0, table 3-4.
    """
    return board_w * excursion


@takes(load_share=SHARE, excursion=_EXCURSION)
def supply_w(needs: Budget, *, load_share: float = 0.8, excursion: float = 2.0) -> float:
    """The least rating of a supply that bears this machine [W].

    Parameters
    ----------
    needs
        What the machine takes.
    load_share
        How far it may be loaded all the time.
    excursion
        What it bears for an instant, over its rating: 2.0 for ATX 3.x, about 1.3 before.
    """
    return max(needs.load_w / load_share, needs.peak_w / excursion)


@takes(output_w=NOT_NEGATIVE, efficiency=SHARE)
def wall_w(output_w: float, *, efficiency: float = 0.9) -> float:
    """What comes out of the wall for what the supply gives [W].

    Parameters
    ----------
    output_w
        The supply's output [W].
    efficiency
        80 PLUS Gold: 0.87 to 0.90 from 20 to 100 % load.

    References
    ----------
    80 PLUS certification levels (CLEAResult), 115 V internal.
    """
    return output_w / efficiency


@takes(rate_per_h=POSITIVE)
def battery_share(rate_per_h: float, *, chemistry: Chemistry = "lead") -> float:
    """Which part of its battery's nominal energy a UPS gets out before it has to stop.

    Parameters
    ----------
    rate_per_h
        The load over what the batteries hold by their labels [W/Wh]: 4 for 864 W on 216 Wh.
    chemistry
        ``lead`` is rated for twenty hours, and gives little of it in minutes; ``lithium`` hardly
        cares.

    Returns
    -------
    float
        A share: of lead about a quarter to a third at full load, two fifths to a half at half, two
        thirds at most.

    References
    ----------
    W. Peukert, "Über die Abhängigkeit der Kapazität von der Entladestromstärke bei
    Bleiakkumulatoren", ETZ 20, 1897, for the power law: it is the current for each ampere-hour that
    counts, not the share of the inverter's rating. Its two numbers are fitted to what is published
    for UPSes of 865 to 1,980 W on two and four blocks of 9 and 17 Ah, from 3 min at full load to
    24 min at half (tests/models/PUBLISHED.md).
    """
    if chemistry == "lithium":
        return _LITHIUM_SHARE
    return min(_LEAD_SHARE * (rate_per_h / _LEAD_RATE) ** -_LEAD_EXPONENT, _LEAD_MOST)


@takes(load_w=POSITIVE, rated_w=POSITIVE, energy_wh=POSITIVE, efficiency=SHARE)
def ups_runtime_s(
    load_w: float,
    *,
    rated_w: float,
    energy_wh: float,
    chemistry: Chemistry = "lead",
    efficiency: float = 0.85,
) -> float:
    """How long a new UPS carries a load [s]; an old battery has half of it left.

    Parameters
    ----------
    load_w
        At its sockets [W].
    rated_w
        What it can give [W].
    energy_wh
        What its batteries hold by their labels [Wh].
    chemistry
        As for `battery_share`.
    efficiency
        The inverter's.

    Raises
    ------
    ValueError
        The load is above its rating: it switches off at once.

    References
    ----------
    Energy over power; see `battery_share`.
    """
    if load_w > rated_w:
        raise ValueError(f"load_w is {load_w}; a UPS of {rated_w} W switches off above that")
    share = battery_share(load_w / energy_wh, chemistry=chemistry)
    return energy_wh * share * efficiency / load_w * 3600.0


@takes(average_w=NOT_NEGATIVE)
def yearly_kwh(average_w: float) -> float:
    """Energy of a year of this power at the wall [kWh]."""
    return average_w * HOURS_PER_YEAR / 1000.0


@takes(average_w=NOT_NEGATIVE, price_per_kwh=NOT_NEGATIVE)
def yearly_cost(average_w: float, price_per_kwh: float) -> float:
    """What a year of this power costs, in the price's currency."""
    return yearly_kwh(average_w) * price_per_kwh


@takes(load_w=NOT_NEGATIVE, breaker_a=POSITIVE, voltage_v=POSITIVE, continuous=SHARE)
def circuit_headroom_w(
    load_w: float, *, breaker_a: float, voltage_v: float, continuous: float = 0.8
) -> float:
    """What a circuit has left; negative where it is too much for it [W].

    Parameters
    ----------
    load_w
        All that hangs on the circuit [W].
    breaker_a
        The breaker's rating [A].
    voltage_v
        The mains voltage [V].
    continuous
        Share of the rating for a load of three hours and more.

    References
    ----------
    NFPA 70 (NEC) 2023, 210.20(A); elsewhere the share is custom, not law.
    """
    return breaker_a * voltage_v * continuous - load_w
