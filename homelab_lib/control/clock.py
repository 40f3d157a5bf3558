"""What time it is on a host, and what is new by it."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from homelab_lib import answers
from homelab_lib.answers import whole
from homelab_lib.runbook.resource import Host

_DATE = ("date", "+%s")
_AHEAD_S = 300.0  # two machines' clocks; what is dated later than that was dated by a wrong one
_Dated = TypeVar("_Dated")


def clock_s(host: Host) -> float:
    """What a host's clock says [s since 1970].

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    said = host.read(*_DATE).stdout.strip()
    return float(answers.expected(said, whole, host=host.name, line=" ".join(_DATE)))


def is_new(age_s: float | None, within_s: float) -> bool:
    """Whether something is there and not older than was promised. What is dated in the future says
    nothing of its age: a clock was wrong when it was made, or is now.

    Parameters
    ----------
    age_s
        How old it is [s]; None where there is none.
    within_s
        How old it may be [s].
    """
    return age_s is not None and -_AHEAD_S <= age_s <= within_s


def newest_of(
    things: Iterable[_Dated], made_s: Callable[[_Dated], float], now_s: float
) -> _Dated | None:
    """The newest of what is dated; what is dated in the future only where there is nothing else.

    Parameters
    ----------
    things, made_s
        Any number of them, and when each was made [s since 1970].
    now_s
        What time it is [s since 1970].
    """
    return max(
        things, key=lambda each: (made_s(each) <= now_s + _AHEAD_S, made_s(each)), default=None
    )
