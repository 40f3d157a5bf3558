"""A toy world for the engine's tests: hosts that hold named values, and a wire that can fail."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from homelab_lib.errors import OutcomeUnknown, Refused, Unreachable
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import Plan
from homelab_lib.runbook.resource import Change, Diff
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Check, Context, Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Command, Result, change


class Clock:
    """Time passes only when somebody waits."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


@dataclass
class Wire:
    """Carries commands to toy hosts. ``cat KEY`` reads, ``put KEY VALUE`` changes.

    `fail` is asked before each changing command and may say ``lost before`` (the host never got
    it), ``lost after`` (it did), ``down``, ``kill before`` or ``kill after`` (the process dies).
    """

    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    allow_changes: bool = True
    late: int = 0  # how many reads a value takes to show
    fail: Callable[[int, Command], str] = lambda number, command: ""

    def run(self, host: str, command: Command) -> Result:
        values = self.hosts.setdefault(host, {})
        if command.kind == "read":
            if self.late:
                self.late -= 1
                return Result(0, "null", "")
            return Result(0, json.dumps(values.get(command.argv[1])), "")
        if not self.allow_changes:
            raise Refused(f"a change in plan: {command.line}")
        fate = self.fail(len(self.ran), command)
        if fate == "down":
            raise Unreachable(f"{host} is down")
        if fate == "kill before":
            raise Killed
        if fate != "lost before":
            self.ran.append(f"{host}: {command.line}")
            if command.argv[0] == "put":
                if command.argv[1] == "bad":
                    return Result(3, "", "put: bad value")
                values[command.argv[1]] = command.argv[2]
        if fate == "kill after":
            raise Killed
        if fate.startswith("lost"):
            raise OutcomeUnknown("the link dropped")
        return Result(0, "", "")


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True)
class Value:
    """The toy resource: a key of a host that should hold a value."""

    host: str
    key: str
    value: str
    destroys: tuple[str, ...] = ()
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"value {self.key}"

    def observe(self, host):
        return host.json("cat", self.key)

    def diff(self, observed) -> Diff:
        if observed == self.value:
            return Diff()
        if observed == "foreign":
            return Diff(conflict=f"{self.key} belongs to somebody else")
        put = change("put", self.key, self.value)
        return Diff((Change(f"{self.key}: {observed} → {self.value}", put, self.destroys),))


def runbook(*resources: Value, holds: bool = True) -> Runbook:
    """Two steps: the resources, and a check that stands on them."""

    def check(context: Context):
        yield Check("the sum is right", holds, "" if holds else "it is not")

    return Runbook(
        "toy",
        "A toy",
        (
            Step("build", "Build", ensure=lambda context: resources),
            Step("look", "Look", needs=("build",), check=check),
        ),
    )


def engine(
    book: Runbook, wire: Wire, *, mode="apply", plan: Plan | None = None, journal=None, **options
) -> Engine:
    mask = Mask()
    sender_options = {k: options.pop(k) for k in ("allow_destroy", "history") if k in options}
    journal = journal or Journal(None, mask=mask, wall=lambda: "2026-01-01T00:00:00Z")
    sender = Sender(wire, Clock(), journal, mask, plan, **sender_options)
    return Engine(book, mode, sender, trust=lambda name, key: None, **options)


def plan_of(book: Runbook, wire: Wire) -> Plan:
    """What the engine would send, found out on a copy of the wire's hosts."""
    twin = Wire({host: dict(values) for host, values in wire.hosts.items()})
    rehearsal = engine(book, twin)
    for name in book.names:
        rehearsal.run_step(name)
    return Plan(book.name, "toy", "0", "toy", book.names, tuple(rehearsal.sender.sent))


def run_all(book: Runbook, wire: Wire, **options) -> Engine:
    run = engine(book, wire, **options)
    for name in book.names:
        run.run_step(name)
    return run
