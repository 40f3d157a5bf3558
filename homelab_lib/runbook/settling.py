"""A change whose end nobody heard of is *unknown*, until a look at the host has settled it."""

from dataclasses import dataclass

from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.outcome import SentChange
from homelab_lib.runbook.patience import pauses
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.runbook.resource import Change
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.work import Work


@dataclass(frozen=True)
class Settling:
    """Looks at one host until it is known what became of changes.

    Parameters
    ----------
    step
        The step's name.
    host, sender
        The host, to look at; and what remembers.
    """

    step: str
    host: ReadingHost
    sender: Sender

    def look(self, work: Work, *, lost: bool) -> None:
        """Look at a resource; an answer that means "not yet" has the resource's own time.

        Parameters
        ----------
        lost
            Whether a host that does not answer has that time, too.
        """
        deadline = self.sender.clock.now() + work.resource.timeout_s
        with self.sender.patience.until(deadline, lost=lost):
            work.seen(work.resource.observe(self.host))

    def after_lost_reply(self, work: Work, change: Change, sent: SentChange) -> None:
        """Look until what was sent shows, or can't be at work any more.

        Where the look finds somebody else's in the place, or work that still goes on, it stays
        *unknown*.
        """
        clock = self.sender.clock
        self.host.forget()
        patience_s = change.call.timeout_s if sent.at_work else 0.0
        for pause in pauses():
            # A host that restarts on our account has the resource's own time to come back.
            self.look(work, lost=True)
            if work.diff.conflict:
                return
            shows = not self.wanted(work, sent.planned)
            if shows and not work.diff.waiting:
                self.sender.settle(sent, "done")
                work.tried.append(change.call)
                return
            # Those of a batch were sent at one time, and are waited for together.
            if self.sender.elapsed_s >= sent.end_s + patience_s:
                if not shows:
                    self.sender.settle(sent, "failed")
                return
            why = sent.busy or "the reply was lost"
            self.sender.progress(
                self.step, self.host.name, f"{why}; does it show? {change.summary}"
            )
            clock.sleep(pause)

    def earlier(self, work: Work) -> None:
        """See what became of what an earlier run sent without hearing of its end.

        The host may be at it still, and to send it again would do it twice: it gets the time that
        a lost reply gets. Detached work is asked for by its unit's name instead.
        """
        journal, sender, pause = self.sender.journal, self.sender, pauses()
        where = (self.host.name, work.resource.name)
        while unknown := journal.unknown(*where):
            self.look(work, lost=False)
            if work.diff.conflict or work.diff.waiting:
                return
            left_s = 0.0
            for intent in unknown:
                again = self.wanted(work, PlannedChange.from_json(intent))
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
            sender.clock.sleep(min(next(pause), left_s))

    def all(self, work: Work) -> None:
        """It is as wanted, and so all that was sent for it came about, whoever sent it."""
        for sent in work.outcome.sent:
            if sent.outcome == "unknown":
                self.sender.settle(sent, "done")
        for intent in self.sender.journal.unknown(self.host.name, work.resource.name):
            self.sender.settle_earlier(intent, "done")

    def wanted(self, work: Work, planned: PlannedChange) -> Change | None:
        """The change that a resource wants which would send the same as `planned`."""
        for change in work.diff.changes:
            if self.sender.planned(self.step, work.resource, change).sends_as(planned):
                return change
        return None
