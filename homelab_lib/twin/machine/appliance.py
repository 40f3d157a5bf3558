"""A machine with an appliance's own system, of some release."""

import re
from collections.abc import Iterable
from functools import cache

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Commands
from homelab_lib.twin.machine.surroundings import Surroundings

Release = tuple[int, ...]
"""``(25, 10, 1)``; a series is ``(25, 10)``, which is less than any release of it."""

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@cache
def release_of(version: str) -> Release:
    """``(25, 10, 1)`` from ``25.10.1``, ``(25, 4, 2)`` from ``25.04.2.6``, ``(26, 0, 0)`` from
    ``26.0.0-BETA.3``, ``(26, 7, 2)`` from ``26.7.2_1``; nothing from what is none."""
    found = _NUMBERS.search(version)
    return tuple(int(number) for number in found.groups() if number) if found else ()


class Appliance(Machine):
    """An appliance.

    Parameters
    ----------
    name, world, user, commands
        As for `Machine`.
    version
        Its release as it tells it itself, such as ``25.10.1``.
    """

    def __init__(
        self,
        name: str,
        world: Surroundings,
        *,
        user: str,
        version: str,
        commands: Iterable[Commands] = (),
    ) -> None:
        super().__init__(name, world, user=user, commands=commands)
        self.version = version

    @property
    def release(self) -> Release:
        """The numbers of its version."""
        return release_of(self.version)
