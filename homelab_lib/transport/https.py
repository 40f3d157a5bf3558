"""HTTPS over a channel of an SSH connection, with a pinned certificate."""

import http.client
import io
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from homelab_lib.errors import Unreachable
from homelab_lib.secret import Secret
from homelab_lib.transport.certificates import check
from homelab_lib.transport.channel import MAX_OUTPUT_BYTES
from homelab_lib.transport.command import Result
from homelab_lib.transport.library import paramiko
from homelab_lib.transport.request import Request
from homelab_lib.transport.ssh import Connection

LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 2**16
_HEADERS_BYTES = 2**20  # more than http.client takes


class Tls(io.RawIOBase):
    """A TLS session over an SSH channel, as the part of a socket that `http.client` uses.

    Parameters
    ----------
    channel
        A connection to the service.
    until
        When all has to be done, on the monotonic clock [s].
    """

    def __init__(self, channel: paramiko.Channel, until: float) -> None:
        self._channel = channel
        self._until = until
        self._came = 0
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # No authority knows it: it has to be the one certificate that is pinned (`check`).
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls = context.wrap_bio(self._in, self._out)

    def shake_hands(self) -> bytes:
        """Agree on keys; the certificate that was shown, in DER form."""
        self._pump(self._tls.do_handshake)
        shown = self._tls.getpeercert(binary_form=True)
        if not shown:
            raise ssl.SSLError("it shows no certificate")
        return shown

    def _pump(self, work: Callable[..., Any], *arguments: object) -> Any:
        """Do a step of TLS, carrying bytes to and fro until it is done."""
        while True:
            try:
                done = work(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                self._more()
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        while data := self._out.read(_CHUNK_BYTES):
            self._channel.settimeout(self._left_s())
            self._channel.sendall(data)

    def _more(self) -> None:
        self._channel.settimeout(self._left_s())
        data = self._channel.recv(_CHUNK_BYTES)
        self._came += len(data)
        if self._came > MAX_OUTPUT_BYTES + _HEADERS_BYTES:
            raise OverflowError(f"more than {MAX_OUTPUT_BYTES // 2**20} MiB of an answer")
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _left_s(self) -> float:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    # -------------------------------------------------- what http.client wants of a socket

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # all that comes
        try:
            data = self._pump(self._tls.read, len(buffer))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0
        assert isinstance(data, bytes)
        buffer[: len(data)] = data
        return len(data)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._pump(self._tls.write, view[:_CHUNK_BYTES]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


class Lost(Exception):
    """It was sent, at least in part, and there is no whole answer."""


def send(connection: Connection, request: Request, certificates: Sequence[Path]) -> Result:
    """Send a request through a host's SSH connection to the service on its loopback.

    Parameters
    ----------
    connection
        The host's.
    request
        What to send.
    certificates
        Files of pinned certificates.

    Returns
    -------
    Result
        Exit status 0 for a status of 2xx, else the status; the body as ``stdout``, the reason
        as ``stderr``.

    Raises
    ------
    Unreachable
        The host, or the service on it, can't be reached; a change was not sent.
    CertificateRefused
        The service is unknown, or not who it was; nothing was sent.
    OutcomeUnknown
        A change was sent, and no whole answer came.
    HomelabError
        A read that got no answer that is one.
    """
    try:
        return _exchange(connection, request, certificates)
    except Lost as lost:
        if request.kind == "change":
            raise connection.unknown(request, str(lost)) from None
    try:
        return _exchange(connection, request, certificates)  # asking twice harms nobody
    except Lost as lost:
        raise connection.gone(request, f"twice {lost}") from None


def _exchange(connection: Connection, request: Request, certificates: Sequence[Path]) -> Result:
    begun = time.monotonic()
    body = request.payload
    text = body.reveal() if isinstance(body, Secret) else body
    headers = request.headers()  # secrets that can't be had stop us before anything is sent
    channel = connection.tunnel(LOOPBACK, request.port)
    try:
        tls = Tls(channel, begun + request.timeout_s)
        _meet(connection, request, tls, certificates)
        return _ask(request, tls, headers, text, begun)
    finally:
        channel.close()


def _meet(connection: Connection, request: Request, tls: Tls, certificates: Sequence[Path]) -> None:
    """See that the service is who we take it for, before it is told anything."""
    try:
        shown = tls.shake_hands()
    except (ssl.SSLError, OSError, EOFError, OverflowError, paramiko.SSHException) as error:
        late = isinstance(error, TimeoutError)
        why = f"no answer within {request.timeout_s:g} s" if late else str(error) or "it hung up"
        raise Unreachable(
            f"{connection.endpoint.name}: port {request.port} does not speak TLS as it should: "
            f"{why}; not sent: {request.line}",
            where=f"{connection.endpoint.name}:{request.port}",
            fix="is that the port of its HTTPS service, and is the service up?",
        ) from None
    check(f"{connection.endpoint.name}:{request.port}", shown, certificates)


def _ask(
    request: Request, tls: Tls, headers: dict[str, str], text: str | None, begun: float
) -> Result:
    link = http.client.HTTPConnection(LOOPBACK, request.port)
    link.sock = tls
    given = text.encode() if text is not None else None
    try:
        link.request(request.method, request.target, given, {**headers, "Connection": "close"})
        answer = http.client.HTTPResponse(tls, method=request.method)  # type: ignore[arg-type]  # no socket, as good
        answer.begin()
        content = answer.read(MAX_OUTPUT_BYTES + 1)
        if len(content) > MAX_OUTPUT_BYTES:
            raise OverflowError(f"more than {MAX_OUTPUT_BYTES // 2**20} MiB of an answer")
        if answer.length:  # read(n) does not say so
            raise http.client.IncompleteRead(content, answer.length)
    except TimeoutError:
        raise Lost(f"no end within {request.timeout_s:g} s") from None
    except OverflowError as error:
        raise Lost(str(error)) from None
    except (http.client.HTTPException, ValueError) as error:
        raise Lost(f"the answer is not HTTP as it should be ({type(error).__name__})") from None
    except (ssl.SSLError, OSError, EOFError, paramiko.SSHException):
        raise Lost("the connection broke") from None
    return Result(
        exit_status=0 if 200 <= answer.status < 300 else answer.status,
        stdout=content.decode(errors="replace"),
        stderr="" if 200 <= answer.status < 300 else f"{answer.status} {answer.reason}",
        duration_s=time.monotonic() - begun,
    )
