"""What came of a step: values to show, to keep in a record and to test."""

from dataclasses import dataclass, field
from typing import Any, Literal

from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.runbook.step import Check, Measurement

Status = Literal[
    "already", "changed", "planned", "drift", "skipped", "waiting", "failed", "not reached"
]


@dataclass
class SentChange:
    """A change that was sent, or was about to be.

    Parameters
    ----------
    planned
        As a plan has it.
    outcome
        ``done``, ``failed`` or ``unknown``.
    start_s, end_s
        On the target's clock, from the run's begin [s].
    intent
        Its number in the journal.
    at_work
        Whether the host may be at work on it still, where its outcome is unknown.
    busy
        What the host said, where that means "not yet".
    """

    planned: PlannedChange
    outcome: str = "unknown"
    start_s: float = 0.0
    end_s: float = 0.0
    intent: int = -1
    at_work: bool = True
    busy: str = ""

    @property
    def summary(self) -> str:
        return self.planned.summary


@dataclass
class ResourceOutcome:
    """One resource: as it was, what was sent, as it is.

    Parameters
    ----------
    host, name, status
        Which, and what came of it.
    before, after
        What was observed.
    sent, wants
        What was sent, and what it still wants, in words.
    looks_at
        Whether it looks at what is ``written``, or at what ``runs``.
    waited_s
        How long it took until it was as wanted, changes aside [s].
    mendable
        Whether its step would send something against what it still wants: not where that is only
        waited for, or where something is in the way.
    """

    host: str
    name: str
    status: Status = "already"
    before: Any = None
    after: Any = None
    sent: list[SentChange] = field(default_factory=list)
    wants: list[str] = field(default_factory=list)
    looks_at: str = "written"
    waited_s: float = 0.0
    mendable: bool = True


@dataclass
class StepOutcome:
    """One step of a run."""

    step: str
    title: str
    status: Status = "already"
    resources: list[ResourceOutcome] = field(default_factory=list)
    planned: list[PlannedChange] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    note: str = ""
    start_s: float = 0.0
    end_s: float = 0.0

    @property
    def sent(self) -> list[SentChange]:
        """What reached a host, or may have."""
        every = (change for resource in self.resources for change in resource.sent)
        return [change for change in every if change.outcome != "failed"]

    def settle(self) -> None:
        """Derive the step's status from its resources'."""
        found = {resource.status for resource in self.resources}
        if "drift" in found or not all(check.holds for check in self.checks):
            self.status = "drift"
        elif "changed" in found:
            self.status = "changed"
