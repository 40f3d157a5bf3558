"""One host's SSH connection, kept open, and honest about what it can't know."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from homelab_lib.errors import NotListening, OutcomeUnknown, TooSlow, Unreachable
from homelab_lib.secret import Secret
from homelab_lib.transport.call import Call
from homelab_lib.transport.channel import NO_STATUS, exchange
from homelab_lib.transport.command import Command, Result, read
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.library import paramiko
from homelab_lib.transport.login import dial, log_in
from homelab_lib.transport.opening import Opening

SESSIONS = 8  # at once on one connection; OpenSSH's MaxSessions is 10
BACKOFF_S = (0.5, 2.0)  # between attempts to come back to a host that was there
_ROOM_S = (0.005, 0.02, 0.1)  # between attempts to get a session
_ENDING_S = 0.1  # a link that breaks closes its channels, and counts as active a moment longer

# paramiko logs a traceback for every dropped link; what matters of it is in our errors.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class LinkLost(Exception):
    """The link, or the channel, went away after something was sent."""


class CutOff(Exception):
    """We stopped listening: it took too long, or printed too much."""


class _ChannelRefused(Exception):
    """The host is there and opens no channel."""


def stdin_of(command: Command) -> str | bytes:
    """What the command reads; a secret is fetched now, and kept nowhere."""
    given = command.stdin
    return given.reveal() if isinstance(given, Secret) else given or b""


class Connection:
    """A host, reached when first needed and kept.

    Threads may share it. A link that went away between commands is replaced; one that goes
    away under a command is not hidden: a read is asked again once, a change is `OutcomeUnknown`.

    Parameters
    ----------
    endpoint
        The host.
    known_hosts
        Files that hold host keys, besides those of the endpoint.
    via
        The connection to go through, if the endpoint has a jump host.
    sleep
        Waits [s] between attempts to come back.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        known_hosts: Sequence[Path] = (),
        *,
        via: "Connection | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.server_version = ""  # what the host's SSH calls itself
        self._known_hosts = [*map(Path, endpoint.known_hosts_files), *known_hosts]
        self._via = via
        self._sleep = sleep
        self._transport: paramiko.Transport | None = None
        self._connecting = threading.Lock()
        self._turn = threading.Condition()
        self._sessions = 0
        self._sessions_allowed = SESSIONS
        self._known: set[bool] = set()  # whether the login was seen to work, plain and by sudo

    # --------------------------------------------------------------- commands

    def run(self, command: Command) -> Result:
        """Send a command and wait for its end.

        Raises
        ------
        Unreachable
            No connection; a change was not sent.
        OutcomeUnknown
            A change was sent, and the link or the time ran out before its result came.
        LoginUnusable
            The host lets us in, and `sudo` there refuses, or a login file talks; no change was
            sent.
        TooSlow
            A read took too long, or printed too much.
        """
        try:
            return self._exchange(command)
        except LinkLost as lost:
            if command.kind == "change":
                raise self.unknown(command, str(lost)) from None
        try:
            return self._exchange(command)  # asking twice harms nobody
        except LinkLost as lost:
            raise self.gone(command, f"twice {lost}") from None

    def _exchange(self, command: Command) -> Result:
        opening = self.opening(command)
        line = opening.line(command.line)
        try:
            result = self.converse(line, stdin_of(command), command.timeout_s)
        except CutOff as cut:
            if command.kind == "change":
                raise self.unknown(command, str(cut)) from None
            raise self.too_slow(command, str(cut)) from None
        return self.answer(opening, result)

    def opening(self, *commands: Command) -> Opening:
        """How commands are sent together: by `sudo` if all of them need it.

        Before anything is changed the login has to be known.
        """
        by_sudo = all(map(self.by_sudo, commands))
        if any(command.kind == "change" for command in commands):
            time_s = min(command.timeout_s for command in commands)
            for each in set(map(self.by_sudo, commands)) - self._known:
                self.run(read("true", sudo=each, timeout_s=time_s))
        return Opening(by_sudo) if by_sudo in self._known else Opening.new(by_sudo)

    def answer(self, opening: Opening, result: Result) -> Result:
        """What a command itself said; see `Opening.answer`."""
        said = opening.answer(self.endpoint, result)
        if opening.mark:
            self._known |= {False, opening.by_sudo}
        return said

    def converse(self, line: str, stdin: str | bytes, timeout_s: float, **listening: Any) -> Result:
        """Have the login shell run a line; see `exchange` for the arguments.

        Raises
        ------
        LinkLost, CutOff
            It was sent, and there is no result.
        """
        with self._session() as channel:
            try:
                result = exchange(channel, line, stdin, timeout_s, **listening)
            except (TimeoutError, OverflowError) as cut:
                channel.get_transport().close()  # nobody can say whether it still lives
                raise CutOff(str(cut)) from None
            if result.exit_status == NO_STATUS:
                transport = channel.get_transport()
                transport.join(_ENDING_S)
                raise LinkLost(
                    "it ended without an exit status (killed? out of memory?)"
                    if transport.is_active()
                    else "the connection broke"
                )
        return result

    def by_sudo(self, command: Command) -> bool:
        """Whether it takes `sudo` to run the command here."""
        return command.sudo and self.endpoint.user != "root"

    # ----------------------------------------------------------------- errors

    def unknown(self, call: Call, why: str) -> OutcomeUnknown:
        """Sent, and no answer."""
        return OutcomeUnknown(
            f"{self.endpoint.name}: sent, and {why}; whether it was done, only a look at the host "
            f"can tell: {call.line}",
            where=self.endpoint.place,
            fix="run the same command line again; it looks first",
        )

    def gone(self, call: Call, why: str) -> Unreachable:
        """The link broke while we were only asking."""
        return Unreachable(
            f"{self.endpoint.name}: {why}: {call.line}",
            where=self.endpoint.place,
            fix="is the host restarting, or the network in trouble?",
        )

    def too_slow(self, call: Call, why: str) -> TooSlow:
        """We stopped listening to an answer."""
        return TooSlow(
            f"{self.endpoint.name}: {why}: {call.line}",
            where=self.endpoint.place,
            fix="is the host overloaded, or does it wait for a disk or a mount?",
        )

    # --------------------------------------------------------------- channels

    @contextmanager
    def _session(self) -> Iterator[paramiko.Channel]:
        """A channel for one command; as many at once as the host takes, the others wait."""
        channel = self._open_session()
        try:
            yield channel
        finally:
            channel.close()
            self._end_session()

    def _open_session(self) -> paramiko.Channel:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._sessions < self._sessions_allowed)
                self._sessions += 1
                alone = self._sessions_allowed == 1
            try:
                return self._ask_for_session()
            except _ChannelRefused as refused:
                others = self._end_session()
                if alone:
                    raise Unreachable(
                        f"{self.endpoint.name} lets {self.endpoint.user} in and opens no session: "
                        f"{refused}",
                        where=self.endpoint.place,
                        fix="look at MaxSessions and Match blocks in its sshd_config",
                    ) from None
                with self._turn:  # its MaxSessions is lower than most
                    self._sessions_allowed = max(min(self._sessions_allowed, others), 1)
            except BaseException:
                self._end_session()
                raise

    def _ask_for_session(self) -> paramiko.Channel:
        """Ask more than once: sshd may still count a session that we have just closed."""
        for pause_s in _ROOM_S:
            with suppress(_ChannelRefused):
                return self._open("session")
            time.sleep(pause_s)
        return self._open("session")

    def _end_session(self) -> int:
        with self._turn:
            self._sessions -= 1
            self._turn.notify()
            return self._sessions

    def tunnel(self, address: str, port: int) -> paramiko.Channel:
        """A connection from the host to `address`:`port`, as something like a socket.

        Raises
        ------
        Unreachable
            The host is gone.
        NotListening
            It can't connect there, or may not forward.
        """
        try:
            return self._open("direct-tcpip", (address, port))
        except _ChannelRefused as refused:
            raise NotListening(
                f"{address}:{port} can't be reached through {self.endpoint.name}: {refused}",
                where=self.endpoint.place,
                fix="does something listen there? does sshd there allow AllowTcpForwarding?",
            ) from None

    def _open(
        self, kind: str, destination: tuple[str, int] | None = None, *, last_try: bool = False
    ) -> paramiko.Channel:
        """Open a channel. A link found dead is replaced: nothing was sent on this channel yet."""
        transport = self._live()
        source = ("127.0.0.1", 0) if destination else None
        try:
            return transport.open_channel(kind, destination, source)
        except (paramiko.SSHException, EOFError, OSError) as error:
            timed_out = "timeout" in str(error).lower()
            if transport.is_active() and not timed_out:
                raise _ChannelRefused(str(error)) from None
            transport.close()
            if last_try or timed_out:
                raise Unreachable(
                    f"{self.endpoint.name} was there, and no longer answers",
                    where=self.endpoint.place,
                    fix="is the host up, or hanging?",
                ) from None
        return self._open(kind, destination, last_try=True)

    # ------------------------------------------------------------------- link

    def _live(self) -> paramiko.Transport:
        with self._connecting:
            if self._transport is None:
                self._transport = self._log_in()
            elif not self._transport.is_active():
                self._transport = None
                self._transport = self._come_back()
            return self._transport

    def _come_back(self) -> paramiko.Transport:
        for pause_s in BACKOFF_S:
            with suppress(Unreachable):
                return self._log_in()
            self._sleep(pause_s)
        return self._log_in()

    def _log_in(self) -> paramiko.Transport:
        there = self.endpoint.address, self.endpoint.port
        link = self._via.tunnel(*there) if self._via else dial(self.endpoint)
        transport = log_in(self.endpoint, link, self._known_hosts)
        self.server_version = transport.remote_version
        self._sessions_allowed = SESSIONS
        self._known = set()
        return transport

    def reconnect(self) -> None:
        """Drop the link and log in anew, to show that the way to the host is open."""
        self.close()
        self._live()

    def close(self) -> None:
        """Let go of the link; a later command opens a new one."""
        with self._connecting:
            if self._transport is not None:
                self._transport.close()
            self._transport = None
