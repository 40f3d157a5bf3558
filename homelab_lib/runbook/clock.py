"""The time that a target lives in."""

import time
from typing import Protocol


class Clock(Protocol):
    """The target's clock: the wall's for real hosts, a simulated one for a twin."""

    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The time that real hosts live in."""

    def now(self) -> float:
        # They go on while this computer sleeps, which Linux's monotonic clock leaves out.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
