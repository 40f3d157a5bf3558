"""Jobs of the middleware: work that goes on after the call returned.

Source: TrueNAS 25.10, `core.get_jobs`. A job method is a generator here: it yields its progress,
and what it returns is the job's result.
"""

import itertools
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.truenas.errors import ApiError, CallError, OwnFault, ValidationErrors

_LOG = logging.getLogger(__name__)
ENDED = ("SUCCESS", "FAILED", "ABORTED")


@dataclass(frozen=True)
class Progress:
    """What a job says of itself before it works on for `takes_s` seconds."""

    takes_s: float
    percent: float
    description: str


Work = Generator[Progress, None, Any]


@dataclass
class Job:
    """One job."""

    id: int
    method: str
    arguments: list[Any]
    work: Work
    lock: str | None
    state: str = "WAITING"
    progress: dict[str, Any] = field(
        default_factory=lambda: {"percent": None, "description": None, "extra": None}
    )
    result: Any = None
    failure: Exception | None = None
    started_s: float | None = None
    finished_s: float | None = None

    @property
    def error(self) -> str | None:
        """The failure's text."""
        return str(self.failure) if self.failure else None

    def row(self) -> dict[str, Any]:
        """As `core.get_jobs` shows it."""
        return {
            "id": self.id,
            "message_ids": [],
            "method": self.method,
            "arguments": self.arguments,
            "transient": False,
            "description": None,
            "abortable": False,
            "logs_path": None,
            "logs_excerpt": None,
            "progress": self.progress,
            "result": self.result,
            "result_encoding_error": None,
            "error": self.error,
            "exception": traceback(self.failure) if self.failure else None,
            "exc_info": _exc_info(self.failure) if self.failure else None,
            "state": self.state,
            "time_started": date(self.started_s),
            "time_finished": date(self.finished_s),
            "credentials": {"type": "UNIX_SOCKET", "data": {"username": "root"}},
        }


def date(seconds: float | None) -> dict[str, int] | None:
    """A moment as EJSON has it: milliseconds since 1970."""
    return None if seconds is None else {"$date": int(seconds * 1000)}


def traceback(failure: Exception) -> str:
    """What the middleware keeps of an exception."""
    kind = type(failure).__name__
    module = "middlewared.service_exception." if isinstance(failure, ApiError) else ""
    return f"Traceback (most recent call last):\n{module}{kind}: {failure}\n"


def _exc_info(failure: Exception) -> dict[str, Any]:
    if isinstance(failure, ValidationErrors):
        extra = [list(error) for error in failure.errors]
        return {"repr": repr(failure), "type": "VALIDATION", "errno": None, "extra": extra}
    code = failure.code if isinstance(failure, CallError) else None
    return {"repr": repr(failure), "type": type(failure).__name__, "errno": code, "extra": None}


class Jobs:
    """All jobs since the middleware was started.

    Parameters
    ----------
    now
        The time [s since 1970].
    after
        Runs an action so many seconds later.
    """

    def __init__(
        self, now: Callable[[], float], after: Callable[[float, Callable[[], None]], object]
    ) -> None:
        self._now = now
        self._after = after
        self._numbers = itertools.count(1)
        self.all: dict[int, Job] = {}

    def start(self, method: str, arguments: list[Any], work: Work, lock: str | None = None) -> Job:
        """A new job: it runs at once, or waits for the one that holds its lock."""
        job = Job(next(self._numbers), method, arguments, work, lock)
        self.all[job.id] = job
        self._run_if_free(job)
        return job

    def run_through(self, job: Job) -> float:
        """Let `job` do all its work at once, and say how long it would have taken [s]."""
        took_s = 0.0
        while job.state not in ENDED:
            took_s += self._step(job)
        return took_s

    def abort_all(self) -> None:
        """The middleware is gone, and with it every job that had not ended."""
        for job in self.all.values():
            if job.state not in ENDED:
                self._end(job, "ABORTED")
        self.all.clear()

    def _holder(self, lock: str) -> Job | None:
        running = (job for job in self.all.values() if job.state == "RUNNING")
        return next((job for job in running if job.lock == lock), None)

    def _run_if_free(self, job: Job) -> None:
        if job.lock is None or self._holder(job.lock) is None:
            job.state, job.started_s = "RUNNING", self._now()
            self._advance(job)

    def _advance(self, job: Job) -> None:
        if job.state == "RUNNING":
            pause_s = self._step(job)
            if job.state == "RUNNING":
                self._after(pause_s, lambda: self._advance(job))

    def _step(self, job: Job) -> float:
        """On to its next pause; says how long that is [s]."""
        try:
            progress = next(job.work)
        except StopIteration as end:
            job.result = end.value
            self._end(job, "SUCCESS")
        except ApiError as failure:
            job.failure = failure
            self._end(job, "FAILED")
        except Exception as failure:  # nobody may wait for a job that never ends
            _LOG.exception("twin: fault in job %s", job.method)
            job.failure = OwnFault(job.method, failure)
            self._end(job, "FAILED")
        else:
            job.progress = {
                "percent": progress.percent,
                "description": progress.description,
                "extra": None,
            }
            return progress.takes_s
        return 0.0

    def _end(self, job: Job, state: str) -> None:
        job.state, job.finished_s = state, self._now()
        if state == "SUCCESS":
            job.progress = {"percent": 100, "description": "", "extra": None}
        waiting = [one for one in self.all.values() if one.state == "WAITING"]
        for other in waiting:
            if other.lock == job.lock and state != "ABORTED":
                self._run_if_free(other)
