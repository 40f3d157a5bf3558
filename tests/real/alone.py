"""Programs that have some folders to themselves, in a namespace: nothing of it stays."""

import shlex
import subprocess
from collections.abc import Sequence

import pytest

from homelab_lib.runbook.resource import Resource
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result, read

# Of the copied folders what is written stays in the namespace; the empty ones hide what is there.
_BEGIN = """\
set -e
for each in $1; do
    kept=$(mktemp -d); mount -t tmpfs none "$kept"; cp -a "$each/." "$kept/"
    mount --move "$kept" "$each"; rmdir "$kept"
done
for each in $2; do mount -t tmpfs none "$each"; done
ip link set lo up
"""


class Alone:
    """A machine that has these folders to itself, as resources see a host.

    Parameters
    ----------
    copied, empty
        Folders of which it has its own copy, and those in which nothing is.
    then
        A script that sets up the rest.
    """

    name = "alone"

    def __init__(self, copied: Sequence[str], empty: Sequence[str], then: str) -> None:
        script = f"{_BEGIN}{then}\necho ready\nexec sleep 300\n"
        words = ("unshare", "--mount", "--net", "sh", "-c", script, "sh")
        self._process = subprocess.Popen(
            (*words, " ".join(copied), " ".join(empty)), stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            pytest.skip("this machine makes no namespaces (root, unshare)")

    def inside(self, *words: str) -> tuple[str, ...]:
        """The words by which a program is begun in it."""
        return ("nsenter", "-t", str(self._process.pid), "-m", "-n", *words)

    def run(self, line: str, stdin: str = "") -> Result:
        done = subprocess.run(
            self.inside("sh", "-c", line), input=stdin, capture_output=True, text=True, timeout=20
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def read(self, *argv, ok=(0,), **options):
        result = self.run(read(*argv, **options).line)
        assert ok is None or result.exit_status in ok, result
        return result

    def begun(self, resource: str) -> bool:
        return False

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def write(self, path: str, text: str) -> None:
        self.run(f"printf %s {shlex.quote(text)} > {path}")

    def converge(self, wanted: Resource) -> list[str]:
        """What was sent until it was as wanted."""
        sent: list[str] = []
        for _ in range(3):
            diff = wanted.diff(wanted.observe(self))
            assert not diff.conflict, diff.conflict
            if diff.clean:
                return sent
            for change in diff.changes:
                given = change.call.payload
                text = given.reveal() if isinstance(given, Secret) else given or ""
                result = self.run(change.call.line, text)
                assert result.exit_status == 0, result
                sent.append(change.summary)
        raise AssertionError(sent)

    def close(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()
