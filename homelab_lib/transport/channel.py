"""One command on one SSH channel: sent, fed, listened to, within its time."""

import selectors
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from homelab_lib.transport.command import Result
from homelab_lib.transport.library import paramiko

MAX_GREETING_BYTES = 2**13  # RFC 4253 lets a server say something first; OpenSSH reads no more
NO_STATUS = -1  # paramiko's exit status for a channel that closed without one
MAX_OUTPUT_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**18
_LOOK_AGAIN_S = 0.1  # paramiko can lose a wake-up when both streams (or data and the end) race


class _Packetizer(paramiko.packet.Packetizer):
    """Lets a greeting take no more than its time and its length.

    paramiko reads lines of any length, and waits for each piece of them anew.
    """

    _said_bytes = 0
    _until = 0.0

    def _read_timeout(self, timeout: float) -> bytes:
        self._until = self._until or time.monotonic() + timeout
        data = super()._read_timeout(max(self._until - time.monotonic(), 0.0))
        self._said_bytes += len(data)
        if self._said_bytes > MAX_GREETING_BYTES:
            raise EOFError(": it goes on and on")
        return data


class Transport(paramiko.Transport):
    """Says no more on a channel that is closed: OpenSSH would drop the whole connection.

    paramiko makes a message under the channel's lock and sends it after letting go; in between,
    its own thread may have answered the host's close. Here it is looked at while sending.
    """

    def __init__(self, link: object) -> None:
        self.speaker = threading.local()  # .channel is the one that a thread feeds
        self.goodbye = ""  # with which the host hung up
        super().__init__(link, packetizer_class=_Packetizer)

    def known_algorithms(self) -> dict[str, tuple[str, ...]]:
        """Everything that can be offered, by the name of the security option."""
        tables = {
            "kex": self._kex_info,
            "ciphers": self._cipher_info,
            "digests": self._mac_info,
            "key_types": self._key_info,
        }
        return {option: tuple(table) for option, table in tables.items()}

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        message.get_int()
        self.goodbye = message.get_string().decode(errors="replace")

    def _send_message(self, data: paramiko.Message) -> None:
        channel = getattr(self.speaker, "channel", None)
        if channel is None or not channel.closed:
            super()._send_message(data)


@dataclass
class Heard:
    """What has come so far, and stays when the rest does not."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


def exchange(
    channel: paramiko.Channel,
    line: str,
    stdin: str | bytes | None,
    timeout_s: float,
    *,
    heard: Heard | None = None,
    renew: Callable[[], float | None] = lambda: None,
) -> Result:
    """Run `line`, give it `stdin`, and gather what it prints.

    Parameters
    ----------
    channel
        A fresh session channel; the caller closes it.
    line
        What the host's shell is to run.
    stdin
        What the program reads, up to its end of file.
    timeout_s
        How long all of it may take [s].
    heard
        Gets what is printed, as it comes.
    renew
        Asked whenever something came: from now on, how long may the rest take [s]? None: the
        time is running as before.

    Returns
    -------
    Result
        Its exit status is `NO_STATUS` where the channel closed without one.

    Raises
    ------
    TimeoutError, OverflowError
        It took too long, or printed too much.
    """
    begun = time.monotonic()
    given = stdin.encode() if isinstance(stdin, str) else stdin or b""
    heard = heard or Heard()
    # exec_command and sendall wait without end; the listening side keeps the time for both.
    threading.Thread(target=_send, args=(channel, line, given), daemon=True).start()
    _listen(channel, timeout_s, heard, renew)
    return Result(
        exit_status=channel.exit_status,
        stdout=heard.stdout.decode(errors="replace"),
        stderr=heard.stderr.decode(errors="replace"),
        duration_s=time.monotonic() - begun,
    )


def _send(channel: paramiko.Channel, line: str, given: bytes) -> None:
    """Start the command and feed it; how that went shows on the listening side."""
    channel.get_transport().speaker.channel = channel
    with suppress(paramiko.SSHException, EOFError, OSError):
        channel.exec_command(line)
        channel.sendall(given)
        channel.shutdown_write()


def _listen(
    channel: paramiko.Channel, timeout_s: float, heard: Heard, renew: Callable[[], float | None]
) -> None:
    """Both streams side by side: one read after the other deadlocks when the second fills up."""
    until, came = time.monotonic() + timeout_s, 0
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            ended = channel.eof_received or channel.closed  # looked up before the last bytes are
            before = came
            for ready, receive, stream in (
                (channel.recv_ready, channel.recv, heard.stdout),
                (channel.recv_stderr_ready, channel.recv_stderr, heard.stderr),
            ):
                if ready():
                    chunk = receive(_CHUNK_BYTES)
                    stream += chunk
                    came += len(chunk)
            if came > before and (anew_s := renew()) is not None:
                timeout_s, until = anew_s, time.monotonic() + anew_s
            if came > MAX_OUTPUT_BYTES:
                raise OverflowError(f"more than {MAX_OUTPUT_BYTES // 2**20} MiB of output")
            if ended and not (channel.recv_ready() or channel.recv_stderr_ready()):
                break
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no end within {timeout_s:g} s")
            selector.select(min(left_s, _LOOK_AGAIN_S))
    if not channel.status_event.wait(max(until - time.monotonic(), 0)):
        raise TimeoutError(f"no end within {timeout_s:g} s")
