"""The twin's time: simulated, so that hours pass in a moment, or scaled from the wall's.

A clock keeps what is due. It runs it when its time comes, in order, under the world's lock.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol

EPOCH_S = 1_790_000_000.0
"""When every twin begins [s since 1970]: what it prints must not depend on the day."""


class Clock(Protocol):
    """What the world needs of a clock."""

    lock: threading.RLock

    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def after(self, delay_s: float, action: Callable[[], object]) -> None: ...
    def catch_up(self) -> None: ...


class _Agenda:
    """What is due when. `lock` guards it and the world behind it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        raise NotImplementedError

    def after(self, delay_s: float, action: Callable[[], object]) -> None:
        """Run `action` so many seconds from now."""
        with self.lock:
            heapq.heappush(self._due, (self.now() + delay_s, next(self._order), action))

    def _next_until(self, until: float) -> tuple[float, Callable[[], object]] | None:
        if self._due and self._due[0][0] <= until:
            when, _, action = heapq.heappop(self._due)
            return when, action
        return None


class SimulatedClock(_Agenda):
    """Time that passes only when somebody waits, and then at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now = EPOCH_S

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass, and let everything happen that falls due meanwhile."""
        with self.lock:
            until = self._now + max(seconds, 0.0)
            while (found := self._next_until(until)) is not None:
                self._now = max(self._now, found[0])
                found[1]()
            self._now = max(self._now, until)

    def catch_up(self) -> None:
        """Do what is due now."""
        self.sleep(0.0)


class ScaledClock(_Agenda):
    """The wall's time, `speed` simulated seconds to each of its seconds."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed
        self._begun = time.monotonic()
        self._running: float | None = None  # the moment an action thinks it is

    def now(self) -> float:
        if self._running is not None:
            return self._running
        return EPOCH_S + (time.monotonic() - self._begun) * self._speed

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(seconds, 0.0) / self._speed)
        self.catch_up()

    def catch_up(self) -> None:
        """Do what has fallen due since somebody last looked."""
        with self.lock:
            if self._running is not None:
                return
            try:
                while (found := self._next_until(self._wall())) is not None:
                    self._running = found[0]
                    found[1]()
            finally:
                self._running = None

    def _wall(self) -> float:
        return EPOCH_S + (time.monotonic() - self._begun) * self._speed
