"""How a plan comes about: the whole runbook is rehearsed on a twin of the hosts as they are now."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Literal

from homelab_lib.errors import HomelabError, NotYet, UnknownRelease, Unreachable, Unseen
from homelab_lib.lab import Lab
from homelab_lib.lab.releases import known_names
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.patience import Patience
from homelab_lib.runbook.plan import Plan, in_order
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook
from homelab_lib.secret import Mask
from homelab_lib.target.twin import Target, rehearsal
from homelab_lib.transport.command import read

_RESTART_S = 300.0  # a server with much memory takes minutes to start


@dataclass(frozen=True)
class Undertaking:
    """What a run works with.

    Parameters
    ----------
    lab, runbook, target
        What is described, what is to be done, and where.
    journal, mask
        The run's memory, and what is blotted out of it.
    allow_destroy
        Names of what may be destroyed.
    confirm
        Names of manual steps that are done.
    unknown_releases
        Releases that are planned for although the twin does not know them: ``proxmox 12.7``.
    """

    lab: Lab
    runbook: Runbook
    target: Target
    journal: Journal
    mask: Mask
    allow_destroy: frozenset[str]
    confirm: frozenset[str]
    unknown_releases: frozenset[str] = frozenset()

    def engine(self, mode: Literal["apply", "verify"], plan: Plan | None) -> Engine:
        """What carries out the steps on the target; what `plan` does not have is not sent."""
        return self._engine(self.target, self.journal, mode, plan)

    def _engine(
        self,
        target: Target,
        journal: Journal,
        mode: Literal["apply", "verify"],
        plan: Plan | None,
    ) -> Engine:
        sender = Sender(
            target.link, target.clock, journal, self.mask, plan, allow_destroy=self.allow_destroy
        )
        return Engine(
            self.runbook,
            mode,
            sender,
            trust=target.trust,
            seal=self.target.seal,
            confirm=self.confirm,
            locate=target.locate,
            secret=self.target.secret,
            waits=target.name != "twin",
        )

    def rehearse(
        self, steps: Sequence[str], note: Callable[[str, str], None] = lambda host, text: None
    ) -> Plan:
        """Run `steps` on a twin seeded with what the hosts say; what was sent there is the plan.

        It ends where a machine is started on whose disks nobody could look: an empty one in its
        place would have everything installed anew.

        Parameters
        ----------
        steps
            Their names.
        note
            Told (host, text) while a host is waited for, and of each step.

        Raises
        ------
        UnknownRelease
            A host runs, or is to run, what the twin does not know.
        """
        key = next(iter(self.lab.vms), "")
        twin = rehearsal(self.target, public_key=self.target.public_key(key), note=note)
        try:
            unknown = self._permit(twin.unknown_releases())
            engine = self._engine(twin, self.journal.remembering(), "apply", None)
            blocked, blocked_at, unseen, unseen_at = "", "", "", ""
            checks: list[str] = []
            took_s: dict[str, float] = {}
            asks: list[str] = []
            for number, name in enumerate(steps, start=1):
                note("", f"rehearsing {name}, step {number} of {len(steps)}")
                try:
                    outcome = engine.run_step(name)
                except Unseen as error:
                    unseen, unseen_at = self.mask(error.what), name
                    break
                except HomelabError as error:
                    blocked, blocked_at = self.mask(str(error)), name
                    break
                if any(check.taken for check in outcome.checks):
                    asks.append(name)
                took_s[name] = outcome.end_s - outcome.start_s
                checks += [self.mask(f"{name}: {check.title}") for check in outcome.checks]
            return Plan(
                runbook=self.runbook.name,
                lab=self.lab.name,
                lab_digest=self.lab.digest,
                target=self.target.name,
                steps=tuple(steps),
                hosts=self.target.hosts(),
                changes=tuple(
                    replace(change, rests=twin.rests_on(change.host, change.call))
                    for change in in_order(engine.sender.sent, steps)
                ),
                checks=tuple(checks),
                blocked=blocked,
                blocked_at=blocked_at,
                unknown_releases=unknown,
                unseen=unseen,
                unseen_at=unseen_at,
                took_s=took_s,
                asks=tuple(asks) if self.target.name == "ssh" else (),
            )
        finally:
            twin.close()

    def _permit(self, unknown: Mapping[str, str]) -> tuple[str, ...]:
        """The unknown releases that are planned for all the same: none that was not named."""
        for release, where in unknown.items():
            if release not in self.unknown_releases:
                product = release.partition(" ")[0]
                raise UnknownRelease(
                    f"{release} is none of the releases that the twin knows "
                    f"({known_names(product)}), so a rehearsal says nothing of it",
                    where=where,
                    fix=f'take one that is known, or risk it by unknown_releases=["{release}"]',
                )
        return tuple(sorted(unknown))

    def await_hosts(self, note: Callable[[str], None]) -> None:
        """Where a run is continued, hosts that it worked on may be restarting: give them time.

        One that does not come back is the plan's to tell.
        """
        clock, link = self.target.clock, self.target.link
        told: set[str] = set()

        def waits(host: str, _: str) -> None:
            if host not in told:
                note(f"waiting for {host} to come back, {_RESTART_S:.0f} s at the most")
            told.add(host)

        patience, look = Patience(clock, Event(), waits), read("true")
        with patience.until(clock.now() + _RESTART_S, lost=True):
            for name in self.journal.hosts():
                with suppress(Unreachable, NotYet):
                    patience.ask(name, look, partial(link.run, name, look))


def foretold(plan: Plan, name: str, title: str) -> StepOutcome:
    """What the rehearsal shows of a step, and no more than that.

    Parameters
    ----------
    plan
        What was rehearsed.
    name, title
        The step.
    """
    if not plan.reached(name):
        why = f"the rehearsal stopped before, in {plan.blocked_at}"
        if plan.unseen:
            why = f"not looked at yet; it is planned after {plan.unseen_at}: {plan.unseen}"
        return StepOutcome(name, title, "not reached", note=why)
    before = plan.steps[: plan.steps.index(name)]
    start_s = sum(plan.took_s.get(each, 0.0) for each in before)
    end_s = start_s + plan.took_s.get(name, 0.0)
    outcome = StepOutcome(name, title, planned=plan.of_step(name), start_s=start_s, end_s=end_s)
    if plan.blocked_at == name:
        outcome.status, outcome.note = "failed", plan.blocked
    else:
        outcome.status = "planned" if outcome.planned else "already"
        outcome.note = plan.unseen if plan.unseen_at == name else ""
    return outcome
