"""Recipes of a NAS carried out on a twin without SSH, as an approved run carries them out."""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from homelab_lib.errors import HomelabError
from homelab_lib.lab import Lab
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import Command, Result, read
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.seeding import seeded
from homelab_lib.twin.world import World

PASSWORD = "made-up-0123456"


class Wire:
    """Carries commands to a twin's machines; what changes something is written down."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[str] = []
        self.stdin: list[str] = []

    def run(self, host: str, command: Command) -> Result:
        given = command.stdin
        text = given.reveal() if isinstance(given, Secret) else given or ""
        data = text if isinstance(text, bytes) else text.encode()
        if command.kind == "change":
            self.sent.append(command.line)
            self.stdin.append(data.decode())
        by_sudo = "sudo -n -- " if command.sudo else ""
        reply = self.world.machines[host].run(by_sudo + command.line, data)
        self.world.clock.sleep(reply.takes_s)
        reply = reply.finished()
        return Result(reply.status, reply.out.decode(), reply.err.decode())

    def ask(self, host: str, argv: Sequence[str]) -> tuple[int, str, str]:
        reply = self.world.machines[host].run(f"sudo -n -- {shlex.join(argv)}", b"").finished()
        return reply.status, reply.out.decode(), reply.err.decode()


class Looking:
    """A host that can be looked at, as resources see one."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire, self.name = wire, name

    def read(self, *argv: str, ok: Any = (0,), **options: Any) -> Result:
        result = self.wire.run(self.name, read(*argv, **options))
        assert ok is None or result.exit_status in ok, result
        return result

    def json(self, *argv: str, **options: Any) -> Any:
        return json.loads(self.read(*argv, **options).stdout)


@dataclass
class Ran:
    """What came of it."""

    statuses: dict[str, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    stdin: list[str] = field(default_factory=list)
    planned: list[PlannedChange] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    stopped_at: str = ""
    error: HomelabError | None = None


def run(
    world: World,
    steps: Iterable[Step],
    mode: str = "apply",
    plan: Sequence[PlannedChange] | None = None,
    **more: Any,
) -> Ran:
    """Carry out steps one after the other; with ``stops=True`` until one stops.

    Without what was `planned` it is a rehearsal, and whatever a person has to do is done.
    """
    stops = more.pop("stops", False)
    book = Runbook("nas", "A NAS", tuple(steps))
    wire, ran, mask = more.pop("wire", Wire)(world), Ran(), Mask()
    journal = Journal(None, mask=mask, wall=lambda: "now")
    allowed = frozenset(more.pop("allow_destroy", ()))
    approved: Any = None if plan is None else SimpleNamespace(changes=tuple(plan))
    link: Any = wire
    sender = Sender(link, world.clock, journal, mask, approved, allow_destroy=allowed)
    made_up = lambda reference: Secret(reference, lambda: PASSWORD)  # noqa: E731
    confirm = frozenset(more.pop("confirm", ()))
    engine = Engine(
        book,
        mode,  # type: ignore[arg-type]
        sender,
        trust=lambda name, key, made: None,
        seal=str,
        confirm=confirm,
        secret=made_up,
    )
    for name in book.names:
        try:
            outcome = engine.run_step(name)
        except HomelabError as error:
            if not stops:
                raise
            ran.stopped_at, ran.error = name, error
            break
        ran.statuses[name] = outcome.status
        ran.measured |= {each.name: each for each in outcome.measurements}
    ran.sent, ran.stdin, ran.planned = wire.sent, wire.stdin, sender.sent
    return ran


def likeness(lab: Lab, world: World) -> World:
    """A twin made of nothing but what the world's machines answer to reading commands."""
    return seeded(lab, Wire(world).ask, clock=SimulatedClock())
