"""A small SSH server on loopback whose commands are Python functions, for the tests."""

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import IO

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import MSG_CHANNEL_SUCCESS

from homelab_lib.transport.endpoint import Endpoint

# What the first command of a connection has around it: a shell that prints this word first.
_MARK = re.compile(r"/bin/sh -c 'printf %s [^']*' ([0-9a-f]{32}) ")


def ed25519() -> tuple[paramiko.PKey, str]:
    """A new key, and its private half as OpenSSH writes it."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return paramiko.Ed25519Key.from_private_key(StringIO(pem.decode())), pem.decode()


@dataclass
class Call:
    """A command line that arrived, and the channel it came on."""

    line: str
    channel: paramiko.Channel

    def stdin(self) -> bytes:
        parts = []
        while part := self.channel.recv(2**16):
            parts.append(part)
        return b"".join(parts)

    def answer(
        self, status: int = 0, stdout: bytes = b"", stderr: bytes = b"", *, ran: bool = True
    ) -> None:
        """Answer as the command would; `ran` says whether it was begun at all."""
        mark = _MARK.search(self.line)
        self.channel.sendall_stderr(stderr)
        self.channel.sendall((mark[1].encode() if mark and ran else b"") + stdout)
        self.channel.send_exit_status(status)

    def drop_the_link(self) -> None:
        self.channel.get_transport().close()


def real_shell(call: Call) -> None:
    """Answer as this machine's `sh` does, while it runs; what it runs ends with the link."""
    channel = call.channel
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(["sh", "-c", call.line], start_new_session=True, **pipes) as ran:
        threading.Thread(target=_feed, args=(channel, ran.stdin), daemon=True).start()
        out = threading.Thread(target=_tell, args=(ran.stdout, channel.sendall), daemon=True)
        err = threading.Thread(target=_tell, args=(ran.stderr, channel.sendall_stderr), daemon=True)
        out.start()
        err.start()
        while channel.get_transport().is_active() and out.is_alive():
            out.join(0.05)
        if out.is_alive():
            os.killpg(ran.pid, signal.SIGKILL)
        out.join()
        err.join()
    if ran.returncode >= 0:
        channel.send_exit_status(ran.returncode)


def _feed(channel: paramiko.Channel, program: IO[bytes]) -> None:
    with suppress(OSError, ValueError), program:
        while data := channel.recv(2**16):
            program.write(data)
            program.flush()


def _tell(program: IO[bytes], send: Callable[[bytes], None]) -> None:
    with suppress(OSError, EOFError):
        while data := program.read1(2**16):
            send(data)


class _Transport(paramiko.Transport):
    """Starts a command only once the client was told that it is accepted."""

    def __init__(self, link: socket.socket) -> None:
        self.waiting: dict[int, Callable[[], None]] = {}
        super().__init__(link)

    def _send_user_message(self, message: paramiko.Message) -> None:
        super()._send_user_message(message)
        raw = message.asbytes()
        if raw[0] == MSG_CHANNEL_SUCCESS:
            work = self.waiting.pop(int.from_bytes(raw[1:5]), None)
            if work:
                threading.Thread(target=work, daemon=True).start()


class Sshd:
    """Serves until closed.

    Parameters
    ----------
    answer
        Is given each command; may be exchanged while serving.
    host_keys
        Keys to show; a fresh ed25519 one if none.
    max_sessions
        How many channels a connection may have.
    version
        How the server presents itself.
    """

    def __init__(
        self,
        answer: Callable[[Call], None] = real_shell,
        *,
        host_keys: Sequence[paramiko.PKey] = (),
        max_sessions: int = 10,
        version: str = "SSH-2.0-test",
    ) -> None:
        self.answer = answer
        self.host_keys = list(host_keys) or [ed25519()[0]]
        self.max_sessions = max_sessions
        self.version = version
        self.client_key, self.client_pem = ed25519()
        self.lines: list[str] = []  # what arrived
        self.users: list[str] = []  # who logged in
        self.accepts_keys = True
        self.accepts_exec = lambda: True
        self.transports: list[paramiko.Transport] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Sshd":
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self.transports:
            transport.close()

    def endpoint(self, folder: Path, **changes: object) -> Endpoint:
        """How to log in here; keys and known_hosts are written to `folder`."""
        identity, known_hosts = folder / "id_ed25519", folder / "known_hosts"
        if not identity.exists():
            identity.write_text(self.client_pem)
        with known_hosts.open("a") as file:
            for key in self.host_keys:
                file.write(f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n")
        given = {
            "name": "nas",
            "address": "127.0.0.1",
            "port": self.port,
            "identity_files": (str(identity),),
            "use_agent": False,
            "known_hosts_files": (str(known_hosts),),
            "connect_timeout_s": 5.0,
        }
        return Endpoint(**given | changes)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = _Transport(link)
            transport.local_version = self.version
            for key in self.host_keys:
                transport.add_server_key(key)
            self.transports.append(transport)
            transport.start_server(event=threading.Event(), server=_Rules(self, transport))


class _Rules(paramiko.ServerInterface):
    def __init__(self, sshd: Sshd, transport: _Transport) -> None:
        self.sshd = sshd
        self.transport = transport

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = key.asbytes() == self.sshd.client_key.asbytes()
        if not (known and self.sshd.accepts_keys):
            return paramiko.AUTH_FAILED
        self.sshd.users.append(username)
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if len(self.transport._channels) >= self.sshd.max_sessions:
            return paramiko.OPEN_FAILED_RESOURCE_SHORTAGE
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        line = command.decode()
        self.sshd.lines.append(line)

        def work() -> None:
            try:
                self.sshd.answer(Call(line, channel))
            except (OSError, EOFError):
                pass  # the client went away
            finally:
                with suppress(OSError, EOFError):
                    channel.close()

        self.transport.waiting[channel.remote_chanid] = work
        return self.sshd.accepts_exec()

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        try:
            there = socket.create_connection(destination, timeout=5)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=self._forward, args=(there, chanid), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def _forward(self, there: socket.socket, chanid: int) -> None:
        while (here := self.transport.accept(5)) is not None and here.chanid != chanid:
            pass  # of a command
        if here is None:
            return
        back = threading.Thread(target=_pump, args=(there, here), daemon=True)
        back.start()
        _pump(here, there)
        back.join()
        there.close()
        with suppress(OSError, EOFError):
            here.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError, EOFError, paramiko.SSHException):
        while data := source.recv(2**16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
