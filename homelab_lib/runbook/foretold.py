"""What a plan foretold, and what of it is still to be sent."""

import threading
from collections import deque

from homelab_lib.errors import PlanDiffers
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.step import Step


class Foretold:
    """A plan's changes, in line by step and host; threads may share it.

    Parameters
    ----------
    plan
        What is to be sent; None in a rehearsal, which foretells everything itself.
    journal
        Knows what came of changes that were sent already.
    """

    def __init__(self, plan: Plan | None, journal: Journal) -> None:
        self._rehearsal = plan is None
        self._journal = journal
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str], deque[PlannedChange]] = {}
        self._all: set[str] = set()
        for change in plan.changes if plan else ():
            self._queues.setdefault((change.step, change.host), deque()).append(change)
            self._all.add(change.identity)

    def take(self, change: PlannedChange) -> None:
        """The next change on a host is the one the plan has there, or nothing is sent.

        Raises
        ------
        PlanDiffers
            It is not; with both.
        """
        if self._rehearsal:
            return
        with self._lock:
            queue = self._queues.get((change.step, change.host))
            foreseen = queue[0] if queue else None
            if queue and foreseen is not None and foreseen.identity == change.identity:
                queue.popleft()
                return
        # It was foretold, and sent; looking showed that nothing came of it.
        if change.identity in self._all and self._journal.outcome(change.identity) == "failed":
            return
        says = f"{foreseen.summary}\n      {foreseen.call}" if foreseen else "nothing more here"
        if foreseen and foreseen.replaces != change.replaces:
            says += f"\n      in place of: {foreseen.replaces or 'nothing'}"
        now = f"{change.summary}\n      {change.call}"
        if change.replaces:
            now += f"\n      in place of: {change.replaces}"
        raise PlanDiffers(
            f"{change.host} wants something the plan did not foretell; it was not sent\n"
            f"    now:  {now}\n    plan: {says}",
            where=f"{change.host}:{change.step}",
            fix="make a new plan (mode=plan) and look at what changed",
        )

    def came_earlier(self, earlier: PlannedChange) -> None:
        """What an earlier run sent came about after all, and need not be sent any more."""
        with self._lock:
            queue = self._queues.get((earlier.step, earlier.host), deque())
            foreseen = next((change for change in queue if change.sends_as(earlier)), None)
            if foreseen is not None:
                queue.remove(foreseen)

    def nothing_left(self, step: Step) -> None:
        """What the plan foretold and the hosts did not need was a wrong prediction too.

        Raises
        ------
        PlanDiffers
            With the changes that were not needed.
        """
        left = [c for key, queue in self._queues.items() if key[0] == step.name for c in queue]
        if left:
            lines = "\n    ".join(f"{c.host}: {c.summary}" for c in left)
            raise PlanDiffers(
                f"the plan foretold changes that the hosts did not need:\n    {lines}",
                where=step.name,
                fix="nothing is broken by this, but something else is at work on these hosts; "
                "make a new plan (mode=plan)",
            )
