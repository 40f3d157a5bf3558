"""A control plane that runs: etcd, API server, controllers, scheduler; and a real kubectl."""

import json
import os
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kube.build import VERSION, programs

_UP_S = 120.0
_MERGE = "application/strategic-merge-patch+json"


class Reply(NamedTuple):
    """What kubectl left."""

    status: int
    out: str
    err: str


class Plane:
    """Made by `plane`.

    Parameters
    ----------
    folder
        Where it keeps its state and its logs.
    """

    version = VERSION

    def __init__(self, folder: Path) -> None:
        self.folder, self._programs = folder, programs()
        self.etcd = _Address(folder / "etcd")
        self._port = _free_port()
        self._token = secrets.token_hex(16)
        self._running: list[subprocess.Popen[bytes]] = []
        self.kubeconfig = folder / "kubeconfig"
        user = {"name": "admin", "user": {"token": self._token}}
        cluster = {"server": f"https://127.0.0.1:{self._port}", "insecure-skip-tls-verify": True}
        context = {"cluster": "here", "user": "admin"}
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "here",
                    "clusters": [{"name": "here", "cluster": cluster}],
                    "users": [user],
                    "contexts": [{"name": "here", "context": context}],
                }
            )
        )
        self.kubeconfig.chmod(0o600)
        (folder / "tokens.csv").write_text(f"{self._token},admin,1,system:masters\n")
        subprocess.run(
            ["openssl", "genrsa", "-out", folder / "sa.key", "2048"],
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Start all of it, and wait until it answers."""
        here = self.folder
        url = f"http://127.0.0.1:{self.etcd.client}"
        self._begin(
            *("etcd", "--data-dir", self.etcd.data, "--name", "here"),
            *("--listen-client-urls", url, "--advertise-client-urls", url),
            *("--listen-peer-urls", f"http://127.0.0.1:{self.etcd.peer}"),
            *("--initial-advertise-peer-urls", f"http://127.0.0.1:{self.etcd.peer}"),
            *("--initial-cluster", f"here=http://127.0.0.1:{self.etcd.peer}"),
        )
        self._begin(
            self._programs / "kube-apiserver",
            *(f"--etcd-servers={url}", f"--token-auth-file={here / 'tokens.csv'}"),
            *("--bind-address=127.0.0.1", f"--secure-port={self._port}", "--insecure-port=0"),
            *("--service-account-issuer=https://kubernetes.default.svc",),
            f"--service-account-signing-key-file={here / 'sa.key'}",
            f"--service-account-key-file={here / 'sa.key'}",
            *("--authorization-mode=Node,RBAC", f"--cert-dir={here / 'certs'}"),
            "--service-cluster-ip-range=10.43.0.0/16",
            "--disable-admission-plugins=ServiceAccount",  # nobody mounts its token
        )
        self.until("the API answers", lambda: self._asked("GET", "/readyz") == b"ok", _UP_S)
        self._begin(
            self._programs / "kube-controller-manager",
            *(f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--port=0"),
            f"--service-account-private-key-file={here / 'sa.key'}",
            f"--root-ca-file={here / 'certs' / 'apiserver.crt'}",
            *(f"--cert-dir={here / 'controllers'}", "--secure-port=0"),
        )
        self._begin(
            self._programs / "kube-scheduler",
            *(f"--kubeconfig={self.kubeconfig}", "--leader-elect=false"),
            f"--cert-dir={here / 'scheduler'}",
            *("--port=0", "--secure-port=0"),
        )
        space = "/api/v1/namespaces/default/serviceaccounts/default"
        self.until("the controllers work", lambda: self.found(space) is not None, _UP_S)

    def stop(self) -> None:
        """End all of it, the newest first: etcd has written everything by then."""
        while self._running:
            process = self._running.pop()
            process.terminate()
            process.wait(30)

    def _begin(self, program: object, *words: object) -> None:
        name = Path(str(program)).name
        log = (self.folder / f"{name}.log").open("ab")
        argv = [str(program), *map(str, words)]
        self._running.append(subprocess.Popen(argv, stdout=log, stderr=log))
        log.close()

    def until(self, what: str, holds: Callable[[], Any], timeout_s: float = 30.0) -> Any:
        """Wait until something holds; gives what it gave."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                found = holds()
            except OSError:
                found = None
            if found:
                return found
            assert all(each.poll() is None for each in self._running), self._last_words()
            assert time.monotonic() < deadline, f"not yet after {timeout_s:g} s: {what}"
            time.sleep(0.1)

    def _last_words(self) -> str:
        logs = (log.read_text(errors="replace")[-1500:] for log in self.folder.glob("*.log"))
        return "one of its programs has ended:\n" + "\n\n".join(logs)

    def kubectl(self, line: Sequence[str], stdin: str = "") -> Reply:
        """The real kubectl."""
        words = [str(self._programs / "kubectl"), "--kubeconfig", str(self.kubeconfig), *line]
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C"}
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, timeout=120, env=env
        )
        return Reply(done.returncode, done.stdout, done.stderr)

    def etcdctl(self, *words: object) -> Reply:
        """The real etcdctl, at its etcd."""
        url = f"http://127.0.0.1:{self.etcd.client}"
        env = {**os.environ, "ETCDCTL_API": "3"}
        done = subprocess.run(
            ["etcdctl", "--endpoints", url, *map(str, words)],
            capture_output=True, text=True, timeout=120, env=env, cwd=self.folder,
        )  # fmt: skip
        return Reply(done.returncode, done.stdout, done.stderr)

    def found(self, path: str) -> Any:
        """What the API has there; None for nothing."""
        try:
            return json.loads(self._asked("GET", path))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def send(self, method: str, path: str, body: Any) -> Any:
        """Make something, patch it or take it away, as a kubelet does: without kubectl."""
        return json.loads(self._asked(method, path, json.dumps(body).encode()))

    def _asked(self, method: str, path: str, body: bytes | None = None) -> bytes:
        trusted = ssl.create_default_context(cafile=str(self.folder / "certs" / "apiserver.crt"))
        trusted.check_hostname = False
        kind = _MERGE if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            f"https://127.0.0.1:{self._port}{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": kind},
        )
        with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
            said: bytes = answer.read()
            return said


class _Address:
    """An etcd: where its data lies, and its ports."""

    def __init__(self, data: Path) -> None:
        self.data, self.client, self.peer = data, _free_port(), _free_port()


@contextmanager
def plane(folder: Path) -> Iterator[Plane]:
    """A control plane that has begun; nothing of it remains but its logs."""
    made = Plane(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
