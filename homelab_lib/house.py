"""The whole house on one twin: every runbook in order, a look at all of it, and another one later.

What a person does by `begin` for one runbook is done here for all of a lab's; each leaves its
record. Then the twin's clock runs on, some things decay, and a look has to find just those.
"""

import re
import time
from collections.abc import Collection, Sequence
from typing import Any

from homelab_lib import house_page, paths
from homelab_lib.errors import StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.recipes import health
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.session.rehearsed import earlier
from homelab_lib.session.run import Run
from homelab_lib.target import Decayed, TwinTarget
from homelab_lib.views.cards import Card, note_card
from homelab_lib.views.looks import findings
from homelab_lib.views.progress import StepNews

_DAY_S = 86_400.0


class House:
    """A lab on a twin, from bare machines to the end.

    Parameters
    ----------
    lab
        The lab's folder or file; empty for the one that is shipped.
    seed
        The twin's; it picks what decays, too.
    """

    def __init__(self, lab: str = "", seed: int = 0) -> None:
        self._where = lab
        self.seed = seed
        self.lab = load_lab(paths.locate(lab) if lab else paths.data())
        found = earlier(self.lab, None)
        self.books = [book.name for book in found]
        after_all = 1 + max((phase.number for phase in self.lab.phases), default=0)
        first = min((book.phase for book in found), default=after_all)
        self.twin = TwinTarget.before_phase(self.lab, first, seed)
        self.outcomes: dict[str, tuple[StepOutcome, ...]] = {}
        self.decayed: list[Decayed] = []

    def __enter__(self) -> "House":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the twin."""
        self.twin.close()

    def carry_out(self, book: str) -> Card:
        """Plan a runbook, carry it out as planned, and again, which has to send nothing.

        Raises
        ------
        StepFailed
            A second run sent something.
        HomelabError
            It did not come to its end.
        """
        begun = time.monotonic()
        with StepNews(book) as news:
            planned, sent, said = self._run(book)
            _, again, _ = self._run(book)
        if again or sent != planned:
            raise StepFailed(
                f"{book}: {planned} changes planned, {sent} sent, and {again} by a second run",
                where=book,
                fix="a second run has to find everything as described",
            )
        took_s = time.monotonic() - begun
        told = f"{said} A second run sent nothing. It took {took_s:.1f} s."
        return note_card(told, place=news.place)

    def _run(self, book: str, named: Collection[str] = ()) -> tuple[int, int, str]:
        """How many changes were planned, and sent, and what it said at its end.

        What the plan would destroy is named once it has been read, as a person does: a drill
        removes what it has restored.
        """
        run = Run(book, lab=self._where, on=self.twin, seed=self.seed, allow_destroy=sorted(named))
        try:
            plan = run.plan()
            destroyed = {each for change in plan.about.changes for each in change.destroys}
            if destroyed - set(named):
                run.close()
                return self._run(book, destroyed | set(named))
            for name in run.runbook.names:
                run.step(name)
            said = run.finish().text
            self.outcomes.setdefault(book, tuple(run.outcomes))
            return len(plan.about.changes), sum(len(o.sent) for o in run.outcomes), said
        finally:
            run.close()

    def look(self) -> Card:
        """Look at everything that was carried out, and what decayed has to be found: that, and no
        more.

        Raises
        ------
        StepFailed
            Something is amiss that did not decay, or what did was not found.
        """
        run = Run(health.NAME, mode="verify", lab=self._where, on=self.twin, seed=self.seed)
        try:
            with StepNews(health.NAME) as news:
                cards = [run.look(part) for part in health.parts(run.runbook)]
            found = [o for o in run.outcomes if o.status == "drift"]
            run.conclude()
            self._hold(found)
            return _together(cards, news.place)
        finally:
            run.close()

    def _hold(self, found: Sequence[StepOutcome]) -> None:
        told = [f"{outcome.step}: {text}" for outcome in found for _, text in findings(outcome)]
        expected = [pattern for decay, _ in self.decayed for pattern in decay.tells]
        strange = [each for each in told if not any(re.search(p, each) for p in expected)]
        missed = [
            f"{decay.name} on {name}: {decay.about}"
            for decay, name in self.decayed
            if not any(re.search(decay.tells[0], each) for each in told)
        ]
        if strange or missed:
            lines = [*(f"not found: {each}" for each in missed), *(f"found: {s}" for s in strange)]
            raise StepFailed(
                "what the look has found is not what decayed:\n    " + "\n    ".join(lines),
                where="health",
                fix="a look that misses what decayed, or finds what did not, is not to be trusted",
            )

    def decay(self, days: float = 40.0) -> Card:
        """Let time pass; in the middle of it some things decay, which the seed picks.

        Parameters
        ----------
        days
            How long.
        """
        self.twin.clock.sleep(days * _DAY_S / 2)
        self.decayed = self.twin.decay(self.seed)
        self.twin.clock.sleep(days * _DAY_S / 2)
        told = [f"{name}: {each.about}" for each, name in self.decayed] or ["nothing"]
        return note_card(f"{days:g} days passed. What decayed: {' '.join(told)}")

    def page(self) -> Card:
        """Make the page of the house, and close the twin."""
        self.close()
        return note_card(f"The page of the house: {paths.shown(house_page.write(self.lab))}")


def _together(cards: Sequence[Card], place: Any) -> Card:
    html, text = "".join(card.html for card in cards), "\n".join(card.text for card in cards)
    about: Any = [outcome for card in cards for outcome in card.about]
    return Card(html, text, about, place)
