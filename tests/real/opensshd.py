"""OpenSSH's own server, started for a test with its own keys and configuration."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from getpass import getuser
from itertools import count
from pathlib import Path

from homelab_lib.transport.endpoint import Endpoint

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SEPARATION = Path("/run/sshd")  # where Debian's sshd locks up its unprivileged half
PATIENCE_S = 40.0  # on a machine that has much else to do
_marks = count()


def until(what: str, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Ask until `condition` holds; an AssertionError that names `what` if it never does."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(0.01)


def make_key(file: Path, kind: str = "ed25519") -> Path:
    """A new key pair without a passphrase: `file`, and its public half beside it."""
    # With a comment: paramiko can't read some of the keys that have none and need no padding.
    words = ["-q", "-t", kind, "-N", "", "-C", "for tests", "-f", str(file)]
    subprocess.run(["ssh-keygen", *words], check=True)
    return file


def public(file: Path) -> str:
    """The public half: kind and key, without a comment."""
    return " ".join(Path(f"{file}.pub").read_text().split()[:2])


@contextmanager
def separation_folder() -> Iterator[None]:
    """The folder that root's sshd needs, which systemd makes where it runs.

    One that we made holds a mark of each who needs it, and goes with the last of them.
    """
    if os.geteuid() != 0 or (SEPARATION.exists() and not list(SEPARATION.glob("hl*"))):
        yield
        return
    SEPARATION.mkdir(mode=0o755, exist_ok=True)
    mark = SEPARATION / f"hl{os.getpid()}-{next(_marks)}"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()
        with suppress(OSError):  # another run needs it still
            SEPARATION.rmdir()


class OpenSshd:
    """One sshd; it runs from `start`, or from the beginning of a ``with`` block, until `close`.

    Parameters
    ----------
    folder
        Of its own: keys, configuration, log.
    address
        Where it listens.
    namespace
        The network namespace it lives in; empty for ours.
    port
        Where it listens in a namespace. In ours it takes one that is free.
    key_kinds
        Of the host keys it has.
    options
        Lines of ``sshd_config`` that come before ours, and so win.
    environment
        What a login has in its environment. As it stands, bash does not read ``.bashrc``,
        whatever that prints on this machine.
    program
        The sshd to run; by its name PAM knows it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        namespace: str = "",
        port: int = 22,
        key_kinds: Iterable[str] = ("ed25519",),
        options: Iterable[str] = (),
        environment: str = "SHLVL=1",
        program: Path | str | None = SSHD,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.port = port if namespace else _free_port(address)
        self.program = str(program)
        self.log = folder / "log"
        self.known_hosts = folder / "known_hosts"
        self.host_keys = [make_key(folder / f"host_{kind}", kind) for kind in key_kinds]
        self.client_key = make_key(folder / "id_ed25519")
        self._process: subprocess.Popen | None = None
        self._closed = False
        self._mark = f"HOMELAB_SSHD={folder}"
        self._inside = ["ip", "netns", "exec", namespace] if namespace else []
        (folder / "authorized_keys").write_text(f"{public(self.client_key)}\n")
        self.vouch()
        lines = [
            *options,
            f"ListenAddress {address}:{self.port}",
            *(f"HostKey {key}" for key in self.host_keys),
            f"AuthorizedKeysFile {folder}/authorized_keys",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "UseDNS no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            f"SetEnv {self._mark} {environment}",  # first a mark on what it starts
            "LogLevel DEBUG2",
        ]
        (folder / "sshd_config").write_text("".join(f"{line}\n" for line in lines))

    def __enter__(self) -> "OpenSshd":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def key_name(self) -> str:
        """What known_hosts calls it."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"

    def vouch(self, *keys: str) -> None:
        """Write a known_hosts with these keys; its true ones if none are given."""
        self.known_hosts.write_text(
            "".join(f"{self.key_name} {key}\n" for key in keys or map(public, self.host_keys))
        )

    def endpoint(self, **changes: object) -> Endpoint:
        """How to log in here."""
        given = {
            "name": "nas",
            "address": self.address,
            "port": self.port,
            "user": getuser(),
            "identity_files": (str(self.client_key),),
            "use_agent": False,
            "known_hosts_files": (str(self.known_hosts),),
            "connect_timeout_s": PATIENCE_S,
        }
        return Endpoint(**given | changes)

    def start(self) -> None:
        """Start it, and wait until it greets."""
        assert not self._closed, "the test is over"
        configuration = str(self.folder / "sshd_config")
        self._process = subprocess.Popen(
            [*self._inside, self.program, "-D", "-f", configuration, "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until("sshd greets", self._ready)
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> bool:
        assert self._process.poll() is None, f"sshd ended: {self.log.read_text()[-2000:]}"
        reach = [*self._inside, "cat", "/proc/net/tcp"]
        wanted = f":{self.port:04X} 00000000:0000 0A"  # any peer; listening
        return wanted in subprocess.run(reach, capture_output=True, text=True).stdout

    def kill(self) -> None:
        """Kill it and all that it has started, the link first and the commands last."""
        if self._process is None:
            return
        family = self._family()
        for pid in family:
            _send(pid, signal.SIGSTOP)  # so that nobody has a last word when its child dies
        for pid in family:
            _send(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        until("all of it is gone", lambda: not any(_runs(pid) for pid in family))

    def close(self) -> None:
        """Kill it for good: not even a thread that a test left behind starts it again."""
        self._closed = True
        self.kill()
        for environment in Path("/proc").glob("[0-9]*/environ"):  # what outlived its link
            with suppress(OSError):
                if self._mark.encode() in environment.read_bytes().split(b"\0"):
                    _send(int(environment.parent.name), signal.SIGKILL)

    def freeze(self) -> None:
        """Make it hang: links stay open, and nothing answers."""
        for pid in self._family():
            _send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._family():
            _send(pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Of the process that listens."""
        return self._process.pid

    def links(self) -> int:
        """How many connections it serves."""
        return sum(parent == self.pid for parent in _parents().values())

    def _family(self) -> list[int]:
        """It and its descendants, parents before children."""
        parents, family = _parents(), [self._process.pid]
        for elder in family:
            family += [pid for pid, parent in parents.items() if parent == elder]
        return family


def _parents() -> dict[int, int]:
    """Each process of this machine, and its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # of another user, if we aren't root
        os.kill(pid, number)


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as taken:
        return taken.getsockname()[1]
