"""Carries out the steps of a runbook, one at a time, in one of two ways: `apply` and `verify`.

`plan` is not a third way: a plan is what `apply` did on a twin of the hosts.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

from homelab_lib.errors import HomelabError, StepFailed, Unreachable
from homelab_lib.runbook.converge import Lane, Work
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.outcome import ResourceOutcome, StepOutcome
from homelab_lib.runbook.resource import Resource
from homelab_lib.runbook.sender import Sender, Stopped
from homelab_lib.runbook.step import Context, Runbook, Step
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
    """

    runbook: Runbook
    mode: Literal["apply", "verify"]
    sender: Sender
    trust: Callable[[str, str, bool], None]
    seal: Callable[[str], str]
    confirm: frozenset[str] = frozenset()
    locate: Callable[[str, str], None] = lambda machine, address: None
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._hosts: dict[str, ReadingHost] = {}
        self._lock = threading.Lock()
        self.context = Context(
            self.host,
            self._trust,
            self.sender.clock.sleep,
            locate=self.locate,
            secret=self._secret,
        )

    def host(self, name: str) -> ReadingHost:
        """The reading handle of a host, the same one throughout the run."""
        with self._lock:
            if name not in self._hosts:
                sender = self.sender
                self._hosts[name] = ReadingHost(
                    name, sender.link, sender.mask, sender.journal.begun, self.seal
                )
            return self._hosts[name]

    def _secret(self, reference: str) -> Secret:
        return self.sender.mask.watching(resolve(reference))

    def _trust(self, machine: str, key: str, made: Resource) -> None:
        """A key is pinned by us only for a machine that this very run made."""
        ours = self.mode == "apply" and self.sender.journal.made(made.host, made.name)
        self.trust(machine, key, ours)

    def run_step(self, name: str) -> StepOutcome:
        """Carry out one step.

        Raises
        ------
        StepFailed
            It can't be brought about, or a check does not hold.
        Refused, PlanDiffers
            It would break a promise, or the plan.
        """
        step = self.runbook[name]
        self.sender.stop.clear()
        journal = self.sender.journal
        outcome = StepOutcome(step.name, step.title, start_s=self.sender.elapsed_s)
        journal.append("step", step=name, mode=self.mode, t=outcome.start_s)
        try:
            self._need(step)
            self._work(step, outcome, self.mode)
            if self.mode == "apply":
                self.sender.nothing_left(step)
        except BaseException as error:
            outcome.status, outcome.note = "failed", str(error)
            journal.append("step-failed", step=name, why=f"{type(error).__name__}: {error}")
            raise
        finally:
            outcome.end_s = self.sender.elapsed_s
            self.outcomes[name] = outcome
        journal.append("step-done", step=name, status=outcome.status, t=outcome.end_s)
        return outcome

    def _need(self, step: Step) -> None:
        """What the step needs has run, or is found in place by looking at the hosts."""
        for name in step.needs:
            if name in self.outcomes and self.outcomes[name].status != "failed":
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
                if any(resource.status == "drift" for resource in outcome.resources):
                    outcome.note = "what follows stands on what is missing, and was not looked at"
                    break
            outcome.settle()
            if outcome.status != "drift":
                self._check(step, outcome, mode)
        except (Unreachable, StepFailed) as error:
            if mode == "apply":
                raise
            outcome.status, outcome.note = "drift", error.what

    def _check(self, step: Step, outcome: StepOutcome, mode: Literal["apply", "verify"]) -> None:
        journal = self.sender.journal
        for check in step.check(self.context):
            outcome.checks.append(check)
            journal.append("check", step=step.name, **vars(check))
            if not check.holds and mode == "apply":
                raise StepFailed(
                    f"does not hold: {check.title}: {check.says}",
                    where=step.name,
                    fix="everything that was sent is in the journal; start from what it says here",
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
        asks = mode == "apply" and self.sender.plan is not None
        confirmed = step.name in self.confirm or not asks
        if manual.verify is not None:
            check = manual.verify(self.context)
            done, says = check.holds, check.says
            fix = "do it, then run the same command again"
            if manual.or_confirmed:
                done = done or confirmed
                fix += f', or with confirm=["{step.name}"]'
            outcome.checks.append(replace(check, holds=done))
        else:
            done, says = confirmed, "only a person can tell"
            fix = f'do it, then run again with confirm=["{step.name}"]'
        if not done:
            raise StepFailed(
                f"a person has to act: {manual.ask}\n    {says}", where=step.name, fix=fix
            )

    def _in_parallel(
        self,
        step: str,
        resources: list[Resource],
        outcome: StepOutcome,
        mode: Literal["apply", "verify"],
    ) -> None:
        """Hosts side by side; on one host one resource after the other."""
        lanes: dict[str, tuple[Lane, list[Work]]] = {}
        for resource in resources:
            result = ResourceOutcome(resource.host, resource.name)
            outcome.resources.append(result)
            lane = Lane(step, self.host(resource.host), self.sender)
            lanes.setdefault(resource.host, (lane, []))[1].append(Work(resource, result))
        if mode == "verify":
            self._side_by_side(lanes, Lane.look)
            return
        self._side_by_side(lanes, Lane.prepare)
        conflicts = [work for _, works in lanes.values() for work in works if work.diff.conflict]
        if conflicts:
            raise StepFailed(
                "\n    ".join(work.diff.conflict for work in conflicts),
                where=", ".join(f"{w.resource.host}: {w.resource.name}" for w in conflicts),
                fix="nothing of this was sent; mend it, then run the same command again",
            )
        self._side_by_side(lanes, Lane.apply)

    def _side_by_side(
        self,
        lanes: dict[str, tuple[Lane, list[Work]]],
        act: Callable[[Lane, list[Work]], object],
    ) -> None:
        """Do the same on every host, and say all that went wrong."""

        def one(lane: Lane, works: list[Work]) -> None:
            try:
                act(lane, works)
            except BaseException:
                self.sender.stop.set()  # the others finish the call they are at, and no more
                raise

        if len(lanes) == 1:
            one(*next(iter(lanes.values())))
            return
        with ThreadPoolExecutor(max(len(lanes), 1)) as pool:
            futures = [pool.submit(one, lane, works) for lane, works in lanes.values()]
            try:
                errors = [error for f in futures if (error := f.exception()) is not None]
            except BaseException:
                self.sender.stop.set()
                raise
        if errors:
            raise _one_of(errors)


def _one_of(errors: list[BaseException]) -> BaseException:
    """The error that stopped the others; where there are several, it tells of all of them."""
    told = [error for error in errors if not isinstance(error, Stopped)] or errors[:1]
    first = next((error for error in told if not isinstance(error, HomelabError)), told[0])
    if isinstance(first, HomelabError) and len(told) > 1:
        also = [str(error) for error in told if error is not first]
        first.what = "\n  and: ".join([first.what, *also])
    return first
