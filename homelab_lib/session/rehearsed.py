"""A lab as it stands before a runbook: what comes earlier was rehearsed on it."""

from collections.abc import Callable

from homelab_lib.errors import BadParameter, HomelabError, StepFailed
from homelab_lib.lab import Lab
from homelab_lib.recipes import runbook, runbooks
from homelab_lib.recipes.phase import Named, possible
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.secret import Mask
from homelab_lib.target.twin import TwinTarget


def before(
    lab: Lab,
    wanted: Named | None,
    *,
    seed: int = 0,
    since: int = 1,
    note: Callable[[str, str], None] = lambda host, text: None,
) -> TwinTarget:
    """A twin on which the earlier runbooks were carried out; it may be changed.

    Parameters
    ----------
    lab, wanted
        The lab, and the runbook that comes next; None: all of them were carried out.
    seed
        Of host keys, MAC addresses and all else that is drawn.
    since
        The first phase that is rehearsed; what comes before it stands as described.
    note
        Told (host, text) of each runbook that is rehearsed.

    Raises
    ------
    StepFailed
        An earlier runbook did not come to its end: the step, and why.
    """
    books = earlier(lab, wanted, since)
    phases = [*(each.phase for each in books), *([wanted.phase] if wanted else [])]
    after_all = 1 + max((phase.number for phase in lab.phases), default=0)
    target = TwinTarget.before_phase(lab, min(phases, default=after_all), seed)
    for each in books:
        note("", f"rehearsing {each.name}, which comes first")
        rehearse(lab, each, target)
        target.rest()
    return target


def earlier(lab: Lab, wanted: Named | None, since: int = 1) -> list[Named]:
    """The runbooks that are carried out before one, or all for None, from the last phase on of
    which not all can be: what no runbook makes is taken for made."""
    if wanted is None and not possible(lab):
        return []
    found = [each for each in runbooks(lab) if each.phase >= since]
    if wanted is not None:
        found = found[: found.index(wanted)] if wanted in found else []
    books: list[Named] = []
    for each in reversed(found):
        try:
            runbook(lab, each.phase, lambda vm: "", each.part)
        except BadParameter:
            return [book for book in books if book.phase > each.phase]
        books.insert(0, each)
    return books


def rehearse(lab: Lab, what: Named, target: TwinTarget) -> None:
    """Carry a runbook out on a twin; what a person has to do is taken for done."""
    book = runbook(lab, what.phase, target.public_key, what.part)
    mask = Mask()
    sender = Sender(target.link, target.clock, Journal(None, mask=mask, wall=str), mask)
    engine = Engine(
        book,
        "apply",
        sender,
        trust=target.trust,
        seal=target.seal,
        locate=target.locate,
        secret=target.secret,
    )
    for name in book.names:
        try:
            engine.run_step(name)
        except HomelabError as error:
            raise StepFailed(
                f"{what.name} comes first, and its rehearsal did not come to its end: {error.what}",
                where=f"{what.name}: {name}",
                fix=error.fix,
            ) from error
