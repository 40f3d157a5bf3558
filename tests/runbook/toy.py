"""A toy world for the engine's tests: hosts that hold named values, and a wire that can fail."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from homelab_lib.errors import HomelabError, NotSent, OutcomeUnknown, Refused, Unreachable
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import Plan, PlannedHost
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
    it), ``lost after`` (it did), ``slow`` (it did, and takes its time), ``lie`` (it says so and did
    nothing), ``down``, ``kill before``, ``kill after`` or ``kill slow`` (the process dies).
    """

    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    allow_changes: bool = True
    slow: list[tuple[str, str, str]] = field(default_factory=list)
    looks: int = 0  # since a slow host was sent something
    late: int = 0  # how many reads a value takes to show
    trips: int = 0  # how many times several commands went together
    cut_off: bool = False  # no new connection comes about
    fail: Callable[[int, Command], str] = lambda number, command: ""

    def run(self, host: str, command: Command) -> Result:
        values = self.hosts.setdefault(host, {})
        if command.kind == "read":
            self._catch_up()
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
        if fate in ("slow", "kill slow"):
            self.slow.append((host, command.argv[1], command.argv[2]))
            raise OutcomeUnknown("the link dropped") if fate == "slow" else Killed
        if fate == "lie":
            return Result(0, "", "")
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

    def _catch_up(self) -> None:
        """What a slow host was sent shows at the tenth look."""
        self.looks += bool(self.slow)
        if self.slow and self.looks > 10:
            host, key, value = self.slow[0]
            if self.hosts[host].get(key) != value:
                self.ran.append(f"{host}: put {key} {value}")
            self.hosts[host][key] = value

    def run_many(self, host: str, commands: Sequence[Command]) -> list[Result | HomelabError]:
        """One after the other in one round trip; after one that fails none is sent."""
        self.trips += 1
        results: list[Result | HomelabError] = []
        for command in commands:
            try:
                results.append(self.run(host, command))
            except HomelabError as error:
                results.append(error)
            if not isinstance(results[-1], Result) or not results[-1].ok:
                break
        lost = bool(results) and isinstance(results[-1], OutcomeUnknown)
        rest = OutcomeUnknown("the link dropped") if lost else NotSent("not sent")
        return results + [rest] * (len(commands) - len(results))

    def reconnect(self, host: str) -> None:
        if self.cut_off:
            raise Unreachable(f"{host} is not reached")


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
        summary = f"{self.key}: {observed} → {self.value}"
        was = observed or ""
        return Diff((Change(summary, put, self.destroys, replaces=was, undo="put it back"),))


class Many(Value):
    """The same, of a kind of which many are looked at, and changed, together."""

    @staticmethod
    def observe_together(host, values):
        return [value.observe(host) for value in values]


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
    sender_options = {k: options.pop(k) for k in ("allow_destroy",) if k in options}
    journal = journal or Journal(None, mask=mask, wall=lambda: "2026-01-01T00:00:00Z")
    sender = Sender(wire, Clock(), journal, mask, plan, **sender_options)
    options = {"trust": lambda name, key, made: None, "seal": str} | options
    return Engine(book, mode, sender, **options)


def plan_of(book: Runbook, wire: Wire) -> Plan:
    """What the engine would send, found out on a copy of the wire's hosts."""
    twin = Wire({host: dict(values) for host, values in wire.hosts.items()})
    rehearsal = engine(book, twin)
    for name in book.names:
        rehearsal.run_step(name)
    return Plan(book.name, "toy", "0", "toy", book.names, HOSTS, tuple(rehearsal.sender.sent))


HOSTS = (PlannedHost("one", "192.0.2.1", 22, "root", "SHA256:one"),)


def run_all(book: Runbook, wire: Wire, **options) -> Engine:
    run = engine(book, wire, **options)
    for name in book.names:
        run.run_step(name)
    return run
