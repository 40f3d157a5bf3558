"""A POSIX shell: enough for what people type over SSH and for the scripts that tools send.

What it does not know is a syntax error, never a guess. Nothing runs in the background.

Source: POSIX.1-2024, Shell Command Language; messages as dash prints them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from homelab_lib.twin.machine import script
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.expansion import Expansion, Unset
from homelab_lib.twin.machine.grammar import parse
from homelab_lib.twin.machine.lexer import Syntax
from homelab_lib.twin.machine.matching import fits
from homelab_lib.twin.machine.program import Pipe, Reply
from homelab_lib.twin.machine.redirection import Streams, redirected
from homelab_lib.twin.machine.script import Leave
from homelab_lib.twin.machine.shell_state import State

_MOST_TURNS = 10_000
_SPECIAL = {(w,) for w in (":", "eval", "exec", "exit", "export", "set", "shift", "trap", "unset")}
"""Whatever fails in front of these ends a script (POSIX 2.8.1)."""


Builtin = Callable[["Shell", list[str], Streams], int]
BUILTINS: dict[str, Builtin] = {}
"""Commands that change the shell itself; their module registers them."""


def builtin(*names: str) -> Callable[[Builtin], Builtin]:
    """Register a function as these commands of the shell."""

    def register(body: Builtin) -> Builtin:
        BUILTINS.update(dict.fromkeys(names, body))
        return body

    return register


def _can_stop(pipeline: script.Pipeline) -> bool:
    """Whether ``set -e`` looks at its status; of ``{ … }``, ``if`` and loops it has looked at what
    failed inside (POSIX, set)."""
    first = pipeline.commands[0].what
    plain = isinstance(first, script.Simple) or (isinstance(first, script.Group) and first.apart)
    return not pipeline.negated and (len(pipeline.commands) > 1 or plain)


class Shell(State):
    """Runs scripts."""

    def run(self, text: str) -> Reply:
        """Run a script to its end; its status is that of the last command."""
        streams = Streams(self.call.source, bytearray(), bytearray())
        status = self._to_the_end(lambda: self.evaluate(text, streams), streams)
        return Reply(status, bytes(streams.out), bytes(streams.err), self.takes_s)

    def _to_the_end(self, work: Callable[[], int], streams: Streams) -> int:
        """What becomes of all that a shell does, with what it was told to do when it ends."""
        status = self.until_left(work, streams)
        if "EXIT" in self.traps:
            action = self.traps.pop("EXIT")
            self.variables.status = status
            self.until_left(lambda: self.evaluate(action, streams), streams)
        return status

    def until_left(self, work: Callable[[], int], streams: Streams) -> int:
        """What becomes of something that may exit."""
        try:
            return work()
        except Leave as leave:
            return leave.status if leave.what in ("exit", "return") else 0
        except Syntax as error:
            streams.err += f"sh: 1: Syntax error: {error}\n".encode()
        except Unset as error:
            streams.err += f"sh: 1: {error}\n".encode()
        return 2

    def evaluate(self, text: str, streams: Streams) -> int:
        """Run the commands of a text in this shell."""
        return self.sequence(parse(text), streams)

    def expansion(self, streams: Streams) -> Expansion:
        """What expands words here; what commands in them complain of goes to the streams."""
        computer, call = self.computer, self.call
        who, users = computer.who(call), computer.accounts.users

        def printed(text: str) -> str:
            return self._printed_by(text, streams)

        return Expansion(self.variables, printed, computer.files, users, who, call.cwd)

    def _printed_by(self, text: str, streams: Streams) -> str:
        other = self.apart()
        other.call = replace(self.call, source=streams.source)
        reply = other.run(text)
        streams.err += reply.err
        self.takes_s += other.takes_s
        self.variables.status = reply.status
        self.variables.substituted = True
        return reply.out.decode(errors="surrogateescape")

    # ------------------------------------------------------------------- running

    def sequence(self, found: script.Sequence, streams: Streams) -> int:
        """One list after the other."""
        status = 0
        for each in found.lists:
            status = self._list(each, streams)
        return status

    def condition(self, found: script.Sequence, streams: Streams) -> bool:
        """Whether it ends well; a failure in it ends nothing else."""
        self._tested += 1
        try:
            return self.sequence(found, streams) == 0
        finally:
            self._tested -= 1

    def _list(self, parts: Sequence[tuple[str, script.Pipeline]], streams: Streams) -> int:
        status = 0
        for number, (joint, pipeline) in enumerate(parts):
            if (joint == "&&" and status) or (joint == "||" and not status):
                continue
            last = number == len(parts) - 1
            tested = 0 if last and not pipeline.negated else 1
            self._tested += tested
            try:
                status = self._pipeline(pipeline, streams)
            finally:
                self._tested -= tested
            self.variables.status = status
            if status and last and self.stops and not self._tested and _can_stop(pipeline):
                raise Leave("exit", status)
        return status

    def _pipeline(self, pipeline: script.Pipeline, streams: Streams) -> int:
        *others, last = pipeline.commands
        source = streams.source
        for command in others:
            between = Streams(source, bytearray(), streams.err)
            self._apart(command, between)
            source = Pipe(bytes(between.out))
        own = Streams(source, streams.out, streams.err)
        status = self._apart(last, own) if others else self.command(last, own)
        return int(not status) if pipeline.negated else status

    def _apart(self, command: script.Command, streams: Streams) -> int:
        other = self.apart()
        status = other._to_the_end(lambda: other.command(command, streams), streams)
        self.takes_s += other.takes_s
        return status

    def command(self, command: script.Command, streams: Streams) -> int:
        """Run one command, with its redirections; its words are expanded before these."""
        who = self.computer.who(self.call)
        words: list[str] = []
        if isinstance(command.what, script.Simple):
            self.variables.substituted = False
            expansion = self.expansion(streams)
            words = [each for word in command.what.words for each in expansion.fields(word)]
        try:
            own, targets = redirected(
                command.redirections, streams, self.expansion(streams), self.call
            )
        except FileError as error:
            streams.err += f"sh: 1: {error.says}\n".encode()
            if isinstance(command.what, script.Simple) and command.what.words[:1] in _SPECIAL:
                raise Leave("exit", 2) from None
            return 2
        status = 2
        try:
            if isinstance(command.what, script.Simple):
                status = self._simple(command.what, words, own)
            else:
                status = self._kind(command.what, own)
        finally:
            for target in targets:
                if why := target.written(self.computer.files, who):
                    streams.err += f"sh: write error: {why}\n".encode()
                    status = 1
        return status

    def _kind(self, what: object, streams: Streams) -> int:
        match what:
            case script.Group(body, apart=False):
                return self.sequence(body, streams)
            case script.Group(body):
                return self._apart(script.Command(script.Group(body, apart=False), ()), streams)
            case script.If(branches, otherwise):
                for condition, body in branches:
                    if self.condition(condition, streams):
                        return self.sequence(body, streams)
                return self.sequence(otherwise, streams)
            case script.Loop():
                return self._loop(what, streams)
            case script.For(name, words, body):
                return self._for(name, words, body, streams)
            case script.Case(word, arms):
                expansion = self.expansion(streams)
                value = expansion.text(word)
                for patterns, body in arms:
                    if any(fits(value, expansion.pattern(each)) for each in patterns):
                        return self.sequence(body, streams)
                return 0
            case script.Function(name, body):
                self.functions[name] = body
        return 0

    def _loop(self, loop: script.Loop, streams: Streams) -> int:
        status = 0
        for _ in range(_MOST_TURNS):
            if self.condition(loop.condition, streams) == loop.until:
                return status
            status, ends = self._turn(loop.body, streams)
            if ends:
                return status
        raise Syntax(f"a loop goes on after {_MOST_TURNS} turns")

    def _for(self, name: str, words: Sequence[str], body: script.Sequence, streams: Streams) -> int:
        status = 0
        expansion = self.expansion(streams)
        for value in [each for word in words for each in expansion.fields(word)]:
            self.variables.values[name] = value
            status, ends = self._turn(body, streams)
            if ends:
                break
        return status

    def _turn(self, body: script.Sequence, streams: Streams) -> tuple[int, bool]:
        """One turn of a loop: its status, and whether it was the last."""
        self.loops += 1
        try:
            return self.sequence(body, streams), False
        except Leave as leave:
            if leave.what not in ("break", "continue"):
                raise
            if leave.status > 1 and self.loops > 1:
                raise Leave(leave.what, leave.status - 1) from None
            return 0, leave.what == "break"
        finally:
            self.loops -= 1

    def _simple(self, command: script.Simple, words: list[str], streams: Streams) -> int:
        expansion = self.expansion(streams)
        given: dict[str, str] = {}
        for assignment in command.assignments:
            name, _, value = assignment.partition("=")
            given[name] = expansion.text(value)
            if not words:
                self.variables.values[name] = given[name]
        if not words:  # of `x=$(…)` the status is that of the substitution
            return self.variables.status if self.variables.substituted else 0
        return self.program(words, given, streams)

    def program(self, words: list[str], given: dict[str, str], streams: Streams) -> int:
        """Run a function, a command of the shell, or a program."""
        name = words[0]
        if name in self.functions:
            return self._function(words, streams)
        if name in BUILTINS:
            before = dict(self.variables.values)
            self.variables.values |= given
            try:
                return BUILTINS[name](self, words, streams)
            finally:
                for variable in given:
                    self.variables.values.pop(variable, None)
                    if variable in before:
                        self.variables.values[variable] = before[variable]
        return self.external(words, given, streams)

    def external(self, words: list[str], given: dict[str, str], streams: Streams) -> int:
        """Run a program."""
        values = self.variables.values
        env = {key: values[key] for key in sorted(self.exported) if key in values} | given
        call = replace(self.call, argv=tuple(words), source=streams.source, env=env)
        reply = self.computer.call(call).finished()
        streams.out += reply.out
        streams.err += reply.err
        self.takes_s += reply.takes_s
        return reply.status

    def _function(self, words: list[str], streams: Streams) -> int:
        before = self.variables.arguments
        self.variables.arguments = (before[0], *words[1:])
        try:
            return self.command(self.functions[words[0]], streams)
        except Leave as leave:
            if leave.what != "return":
                raise
            return leave.status
        finally:
            self.variables.arguments = before
