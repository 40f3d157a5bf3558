"""observe → diff → apply → observe, until it is as desired or time is out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from homelab_lib.errors import NotYet, StepFailed, Stopped
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.outcome import SentChange
from homelab_lib.runbook.patience import pauses
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.settling import Settling
from homelab_lib.runbook.work import Work

_LOST_REPLIES = 3
_TOGETHER = 64  # changes in one round trip, at most


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

    @cached_property
    def _settling(self) -> Settling:
        return Settling(self.step, self.host, self.sender)

    # -------------------------------------------------------------------- look

    def look(self, works: Sequence[Work]) -> None:
        """Observe and compare; sends nothing."""
        for work in works:
            self._look(work)
            work.outcome.before = work.outcome.after = work.observed
            if not work.diff.clean:
                work.outcome.status = "drift"
                work.outcome.wants = [change.summary for change in work.diff.changes]
                said = (work.diff.waiting, work.diff.conflict)
                work.outcome.wants += [text for text in said if text]
                work.outcome.mendable = bool(work.diff.changes) and not work.diff.conflict
                if work.diff.waiting and not work.diff.changes:
                    work.outcome.looks_at = "runs"  # all is written, and it does not work yet
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
                longest_s = max(work.resource.timeout_s for work in members)
                with self.sender.patience.until(self.sender.clock.now() + longest_s):
                    found = together(self.host, [work.resource for work in members])
                for work, observed in zip(members, found, strict=True):
                    work.seen(observed)
            else:
                for work in members:
                    self._look(work)

    def _look(self, work: Work, *, lost: bool = False) -> None:
        if self.sender.stop.is_set():
            raise Stopped("stopped before the next look", where=f"{self.host.name}:{self.step}")
        begun_s = self.sender.elapsed_s
        try:
            self._settling.look(work, lost=lost)
        finally:
            work.outcome.waited_s += self.sender.elapsed_s - begun_s

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
            self._settling.earlier(work)
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
                            self._settling.after_lost_reply(work, change, one)
                        elif one.outcome == "done":
                            work.tried.append(change.call)
            unseen = [work for work in members if not work.fresh]
            if unseen:
                self._observe_all(unseen)

    def _converge(self, work: Work) -> None:
        """One resource, until it is as desired.

        A change is sent once: if the host goes on wanting it after it was done, that is waited
        for. Where the reply was lost, or says "not yet", the host is looked at, and only if nothing
        came of the change is it sent again.
        """
        resource, clock = work.resource, self.sender.clock
        deadline = clock.now() + resource.timeout_s
        lost, pause, held, first = 0, pauses(), self._held(work), True
        while True:
            if not work.fresh:
                self._look(work, lost=not first)
            first = False
            if work.diff.conflict:
                raise StepFailed(work.diff.conflict, where=f"{resource.host}: {resource.name}")
            if work.diff.clean:
                self._settling.all(work)
                work.outcome.after = work.observed
                self.sender.progress(self.step, resource.host, "")
                return
            pending = work.pending
            for change in pending:
                work.outcome.status, work.fresh = "changed", False
                sent = self.sender.send(self.step, resource, change, self.host, work.outcome.sent)
                if sent.outcome == "done":
                    work.tried.append(change.call)
                    continue
                if sent.outcome == "failed":
                    next(held)
                    break
                lost += 1
                if lost > _LOST_REPLIES:
                    raise self._lost_too_often(sent, lost)
                self._settling.after_lost_reply(work, change, sent)
                break
            if pending:
                deadline, pause = clock.now() + resource.timeout_s, pauses()
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
            wait_s = next(pause)
            clock.sleep(wait_s)
            work.outcome.waited_s += wait_s

    def _held(self, work: Work) -> Iterator[None]:
        """Waits a while each time a change was not carried out because the host was busy, for as
        long as the resource has."""
        clock, begun = self.sender.clock, self.sender.clock.now()
        for pause in pauses():
            says = work.outcome.sent[-1].busy
            if clock.now() >= begun + work.resource.timeout_s:
                raise NotYet(
                    f"{work.resource.name}: {says}, after {clock.now() - begun:.0f} s still",
                    where=f"{self.host.name}:{self.step}",
                    fix="nothing came of it; see who is at work there, then run the same command "
                    "again",
                )
            self.sender.progress(self.step, self.host.name, says)
            clock.sleep(pause)
            yield

    def _lost_too_often(self, sent: SentChange, lost: int) -> StepFailed:
        why = f", the last with {sent.busy}" if sent.busy else ""
        return StepFailed(
            f"the reply was lost {lost} times{why}: {sent.summary}",
            where=f"{self.host.name}:{self.step}",
            fix="see to the link, then run the same command again",
        )


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
