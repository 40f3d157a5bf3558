"""The small protocol between the engine and everything it can build.

A resource is a desired piece of a host's state. It can look (`observe`) and it can say what
would have to be sent (`diff`). It can't send anything: only the engine does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from homelab_lib.transport.command import Command, Result


class Host(Protocol):
    """A host as resources see it: something that can only be looked at."""

    name: str

    def read(self, *argv: str, ok: tuple[int, ...] | None = (0,), **options: Any) -> Result:
        """Run a reading command; an exit status outside `ok` is an error (None: any will do)."""
        ...

    def json(self, *argv: str, **options: Any) -> Any:
        """Run a reading command and parse what it printed as JSON."""
        ...

    def fact(self, name: str, look: Callable[["Host"], Any]) -> Any:
        """Something that does not change during a run (a version), looked up once."""
        ...

    def attempted(self, resource: str) -> bool:
        """Whether this lab's journal holds an intent to make `resource` on this host."""
        ...


@dataclass(frozen=True)
class Progress:
    """How far work that goes on at the host has come."""

    done: bool
    error: str = ""
    note: str = ""
    fraction: float | None = None


@dataclass(frozen=True)
class Change:
    """One command that moves one resource.

    Parameters
    ----------
    summary
        One line for the person who reads the plan.
    command
        What is sent.
    destroys
        The names of what it would destroy; it runs only if ``allow_destroy`` names them all.
    undo
        How it is undone, as a line to read; empty where it can't be.
    detached
        Long work: it runs as a unit of its own on the host and is polled, so that neither a
        dropped link nor a dead engine ends it half-way.
    repairs
        It clears away what our own broken-off attempt left, so that a run that is continued need
        not be approved anew.
    follow
        Asks how work that the command began is going, until it is done (an appliance's job).
    """

    summary: str
    command: Command
    destroys: tuple[str, ...] = ()
    undo: str = ""
    detached: bool = False
    repairs: bool = False
    follow: Callable[[Host, Result], Progress] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Diff:
    """What stands between the observed and the desired.

    Parameters
    ----------
    changes
        What to send, in order. Empty, with nothing else said: it is as desired.
    waiting
        Nothing to send, and not there yet: what it waits for.
    conflict
        Something else has the place (a foreign VM, another pool of that name): we stop.
    """

    changes: tuple[Change, ...] = ()
    waiting: str = ""
    conflict: str = ""

    @property
    def clean(self) -> bool:
        return not (self.changes or self.waiting or self.conflict)


class Resource(Protocol):
    """A desired piece of a host's state; a frozen dataclass.

    A class may have a static method ``observe_together(host, resources)`` besides, which looks at
    many of its own kind by few commands, where changing one of them does not concern the others.
    """

    @property
    def host(self) -> str:
        """The host it lives on."""
        ...

    @property
    def name(self) -> str:
        """What it is called in plans and journals: ``dataset tank/k3s``."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long after its changes it may take to become as desired [s]."""
        ...

    def observe(self, host: Host) -> Any:
        """What is there now: JSON-able, free of secrets; None for nothing."""
        ...

    def diff(self, observed: Any) -> Diff:
        """What stands between `observed` and the desired. Pure."""
        ...
