"""A lab as it stands before a runbook: what comes earlier was rehearsed on it."""

from homelab_lib.errors import HomelabError, StepFailed
from homelab_lib.lab import Lab
from homelab_lib.recipes import runbook, runbooks
from homelab_lib.recipes.phase import Named
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.secret import Mask
from homelab_lib.target import TwinTarget


def before(lab: Lab, wanted: Named, *, seed: int = 0) -> TwinTarget:
    """A twin on which the phase's earlier runbooks were carried out; it may be changed.

    Parameters
    ----------
    lab, wanted
        The lab, and the runbook that comes next.
    seed
        Of host keys, MAC addresses and all else that is drawn.

    Raises
    ------
    StepFailed
        An earlier runbook did not come to its end: the step, and why.
    """
    target = TwinTarget.before_phase(lab, wanted.phase, seed=seed)
    for each in earlier(lab, wanted):
        rehearse(lab, each, target)
    return target


def earlier(lab: Lab, wanted: Named) -> list[Named]:
    """The runbooks of the same phase that are carried out before one."""
    found = runbooks(lab)
    if wanted not in found:
        return []
    return [each for each in found[: found.index(wanted)] if each.phase == wanted.phase]


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
