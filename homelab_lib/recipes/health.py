"""A look at the whole house: what no single runbook asks, and then each runbook's steps again.

Nothing of it sends anything. A finding is one of two: of what is *written*, in a host's own
configuration, or of what *runs*, as it works just now.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.recipes import phase
from homelab_lib.recipes.phase import KeyOf, Named
from homelab_lib.runbook.step import Runbook, Step

NAME = "health"
_NOTHING = Step("", "")


def carried_out(lab: Lab, done: Collection[str] = ()) -> list[Named]:
    """The runbooks of a lab that are looked at again, in order.

    Parameters
    ----------
    lab
        The lab.
    done
        Names of those that are known to have been carried out; none: all that can be.
    """
    return [each for each in phase.possible(lab) if not done or each.name in done]


def runbook(lab: Lab, public_key_of: KeyOf, books: Collection[Named]) -> Runbook:
    """The look at everything.

    Parameters
    ----------
    lab
        The lab.
    public_key_of
        Gives the public key by which a VM is reached, by the VM's name.
    books
        The runbooks that were carried out.

    Raises
    ------
    BadParameter
        There is nothing to look at.
    """
    phases = {book.phase for book in books}
    steps = list(phase.looks(lab, phases))
    for book in books:
        steps += _again(book, phase.runbook(lab, book.phase, public_key_of, book.part))
    if not steps:
        raise BadParameter(
            f"lab {lab.name!r} has nothing that can be looked at",
            fix="give a host an `ssh`, or something in it a phase",
        )
    return Runbook(NAME, f"Health: {lab.title}", tuple(steps))


def _again(book: Named, of_phase: Runbook) -> Iterator[Step]:
    """The steps of a runbook that have something to look at, named after it.

    A name such as ``phase1:nas-pool`` says what mends it, too: that step of that runbook.
    """
    seen = {step.name for step in of_phase.steps if _looks(step)}
    for step in of_phase.steps:
        if step.name in seen:
            needs = tuple(f"{book.name}:{name}" for name in step.needs if name in seen)
            yield replace(step, name=f"{book.name}:{step.name}", needs=needs)


def parts(looks: Runbook) -> list[str]:
    """The runbooks that are looked at again, in order; empty for the looks that belong to none."""
    return list(dict.fromkeys(map(part_of, looks.names)))


def part_of(step: str) -> str:
    """The runbook that a step is of; empty for one that belongs to none."""
    return step.rpartition(":")[0]


def _looks(step: Step) -> bool:
    """Whether a machine can tell anything of a step that is not asked elsewhere."""
    if step.gate:
        return False
    asks = step.manual is not None and step.manual.verify is not None
    return asks or step.ensure is not _NOTHING.ensure or step.check is not _NOTHING.check
