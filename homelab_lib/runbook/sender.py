"""The only thing in this project that sends a change.

It keeps the promises that concern one command: nothing is destroyed unnamed, nothing is sent
that the plan did not foretell, the intent is on the disk first, and a lost reply is *unknown*.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from homelab_lib.errors import OutcomeUnknown, PlanDiffers, Refused, StepFailed, Unreachable
from homelab_lib.runbook import detached
from homelab_lib.runbook.host import Link, ReadingHost, failed
from homelab_lib.runbook.journal import Journal, intents
from homelab_lib.runbook.outcome import SentChange
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.resource import Change, Resource
from homelab_lib.runbook.step import Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import Result

PAUSE_S = (0.2, 5.0)  # the first look comes soon, later ones at leisure
PATIENCE = 1.6  # how much longer each pause is than the one before


class Clock(Protocol):
    """The target's clock: the wall's for real hosts, a simulated one for a twin."""

    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class Stopped(StepFailed):
    """Work on this host was broken off because another host's failed or the person said stop."""


@dataclass
class Sender:
    """Sends changes to hosts and keeps the journal of it.

    Parameters
    ----------
    link, clock, journal, mask
        What carries commands, the target's clock, where events go, what is blotted out of them.
    plan
        What was foretold; every change is held against it. None: this is the rehearsal itself.
    allow_destroy
        Names of what may be destroyed.
    history
        Intents of earlier runs on this lab, with their outcomes.
    progress
        Told (step, host, text) as work goes on.
    """

    link: Link
    clock: Clock
    journal: Journal
    mask: Mask
    plan: Plan | None = None
    allow_destroy: frozenset[str] = frozenset()
    history: Sequence[dict[str, Any]] = ()
    progress: Callable[[str, str, str], None] = lambda step, host, text: None
    sent: list[PlannedChange] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = self.clock.now()
        self._foretold: dict[tuple[str, str], deque[PlannedChange]] = {}
        for change in self.plan.changes if self.plan else ():
            self._foretold.setdefault((change.step, change.host), deque()).append(change)

    @property
    def elapsed_s(self) -> float:
        """Since the run's begin, on the target's clock [s]."""
        return self.clock.now() - self._begun

    def send(self, step: str, resource: Resource, change: Change, host: ReadingHost) -> SentChange:
        """Send one change, once, and say what came of it.

        Returns
        -------
        SentChange
            ``done``; or ``unknown`` where the reply was lost, and only a look can tell.

        Raises
        ------
        StepFailed
            The host refused it or it ended badly.
        Refused, PlanDiffers
            It was not sent: it would break a promise.
        """
        if self.stop.is_set():
            raise Stopped("stopped before the next change", where=f"{resource.host}:{step}")
        self._may_destroy(step, resource, change)
        self._holds_no_secret(step, resource, change)
        planned = PlannedChange.of(step, resource.name, resource.host, change, self.mask)
        self._as_foretold(planned)
        if isinstance(change.command.stdin, Secret):
            self.mask.learn([change.command.stdin.reveal()])
        resume = self._last_outcome(planned) == "unknown"
        sent = SentChange(planned.summary, planned.command, start_s=self.elapsed_s)
        intent = self.journal.append("intent", **vars(planned), t=sent.start_s)
        self.progress(step, resource.host, change.summary)
        try:
            answer = self._deliver(change, host, resume)
        except OutcomeUnknown as error:
            return self._conclude(intent, sent, "unknown", why=str(error))
        except BaseException as error:
            # An interrupt may have hit before or after the host got the command.
            never_sent = isinstance(error, Unreachable | Refused)
            ended = never_sent or isinstance(error, StepFailed)
            why = f"{type(error).__name__}: {error}"
            self._conclude(intent, sent, "failed" if ended else "unknown", why=why)
            raise
        with self._lock:
            self.sent.append(planned)
        printed = {"stdout": answer.stdout[-4000:], "stderr": answer.stderr[-4000:]}
        self._conclude(
            intent,
            sent,
            "done" if answer.ok else "failed",
            exit_status=answer.exit_status,
            **({} if change.command.secret_output else printed),
        )
        if not answer.ok:
            raise failed(resource.host, change.command, answer, self.mask)
        return sent

    def _deliver(self, change: Change, host: ReadingHost, resume: bool) -> Result:
        if change.detached:
            answer = detached.run(
                self.link,
                host.name,
                change.command,
                sleep=self.clock.sleep,
                now=self.clock.now,
                resume=resume,
                note=lambda text: self.progress("", host.name, text),
            )
        else:
            answer = self.link.run(host.name, change.command)
        if answer.ok and change.follow is not None:
            self._follow(change, host, answer)
        return answer

    def _follow(self, change: Change, host: ReadingHost, answer: Result) -> None:
        """Ask after work that the appliance goes on with, until it is done."""
        assert change.follow is not None
        until, pause = self.clock.now() + change.command.timeout_s, PAUSE_S[0]
        while not (progress := change.follow(host, answer)).done:
            if self.clock.now() >= until:
                raise OutcomeUnknown(
                    f"still at it after {change.command.timeout_s:.0f} s: {progress.note}",
                    where=host.name,
                )
            self.progress("", host.name, progress.note)
            self.clock.sleep(pause)
            pause = min(pause * PATIENCE, PAUSE_S[1])
        if progress.error:
            raise StepFailed(
                f"{host.name}: {self.mask(progress.error)}\n    {self.mask(change.command.line)}",
                where=host.name,
                fix="mend what it complains of, then run the same command line again",
            )

    def _conclude(self, intent: int, sent: SentChange, outcome: str, **details: Any) -> SentChange:
        sent.outcome, sent.end_s = outcome, self.elapsed_s
        self.journal.append("result", intent=intent, outcome=outcome, t=sent.end_s, **details)
        return sent

    # --------------------------------------------------------------- promises

    def _may_destroy(self, step: str, resource: Resource, change: Change) -> None:
        missing = [name for name in change.destroys if name not in self.allow_destroy]
        if missing and self.plan is not None:  # a rehearsal shows what it would take
            names = ", ".join(f'"{name}"' for name in missing)
            raise Refused(
                f"this would destroy {', '.join(missing)}: {change.summary}",
                where=f"{resource.host}:{step}",
                fix=f"if that is what you want, name it: allow_destroy=[{names}]",
            )

    def _holds_no_secret(self, step: str, resource: Resource, change: Change) -> None:
        """A secret on a command line would be in every process list; that is a fault of ours."""
        if self.mask(change.command.line) != change.command.line:
            raise Refused(
                f"a secret would stand on a command line: {self.mask(change.command.line)}",
                where=f"{resource.host}:{step}",
                fix="this is a fault of the runbook: secrets go by standard input",
            )

    def _as_foretold(self, change: PlannedChange) -> None:
        """The next change on a host is the one the plan has there, or nothing is sent."""
        if self.plan is None:
            return
        queue = self._foretold.get((change.step, change.host))
        foreseen = queue[0] if queue else None
        if queue and foreseen is not None and foreseen.identity == change.identity:
            queue.popleft()
            return
        if self._last_outcome(change) in ("unknown", "failed"):
            return  # it was foretold and sent once; looking showed that nothing came of it
        says = f"{foreseen.summary}\n      {foreseen.command}" if foreseen else "nothing more here"
        raise PlanDiffers(
            f"{change.host} wants something the plan did not foretell; it was not sent\n"
            f"    now:  {change.summary}\n      {change.command}\n    plan: {says}",
            where=f"{change.host}:{change.step}",
            fix="run with mode=plan again and look at what changed",
        )

    def nothing_left(self, step: Step) -> None:
        """What the plan foretold and the hosts did not need was a wrong prediction too.

        Raises
        ------
        PlanDiffers
            With the changes that were not needed.
        """
        left = [c for key, queue in self._foretold.items() if key[0] == step.name for c in queue]
        if left:
            lines = "\n    ".join(f"{c.host}: {c.summary}" for c in left)
            raise PlanDiffers(
                f"the plan foretold changes that the hosts did not need:\n    {lines}",
                where=step.name,
                fix="nothing is broken by this, but something else is at work on these hosts; "
                "run with mode=plan again",
            )

    # ----------------------------------------------------------------- memory

    def attempted(self, host: str, resource: str) -> bool:
        """Whether a run of ours ever sent a change for this resource."""
        return any(i["host"] == host and i["resource"] == resource for i in self._intents())

    def _last_outcome(self, change: PlannedChange) -> str | None:
        """What came of this very change when it was sent last; None if it never was."""
        key = (change.host, change.resource, change.command)
        same = [i for i in self._intents() if (i["host"], i["resource"], i["command"]) == key]
        return same[-1]["outcome"] if same else None

    def _intents(self) -> list[dict[str, Any]]:
        return [*self.history, *intents(self.journal.events)]
