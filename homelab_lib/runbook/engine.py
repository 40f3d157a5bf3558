"""Carries out the steps of a runbook, one at a time, in one of two ways: `apply` and `verify`.

`plan` is not a third way: a plan is what `apply` did on a twin of the hosts.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from homelab_lib.errors import HomelabError, StepFailed, Unreachable
from homelab_lib.runbook.converge import converge, look, seen_together
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.outcome import ResourceOutcome, StepOutcome
from homelab_lib.runbook.resource import Resource
from homelab_lib.runbook.sender import Sender, Stopped
from homelab_lib.runbook.step import Context, Runbook, Step


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
        Pins a host key.
    confirm
        Names of manual steps that the person says are done.
    """

    runbook: Runbook
    mode: Literal["apply", "verify"]
    sender: Sender
    trust: Callable[[str, str], None]
    confirm: frozenset[str] = frozenset()
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._hosts: dict[str, ReadingHost] = {}
        self._lock = threading.Lock()
        self.context = Context(self.host, self.trust, self.sender.clock.sleep)

    def host(self, name: str) -> ReadingHost:
        """The reading handle of a host, the same one throughout the run."""
        with self._lock:
            if name not in self._hosts:
                sender = self.sender
                self._hosts[name] = ReadingHost(name, sender.link, sender.mask, sender.attempted)
            return self._hosts[name]

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
        except (Unreachable, StepFailed) as error:
            if mode == "apply":
                raise
            outcome.status, outcome.note = "drift", error.what
            return
        outcome.settle()
        if outcome.status != "drift":
            self._check(step, outcome, mode)

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
        if manual.verify is not None:
            check = manual.verify(self.context)
            outcome.checks.append(check)
            done, says = check.holds, check.says
            fix = "do it, then run the same command again"
        else:
            # A rehearsal takes it for done, and looking can't tell; the real run asks.
            asks = mode == "apply" and self.sender.plan is not None
            done, says = step.name in self.confirm or not asks, "only a person can tell"
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
        work = converge if mode == "apply" else look
        lanes: dict[str, list[tuple[Resource, ResourceOutcome]]] = {}
        for resource in resources:
            result = ResourceOutcome(resource.host, resource.name)
            outcome.resources.append(result)
            lanes.setdefault(resource.host, []).append((resource, result))

        def lane(items: list[tuple[Resource, ResourceOutcome]]) -> None:
            try:
                host = self.host(items[0][0].host)
                looks = seen_together([resource for resource, _ in items], host)
                for (resource, result), seen in zip(items, looks, strict=True):
                    if self.sender.stop.is_set():
                        raise Stopped("stopped before this host's turn", where=resource.host)
                    work(step, resource, host, self.sender, result, seen)
            except BaseException:
                self.sender.stop.set()  # the others finish the command they are at, and no more
                raise

        if len(lanes) == 1:
            lane(next(iter(lanes.values())))
            return
        with ThreadPoolExecutor(max(len(lanes), 1)) as pool:
            futures = [pool.submit(lane, items) for items in lanes.values()]
            try:
                errors = [error for f in futures if (error := f.exception()) is not None]
            except BaseException:
                self.sender.stop.set()
                raise
        if errors:
            raise next((e for e in errors if not isinstance(e, Stopped)), errors[0])
