"""Carries out the steps of a runbook, one at a time, in one of two ways: `apply` and `verify`.

`plan` is not a third way: a plan is what `apply` did on a twin of the hosts.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from homelab_lib.errors import HomelabError, PersonNeeded, StepFailed, Unreachable, Unseen
from homelab_lib.runbook import afterwards
from homelab_lib.runbook.converge import Lane
from homelab_lib.runbook.host import ReadingHost, understanding
from homelab_lib.runbook.outcome import ResourceOutcome, StepOutcome
from homelab_lib.runbook.resource import Resource
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.side_by_side import side_by_side
from homelab_lib.runbook.step import TAKEN, Check, Context, Runbook, Step
from homelab_lib.runbook.work import Work
from homelab_lib.secret import Secret, resolve


@dataclass
class Engine:
    """Runs steps against whatever `sender` is linked to.

    Parameters
    ----------
    runbook
        What to do.
    mode
        ``apply`` sends changes; ``verify`` looks and reports drift.
    sender
        Sends changes and holds them against the plan; its link carries reads too.
    trust
        Pins a host key, or holds it against the one that is pinned: (machine, key, may it be
        pinned).
    seal
        Gives the keyed digest of a secret.
    confirm
        Names of manual steps that the person says are done.
    locate
        Takes the address of a machine that has it by DHCP.
    secret
        Gives the secret behind a reference.
    waits
        Whether manual steps that no machine can tell of wait for `confirm`. Nobody does anything
        by hand to a twin: there they are taken for done.
    """

    runbook: Runbook
    mode: Literal["apply", "verify"]
    sender: Sender
    trust: Callable[[str, str, bool], None]
    seal: Callable[[str], str]
    confirm: frozenset[str] = frozenset()
    locate: Callable[[str, str], None] = lambda machine, address: None
    secret: Callable[[str], Secret] = resolve
    waits: bool = True
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._hosts: dict[str, ReadingHost] = {}
        self._lock = threading.Lock()
        self.context = Context(
            self.host,
            self._trust,
            self.sender.patience.looks,
            locate=self.locate,
            secret=self._secret,
        )

    def host(self, name: str) -> ReadingHost:
        """The reading handle of a host, the same one throughout the run."""
        with self._lock:
            if name not in self._hosts:
                sender = self.sender
                self._hosts[name] = ReadingHost(
                    name,
                    sender.link,
                    sender.mask,
                    sender.journal,
                    self.seal,
                    sender.patience,
                )
            return self._hosts[name]

    def _secret(self, reference: str) -> Secret:
        return self.sender.mask.watching(self.secret(reference))

    def _trust(self, machine: str, key: str, made: Resource) -> None:
        """A key is pinned by us only for a machine that this very run made."""
        ours = self.mode == "apply" and self.sender.journal.made(made.host, made.name)
        self.trust(machine, key, ours)

    @understanding
    def run_step(self, name: str) -> StepOutcome:
        """Carry out one step.

        Raises
        ------
        StepFailed
            It can't be brought about, or a check does not hold.
        PersonNeeded
            It waits for what only a person can do.
        Refused, PlanDiffers
            It would break a promise, or the plan.
        Unseen
            It went as far as can be known: a machine was started that nobody has looked at.
        """
        step = self.runbook[name]
        self.sender.stop.clear()
        if self.mode == "apply":
            self.sender.patience.renew()
        journal = self.sender.journal
        outcome = StepOutcome(step.name, step.title, start_s=self.sender.elapsed_s)
        try:
            journal.append("step", step=name, mode=self.mode, t=outcome.start_s)
            self._need(step)
            self._work(step, outcome, self.mode)
            if self.mode == "apply":
                self.sender.foretold.nothing_left(step)
        except Unseen as error:
            outcome.settle()
            outcome.note = error.what
            journal.append("step-done", step=name, status=outcome.status, t=self.sender.elapsed_s)
            raise
        except BaseException as error:
            outcome.status = "waiting" if isinstance(error, PersonNeeded) else "failed"
            outcome.note = str(error)
            why = f"{type(error).__name__}: {error}"
            journal.append("step-failed", step=name, status=outcome.status, why=why)
            raise
        finally:
            outcome.end_s = self.sender.elapsed_s
            self.outcomes[name] = outcome
        journal.append("step-done", step=name, status=outcome.status, t=outcome.end_s)
        return outcome

    def _need(self, step: Step) -> None:
        """What the step needs has run, or is found in place by looking at the hosts."""
        for name in step.needs:
            if name in self.outcomes and self.outcomes[name].status not in ("waiting", "failed"):
                continue
            needed = self.runbook[name]
            found = StepOutcome(name, needed.title)
            self._need(needed)
            try:
                self._work(needed, found, "verify")
            except HomelabError as error:
                found.status, found.note = "drift", error.what
            if found.status == "drift" and self.mode == "apply":
                raise StepFailed(
                    f"{step.name} needs {name}, and that is not in place"
                    + (f": {found.note}" if found.note else ""),
                    where=step.name,
                    fix=f"run {name} first; only/skip left it out",
                )
            self.outcomes[name] = found

    def _work(self, step: Step, outcome: StepOutcome, mode: Literal["apply", "verify"]) -> None:
        try:
            self._manual(step, outcome, mode)
            for batch in step.ensure(self.context):
                resources = list(batch) if isinstance(batch, Sequence) else [batch]
                self._in_parallel(step.name, resources, outcome, mode)
                self._all_seen(step, outcome)
                if any(resource.status == "drift" for resource in outcome.resources):
                    outcome.note = "what follows stands on what is missing, and was not looked at"
                    break
            outcome.settle()
            if outcome.status != "drift":
                self._check(step, outcome, mode)
        except (Unreachable, StepFailed) as error:
            if mode == "apply":
                raise
            note = "; ".join(filter(None, (error.what, error.fix)))
            outcome.status, outcome.note = "drift", note

    def _note_check(self, step: Step, outcome: StepOutcome, check: Check) -> None:
        outcome.checks.append(check)
        self.sender.journal.append("check", step=step.name, **vars(check))

    def _whole(self, machines: Sequence[str]) -> Iterator[Check]:
        """Whether machines that were started have come up whole."""
        for machine in machines:
            yield from afterwards.whole(self.host(machine), self.sender.patience)

    def _all_seen(self, step: Step, outcome: StepOutcome) -> None:
        """See that no machine was started whose inside nobody knows.

        A rehearsal ends here: what it would go on with is a machine that it has made up.
        """
        if not self.sender.unseen:
            return
        unseen, self.sender.unseen = self.sender.unseen, {}
        told = [f"{machine}: {why}" for machine, why in sorted(unseen.items())]
        if self.sender.plan is not None:
            told += self._look_at_started(step, outcome, sorted(unseen))
        raise Unseen(
            "\n    ".join(told),
            where=step.name,
            fix="it is started; a new plan (mode=plan) looks at it: approve the rest",
        )

    def _look_at_started(self, step: Step, outcome: StepOutcome, machines: list[str]) -> list[str]:
        """What is wrong with machines that came up a moment ago, as far as they let us in."""
        wrong = []
        for machine in machines:
            try:
                for check in self._whole([machine]):
                    self._note_check(step, outcome, check)
                    if not check.holds:
                        wrong.append(f"{check.title}: {check.says}; that does not hold")
            except HomelabError as error:
                wrong.append(error.what)
        self.sender.patience.came_back()
        return wrong

    def _check(self, step: Step, outcome: StepOutcome, mode: Literal["apply", "verify"]) -> None:
        journal = self.sender.journal
        fix = "everything that was sent is in the journal; start from what it says here"
        if self.sender.plan is None:
            fix = "nothing was sent, for this was the rehearsal; mend that, then plan again"
        for check in step.check(self.context):
            self._note_check(step, outcome, check)
            if not check.holds and mode == "apply":
                raise StepFailed(
                    f"does not hold: {check.title}: {check.says}",
                    where=step.name,
                    fix=fix,
                )
        if mode == "apply":
            for check in self._whole(self.sender.patience.came_back()):
                self._note_check(step, outcome, check)
                if not check.holds:
                    raise StepFailed(
                        f"does not hold: {check.title}: {check.says}",
                        where=step.name,
                        fix="it was started, and has not come up whole: see to that, then run the "
                        "same command again",
                    )
        outcome.settle()
        if mode == "apply":
            for number in step.measure(self.context):
                outcome.measurements.append(number)
                journal.append("measurement", step=step.name, **vars(number))

    def _manual(self, step: Step, outcome: StepOutcome, mode: Literal["apply", "verify"]) -> None:
        """See that what only a person can do was done."""
        manual = step.manual
        if manual is None:
            return
        # A rehearsal takes it for done, and looking can't tell; the real run asks.
        # So does a step that stands on this one: what was never signed for is not done.
        asks = self.waits and self.mode == "apply" and self.sender.plan is not None
        confirmed = step.name in self.confirm or not asks
        if manual.verify is not None:
            check = manual.verify(self.context)
            done, says = check.holds, check.says
            fix = "do it, then run the same command again"
            if manual.or_confirmed:
                done = done or confirmed
                fix = self._signing(step)
            elif manual.rehearsed and self._rehearses:
                done = True
            signed = manual.or_confirmed and step.name in self.confirm
            taken = done and not check.holds and not signed
            self._note_check(step, outcome, replace(check, holds=done, taken=taken))
        else:
            done, says = confirmed, "only a person can tell"
            if done:
                signed = step.name in self.confirm
                word = "signed" if signed else TAKEN
                self._note_check(step, outcome, Check(manual.ask, True, word, taken=not signed))
            fix = self._signing(step)
        if not done:
            raise PersonNeeded(
                f"a person has to act: {manual.ask}\n    {says}", where=step.name, fix=fix
            )

    @property
    def _rehearses(self) -> bool:
        """Whether nobody can have done anything by hand: on a twin, and for a plan."""
        return not self.waits or (self.mode == "apply" and self.sender.plan is None)

    def _signing(self, step: Step) -> str:
        """How a person says that a step's act is done; what was said before is said again."""
        names = ", ".join(f'"{name}"' for name in (*sorted(self.confirm), step.name))
        return f"do it, then run the same command again with confirm=[{names}]"

    def _in_parallel(
        self,
        step: str,
        resources: list[Resource],
        outcome: StepOutcome,
        mode: Literal["apply", "verify"],
    ) -> None:
        """Hosts side by side; on one host one resource after the other."""
        stop = self.sender.stop
        lanes: dict[str, tuple[Lane, list[Work]]] = {}
        for resource in resources:
            looks_at = getattr(resource, "looks_at", "written")
            result = ResourceOutcome(resource.host, resource.name, looks_at=looks_at)
            outcome.resources.append(result)
            lane = Lane(step, self.host(resource.host), self.sender)
            lanes.setdefault(resource.host, (lane, []))[1].append(Work(resource, result))
        if mode == "verify":
            side_by_side(lanes, Lane.look, stop)
            return
        side_by_side(lanes, Lane.prepare, stop)
        conflicts = [work for _, works in lanes.values() for work in works if work.diff.conflict]
        if conflicts:
            raise StepFailed(
                "\n    ".join(work.diff.conflict for work in conflicts),
                where=", ".join(f"{w.resource.host}: {w.resource.name}" for w in conflicts),
                fix="nothing of this was sent; mend it, then run the same command again",
            )
        side_by_side(lanes, Lane.apply, stop)
