"""Programs: how one is called, what it leaves, and which there are."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from homelab_lib.twin.machine.entry import FileError


class Pipe:
    """What comes in, for whoever reads it first."""

    def __init__(self, data: bytes = b"", fault: str = "") -> None:
        self.data = data
        self.fault = fault

    def drain(self) -> bytes:
        """All that is left.

        Raises
        ------
        FileError
            It can't be read: a folder can be opened and no more.
        """
        if self.fault:
            raise FileError(self.fault)
        data, self.data = self.data, b""
        return data

    def line(self) -> bytes:
        """One line with its end; nothing at the end."""
        end = self.data.find(b"\n") + 1 or len(self.data)
        line, self.data = self.data[:end], self.data[end:]
        return line


@dataclass(frozen=True)
class Call:
    """One program that is run.

    Parameters
    ----------
    argv
        Its words.
    source
        What it may read; what it leaves is there for the next.
    user
        Who runs it.
    env
        Its environment.
    cwd
        The folder that it is started in.
    umask
        Permissions that files it makes do not get.
    """

    argv: tuple[str, ...]
    source: Pipe = field(default_factory=Pipe)
    user: str = "root"
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    umask: int = 0o022

    @property
    def stdin(self) -> bytes:
        """All that comes in; it is read by that."""
        return self.source.drain()

    def path(self, word: str) -> str:
        """The path that a word means in the folder that one is in."""
        return posixpath.join(self.cwd, word) if word else ""

    def other(self, *argv: str) -> "Call":
        """The same call of another program."""
        return replace(self, argv=argv)


@dataclass(frozen=True)
class Reply:
    """What a program leaves.

    Parameters
    ----------
    status
        Exit status.
    stdout, stderr
        What it printed.
    takes_s
        How long it ran, on the twin's clock [s].
    finish
        What happens at its end, and its true reply. A program that is killed on the way never
        gets there, and leaves what it had half done.
    """

    status: int = 0
    stdout: bytes | str = b""
    stderr: bytes | str = b""
    takes_s: float = 0.0
    finish: "Callable[[], Reply] | None" = None

    def finished(self) -> "Reply":
        """The reply of a program that was left in peace."""
        reply = self
        while reply.finish is not None:
            after = reply.finish()
            reply = replace(after, takes_s=reply.takes_s + after.takes_s)
        return reply

    @property
    def out(self) -> bytes:
        return (
            self.stdout.encode(errors="surrogateescape")
            if isinstance(self.stdout, str)
            else self.stdout
        )

    @property
    def err(self) -> bytes:
        return (
            self.stderr.encode(errors="surrogateescape")
            if isinstance(self.stderr, str)
            else self.stderr
        )


Body = Callable[[Any, Call], Reply]
"""What a program does, on a machine."""


class Commands:
    """Programs by name; a machine has several such sets, the first that knows a name serves it."""

    def __init__(self) -> None:
        self.bodies: dict[str, Body] = {}

    def __call__(self, *names: str) -> Callable[[Body], Body]:
        """Register a function as these programs."""

        def register(body: Body) -> Body:
            for name in names:
                self.bodies[name] = body
            return body

        return register


def operands(call: Call, values: str = "") -> tuple[list[str], dict[str, str]]:
    """Words that are no options, and the options with their values (empty for flags)."""
    taking = values.split()
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(call.argv[1:])
    for word in rest:
        if word == "--":
            words += rest
        elif not word.startswith("-") or word == "-":
            words.append(word)
        elif word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = value if "=" in word or name not in taking else next(rest, "")
        elif word in taking:
            options[word] = next(rest, "")
        else:
            options |= {f"-{letter}": "" for letter in word[1:]}
    return words, options


def fails(call: Call, what: str, status: int = 1) -> Reply:
    """A program's complaint."""
    return Reply(status, stderr=f"{call.argv[0]}: {what}\n")
