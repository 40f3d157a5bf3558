"""What decays while nobody looks: things that are green when they are made and fail days later.

Each room registers those of its appliance, as it does with surprises. Which happen is drawn by a
seed; what a person has to be told of each stands beside it, so that a look can be held against it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from homelab_lib.twin.world import World

Course = Callable[[Any], Iterator[None]]
"""Has it happen, yields, and then does what a person does against it."""
Mend = Callable[[], None]


@dataclass(frozen=True)
class Decay:
    """One thing that goes bad by itself.

    Parameters
    ----------
    name
        Its name, such as ``nas-disk-fails``.
    about
        What happens, in a line.
    fits
        Whether it can happen to a machine.
    course
        Has it happen, and mends it.
    tells
        Regular expressions of what a look has to find: the first by all means, the others may come
        with it.
    hides
        Names of others that nobody can see meanwhile, on whatever machine.
    """

    name: str
    about: str
    fits: Callable[[Any], bool]
    course: Course
    tells: tuple[str, ...]
    hides: tuple[str, ...] = ()

    def play(self, machine: Any) -> Mend:
        """Have it happen to a machine; what is given back mends it."""
        course = self.course(machine)
        next(course)
        return lambda: next(course, None)


_known: dict[str, Decay] = {}


def decay(
    name: str,
    *tells: str,
    on: str = "",
    fits: Callable[[Any], bool] | None = None,
    hides: tuple[str, ...] = (),
) -> Callable[[Course], Course]:
    """Register a decay; the first line of the function's docstring says what happens.

    Parameters
    ----------
    name, tells, fits, hides
        As `Decay` has them.
    on
        In place of `fits`: a host by its system, such as ``truenas``.
    """

    def is_one(machine: Any) -> bool:
        host = machine.world.lab.hosts.get(machine.name)
        return host is not None and not host.standalone and host.os.kind == on

    def register(course: Course) -> Course:
        about = (course.__doc__ or "").strip().partition("\n")[0]
        _known[name] = Decay(name, about, fits or is_one, course, tells, hides)
        return course

    return register


def known() -> Iterator[Decay]:
    """Every decay that a room plays, by name."""
    return iter(sorted(_known.values(), key=lambda each: each.name))


def named_decay(name: str) -> Decay:
    """The decay of that name."""
    return _known[name]


def places(world: World) -> list[tuple[Decay, str]]:
    """Everything that can decay in a world as it is: what, and on which machine."""
    return [
        (each, name)
        for each in known()
        for name, machine in world.machines.items()
        if machine.up and each.fits(machine)
    ]


def drawn(world: World, seed: int, most: int = 3) -> list[tuple[Decay, str]]:
    """What decays, and on which machine: each time another set, no two on one machine, and none
    that hides another.

    Parameters
    ----------
    world, seed
        Where, and what it is drawn by.
    most
        How many at the most.
    """
    found = places(world)
    Random(seed).shuffle(found)
    chosen: list[tuple[Decay, str]] = []
    for each, name in found:
        apart = all(name != n and not _hides(each, other) for other, n in chosen)
        if len(chosen) < most and apart:
            chosen.append((each, name))
    return chosen


def _hides(one: Decay, other: Decay) -> bool:
    """Whether one of both is not seen because of the other."""
    return one.name in other.hides or other.name in one.hides
