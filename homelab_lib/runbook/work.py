"""One resource, as far as work on it has come."""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.runbook.outcome import ResourceOutcome
from homelab_lib.runbook.resource import Change, Diff, Resource
from homelab_lib.transport.call import Call


@dataclass
class Work:
    """What is wanted, and how far it is.

    Parameters
    ----------
    resource, outcome
        What is wanted, and what came of it so far.
    observed, diff
        The last look; `fresh` while nothing was sent since that could have changed it.
    tried
        The calls that were done: none of them is sent again.
    """

    resource: Resource
    outcome: ResourceOutcome
    observed: Any = None
    diff: Diff = field(default_factory=Diff)
    fresh: bool = False
    tried: list[Call] = field(default_factory=list)

    def seen(self, observed: Any) -> None:
        """Take what a look has shown."""
        self.observed, self.fresh = observed, True
        self.diff = self.resource.diff(observed)

    @property
    def pending(self) -> list[Change]:
        """What is still to be sent."""
        return [change for change in self.diff.changes if change.call not in self.tried]
