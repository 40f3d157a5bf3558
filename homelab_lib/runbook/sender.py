"""The only thing in this project that sends a change.

It keeps the promises that concern one change: nothing is destroyed unnamed, nothing is sent that
the plan did not foretell, the intent is on the disk first, and a lost reply is *unknown* until a
look has settled it.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.errors import (
    AuthenticationRefused,
    HomelabError,
    NotSent,
    OutcomeUnknown,
    Stopped,
)
from homelab_lib.runbook import busy, detached, promises
from homelab_lib.runbook.clock import Clock
from homelab_lib.runbook.delivery import Courier
from homelab_lib.runbook.foretold import Foretold
from homelab_lib.runbook.host import Link, ReadingHost, failed
from homelab_lib.runbook.journal import Event, Journal
from homelab_lib.runbook.outcome import SentChange
from homelab_lib.runbook.patience import Patience
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.resource import Change, Resource
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Result


@dataclass
class Sender:
    """Sends changes to hosts and keeps the journal of it.

    Parameters
    ----------
    link, clock, journal, mask
        What carries calls, the target's clock, where events go, what is blotted out of them.
    plan
        What is to be sent; every change is held against it. None: this is the rehearsal itself.
    allow_destroy
        Names of what may be destroyed.
    progress
        Told (step, host, text) as work goes on; an empty text: the host is done with it.
    unseen
        Machines that were started and that nobody has looked at: why not, by name.
    """

    link: Link
    clock: Clock
    journal: Journal
    mask: Mask
    plan: Plan | None = None
    allow_destroy: frozenset[str] = frozenset()
    progress: Callable[[str, str, str], None] = lambda step, host, text: None
    sent: list[PlannedChange] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._begun_at = self.clock.now()
        self.foretold = Foretold(self.plan, self.journal)
        self.patience = Patience(self.clock, self.stop, self._note)
        self._courier = Courier(self.link, self.clock, self.mask, self._note)

    def _note(self, host: str, text: str) -> None:
        self.progress("", host, self.mask(text))

    @property
    def elapsed_s(self) -> float:
        """Since the run's begin, on the target's clock [s]."""
        return self.clock.now() - self._begun_at

    # -------------------------------------------------------------------- send

    def send(
        self,
        step: str,
        resource: Resource,
        change: Change,
        host: ReadingHost,
        into: list[SentChange],
    ) -> SentChange:
        """Send one change, once, and say what came of it.

        Parameters
        ----------
        into
            Gets it, however it ends.

        Returns
        -------
        SentChange
            ``done``; or ``unknown`` where the reply was lost, or says "not yet", and only a look
            can tell; or ``failed`` with `SentChange.busy` where "not yet" means that it was not
            carried out.

        Raises
        ------
        StepFailed
            The host refused it or it ended badly.
        Refused, PlanDiffers
            It was not sent: it would break a promise.
        """
        planned = self._permit(step, resource, change)
        sent = SentChange(planned, start_s=self.elapsed_s)
        resume = change.detached and self._taken_up(sent)
        if not resume:
            self._intend([sent])
        into.append(sent)
        self.progress(step, resource.host, change.summary)
        if change.starts:
            self.patience.expect(change.starts)
            if change.unseen:
                self.unseen[change.starts] = change.unseen
        try:
            answer = self._courier.deliver(change, host, resume=resume)
        except OutcomeUnknown as error:
            sent.at_work = not isinstance(error, detached.Gone)
            self._conclude([(sent, "unknown", {"why": str(error)})])
            return sent
        except AuthenticationRefused as error:
            self._not_let_in([sent], error)
            return sent
        except BaseException as error:
            # An interrupt may have hit before or after the host got the call.
            outcome = "failed" if isinstance(error, HomelabError) else "unknown"
            self._conclude([(sent, outcome, {"why": f"{type(error).__name__}: {error}"})])
            raise
        self._conclude([self._answered(sent, change, answer)])
        if not (answer.ok or sent.busy):
            raise failed(resource.host, change.call, answer, self.mask, change.refusals)
        return sent

    def send_many(
        self,
        step: str,
        items: Sequence[tuple[Resource, Change, list[SentChange]]],
        host: ReadingHost,
    ) -> list[SentChange]:
        """Send plain changes of one host in one round trip; each has its intent, on the disk before
        anything is sent, and its own result.

        Parameters
        ----------
        items
            Resource, change, and the list that gets it.

        Returns
        -------
        list of SentChange
            One each, as `send` gives it; ``failed`` also where it was not sent because one before
            it was not done.

        Raises
        ------
        StepFailed
            The host refused one of them; those after it were not sent.
        Refused, PlanDiffers
            None was sent: one would break a promise.
        """
        sent = [
            SentChange(self._permit(step, resource, change), start_s=self.elapsed_s)
            for resource, change, _ in items
        ]
        self._intend(sent)
        for each, (_, _, into) in zip(sent, items, strict=True):
            into.append(each)
        self.progress(step, host.name, f"{len(items)} changes, {items[0][1].summary} first")
        try:
            answers = self.link.run_many(host.name, [change.call for _, change, _ in items])
        except OutcomeUnknown as error:
            self._conclude([(each, "unknown", {"why": str(error)}) for each in sent])
            return sent
        except AuthenticationRefused as error:
            self._not_let_in(sent, error)
            return sent
        except BaseException as error:
            outcome = "failed" if isinstance(error, HomelabError) else "unknown"
            why = {"why": f"{type(error).__name__}: {error}"}
            self._conclude([(each, outcome, why) for each in sent])
            raise
        ends: list[tuple[SentChange, str, dict[str, Any]]] = []
        errors: list[HomelabError] = []
        for each, (resource, change, _), answer in zip(sent, items, answers, strict=True):
            if isinstance(answer, Result):
                ends.append(self._answered(each, change, answer))
                if not (answer.ok or each.busy):
                    errors.append(
                        failed(resource.host, change.call, answer, self.mask, change.refusals)
                    )
            else:
                lost = isinstance(answer, OutcomeUnknown)
                ends.append((each, "unknown" if lost else "failed", {"why": str(answer)}))
                if not lost and not isinstance(answer, NotSent):
                    errors.append(answer)
        self._conclude(ends)
        if errors:
            raise errors[0]
        return sent

    def _not_let_in(self, sent: Sequence[SentChange], error: AuthenticationRefused) -> None:
        """Nothing was sent; where the host lets nobody in just now, it may be sent later.

        Raises
        ------
        AuthenticationRefused
            It does not want us.
        """
        refusal = busy.refused_for_now(error)
        if refusal is not None:
            for each in sent:
                each.busy = f"{refusal.means}: {self.mask(busy.line(error.what))}"
        why = {"why": f"{type(error).__name__}: {error}"}
        self._conclude([(each, "failed", why) for each in sent])
        if refusal is None:
            raise error

    def settle(self, sent: SentChange, outcome: str) -> None:
        """Say what a look at the host has shown to have become of a change."""
        self.journal.append("settled", intent=sent.intent, outcome=outcome)
        sent.outcome = outcome
        if outcome == "done":
            with self._lock:
                self.sent.append(sent.planned)

    def settle_earlier(self, intent: Event, outcome: str) -> None:
        """The same of a change that an earlier run left *unknown*.

        Where it came about after all, the plan foretold it, and it need not be sent any more.
        """
        self.journal.append("settled", intent=intent["seq"], outcome=outcome)
        if outcome != "done":
            return
        self.foretold.came_earlier(PlannedChange.from_json(intent))

    def planned(self, step: str, resource: Resource, change: Change) -> PlannedChange:
        """A change as a plan has it."""
        return PlannedChange.of(step, resource.name, resource.host, change, self.mask)

    # ----------------------------------------------------------------- journal

    def _taken_up(self, sent: SentChange) -> bool:
        """Whether detached work of this very change was begun, and nobody heard of its end: then it
        is the same intent that is gone on with."""
        planned = sent.planned
        for intent in self.journal.unknown(planned.host, planned.resource):
            if intent["id"] == planned.identity:
                sent.intent = intent["seq"]
                return True
        return False

    def _intend(self, sent: Sequence[SentChange]) -> None:
        entries = [
            ("intent", {"id": s.planned.identity, "t": s.start_s, **s.planned.to_json()})
            for s in sent
        ]
        for each, number in zip(sent, self.journal.append_all(entries), strict=True):
            each.intent = number

    def _answered(
        self, sent: SentChange, change: Change, answer: Result
    ) -> tuple[SentChange, str, dict[str, Any]]:
        details: dict[str, Any] = {"exit_status": answer.exit_status}
        if not change.call.secret_output:
            details["stdout"] = self.mask.cut(answer.stdout, 4000, end=True)
            details["stderr"] = self.mask.cut(answer.stderr, 4000, end=True)
        if answer.ok:
            return sent, "done", details
        meant = busy.meaning(change.call, answer)
        if meant is None:
            return sent, "failed", details
        # The host has done with it, one way or the other; that is no work to be waited for.
        sent.busy, sent.at_work = (
            f"{meant.means}: {self.mask(busy.told(change.call, answer))}",
            False,
        )
        return sent, "failed" if meant.undone else "unknown", details | {"busy": meant.means}

    def _conclude(self, ends: Sequence[tuple[SentChange, str, dict[str, Any]]]) -> None:
        entries = []
        for sent, outcome, details in ends:
            sent.outcome, sent.end_s = outcome, self.elapsed_s
            result = {"intent": sent.intent, "outcome": outcome, "t": sent.end_s, **details}
            entries.append(("result", result))
            if outcome == "done":
                with self._lock:
                    self.sent.append(sent.planned)
        self.journal.append_all(entries)

    # ---------------------------------------------------------------- promises

    def _permit(self, step: str, resource: Resource, change: Change) -> PlannedChange:
        """See that a change breaks no promise.

        Raises
        ------
        Stopped, Refused, PlanDiffers
            It is not to be sent.
        """
        where = f"{resource.host}:{step}"
        if self.stop.is_set():
            raise Stopped("stopped before the next change", where=where)
        if self.plan is not None:  # a rehearsal shows what it would take
            promises.destroys_only(change, self.allow_destroy, where)
        promises.shows_no_secret(change, self.mask, where)
        planned = self.planned(step, resource, change)
        self.foretold.take(planned)
        self.mask.learn(secret.reveal() for secret in change.call.secrets)
        return planned
