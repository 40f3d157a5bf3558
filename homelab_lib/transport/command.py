"""A command, typed by what it does, and what came of it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from homelab_lib.secret import Secret
from homelab_lib.transport import quoting
from homelab_lib.transport.reads import reads_only


@dataclass(frozen=True)
class Command:
    """One program call on a host: words, never a pasted line.

    Parameters
    ----------
    argv
        The program and its arguments, each a word of its own. Quoting is `quoting`'s work.
    kind
        ``read`` observes; ``change`` may alter the host, and is refused before it is sent
        wherever changes are not allowed.
    stdin
        Text, bytes or a `Secret` for the program's standard input.
    sudo
        Run as root. Where the login is not root, the transport puts ``sudo -n --`` in front.
    timeout_s
        How long the reply may take [s].
    secret_output
        What it prints is a secret: masked in every record.
    """

    argv: tuple[str, ...]
    kind: Literal["read", "change"]
    stdin: str | bytes | Secret | None = field(default=None, repr=False)
    sudo: bool = False
    timeout_s: float = 60.0
    secret_output: bool = False

    def __post_init__(self) -> None:
        if not self.argv or not all(isinstance(word, str) for word in self.argv):
            raise TypeError(f"a command is one or more words, each a str: {self.argv!r}")
        if any("\0" in word or not _is_utf8(word) for word in self.argv):
            raise ValueError(f"a word can't hold a NUL or half a character: {self.argv!r}")
        if "=" in self.argv[0]:
            raise ValueError(f"a shell would take this for an assignment: {self.argv[0]!r}")
        if self.kind == "read" and not reads_only(self.argv):
            raise ValueError(f"not known to be read-only, so it can't be typed read: {self.line}")

    @cached_property
    def line(self) -> str:
        """The words as one line, which any login shell reads alike."""
        return quoting.join(self.argv)

    @property
    def payload(self) -> str | bytes | Secret | None:
        """What goes with the line: the standard input."""
        return self.stdin

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that go with it, for whoever has to mask them."""
        return (self.stdin,) if isinstance(self.stdin, Secret) else ()


@dataclass(frozen=True)
class Result:
    """What a host answered.

    Parameters
    ----------
    exit_status
        The program's exit status; 127 where the host does not know it.
    stdout, stderr
        What it printed, decoded as UTF-8 with replacement.
    duration_s
        From sending to the last byte [s].
    """

    exit_status: int
    stdout: str
    stderr: str
    duration_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.exit_status == 0


def _is_utf8(word: str) -> bool:
    """Whether it can be sent: Python's text may hold lone surrogates."""
    return word == word.encode(errors="ignore").decode()


def read(*argv: str, **options: object) -> Command:
    """A command that observes."""
    return Command(argv, "read", **options)  # type: ignore[arg-type]  # its fields


def change(*argv: str, **options: object) -> Command:
    """A command that may alter the host."""
    return Command(argv, "change", **options)  # type: ignore[arg-type]  # its fields
