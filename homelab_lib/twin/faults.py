"""Faults on demand: what goes wrong, where, and at which command."""

import re
from dataclasses import dataclass, field
from typing import Literal

_AROUND = re.compile(r"env LC_ALL=C |/bin/sh -c 'printf %s \S+ exec \S+' [0-9a-f]{32} ")

Kind = Literal["cut-before", "cut-after", "cut-mid", "reboot", "hang", "fail"]


def plain(line: str) -> str:
    """A command without what is put around each so that it speaks English and shows what the login
    is like."""
    return _AROUND.sub("", line)


@dataclass
class Fault:
    """Something that goes wrong when a command comes.

    Parameters
    ----------
    kind
        ``cut-before``: the connection drops, and the command is not run. ``cut-after``: it is
        run, and nobody hears of it. ``cut-mid``: it dies half-way. ``reboot``: it is run, and the
        machine restarts before it answers. ``hang``: no answer ever. ``fail``: it ends with
        status 1, undone.
    match
        Regular expression that the command line must contain.
    machine
        The machine; empty for any.
    nth
        Which of the commands that fit, from 1.
    """

    kind: Kind
    match: str = ""
    machine: str = ""
    nth: int = 1
    struck: bool = False
    _seen: int = field(default=0, repr=False)

    def strikes(self, machine: str, line: str) -> bool:
        """Whether it hits this command; it hits only once."""
        if self.struck or self.machine not in ("", machine) or not re.search(self.match, line):
            return False
        self._seen += 1
        self.struck = self._seen == self.nth
        return self.struck


class Faults:
    """The faults of a world."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []

    def arm(self, kind: Kind, match: str = "", *, machine: str = "", nth: int = 1) -> Fault:
        """Have something go wrong."""
        fault = Fault(kind, match, machine, nth)
        self.armed.append(fault)
        return fault

    def strike(self, machine: str, line: str) -> Kind | None:
        """What goes wrong with this command, if anything does."""
        line = plain(line)
        hits = [fault.kind for fault in self.armed if fault.strikes(machine, line)]
        return hits[0] if hits else None
