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
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
