"""Surprises on demand: what real machines do between a call and the truth.

A login that is refused while the machine boots, a lock that outlives its task, a server that is up
and has no route yet. Each room registers those of its appliance; `World.surprise` has one happen.
They are meant for a world that stands by itself and plays the real lab: a rehearsal knows nothing
of them, and that is the point.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from homelab_lib.errors import BadParameter

Play = Callable[..., None]
"""Has it happen: is given the machine, and what may be chosen about it by name."""


@dataclass(frozen=True)
class Surprise:
    """One thing that can go otherwise than one expects.

    Parameters
    ----------
    name
        Its name, such as ``ssh-nologin``.
    about
        What happens, in a line.
    on
        The kind of machine that it happens to: ``vm``, a server of a ``cluster``, a ``backup
        server``, or a host by its system, such as ``proxmox``.
    play
        Has it happen on a machine.
    """

    name: str
    about: str
    on: str
    play: Play


_known: dict[str, Surprise] = {}


def surprise(name: str, *, on: str = "vm") -> Callable[[Play], Play]:
    """Register a surprise; the first line of the function's docstring says what happens.

    Parameters
    ----------
    name
        Its name, unique among all rooms.
    on
        As `Surprise` has it.
    """

    def register(play: Play) -> Play:
        if name in _known:
            raise ValueError(f"surprise {name!r} is registered already")
        _known[name] = Surprise(name, (play.__doc__ or "").strip().partition("\n")[0], on, play)
        return play

    return register


def known() -> Iterator[Surprise]:
    """Every surprise that a room can play, by name."""
    return iter(sorted(_known.values(), key=lambda each: each.name))


def named(name: str) -> Surprise:
    """The surprise of that name.

    Raises
    ------
    BadParameter
        No room plays it.
    """
    if name in _known:
        return _known[name]
    raise BadParameter(
        f"no room of the twin plays the surprise {name!r}",
        fix=f"they play: {', '.join(sorted(_known)) or 'none'}",
    )


class Expected:
    """Surprises for machines that are not there yet, or are made anew: they happen at the boot.

    A VM that the runbook makes can't be told of beforehand otherwise.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[Surprise, dict[str, Any]]]] = {}

    def add(self, machine: str, wanted: Surprise, options: dict[str, Any]) -> None:
        """Have it happen when a machine of that name boots for the first time."""
        self._waiting.setdefault(machine, []).append((wanted, options))

    def meet(self, machine: Any) -> None:
        """The machine boots: what was waiting for it happens."""
        for wanted, options in self._waiting.pop(machine.name, ()):
            wanted.play(machine, **options)
