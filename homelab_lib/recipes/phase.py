"""A lab's runbooks: for each phase the recipes of its things, in the order in which they need each
other, and one for the ways in from outside.

A phase's runbook is cut into parts, so that none of them changes the way by which another comes:
``phase1``, ``phase1_proxmox``, ``phase1_network``, ``phase1_access``, ``phase1_backup``.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.recipes import holdings
from homelab_lib.recipes import looks as besides
from homelab_lib.recipes.backup import files
from homelab_lib.recipes.firewall import opnsense
from homelab_lib.recipes.graphics import drivers, passthrough
from homelab_lib.recipes.hardware import assembly, desktop, switch
from homelab_lib.recipes.inference import failover, ollama, pooled, web_ui
from homelab_lib.recipes.kubernetes import compute, production
from homelab_lib.recipes.nas import apps, configuration, linux, network, power, truenas
from homelab_lib.recipes.proxmox import cluster as proxmox_cluster
from homelab_lib.recipes.proxmox import containers, host
from homelab_lib.recipes.proxmox import network as proxmox_network
from homelab_lib.recipes.ways_in import access
from homelab_lib.runbook.step import Runbook, Step

KeyOf = Callable[[str], str]
"""Gives the public key by which a VM will be reached, by the VM's name."""


@dataclass(frozen=True)
class Recipe:
    """How one kind of thing is made.

    Parameters
    ----------
    makes
        Keys of the lab's document whose things it makes.
    steps
        The steps for those of a phase; none where it has no such things.
    looks
        What `health` looks at besides, by steps that only look; it is told which phases are done.
        A recipe's module offers it by a function of this name.
    """

    makes: tuple[str, ...]
    steps: Callable[[Lab, int, KeyOf], Iterable[Step]]
    looks: Callable[[Lab, Collection[int]], Iterable[Step]] = lambda lab, phases: ()


@dataclass(frozen=True)
class Part:
    """A runbook of a phase.

    Parameters
    ----------
    name
        What follows the phase in its name; empty for the phase's own.
    title
        What it is about; empty for the phase's own title.
    recipes
        In the order in which their things need each other.
    """

    name: str
    title: str
    recipes: tuple[Recipe, ...]

    @property
    def makes(self) -> tuple[str, ...]:
        """Keys of the lab's document whose things it makes."""
        return tuple(dict.fromkeys(key for recipe in self.recipes for key in recipe.makes))


def _of(recipe: Any) -> Recipe:
    """A recipe that needs no key."""
    found = _made(recipe.MAKES, recipe.steps)
    return replace(found, looks=recipe.looks) if hasattr(recipe, "looks") else found


def _made(makes: tuple[str, ...], steps: Callable[[Lab, int], Iterable[Step]]) -> Recipe:
    return Recipe(makes, lambda lab, phase, key_of: steps(lab, phase))


PARTS = (
    Part(
        "",
        "",
        (
            *map(_of, (assembly, opnsense, switch)),
            _made(configuration.MAKES, configuration.before),
            *map(_of, (network, power, truenas, linux, apps)),
            _made(configuration.MAKES, configuration.after),
            _of(desktop),
            _of(containers),
            Recipe(compute.MAKES, compute.steps),
            _of(passthrough),
            *map(_of, (drivers, ollama, pooled, failover, web_ui)),
            _of(production),
        ),
    ),
    Part(
        "proxmox",
        "Proxmox host",
        (_of(host), _of(proxmox_cluster), _made(linux.MAKES, linux.on_proxmox)),
    ),
    Part("network", "Network of the Proxmox host", (_of(proxmox_network),)),
    Part("access", "Ways in from outside", (_of(access),)),
    Part("backup", "Backups that were restored once", (_of(files),)),
)
"""In the order in which a phase's runbooks are carried out."""

_MADE = tuple(dict.fromkeys(key for part in PARTS for key in part.makes))


@dataclass(frozen=True)
class Named:
    """What the name of a runbook says.

    Parameters
    ----------
    phase
        The number of the phase.
    part
        Its part.
    """

    phase: int
    part: Part

    @property
    def name(self) -> str:
        """``phase2``, ``phase1_network``."""
        return f"phase{self.phase}" + (f"_{self.part.name}" if self.part.name else "")


def named(name: str) -> Named:
    """What the name of a runbook says: ``phase2`` is the second phase, and its main part.

    Raises
    ------
    BadParameter
        It is no such name.
    """
    found = re.fullmatch(r"phase([1-9]\d{0,8})(?:_([a-z]+))?", name)
    parts = {part.name: part for part in PARTS}
    if found is None or (found[2] or "") not in parts:
        known = ", ".join(f"phase1_{part}" for part in parts if part)
        raise BadParameter(
            f"there is no runbook {name!r}",
            fix="a phase's is called phase2, phase3 and so on" + (f"; {known}" if known else ""),
        )
    return Named(int(found[1]), parts[found[2] or ""])


def runbooks(lab: Lab) -> list[Named]:
    """All runbooks of a lab that make something, in the order in which they are carried out.

    Raises
    ------
    BadParameter
        There is none.
    """
    found = [
        Named(phase, part)
        for phase in holdings.holdings(lab)
        for part in PARTS
        if holdings.to_make(lab, phase, part.makes)
        and not holdings.strangers(lab, phase, _MADE)
        and _makes_any(lab, phase, part)
    ]
    if not found:
        raise BadParameter(
            f"lab {lab.name!r} has no phase that a runbook carries out",
            fix=f"give {', '.join(_MADE)} the number of a phase",
        )
    return found


def possible(lab: Lab) -> list[Named]:
    """The runbooks of a lab that can be carried out, in order; none where none can."""
    found: list[Named] = []
    with suppress(BadParameter):
        for each in runbooks(lab):
            with suppress(BadParameter):
                runbook(lab, each.phase, lambda vm: "", each.part)
                found.append(each)
    return found


def looks(lab: Lab, phases: Collection[int]) -> Iterator[Step]:
    """What recipes look at besides what they make.

    Parameters
    ----------
    lab, phases
        The lab, and the numbers of the phases that are done.
    """
    yield from besides.looks(lab, phases)
    for part in PARTS:
        for recipe in part.recipes:
            yield from recipe.looks(lab, phases)


def _makes_any(lab: Lab, phase: int, part: Part) -> bool:
    """Whether a part has a step for a phase: things of one key are made in several parts."""
    try:
        return any(True for recipe in part.recipes for _ in recipe.steps(lab, phase, lambda vm: ""))
    except BadParameter:
        return True  # which says why, once it is asked for


def _others(lab: Lab, phase: int, part: Part) -> Iterator[Named]:
    """The other runbooks of a phase that have a step."""
    for other in PARTS:
        if other is not part and _makes_any(lab, phase, other):
            yield Named(phase, other)


def first(lab: Lab) -> Named:
    """The first runbook of a lab that can be carried out.

    Raises
    ------
    BadParameter
        There is none: why not, of the first.
    """
    found = runbooks(lab)
    refused: list[BadParameter] = []
    for each in found:
        try:
            runbook(lab, each.phase, lambda vm: "", each.part)
        except BadParameter as error:
            refused.append(error)
        else:
            return each
    raise refused[0]


def meant(lab: Lab, word: str) -> Named:
    """The runbook that a person means.

    Parameters
    ----------
    lab, word
        The lab, and what was typed: ``2``, ``phase2``, ``phase1_network``; nothing means the first
        that can be carried out.

    Raises
    ------
    BadParameter
        There is none.
    """
    if not word:
        return first(lab)
    return named(f"phase{word}" if word.isdecimal() else word)


def runbook(lab: Lab, phase: int, public_key_of: KeyOf, part: Part = PARTS[0]) -> Runbook:
    """The runbook of a phase of a lab.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    public_key_of
        Gives the public key by which a VM will be reached, by the VM's name.
    part
        Which of the phase's runbooks.

    Raises
    ------
    BadParameter
        The phase has nothing to make, or something that can't be made: its key and what to do.
    """
    holdings.refuse_strangers(lab, phase, _MADE)
    steps = [step for each in part.recipes for step in each.steps(lab, phase, public_key_of)]
    if not steps:
        others = [each.name for each in _others(lab, phase, part)]
        raise holdings.nothing(lab, phase, part.makes, others)
    title = part.title or next((p.title for p in lab.phases if p.number == phase), lab.title)
    return Runbook(Named(phase, part).name, f"Phase {phase}: {title}", tuple(steps))
