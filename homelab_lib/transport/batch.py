"""Many commands in one round trip: a script for ``/bin/sh``, and frames around what each prints.

The host gets ``/bin/sh`` to run, the same words whatever its login shell, and the script on
standard input: so neither the commands' input nor the frames' mark stands in a process list. The
script is one compound command. A shell runs such a thing only when it has read it to its end, so
one that was cut off on the way does nothing at all.
"""

import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homelab_lib.transport.channel import Heard
from homelab_lib.transport.command import Command, Result

LINE = """/bin/sh -c 'eval "$(cat)"'"""
_LEAKS_INPUT = 96  # the script's exit status where others would see what programs read
MAX_SCRIPT_BYTES = 4 * 2**20  # a shell holds it in memory, more than once

# A printf that is no builtin would show what it is given in the list of processes.
_GUARD = f'[ "$(command -v printf)" = printf ] || exit {_LEAKS_INPUT}'


@dataclass(frozen=True)
class Entry:
    """One command of a batch.

    Parameters
    ----------
    command
        The command.
    line
        What is sent for it, quoted for a POSIX shell.
    stdin
        What it reads.
    """

    command: Command
    line: str
    stdin: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.line) + len(self.stdin)


def never_began(ended: Result) -> bool:
    """Whether the shell there won't run the script, and so has run nothing of it.

    It has no printf of its own; it does not understand the one compound command; or there is
    no shell (what it says then is about ``sh`` or ``eval``).
    """
    misread = ended.exit_status == 2 and "syntax error" in ended.stderr.lower()
    return misread or ended.exit_status in (_LEAKS_INPUT, 127)


def groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Batches that a shell can hold, in order; one that is too large for any stands alone."""
    group: list[Entry] = []
    for entry in entries:
        if group and sum(e.size_bytes for e in (*group, entry)) > MAX_SCRIPT_BYTES:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


class Batch:
    """A group of commands on its way: what to send, and what has been answered.

    A change that fails ends the script, since a later one may stand on it; a read that fails
    does not.

    Parameters
    ----------
    entries
        The commands, in order.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self.results: list[Result] = []
        self.heard = Heard()
        self._mark = secrets.token_hex(16).encode()
        self._searched = 0
        self._begun = time.monotonic()

    def script(self) -> bytes:
        """The commands, each fed by a pipe and followed by the mark on both streams."""
        parts = [b"{"]
        if any(entry.stdin for entry in self.entries):
            parts.append(_GUARD.encode())
        shared = {s: f"c{n}" for n, s in enumerate(dict.fromkeys(map(_script, self.entries))) if s}
        parts += [f"{name}={shlex.quote(script)}".encode() for script, name in shared.items()]
        for entry in self.entries:
            line, script = entry.line, _script(entry)
            if script:
                arguments = shlex.join(entry.command.argv[4:])
                line = f'(set -- {arguments}; eval "${shared[script]}")'
            tell = b"s=$?; printf '%s %%s\\n' $s; printf '%s\\n' >&2" % (self._mark, self._mark)
            if entry.command.kind == "change":
                tell += b"; [ $s = 0 ] || exit 0"
            parts += [b"%s | %s" % (_says(entry.stdin), line.encode()), tell]
        return b"\n".join([*parts, b"}"])

    def take(self) -> float | None:
        """Take out the answers that are whole; the next command's time [s] if there was one."""
        before = len(self.results)
        while (answer := self._next()) is not None:
            self.results.append(answer)
        left = self.entries[len(self.results) :]
        return left[0].command.timeout_s if left and len(self.results) > before else None

    def _next(self) -> Result | None:
        stdout, stderr = self.heard.stdout, self.heard.stderr
        at = stdout.find(self._mark, self._searched)
        if at < 0:
            self._searched = max(len(stdout) - len(self._mark), 0)
            return None
        self._searched = at
        end, other = stdout.find(b"\n", at), stderr.find(self._mark + b"\n")
        if end < 0 or other < 0:
            return None
        now = time.monotonic()
        answer = Result(
            exit_status=int(stdout[at + len(self._mark) : end]),
            stdout=stdout[:at].decode(errors="replace"),
            stderr=stderr[:other].decode(errors="replace"),
            duration_s=now - self._begun,
        )
        del stdout[: end + 1], stderr[: other + len(self._mark) + 1]
        self._begun, self._searched = now, 0
        return answer


def _script(entry: Entry) -> str:
    """The script of a command ``sh -c SCRIPT sh …``, which the batch's own shell can run in a
    subshell without another being started; empty where it is none, or where another user runs it.
    """
    words = entry.command.argv
    ours = words[:2] == ("sh", "-c") and words[3:4] == ("sh",)
    return words[2] if ours and entry.line == entry.command.line else ""


def _says(text: bytes) -> bytes:
    """A builtin that prints these bytes: no word can hold a NUL, so it is written as an escape."""
    if not text:
        return b":"
    form = b"%s"
    if b"\0" in text:
        form, text = b"%b", text.replace(b"\\", b"\\\\").replace(b"\0", b"\\0000")
    return b"printf %s '%s'" % (form, text.replace(b"'", b"'\\''"))
