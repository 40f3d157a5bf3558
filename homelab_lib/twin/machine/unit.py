"""A unit of systemd: a service that is installed, or a transient one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from homelab_lib.twin.machine.surroundings import Surroundings


class Keeper(Protocol):
    """What a unit needs of the machine it is on."""

    name: str
    world: Surroundings
    boots: int

    def log(self, invocation: str, text: str) -> None: ...


@dataclass
class Unit:
    """A service.

    Parameters
    ----------
    name
        Without ``.service``.
    active, sub
        As ``systemctl show`` has them.
    enabled
        Whether it starts with the machine.
    transient
        Made by `systemd-run`; gone when it is collected or the machine restarts.
    ran
        Whether it was ever begun since the machine booted.
    oneshot
        Whether it is over once it has started.
    again
        Whether what it runs has ended by itself, and systemd starts it anew after a while.
    source
        Its unit file as systemd has read it, where that is an administrator's own.
    dropin
        What an administrator has laid over its unit file, likewise.
    on_start, on_stop
        What comes of starting and stopping it; starting gives why it failed, empty for success.
    """

    name: str
    active: str = "inactive"
    sub: str = "dead"
    enabled: bool = False
    transient: bool = False
    status: int = 0
    invocation: str = ""
    starts: int = 0
    ran: bool = False
    oneshot: bool = False
    again: bool = False
    source: str = ""
    dropin: str = ""
    on_start: Callable[[Any], str] = field(default=lambda machine: "", repr=False)
    on_stop: Callable[[Any], None] = field(default=lambda machine: None, repr=False)

    def start(self, machine: "Keeper") -> str:
        """Start it; why it did not, or nothing."""
        if self.active == "active":
            return ""
        self.new_invocation(machine)
        self.again = False
        why = self.on_start(machine)
        runs = ("active", "waiting" if self.name.endswith(".timer") else "running")
        well = ("inactive", "dead") if self.oneshot else runs
        self.active, self.sub = ("failed", "failed") if why else well
        if self.again:
            self.active, self.sub = "activating", "auto-restart"
        self.status = 1 if why else 0
        machine.log(self.invocation, why)
        return why

    def new_invocation(self, machine: "Keeper") -> None:
        self.starts += 1
        self.ran = True
        text = f"{machine.world.seed}{machine.name}{self.name}{self.starts}{machine.boots}"
        self.invocation = hashlib.sha256(text.encode()).hexdigest()[:32]

    def stop(self, machine: "Keeper") -> None:
        """Stop it."""
        if self.active == "active":
            self.on_stop(machine)
        self.active, self.sub = "inactive", "dead"

    def stopped_by_power(self) -> None:
        """The machine went away under it."""
        self.active, self.sub = "inactive", "dead"
        self.ran = False
