"""Copies that restic makes of a machine's folders by a timer, and the first of them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.clock import clock_s, is_new
from homelab_lib.control.linux.restic import Access, newest, tags
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import change
from homelab_lib.units import format_age


def commands(
    access: Access,
    tag: str,
    paths: Sequence[str],
    exclude: Sequence[str],
    keep: Mapping[str, int],
) -> tuple[str, ...]:
    """What makes a copy and then forgets old ones: those of this backup alone.

    A copy of which some files could not be read ends with a failure, and nothing is forgotten then.

    Parameters
    ----------
    access, tag
        The repository, and the tags that mark its copies.
    paths, exclude
        What is copied, and what of it is left out.
    keep
        How many of which are kept, such as ``daily: 7``.
    """
    left_out = [f"--exclude={each}" for each in exclude]
    counts = [word for name, count in keep.items() for word in (f"--keep-{name}", str(count))]
    return (
        _line(access, "backup", "--tag", tag, *left_out, "--", *paths),
        _line(access, "forget", "--tag", tag, "--group-by", "tags", *counts),
    )


def check_commands(access: Access, percent: int) -> tuple[str, ...]:
    """What gives back the room of forgotten copies, and looks through what is left.

    Parameters
    ----------
    access
        The repository.
    percent
        How much of the data is read [%].
    """
    return (
        _line(access, "prune"),
        _line(access, "check", f"--read-data-subset={percent}%"),
    )


def _line(access: Access, *words: str) -> str:
    """A line of a unit file: ``%`` and ``$`` mean something to systemd."""
    line = shlex.join(("/usr/bin/restic", *access.options, *words))
    return line.replace("%", "%%").replace("$", "$$")


@dataclass(frozen=True)
class Copied:
    """Folders of which a copy is there that is not older than was promised.

    Parameters
    ----------
    host, unit
        The machine, and the service that makes a copy.
    access
        The repository.
    lab, backup
        What its copies are tagged with.
    within_s
        How old the newest may be [s].
    timeout_s
        How long making one may take [s].
    """

    host: str
    unit: str
    access: Access
    lab: str
    backup: str
    within_s: float
    timeout_s: float = 86_400.0

    @property
    def name(self) -> str:
        return f"copy {self.backup}"

    def observe(self, host: Host) -> dict[str, Any]:
        """How old the newest copy is, whether something is in it, and whether one is being made."""
        now_s = clock_s(host)
        found = newest(host, self.access, tags(self.lab, self.backup), now_s)
        unit = unit_properties(host, f"{self.unit}.service", "LoadState", "ActiveState")
        age_s = None if found is None else now_s - found.made_s
        told = {"age_s": age_s, "id": found.id if found else "", "unit": unit["ActiveState"]}
        return told | {"emptied": found is not None and found.emptied}

    def diff(self, observed: dict[str, Any]) -> Diff:
        age_s = observed["age_s"]
        if is_new(age_s, self.within_s):
            if not observed["emptied"]:
                return Diff()
            return Diff(
                conflict=f"the newest copy of {self.backup}, {observed['id']}, holds no file, "
                f"and one before it does: what is to be copied is empty, or not mounted, on "
                f"{self.host}. Copies that have it are forgotten by and by. See to that, then: "
                f"systemctl start {self.unit}"
            )
        if observed["unit"] == "activating":
            return Diff(waiting=f"{self.unit} is at work")
        why = "none yet" if age_s is None else f"the newest is {format_age(age_s)}"
        call = change("systemctl", "start", self.unit, sudo=True, timeout_s=self.timeout_s)
        summary = f"make a copy of {self.backup}: {why}"
        undo = f"{NOTHING_TO_UNDO}: it is kept for its time, as every copy"
        return Diff((Change(summary, call, detached=True, undo=undo),))
