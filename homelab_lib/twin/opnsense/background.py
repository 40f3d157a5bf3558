"""What runs on after the login is gone: scripts in the background, on the twin's time.

A shell of ours does all at once and says how long that took. Here one waits where a script waits:
what comes after its `sleep` happens then, and finds what is there then.
"""

from collections.abc import Iterator

from homelab_lib.twin.machine import script
from homelab_lib.twin.machine.grammar import parse
from homelab_lib.twin.machine.lexer import Syntax
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Pipe
from homelab_lib.twin.machine.redirection import Streams
from homelab_lib.twin.machine.script import Leave
from homelab_lib.twin.machine.shell import Shell

_MOST_TURNS = 10_000


class Job:
    """A program in the background.

    Parameters
    ----------
    machine
        Where it runs.
    call
        The program.
    number
        Its process ID.
    """

    def __init__(self, machine: Machine, call: Call, number: int) -> None:
        self.machine, self.call, self.number = machine, call, number
        self.ended = False
        self._boots = machine.boots
        self._steps = self._begun()

    def advance(self) -> None:
        """Go on until it waits or ends; a reboot or `kill` has ended it."""
        if self.ended or self.machine.boots != self._boots or not self.machine.up:
            self.ended = True
            return
        for wait_s in self._steps:
            if wait_s > 0:
                self.machine.world.after(wait_s, self.advance, label=" ".join(self.call.argv))
                return
        self.ended = True

    def _begun(self) -> Iterator[float]:
        words = self.call.argv
        match words:
            case ["/bin/sh" | "sh", "-c", text, *given]:
                shell = Shell.begun(self.machine, self.call, given or ["sh"])
                yield from _Script(shell).run(text)
            case _:
                reply = self.machine.call(self.call)
                yield reply.takes_s
                reply.finished()


class _Script:
    """Runs a script bit by bit: each yields how long one waits before the next [s]."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._streams = Streams(Pipe(), bytearray(), bytearray())
        self._status = 0

    def run(self, text: str) -> Iterator[float]:
        """The whole script."""
        try:
            yield from self._sequence(parse(text))
        except (Leave, Syntax):
            return

    def _sequence(self, found: script.Sequence) -> Iterator[float]:
        for parts in found.lists:
            for joint, pipeline in parts:
                if (joint == "&&" and self._status) or (joint == "||" and not self._status):
                    continue
                yield from self._pipeline(pipeline)
                self._shell.variables.status = self._status

    def _pipeline(self, pipeline: script.Pipeline) -> Iterator[float]:
        only = pipeline.commands[0]
        if len(pipeline.commands) > 1 or only.redirections or isinstance(only.what, script.Simple):
            before_s = self._shell.takes_s
            alone = script.Sequence(((("", pipeline),),))
            self._status = self._shell.sequence(alone, self._streams)
            yield self._shell.takes_s - before_s
            return
        yield from self._compound(only.what)
        if pipeline.negated:
            self._status = int(not self._status)

    def _compound(self, what: object) -> Iterator[float]:
        match what:
            case script.Group(body):
                yield from self._sequence(body)
            case script.If(branches, otherwise):
                for condition, body in branches:
                    yield from self._sequence(condition)
                    if self._status == 0:
                        yield from self._sequence(body)
                        return
                self._status = 0
                yield from self._sequence(otherwise)
            case script.Loop():
                yield from self._loop(what)
            case _:  # `case`, functions, `for`: all at once, and the time they took after them
                before_s = self._shell.takes_s
                command = script.Command(what, ())  # type: ignore[arg-type]  # one of those
                self._status = self._shell.command(command, self._streams)
                yield self._shell.takes_s - before_s

    def _loop(self, loop: script.Loop) -> Iterator[float]:
        self._shell.loops += 1
        try:
            for _ in range(_MOST_TURNS):
                yield from self._sequence(loop.condition)
                if (self._status == 0) == loop.until:
                    break
                try:
                    yield from self._sequence(loop.body)
                except Leave as leave:
                    if leave.what not in ("break", "continue"):
                        raise
                    if leave.what == "break":
                        break
            self._status = 0
        finally:
            self._shell.loops -= 1
