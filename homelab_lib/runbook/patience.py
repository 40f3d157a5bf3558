"""Asks again where a host says "not yet", until the time for that is up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from homelab_lib.errors import (
    AuthenticationRefused,
    HomelabError,
    NotListening,
    NotYet,
    Stopped,
    TooSlow,
    Unreachable,
)
from homelab_lib.runbook import busy
from homelab_lib.runbook.clock import Clock
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Result

PATIENCE_S = 300.0
"""How long a host is given where no resource says how long [s]."""
BOOT_S = 600.0
"""How long a machine may take to come up [s]; one with much memory tests it for minutes."""
SERVICE_S = 60.0
"""How long a service of a machine that is up may take to be started anew [s]."""

PAUSE_S = (0.2, 5.0)  # the first look comes soon, later ones at leisure
GROWTH = 1.6  # how much longer each pause is than the one before


def pauses() -> Iterator[float]:
    """How long to wait before each next look [s]."""
    pause = PAUSE_S[0]
    while True:
        yield pause
        pause = min(pause * GROWTH, PAUSE_S[1])


@dataclass(frozen=True)
class _Term:
    """Until when is waited [s on the target's clock], and whether for a lost host, too."""

    until: float
    lost: bool


_TERM: ContextVar[_Term | None] = ContextVar("term", default=None)
"""Hosts are worked on side by side, each by a thread with a term of its own."""


class Patience:
    """How long is waited for what is not yet: one for all hosts of a run.

    Parameters
    ----------
    clock
        The target's: waiting costs nothing where time is simulated.
    stop
        Set when work is to be broken off.
    note
        Told (host, text) while it waits.
    """

    def __init__(
        self,
        clock: Clock,
        stop: threading.Event,
        note: Callable[[str, str], None] = lambda host, text: None,
    ) -> None:
        self.clock = clock
        self.stop = stop
        self.note = note
        self._booting: dict[str, float] = {}
        self._back: set[str] = set()
        self._fresh: dict[str, float] = {}  # until when one that has come up may be slow
        self._spent: set[tuple[str, str]] = set()  # waited for once, and in vain

    @contextmanager
    def until(self, deadline: float, *, lost: bool = False) -> Iterator[None]:
        """Within this block, wait until `deadline` and no longer.

        Parameters
        ----------
        deadline
            On the target's clock [s].
        lost
            Whether a host that does not answer is waited for as well.
        """
        token = _TERM.set(_Term(deadline, lost))
        try:
            yield
        finally:
            _TERM.reset(token)

    def expect(self, machine: str) -> None:
        """A machine was started on our account: that it does not answer for a while is no error."""
        self._booting[machine] = self.clock.now() + BOOT_S

    def ask(
        self,
        host: str,
        call: Call,
        send: Callable[[], Result],
        lost: Callable[[], None] = lambda: None,
    ) -> Result:
        """Send a call that only reads, again and again while the answer means "not yet".

        Parameters
        ----------
        host, call
            Whom, and what.
        send
            Sends it.
        lost
            Told when the host did not answer: it may have been restarted.

        Raises
        ------
        NotYet
            It went on meaning that until the time was up; with the last answer.
        Unreachable
            Nobody answers, or not any more when the time was up.
        TooSlow
            It took too long, and not because the machine has just come up.
        """
        begun, pause = self.clock.now(), pauses()
        gone = False
        over: HomelabError
        while True:
            asked, limit = self.clock.now(), self._limit(host, begun)
            try:
                result = send()
            except Unreachable as error:
                waits, there = self._waits_for_lost(host), isinstance(error, NotListening)
                if not (waits or there):
                    raise
                if not there:
                    gone = True
                    lost()
                elif not waits:
                    limit = min(limit, begun + SERVICE_S)
                waited_s = self.clock.now() - begun
                text = f"{error.what}, and did not for {waited_s:.0f} s"
                over = Unreachable(text, where=error.where, fix=error.fix)
                means, said = "it does not answer yet", error.what
            except TooSlow as error:
                limit = max(self._booting.get(host, 0.0), self._fresh.get(host, 0.0))
                if asked >= limit:
                    raise
                over, means, said = error, "it has just come up and is slow", error.what
            except AuthenticationRefused as error:
                refusal = busy.refused_for_now(error)
                if refusal is None:
                    raise
                means, said = refusal.means, busy.line(error.what)
                over = self._not_yet(host, call, means, said, begun)
            else:
                answer = busy.meaning(call, result)
                if answer is None:
                    self._answered(host, gone)
                    return result
                means, said = answer.means, busy.told(call, result)
                over = self._not_yet(host, call, means, said, begun)
            # An answer that took its time may be older than the limit: then it is not the last.
            if asked >= limit or (host, means) in self._spent:
                self._spent.add((host, means))
                raise over
            if self.stop.is_set():
                raise Stopped("stopped while waiting for an answer", where=host)
            self.note(host, f"{means}: {said}")
            self.clock.sleep(next(pause))

    def looks(self, for_s: float) -> Iterator[None]:
        """Give looks for so long: the first at once, the next after pauses that grow, the last when
        the time is up.

        Parameters
        ----------
        for_s
            On the target's clock [s].
        """
        until = self.clock.now() + for_s
        yield
        for pause in pauses():
            left_s = until - self.clock.now()
            if left_s <= 0.0:
                return
            self.clock.sleep(min(pause, left_s))
            yield

    def came_back(self) -> list[str]:
        """The machines that have come up since this was asked last: those that were expected, and
        those that did not answer for a while."""
        found, self._back = sorted(self._back), set()
        return found

    def renew(self) -> None:
        """Somebody tries again: what was waited for in vain may be waited for once more."""
        self._spent.clear()

    def _waits_for_lost(self, host: str) -> bool:
        term = _TERM.get()
        return host in self._booting or (term is not None and term.lost)

    def _limit(self, host: str, begun: float) -> float:
        term = _TERM.get()
        limit = term.until if term is not None else begun + PATIENCE_S
        return max(limit, self._booting.get(host, limit))

    def _answered(self, host: str, gone: bool) -> None:
        if self._booting.pop(host, None) is not None or gone:
            self._back.add(host)
            self._fresh[host] = self.clock.now() + PATIENCE_S
        if self._spent:
            self._spent = {each for each in self._spent if each[0] != host}

    def _not_yet(self, host: str, call: Call, means: str, said: str, begun: float) -> NotYet:
        waited_s = self.clock.now() - begun
        return NotYet(
            f"{host}: {means}, after {waited_s:.0f} s still: {said or 'it says nothing'}",
            where=f"{host}: {call.line}",
            fix="see why that lasts, then run the same command again; it goes on from here",
        )
