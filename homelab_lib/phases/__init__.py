"""The runbooks: each phase of a lab as named steps, written for any lab that has what it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.phases import phase2
from homelab_lib.runbook.step import Runbook


@dataclass(frozen=True)
class Recipe:
    """How a runbook is made for a lab.

    Parameters
    ----------
    phase
        The phase it carries out; a twin starts as the lab stands before that.
    build
        Gives the runbook, from the lab and the public key by which a machine is reached.
    """

    phase: int
    build: Callable[[Lab, Callable[[str], str]], Runbook]


_RECIPES = {"phase2": Recipe(2, phase2.runbook)}


def recipe(name: str) -> Recipe:
    """The recipe called `name`.

    Raises
    ------
    BadParameter
        There is none.
    """
    if name not in _RECIPES:
        raise BadParameter(
            f"there is no runbook {name!r}", fix=f"there are: {', '.join(sorted(_RECIPES))}"
        )
    return _RECIPES[name]
