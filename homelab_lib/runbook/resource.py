"""The small protocol between the engine and everything it can build.

A resource is a desired piece of a host's state. It can look (`observe`) and it can say what
would have to be sent (`diff`). It can't send anything: only the engine does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Result
from homelab_lib.transport.request import Request


class Host(Protocol):
    """A host as resources see it: something that can only be looked at."""

    name: str

    def read(self, *argv: str, ok: tuple[int, ...] | None = (0,), **options: Any) -> Result:
        """Run a reading command; an exit status outside `ok` is an error (None: any will do)."""
        ...

    def json(self, *argv: str, **options: Any) -> Any:
        """Run a reading command and parse what it printed as JSON."""
        ...

    def request(self, request: Request, ok: tuple[int, ...] | None = (0,)) -> Result:
        """Send a reading request to one of the host's HTTPS services; its status as for `read`,
        0 for any of 200 to 299."""
        ...

    def fact(self, name: str, look: Callable[["Host"], Any]) -> Any:
        """Something that does not change during a run (a version), looked up once."""
        ...

    def begun(self, resource: str) -> bool:
        """Whether we were making `resource` here, under this very approval, when we were cut off:
        the last that its journal says of it is *unknown* or *failed*."""
        ...

    def sent(self, resource: str) -> tuple[str, ...]:
        """The calls that were sent for `resource` here, under this very approval, and may have come
        about: as lines, in order."""
        ...

    def cut(self, text: str, limit: int, *, end: bool = False) -> str:
        """The first characters of what it printed, or the last, for an error: secrets are masked
        before that, for no mask finds half of one."""
        ...

    def seal(self, text: str) -> str:
        """A keyed digest of a secret, by which two can be compared and none be guessed."""
        ...


@dataclass(frozen=True)
class Progress:
    """How far work that goes on at the host has come."""

    done: bool
    error: str = ""
    note: str = ""
    fraction: float | None = None


NOT_UNDONE = "can't be undone"
"""How the undo of a change begins that nobody can take back."""

NOTHING_TO_UNDO = "nothing to undo"
"""How the undo of a change begins that leaves nothing behind, or nothing that does harm."""


@dataclass(frozen=True)
class Rollback:
    """The undo of a change to the path by which we came: the host carries it out by itself, unless
    we confirm over a fresh connection.

    Parameters
    ----------
    arm
        Sent first; None where the change arms it itself, as TrueNAS's interface commit does.
    armed
        Whether the host shows it armed: looked at before the change where there is `arm`, else
        after it.
    confirm
        Sent over a fresh connection; ends the timer.
    within_s
        When the host undoes it [s].
    """

    arm: Call | None
    armed: Callable[[Host], bool] = field(compare=False)
    confirm: Call
    within_s: float


@dataclass(frozen=True)
class Change:
    """One call that moves one resource.

    Parameters
    ----------
    summary
        One line for the person who reads the plan.
    call
        What is sent.
    destroys
        The names of what it would destroy; it runs only if ``allow_destroy`` names them all.
        Clearing away what our own broken-off attempt left is no exception.
    replaces
        What stands there now and is replaced, in stable facts that a person can read (mode, owner,
        digest, old values); empty where nothing is. It is part of what was approved.
    difference
        The same as a unified diff of its text, where it has one that may be shown.
    undo
        How it is undone, as a line to read: the command, or the place where a person does it;
        `NOT_UNDONE` or `NOTHING_TO_UNDO`, and why. Never empty.
    detached
        Long work of a command: it runs as a unit of its own on the host and is polled, so that
        neither a dropped link nor a dead engine ends it half-way.
    follow
        Asks how work that the call began is going, until it is done (an appliance's job).
    rollback
        For a change to the path by which we came.
    starts
        The machine that it starts or restarts: until that is up, that it does not answer is no
        error.
    unseen
        Why what that machine holds can't be known before it runs; a plan goes as far as its start,
        and what comes after is looked at and planned then. Empty where it is known.
    refusals
        What a person has to do where the host refuses it with certain words: (words, what to do).
    """

    summary: str
    call: Call
    destroys: tuple[str, ...] = ()
    replaces: str = ""
    difference: str = ""
    undo: str = field(kw_only=True)
    detached: bool = False
    follow: Callable[[Host, Result], Progress] | None = field(default=None, compare=False)
    rollback: Rollback | None = None
    starts: str = ""
    unseen: str = ""
    refusals: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.undo:
            raise ValueError(f"{self.summary}: how is it undone?")


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
    One that says ``looks_at = "runs"`` looks at what runs, any other at what is written.
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
