"""Work on several hosts at a time."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from homelab_lib.errors import HomelabError, Stopped
from homelab_lib.runbook.converge import Lane
from homelab_lib.runbook.work import Work


def side_by_side(
    lanes: Mapping[str, tuple[Lane, list[Work]]],
    act: Callable[[Lane, list[Work]], object],
    stop: threading.Event,
) -> None:
    """Do the same on every host, and say all that went wrong.

    Parameters
    ----------
    lanes
        The work, by host.
    act
        What to do.
    stop
        Set where one fails: the others finish the call they are at, and no more.
    """

    def one(lane: Lane, works: list[Work]) -> None:
        try:
            act(lane, works)
        except BaseException:
            stop.set()
            raise

    if len(lanes) == 1:
        one(*next(iter(lanes.values())))
        return
    with ThreadPoolExecutor(max(len(lanes), 1)) as pool:
        futures = [pool.submit(one, lane, works) for lane, works in lanes.values()]
        try:
            errors = [error for f in futures if (error := f.exception()) is not None]
        except BaseException:
            stop.set()
            raise
    if errors:
        raise _one_of(errors)


def _one_of(errors: list[BaseException]) -> BaseException:
    """The error that stopped the others; where there are several, it tells of all of them."""
    told = [error for error in errors if not isinstance(error, Stopped)] or errors[:1]
    first = next((error for error in told if not isinstance(error, HomelabError)), told[0])
    if isinstance(first, HomelabError) and len(told) > 1:
        also = [str(error) for error in told if error is not first]
        first.what = "\n  and: ".join([first.what, *also])
    return first
