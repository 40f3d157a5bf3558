"""observe → diff → apply → observe, until it is as desired or time is out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from homelab_lib.errors import StepFailed, Unreachable
from homelab_lib.runbook.delivery import PATIENCE, PAUSE_S
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.outcome import ResourceOutcome, SentChange
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.runbook.resource import Change, Diff, Resource
from homelab_lib.runbook.sender import Sender, Stopped
from homelab_lib.transport.call import Call

_LOST_REPLIES = 3
_TOGETHER = 64  # changes in one round trip, at most


@dataclass
class Work:
    """One resource, as far as work on it has come.

    Parameters
    ----------
    resource, outcome
        What is wanted, and what came of it so far.
    observed, diff
        The last look; `fresh` while nothing was sent since that could have changed it.
    tried
        The calls that were done: none of them is sent again.
    """

    resource: Resource
    outcome: ResourceOutcome
    observed: Any = None
    diff: Diff = field(default_factory=Diff)
    fresh: bool = False
    tried: list[Call] = field(default_factory=list)

    def seen(self, observed: Any) -> None:
        self.observed, self.fresh = observed, True
        self.diff = self.resource.diff(observed)

    @property
    def pending(self) -> list[Change]:
        """What is still to be sent."""
        return [change for change in self.diff.changes if change.call not in self.tried]


@dataclass(frozen=True)
class Lane:
    """The work on one host in one step: one resource after the other.

    Parameters
    ----------
    step
        The step's name.
    host
        The host, to look at.
    sender
        Sends, and remembers.
    """

    step: str
    host: ReadingHost
    sender: Sender

    # -------------------------------------------------------------------- look

    def look(self, works: Sequence[Work]) -> None:
        """Observe and compare; sends nothing."""
        for work in works:
            self._not_stopped()
            work.seen(work.resource.observe(self.host))
            work.outcome.before = work.outcome.after = work.observed
            if not work.diff.clean:
                work.outcome.status = "drift"
                work.outcome.wants = [change.summary for change in work.diff.changes]
                said = (work.diff.waiting, work.diff.conflict)
                work.outcome.wants += [text for text in said if text]
            self.sender.journal.append(
                "looked",
                step=self.step,
                host=self.host.name,
                resource=work.resource.name,
                wants=work.outcome.wants,
            )

    def _observe_all(self, works: Sequence[Work]) -> None:
        """Look at all of them; those of a kind that can be looked at together, by few calls."""
        for kind, group in groupby(works, lambda work: type(work.resource)):
            members = list(group)
            together: Callable[[Any, Any], list[Any]] | None
            together = getattr(kind, "observe_together", None)
            if together is not None and len(members) > 1:
                found = together(self.host, [work.resource for work in members])
                for work, observed in zip(members, found, strict=True):
                    work.seen(observed)
            else:
                for work in members:
                    self._not_stopped()
                    work.seen(work.resource.observe(self.host))

    # ------------------------------------------------------------------- apply

    def prepare(self, works: Sequence[Work]) -> list[Work]:
        """Look at everything before anything is sent.

        Returns
        -------
        list of Work
            Those where something else has the place.
        """
        self._observe_all(works)
        events = []
        for work in works:
            work.outcome.before = work.observed
            told = {"host": self.host.name, "resource": work.resource.name, "state": work.observed}
            events.append(("observed", {"step": self.step, **told}))
            self._settle_earlier(work)
            if work.diff.conflict:
                work.outcome.status, work.outcome.wants = "failed", [work.diff.conflict]
        self.sender.journal.append_all(events)
        return [work for work in works if work.diff.conflict]

    def apply(self, works: Sequence[Work]) -> None:
        """Send what is missing, and wait until the host says that all is there.

        Raises
        ------
        StepFailed
            Something else has the place, the host refused, or it did not become so in time.
        """
        self._send_together(works)
        for work in works:
            if any(other.outcome.sent for other in works) and not _side_by_side(work):
                work.fresh = False  # what was sent since may concern it
            self._converge(work)

    def _send_together(self, works: Sequence[Work]) -> None:
        """Plain changes of neighbours that don't concern each other go in few round trips; then all
        of them are looked at again."""
        for together, group in groupby(works, _goes_together):
            members = list(group)
            if not together or len(members) < 2:
                continue
            for at in range(0, len(members), _TOGETHER):
                batch = members[at : at + _TOGETHER]
                items = [
                    (work.resource, change, work.outcome.sent)
                    for work in batch
                    for change in work.diff.changes
                ]
                for work in batch:
                    work.outcome.status = "changed"
                sent = iter(self.sender.send_many(self.step, items, self.host))
                for work in batch:
                    work.fresh = False
                    for change in work.diff.changes:
                        one = next(sent)
                        if one.outcome == "unknown":
                            self._settle(work, change, one)
                        else:
                            work.tried.append(change.call)
            unseen = [work for work in members if not work.fresh]
            if unseen:
                self._observe_all(unseen)

    def _converge(self, work: Work) -> None:
        """One resource, until it is as desired.

        A change is sent once: if the host goes on wanting it after it was done, that is waited
        for. Where the reply was lost the host is looked at, and only if nothing came of the change
        is it sent again.
        """
        resource, clock = work.resource, self.sender.clock
        deadline = clock.now() + resource.timeout_s
        lost, pause, first = 0, PAUSE_S[0], True
        while True:
            if not work.fresh:
                work.seen(self._observe(resource, None if first else deadline))
            first = False
            if work.diff.conflict:
                raise StepFailed(work.diff.conflict, where=f"{resource.host}: {resource.name}")
            if work.diff.clean:
                self._settle_all(work)
                work.outcome.after = work.observed
                there = "is there" if work.outcome.status == "already" else "is as wanted"
                self.sender.progress(self.step, resource.host, f"{resource.name} {there}")
                return
            pending = work.pending
            for change in pending:
                work.outcome.status, work.fresh = "changed", False
                sent = self.sender.send(self.step, resource, change, self.host, work.outcome.sent)
                if sent.outcome != "unknown":
                    work.tried.append(change.call)
                    continue
                lost += 1
                if lost > _LOST_REPLIES:
                    raise StepFailed(
                        f"the reply was lost {lost} times: {change.summary}",
                        where=f"{resource.host}:{self.step}",
                        fix="see to the link, then run the same command again",
                    )
                self._settle(work, change, sent)
                break
            if pending:
                deadline, pause = clock.now() + resource.timeout_s, PAUSE_S[0]
                continue
            if clock.now() >= deadline:
                missing = work.diff.waiting or "; ".join(c.summary for c in work.diff.changes)
                raise StepFailed(
                    f"{resource.name} is not as it should be after {resource.timeout_s:.0f} s: "
                    f"{missing}",
                    where=f"{resource.host}:{self.step}",
                    fix="look at the host; running the same command again goes on from here",
                )
            self.sender.progress(
                self.step, resource.host, work.diff.waiting or f"waiting for {resource.name}"
            )
            work.fresh = False
            clock.sleep(pause)
            pause = min(pause * PATIENCE, PAUSE_S[1])

    def _settle(self, work: Work, change: Change, sent: SentChange) -> None:
        """After a lost reply: look until what was sent shows, or can't be at work any more.

        Where the look finds somebody else's in the place, or work that still goes on, it stays
        *unknown*.
        """
        resource, clock = work.resource, self.sender.clock
        self.host.forget()
        patience_s = change.call.timeout_s if sent.at_work else 0.0
        pause = PAUSE_S[0]
        while True:
            # A host that restarts on our account has the resource's own time to come back.
            work.seen(self._observe(resource, clock.now() + resource.timeout_s))
            if work.diff.conflict:
                return
            shows = not self._wants(work, sent.planned)
            if shows and not work.diff.waiting:
                self.sender.settle(sent, "done")
                work.tried.append(change.call)
                return
            # Those of a batch were sent at one time, and are waited for together.
            if self.sender.elapsed_s >= sent.end_s + patience_s:
                if not shows:
                    self.sender.settle(sent, "failed")
                return
            self.sender.progress(
                self.step, resource.host, f"the reply was lost; does it show? {change.summary}"
            )
            clock.sleep(pause)
            pause = min(pause * PATIENCE, PAUSE_S[1])

    def _settle_earlier(self, work: Work) -> None:
        """See what became of what an earlier run sent without hearing of its end.

        The host may be at it still, and to send it again would do it twice: it gets the time that
        a lost reply gets. Detached work is asked for by its unit's name instead.
        """
        journal, sender, pause = self.sender.journal, self.sender, PAUSE_S[0]
        where = (self.host.name, work.resource.name)
        while unknown := journal.unknown(*where):
            work.seen(self._observe(work.resource, None))
            if work.diff.conflict or work.diff.waiting:
                return
            left_s = 0.0
            for intent in unknown:
                again = self._wants(work, PlannedChange.from_json(intent))
                if again is None:
                    sender.settle_earlier(intent, "done")
                elif not again.detached:
                    waited_s = max(journal.age_s(intent), sender.elapsed_s)
                    left_s = max(left_s, again.call.timeout_s - waited_s)
                    if waited_s >= again.call.timeout_s:
                        sender.settle_earlier(intent, "failed")
            if left_s <= 0.0:
                return
            sender.progress(
                self.step, self.host.name, f"an earlier reply was lost; does it show? {where[1]}"
            )
            sender.clock.sleep(min(pause, left_s))
            pause = min(pause * PATIENCE, PAUSE_S[1])

    def _settle_all(self, work: Work) -> None:
        """It is as wanted, and so all that was sent for it came about, whoever sent it."""
        for sent in work.outcome.sent:
            if sent.outcome == "unknown":
                self.sender.settle(sent, "done")
        for intent in self.sender.journal.unknown(self.host.name, work.resource.name):
            self.sender.settle_earlier(intent, "done")

    def _wants(self, work: Work, planned: PlannedChange) -> Change | None:
        """The change that a resource wants which would send the same as `planned`."""
        for change in work.diff.changes:
            if self._planned(work, change).sends_as(planned):
                return change
        return None

    def _observe(self, resource: Resource, deadline: float | None) -> Any:
        """Look; a host that restarts on our account is given until the deadline to answer."""
        clock, pause = self.sender.clock, 1.0
        while True:
            self._not_stopped()
            try:
                return resource.observe(self.host)
            except Unreachable:
                if deadline is None or clock.now() >= deadline:
                    raise
                self.host.forget()
                self.sender.progress(self.step, resource.host, "waiting for the host to answer")
                clock.sleep(pause)
                pause = min(pause * PATIENCE, PAUSE_S[1])

    def _planned(self, work: Work, change: Change) -> PlannedChange:
        return self.sender.planned(self.step, work.resource, change)

    def _not_stopped(self) -> None:
        if self.sender.stop.is_set():
            raise Stopped("stopped before the next look", where=f"{self.host.name}:{self.step}")


def _side_by_side(work: Work) -> bool:
    """Whether resources of this kind say of themselves that one does not concern the others."""
    return hasattr(type(work.resource), "observe_together")


def _goes_together(work: Work) -> bool:
    """Whether what a resource wants can be sent along with its neighbours': plain calls."""
    return (
        _side_by_side(work)
        and bool(work.diff.changes)
        and all(not (c.detached or c.follow or c.rollback or c.destroys) for c in work.diff.changes)
    )
