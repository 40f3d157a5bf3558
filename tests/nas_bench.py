"""A NAS that is set up by a few recipes, on a twin of a lab as it stands before its first phase."""

import shlex
from collections.abc import Callable, Iterable

from homelab_lib.lab import Lab
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.target import TwinTarget

Steps = Callable[[Lab, int], Iterable[Step]]


class Bench:
    """Runs recipes of a lab's first phase on its twin.

    Parameters
    ----------
    lab
        The lab.
    recipes
        Whose steps are carried out.
    """

    def __init__(self, lab: Lab, *recipes: Steps) -> None:
        self.lab = lab
        self.target = TwinTarget.before_phase(lab, 1)
        self.world = self.target.world
        self.nas = next(m for n, m in self.world.machines.items() if _is_nas(lab, n))
        self.steps = tuple(step for each in recipes for step in each(lab, 1))
        self.sent: list[str] = []

    def apply(self, *names: str, confirm: Iterable[str] = ()) -> dict[str, StepOutcome]:
        """Carry out the steps, or those that are named; what was sent is kept."""
        return self._run("apply", names, confirm)

    def verify(self, *names: str, confirm: Iterable[str] = ()) -> dict[str, StepOutcome]:
        """Look whether all is as it should be."""
        return self._run("verify", names, confirm)

    def _run(self, mode, names, confirm) -> dict[str, StepOutcome]:
        mask = Mask()
        journal = Journal(None, mask=mask, wall=str)
        sender = Sender(self.target.link, self.target.clock, journal, mask)
        book = Runbook("bench", "A bench", self.steps)
        engine = Engine(
            book,
            mode,
            sender,
            trust=self.target.trust,
            seal=self.target.seal,
            confirm=frozenset(confirm),
            secret=self.target.secret,
        )
        for name in names or book.names:
            try:
                engine.run_step(name)
            finally:
                self.sent = [f"{change.host}: {change.call}" for change in sender.sent]
        return engine.outcomes

    def midclt(self, *words: str) -> str:
        """What the NAS answers."""
        reply = self.nas.run(shlex.join(("midclt", "call", *words))).finished()
        assert reply.status == 0, reply.err
        return reply.out.decode()

    def close(self) -> None:
        self.target.close()


def _is_nas(lab: Lab, name: str) -> bool:
    return name in lab.hosts and lab.hosts[name].os.kind == "truenas"
