"""A machine in namespaces of its own: network, processes, `/run` and some folders of `/etc`."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from homelab_lib.errors import StepFailed
from homelab_lib.transport.command import Result, read

_TELLS = ("systemctl", "show")
_RUNS = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
PATIENCE_S = 20.0


class Box:
    """Made by `box`. To resources it is a host that can only be looked at.

    Without systemd a unit runs because we have started it: it says so of every unit.
    """

    name = "box"

    def __init__(self, pid: int) -> None:
        namespaces = ("--net", "--mount", f"--pid=/proc/{pid}/ns/pid_for_children")
        self._inside = ["nsenter", f"--target={pid}", *namespaces]
        self.pid = pid

    def run(self, *words: str, given: str = "", ok: Sequence[int] | None = (0,)) -> Result:
        """What a program there answers; an exit status outside `ok` is an error (None: any will
        do)."""
        done = subprocess.run(
            [*self._inside, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        if ok is not None and done.returncode not in ok:
            raise StepFailed(f"{' '.join(words)}: {done.stderr}", where=self.name)
        return Result(done.returncode, done.stdout, done.stderr)

    def read(self, *argv: str, ok: Sequence[int] | None = (0,), **options: object) -> Result:
        """As the engine lets a resource look: what is not known to look only is refused."""
        if argv[:2] == _TELLS:
            return Result(0, _RUNS, "")
        return self.run(*read(*argv, **options).argv, ok=ok)

    def json(self, *argv: str, **options: object) -> object:
        return json.loads(self.read(*argv, **options).stdout)

    def has(self, path: str, content: str) -> None:
        """Put a file there, for root alone."""
        self.run("sh", "-c", 'umask 077; cat > "$1"', "sh", path, given=content)

    def cable(self, other: "Box", interface: str, far: str = "eth0") -> None:
        """A cable from an interface of ours to one of another's."""
        ends = ["link", "add", interface, "type", "veth", "peer", "name", far]
        self.run("ip", *ends)
        # By the number of a process out here, so not from within its own processes' namespace.
        there = ["ip", "link", "set", far, "netns", str(other.pid)]
        subprocess.run(["nsenter", f"--target={self.pid}", "--net", *there], check=True)
        self.run("ip", "link", "set", interface, "up")
        other.run("ip", "link", "set", far, "up")


@contextmanager
def box(*folders: str) -> Iterator[Box]:
    """A machine, with these folders empty; nothing of it remains.

    Parameters
    ----------
    *folders
        That exist here, and are empty and its own there, besides ``/run``.
    """
    made = "".join(f"mount -t tmpfs tmpfs {folder}; " for folder in ("/run", *folders))
    script = f"set -e; {made}ip link set lo up; echo made; exec sleep infinity"
    spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    words = ["unshare", *spaces, "sh", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "made\n"
            yield Box(process.pid)
        finally:
            process.kill()
