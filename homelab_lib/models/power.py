"""Watts: what a machine draws, which supply it takes, how long a UPS lasts, what a year costs."""

from collections.abc import Sequence
from dataclasses import dataclass

HOURS_PER_YEAR = 8760.0


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} is {value}; it can't be negative")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} is {value}; it has to be above 0")


@dataclass(frozen=True)
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
    _not_negative(board_w=board_w)
    return board_w * excursion


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
    _positive(load_share=load_share, excursion=excursion)
    return max(needs.load_w / load_share, needs.peak_w / excursion)


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
    if not 0 < efficiency <= 1:
        raise ValueError(f"efficiency is {efficiency}; it goes from above 0 to 1")
    _not_negative(output_w=output_w)
    return output_w / efficiency


def ups_runtime_s(
    load_w: float, capacity_wh: float, *, efficiency: float = 0.85, usable: float = 0.8
) -> float:
    """How long a UPS carries a load [s].

    Parameters
    ----------
    load_w
        At its sockets [W].
    capacity_wh
        The battery's nominal energy [Wh].
    efficiency
        The inverter's.
    usable
        What lead gives of its nominal energy in minutes rather than in twenty hours; 0.95 for
        lithium.

    References
    ----------
    Energy over power; W. Peukert 1897 for why a share of lead's nominal energy is not there.
    """
    _positive(load_w=load_w, capacity_wh=capacity_wh, efficiency=efficiency, usable=usable)
    return capacity_wh * usable * efficiency / load_w * 3600.0


def yearly_kwh(average_w: float) -> float:
    """Energy of a year of this power at the wall [kWh]."""
    _not_negative(average_w=average_w)
    return average_w * HOURS_PER_YEAR / 1000.0


def yearly_cost(average_w: float, price_per_kwh: float) -> float:
    """What a year of this power costs, in the price's currency."""
    _not_negative(price_per_kwh=price_per_kwh)
    return yearly_kwh(average_w) * price_per_kwh


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
    _positive(breaker_a=breaker_a, voltage_v=voltage_v, continuous=continuous)
    return breaker_a * voltage_v * continuous - load_w
