"""What a run is at just now: live in a notebook and on a terminal, a line each in a log.

A kernel has no terminal. There the news go into one display, which the step's card replaces; who
runs the notebook takes them out of that display by `MIME` and has a `Screen` show them.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from html import escape
from typing import Any, TextIO

from homelab_lib.printable import printable
from homelab_lib.units import format_seconds

MIME = "application/vnd.homelab.progress+json"
_LONG_S = 5.0  # what took longer has its time told in a log


class Screen:
    """Shows news on a stream: on a terminal in one line that is written anew, else a line each.

    Parameters
    ----------
    stream
        Where to.
    clock
        Gives seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._rewrites = stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self._lock = threading.Lock()
        self._now: dict[str, tuple[str, float]] = {}  # by host: what it is at, and since when
        self._latest = ""
        self._ended = threading.Event()
        if self._rewrites:
            threading.Thread(target=self._tick, daemon=True).start()

    def show(self, news: dict[str, str]) -> None:
        """One of `StepNews`."""
        if "done" in news:
            self.done(news["done"])
        elif news:
            self.news(news["step"], news["host"], news["text"])

    def news(self, step: str, host: str, text: str) -> None:
        """A host is at something else now; an empty `text`: at nothing any more."""
        with self._lock:
            since = self._clock()
            before, begun = self._now.get(host, ("", since))
            line = printable(
                f"{step}: {host}: {text}" if host else f"{step}: {text}", one_line=True
            )
            if before == line:
                return
            took_s = since - begun
            if before and took_s >= _LONG_S and not self._rewrites:
                self._print(f"{before}: took {format_seconds(took_s)}")
            if not text:
                self._now.pop(host, None)
                return
            self._now[host], self._latest = (line, since), host
            if self._rewrites:
                self._paint()
            else:
                self._print(line)

    def done(self, text: str) -> None:
        """A step has come to its end: a line that stays."""
        with self._lock:
            self._now.clear()
            self._print(printable(text, one_line=True))

    def close(self) -> None:
        """Leave nothing behind of what is written anew."""
        self._ended.set()
        with self._lock:
            self._now.clear()
            if self._rewrites:
                self._write("\r\x1b[K")

    def _tick(self) -> None:
        while not self._ended.wait(1.0):
            with self._lock:
                self._paint()

    def _paint(self) -> None:
        if self._latest not in self._now or self._ended.is_set():
            return
        line, since = self._now[self._latest]
        took = f" · {format_seconds(int(self._clock() - since))}".replace(".0 s", " s")
        others = len(self._now) - 1
        also = f" (+{others} hosts)" if others > 0 else ""
        room = max(self._width() - 1 - len(took) - len(also), 8)
        shown = line if len(line) <= room else f"{line[: room - 1]}…"
        self._write(f"\r{shown}{also}{took}\x1b[K")

    def _print(self, line: str) -> None:
        self._write(f"\r\x1b[K{line}\n" if self._rewrites else f"{line}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # who looked on has gone; the work goes on
            self._ended.set()

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80


class StepNews:
    """News of one step, for whoever looks on; within those of another one, in the same place.

    Parameters
    ----------
    step
        The step's name, or what else is being done: ``plan``.
    """

    def __init__(self, step: str) -> None:
        self._step = step
        self._outer: StepNews | None = None
        self._screen: Screen | None = None
        self._handle: Any = None

    def __call__(self, step: str, host: str, text: str) -> None:
        """The engine's `progress`: `step` is empty for news of work that is going on."""
        self._tell({"step": self._step, "host": host, "text": text})

    def note(self, host: str, text: str) -> None:
        """News of no step."""
        self("", host, text)

    def done(self, line: str) -> None:
        """The step has come to its end: the line that says how."""
        self._tell({"done": line})

    @property
    def place(self) -> Any:
        """The display in which its card replaces the news; None where there was none."""
        return self._handle

    def __enter__(self) -> "StepNews":
        self._outer = _OUTER.get()
        if self._outer is None:
            _OUTER.set(self)
            self._screen = None if _in_kernel() else Screen(sys.stderr)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._outer is None:
            _OUTER.set(None)
            if self._screen is not None:
                self._screen.close()
            elif self._handle is not None:
                self._handle.update({"text/plain": "", MIME: {}}, raw=True)

    def _tell(self, news: dict[str, str]) -> None:
        if self._outer is not None:
            self._outer._tell(news)
        elif self._screen is not None:
            self._screen.show(news)
        else:
            self._publish(news)

    def _publish(self, news: dict[str, str]) -> None:
        from IPython.display import display

        line = printable(": ".join(filter(None, news.values())), one_line=True)
        bundle = {"text/plain": line, "text/html": f"<small>{escape(line)}</small>", MIME: news}
        with _LOCK:  # hosts are worked on side by side
            if self._handle is None:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)


_OUTER: ContextVar[StepNews | None] = ContextVar("outer", default=None)
_LOCK = threading.Lock()


def _in_kernel() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
