"""A few steps on a twin, without SSH and without a notebook: what a rehearsal of them says."""

import copy
import shlex
from dataclasses import dataclass, field

from homelab_lib.errors import HomelabError, OutcomeUnknown, Unreachable
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import Result
from homelab_lib.transport.opening import PINNED, SUDO
from homelab_lib.transport.request import Request
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.seeding import seeded


class Wire:
    """Carries commands to a twin's machines, until it is cut at a change, before or after it."""

    def __init__(self, world):
        self.world, self.sent, self.off = world, [], {}
        self.cut, self.through = "", 0  # how many changes still get through before it is cut

    def run(self, host, call):
        if host in self.off:
            raise self.off[host]
        if call.kind != "change":
            return self._carried(host, call)
        cut = self.cut if not self.through else ""
        self.through = max(self.through - 1, 0)
        if cut == "before":
            self.off[host] = Unreachable("the link dropped")
            raise self.off[host]
        self.sent.append(f"{host}: {call.line}")
        said = self._carried(host, call)
        if cut == "after":
            self.off[host] = Unreachable("the link dropped")
            raise OutcomeUnknown("the link dropped before the answer came")
        return said

    def _carried(self, host, call):
        if isinstance(call, Request):
            return self._request(host, call)
        stdin = call.stdin if isinstance(call.stdin, str) else call.stdin and call.stdin.reveal()
        machine = self.world.machines[host]
        sudo = getattr(call, "sudo", False) and machine.user != "root"
        line = f"{PINNED}{SUDO if sudo else ''}{call.line}"  # as the transport sends it
        reply = machine.run(line, (stdin or "").encode())
        self.world.clock.sleep(reply.takes_s)
        reply = reply.finished()
        return Result(reply.status, reply.out.decode(), reply.err.decode())

    def _request(self, host, call):
        """What its HTTPS side answers, without TLS."""
        body = call.payload
        text = body.reveal() if isinstance(body, Secret) else body or ""
        headers = {name.lower(): value for name, value in call.headers().items()}
        asked = Asked(call.method, call.path, dict(call.query), headers, text.encode())
        answered = self.world.machines[host].https[call.port](asked)
        said = answered.body if isinstance(answered.body, str) else answered.body.decode()
        good = 200 <= answered.status < 300
        return Result(0 if good else answered.status, said, "" if good else str(answered.status))

    def run_many(self, host, calls):
        return [self.run(host, call) for call in calls]

    def reconnect(self, host):
        pass


class Plugged(Wire):
    """A wire at whose end nobody answers while the machine is off or boots."""

    def _carried(self, host, call):
        machine = self.world.machines.get(host)
        if machine is None or not machine.accepts_logins():
            raise Unreachable(f"{host} does not answer", where=host, fix="look")
        return super()._carried(host, call)


@dataclass
class Bench:
    """A twin of a lab before a phase, and steps to try on it."""

    lab: object
    steps: tuple
    phase: int = 1
    wire: Wire = field(init=False)

    def __post_init__(self):
        self.world = built(self.lab, before_phase=self.phase, clock=SimulatedClock())
        self.wire = Wire(self.world)
        self.steps = tuple(self.steps)

    def engine(self, mode="apply"):
        """A rehearsal's engine: manual acts are taken for done."""
        mask = Mask()
        journal = Journal(None, mask=mask, wall=lambda: "now")
        sender = Sender(self.wire, self.world.clock, journal, mask)
        # A step may stand on what another recipe makes.
        book = Runbook("bench", "Bench", self.steps)
        return Engine(book, mode, sender, trust=lambda name, key, made: None, seal=str)

    def step(self, name, mode="apply"):
        """What came of one step."""
        return self.engine(mode).run_step(name)

    def every(self, mode="apply"):
        """What came of each step."""
        engine = self.engine(mode)
        return {step.name: engine.run_step(step.name) for step in self.steps}

    def stops(self):
        """The step at which a rehearsal of all of them stops, and its words in one line; nothing
        if it ends."""
        engine = self.engine()
        for step in self.steps:
            try:
                engine.run_step(step.name)
            except HomelabError as error:
                return step.name, " ".join(str(error).split())
        return "", ""

    def ends_as(self, whole):
        """Cut off before and after each of its changes, it comes to its end, as a whole run does;
        whether to the same is for the caller to compare."""
        self.wire.cut = "before"
        assert whole.stops() == ("", "")
        tries = 0
        while self.stops() != ("", ""):
            tries += 1
            assert tries <= 2 * len(whole.wire.sent)
            self.wire.off.clear()
            self.wire.cut = "before" if self.wire.cut == "after" else "after"
            self.wire.through = tries // 2
        assert tries > 1
        self.wire.cut = ""
        assert self.stops() == ("", "")

    def likeness(self):
        """The same steps on a twin that is seeded with what these machines say: a plan."""

        def ask(host, argv):
            machine = self.world.machines[host]
            if machine.closed:
                return None
            begin = PINNED + ("" if machine.user == "root" else SUDO)
            reply = machine.run(begin + shlex.join(argv)).finished()
            return reply.status, reply.out.decode(), reply.err.decode()

        other = copy.copy(self)
        other.world = seeded(self.lab, ask, clock=SimulatedClock())
        other.wire = Wire(other.world)
        return other
