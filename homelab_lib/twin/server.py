"""A twin's machines as real SSH servers on loopback ports."""

import logging
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.common import MSG_CHANNEL_SUCCESS, MSG_USERAUTH_BANNER

from homelab_lib.lab.guests import Vm
from homelab_lib.twin.machine.https import Answered, Asked, TlsSession
from homelab_lib.twin.machine.machine import Machine, own_fault
from homelab_lib.twin.machine.program import Reply
from homelab_lib.twin.terminal import talk
from homelab_lib.twin.world import World

VERSION = "SSH-2.0-homelab_twin"
"""By this name a twin's evidence is told from the real hosts'."""

_TERMINALS = "OpenSSH"
"""Whose clients leave their input open where a person types nothing; any other ends it."""
_SILENCE_S = 0.3
_LOG = logging.getLogger(__name__)

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset, as a closed port would


@dataclass(frozen=True)
class Place:
    """Where a machine is reached."""

    host: str
    port: int
    user: str


class _Transport(paramiko.Transport):
    """Starts a command only after the client was told that it will be.

    A reply that overtakes that word makes clients believe that the channel was refused.
    """

    # With these there is no MAC besides, which paramiko computes and compares byte by byte.
    _preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")

    def __init__(self, link: socket.socket) -> None:
        super().__init__(link)
        self.local_version = VERSION
        self.pending: list[threading.Thread] = []
        self.tunnels: dict[int, int] = {}  # by channel: the port it leads to
        self.serve_tunnel: Callable[[paramiko.Channel, int], None] = lambda channel, port: None

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)
        if data.asbytes()[:1] == MSG_CHANNEL_SUCCESS.to_bytes():
            waiting, self.pending = self.pending, []
            for thread in waiting:
                thread.start()

    def _queue_incoming_channel(self, channel: paramiko.Channel) -> None:
        """A tunnel is served as soon as the client was told; a session waits for its command."""
        port = self.tunnels.pop(channel.get_id(), None)
        if port is None:
            super()._queue_incoming_channel(channel)  # which keeps it alive
            return
        threading.Thread(target=self.serve_tunnel, args=(channel, port), daemon=True).start()


class _Session(paramiko.ServerInterface):
    """One connection to one machine."""

    def __init__(self, door: "_Door", transport: _Transport) -> None:
        self.door = door
        self.transport = transport
        self.user = ""
        transport.serve_tunnel = lambda channel, port: door.serve_request(channel, port, transport)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        offered = f"{key.get_name()} {key.get_base64()}"
        if not self.door.lets_in(username, offered):
            return paramiko.AUTH_FAILED
        if says := self.door.nologin():
            self._banner(says)
            if username != "root":
                self.transport.close()  # sshd takes the key, and then PAM refuses the account
                return paramiko.AUTH_FAILED
        self.user = username
        return paramiko.AUTH_SUCCESSFUL

    def _banner(self, says: str) -> None:
        """What PAM has to say goes to the client as a banner."""
        message = paramiko.Message()
        message.add_byte(MSG_USERAUTH_BANNER.to_bytes())
        message.add_string(says)
        message.add_string("")
        self.transport._send_message(message)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == "session":
            return paramiko.OPEN_SUCCEEDED
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        address, port = destination
        if address not in ("127.0.0.1", "localhost") or port not in self.door.machine.https:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        self.transport.tunnels[chanid] = port
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, channel: paramiko.Channel, *size: object) -> bool:
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        line = command.decode(errors="replace")
        self._later(self.door.serve_command, channel, line, self.transport)
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self._later(talk, self.door.machine, channel)
        return True

    def _later(self, work: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self.transport.pending.append(thread)


class _Door:
    """One machine's port, and who is inside."""

    def __init__(self, machine: Machine | None, name: str, served: "Served", port: int) -> None:
        self.name = name
        self.served = served
        self._machine = machine
        self._transports: set[_Transport] = set()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def machine(self) -> Machine:
        return self.served.world.machines[self.name]

    def _answers(self) -> bool:
        world = self.served.world
        with world.clock.lock:
            world.clock.catch_up()
            return self.name in world.machines and self.machine.accepts_logins()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            if not self._answers():
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                link.close()
                continue
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._greet, args=(link,), daemon=True).start()

    def _greet(self, link: socket.socket) -> None:
        transport = _Transport(link)
        key = paramiko.Ed25519Key.from_private_key(_pem(self.machine))
        transport.add_server_key(key)
        self._transports.add(transport)
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Session(self, transport))

    def lets_in(self, user: str, key: str) -> bool:
        machine = self.machine
        if user not in (machine.user, "root"):
            return False
        known = self.served.authorized_keys
        own = machine.lets_in()
        if own is None:
            return key in known
        stands_for = self.served.acting_for.get(key, key)
        return bool({key, stands_for} & {bare(each) for each in own})

    def nologin(self) -> str:
        """What PAM says while logins are forbidden; empty when they aren't."""
        world = self.served.world
        with world.clock.lock:
            world.clock.catch_up()
            return self.machine.nologin()

    # ---------------------------------------------------------------- commands

    def serve_command(self, channel: paramiko.Channel, line: str, transport: _Transport) -> None:
        """Run a line and answer, or have the fault that is due."""
        with suppress(EOFError, OSError, paramiko.SSHException):
            stdin = _read_all(channel)
            script = stdin.decode(errors="replace") if "eval" in line else ""  # of many commands
            fault = self.served.world.faults.strike(
                self.name, f"{line}\n{script}" if script else line
            )
            if fault == "cut-before":
                transport.close()
                return
            if fault == "fail":
                _answer(channel, Reply(1, stderr="Input/output error\n"))
                return
            try:
                reply = self._carried_out(line, stdin, fault, transport)
            except Exception as error:  # nobody may wait for an answer that never comes
                _LOG.exception("twin: fault in %s at: %s", self.name, line)
                reply = own_fault(self.name, error)
            if reply is None:
                return
            if fault == "cut-after":
                transport.close()
            elif fault not in ("hang", "reboot"):
                _answer(channel, reply)

    def _carried_out(
        self, line: str, stdin: bytes, fault: str | None, transport: _Transport
    ) -> Reply | None:
        """What a command leaves; None where nobody is there any more to say it."""
        world, machine = self.served.world, self.machine
        with world.clock.lock:
            world.clock.catch_up()
            boots = machine.boots
            begun = machine.run(line, stdin)
        if fault == "cut-mid":
            transport.close()
            return None
        if begun.takes_s:
            world.clock.sleep(begun.takes_s)
        with world.clock.lock:
            if machine.boots != boots or not machine.up:
                return None  # it went down under the command
            reply = begun.finished()
            world.clock.catch_up()
            if world.own_faults:  # what is due goes wrong where nobody listens
                reply = own_fault(self.name, world.own_faults.pop(0))
            if fault == "reboot":
                machine.reboot()
        return reply

    def serve_request(self, channel: paramiko.Channel, port: int, transport: _Transport) -> None:
        """Answer one request, or have the fault that is due."""
        world, machine = self.served.world, self.machine
        with suppress(EOFError, OSError, ValueError, paramiko.SSHException), closing(channel):
            link = TlsSession(channel, machine.https_identity.context)
            asked = link.request()
            if asked is None:
                return
            line = f"{asked.method} https://127.0.0.1:{port}{asked.path}"
            fault = world.faults.strike(self.name, line)
            if fault == "cut-before":
                transport.close()
                return
            with world.clock.lock:
                world.clock.catch_up()
                answered = Answered(500) if fault == "fail" else self._answered(port, asked)
            if fault == "reboot":
                with world.clock.lock:
                    machine.reboot()
            elif fault in ("cut-mid", "cut-after"):
                transport.close()
            elif fault != "hang":
                link.answer(answered)

    def _answered(self, port: int, asked: Asked) -> Answered:
        """What a service makes of a request; a mistake of the twin's own is told."""
        try:
            answered = self.machine.https[port](asked)
        except Exception as error:
            _LOG.exception("twin: fault in %s at: %s %s", self.name, asked.method, asked.path)
            return Answered(500, own_fault(self.name, error).stderr, "text/plain")
        if faults := self.served.world.own_faults:
            return Answered(500, own_fault(self.name, faults.pop(0)).stderr, "text/plain")
        return answered

    def drop(self) -> None:
        """Close every connection: the machine is gone."""
        for transport in list(self._transports):
            transport.close()
        self._transports.clear()

    def close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.drop()


def bare(key: str) -> str:
    """A public key without its comment."""
    return " ".join(key.split()[:2])


def _pem(machine: Machine) -> object:
    import io

    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    data = machine.host_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return io.StringIO(data.decode())


def _read_all(channel: paramiko.Channel) -> bytes:
    """What the client sends, up to its end of file.

    A terminal's `ssh` leaves its input open and sends nothing: that is no input. Of any other
    client the end is waited for, however busy this computer is.
    """
    data = b""
    by_hand = _TERMINALS in channel.get_transport().remote_version
    channel.settimeout(_SILENCE_S if by_hand else None)
    with suppress(TimeoutError):
        while chunk := channel.recv(65536):
            data += chunk
            channel.settimeout(None)
    channel.settimeout(None)
    return data


def _answer(channel: paramiko.Channel, reply: Reply) -> None:
    channel.sendall(reply.out)
    channel.sendall_stderr(reply.err)
    channel.send_exit_status(reply.status)
    channel.close()


class Served:
    """A world whose machines answer on ports of this computer.

    Parameters
    ----------
    world
        What stands behind them.
    authorized_keys
        Public keys that hosts let in.
    acting_for
        Keys that are let in wherever another one may log in: a rehearsal's own key stands for the
        person's, whose private half it hasn't.
    base_port
        The first port; 0 takes any free ones.
    """

    def __init__(
        self,
        world: World,
        authorized_keys: Sequence[str],
        acting_for: Mapping[str, str],
        base_port: int,
    ) -> None:
        self.world = world
        self.authorized_keys = {bare(key) for key in authorized_keys}
        self.acting_for = {bare(key): bare(other) for key, other in acting_for.items()}
        self._doors: dict[str, _Door] = {}
        self.endpoints: dict[str, Place] = {}
        for place, (name, described) in enumerate(world.lab.machines().items()):
            port = base_port + place if base_port else 0
            door = _Door(world.machines.get(name), name, self, port)
            self._doors[name] = door
            login = described if isinstance(described, Vm) else described.ssh
            self.endpoints[name] = Place("127.0.0.1", door.port, login.user if login else "")
        world.down_hooks.append(self._dropped)

    def _dropped(self, machine: Machine) -> None:
        if machine.name in self._doors:
            self._doors[machine.name].drop()

    def known_hosts(self) -> list[str]:
        """Lines for a known_hosts file: the keys of the hosts that are up, but of no VM."""
        vms = self.world.lab.vms
        return [
            f"[{place.host}]:{place.port} {self.world.machines[name].host_key_public}"
            for name, place in self.endpoints.items()
            if name in self.world.machines and name not in vms
        ] + [
            f"[{self.endpoints[name].host}]:{self.endpoints[name].port} {machine.host_key_public}"
            for name, machine in self.world.machines.items()
            if name in vms and name in self.endpoints
        ]

    def close(self) -> None:
        """Close every port; once is enough."""
        if self._dropped in self.world.down_hooks:
            self.world.down_hooks.remove(self._dropped)
        for door in self._doors.values():
            door.close()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def serve(
    world: World,
    *,
    authorized_keys: Sequence[str],
    acting_for: Mapping[str, str] | None = None,
    base_port: int = 0,
) -> Served:
    """Open a port for each machine of a world; see `Served`."""
    return Served(world, authorized_keys, acting_for or {}, base_port)


def ssh_config(served: Served, *, identity_file: Path, known_hosts_file: Path) -> str:
    """What an OpenSSH client needs to reach the machines by name."""
    blocks = []
    for name, place in served.endpoints.items():
        blocks.append(
            f"Host {name}\n"
            f"    HostName {place.host}\n"
            f"    Port {place.port}\n"
            f"    User {place.user}\n"
            f'    IdentityFile "{identity_file}"\n'
            f"    IdentitiesOnly yes\n"
            f'    UserKnownHostsFile "{known_hosts_file}"\n'
            f"    StrictHostKeyChecking yes\n"
        )
    return "\n".join(blocks)
