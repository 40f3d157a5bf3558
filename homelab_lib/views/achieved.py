"""What the records of a lab's runs tell: of each step, the last time that it came to its end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.errors import HomelabError
from homelab_lib.runbook.kept import KeptRun
from homelab_lib.runbook.plan import FIDELITY
from homelab_lib.runbook.record import plan_of

_WELL = ("changed", "already")
RANK = {"rehearsed": 1, "measured": 2}


@dataclass(frozen=True)
class Done:
    """The last time that a step came to its end.

    Parameters
    ----------
    run, step
        The run, and the step as its summary has it.
    rests
        What its changes rest on, the weakest; empty where it sent none.
    """

    run: KeptRun
    step: dict[str, Any]
    rests: str = ""

    @property
    def evidence(self) -> str:
        """``rehearsed`` or ``measured``."""
        return str(self.run["evidence"])


@dataclass
class Found:
    """What the records tell of a lab.

    Parameters
    ----------
    runs
        All of its runs, the oldest first.
    steps
        By ``runbook:step``, the last time each came to its end; measured goes before rehearsed.
    """

    runs: Sequence[KeptRun]
    steps: dict[str, Done] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Sequence[KeptRun]) -> "Found":
        """What these runs tell."""
        found = cls(runs)
        for run in runs:
            if run.was_carried_out:
                rests = _rests(run)
                for step in run["steps"]:
                    found._take(run, step, rests.get(step["step"], ""))
        return found

    def _take(self, run: KeptRun, step: dict[str, Any], rests: str) -> None:
        name = f"{run['runbook']}:{step['step']}"
        before = self.steps.get(name)
        new = Done(run, step, rests or (before.rests if before else ""))
        newer = before is None or RANK[new.evidence] >= RANK[before.evidence]
        if step["status"] in _WELL and newer:
            keeps = (
                before is not None and not step["changes_sent"] and before.evidence == new.evidence
            )
            if not keeps:  # a run that found all there says less than the one that made it
                self.steps[name] = new


def _rests(run: KeptRun) -> dict[str, str]:
    """The weakest that the changes of each step rest on."""
    try:
        plan = plan_of(run.folder)
    except (OSError, HomelabError):
        return {}
    found: dict[str, str] = {}
    for change in plan.changes if plan is not None else ():
        known = [each for each in (found.get(change.step), change.rests) if each in FIDELITY]
        if known:
            found[change.step] = max(known, key=FIDELITY.index)
    return found
