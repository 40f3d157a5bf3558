"""A machine's REST side: HTTPS on its loopback, reached through its SSH server."""

import datetime as dt
import hashlib
import http.client
import io
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_CHUNK_BYTES = 2**16
_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Asked:
    """A request that has arrived.

    Parameters
    ----------
    method, path, query
        What is asked for.
    headers
        By their names in small letters.
    body
        What came with it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answered:
    """What goes back: status, body and its content type."""

    status: int = 200
    body: str | bytes = b""
    kind: str = "application/json"

    def raw(self) -> bytes:
        """As it goes over the wire."""
        body = self.body.encode() if isinstance(self.body, str) else self.body
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"Content-Type: {self.kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


Handler = Callable[[Asked], Answered]


class Identity:
    """A key and the certificate that it has signed for itself: the same for the same seed.

    Parameters
    ----------
    name
        The machine's.
    key
        Its key for this purpose.
    """

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        public = key.public_key()
        serial = int.from_bytes(hashlib.sha256(public.public_bytes_raw()).digest()[:8]) or 1
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(public)
            .serial_number(serial)
            .not_valid_before(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
            .not_valid_after(dt.datetime(2045, 1, 1, tzinfo=dt.UTC))
            .sign(key, None)
        )
        self.certificate = certificate.public_bytes(Encoding.DER)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with tempfile.NamedTemporaryFile() as file:  # ssl takes them from a file alone
            file.write(pem + certificate.public_bytes(Encoding.PEM))
            file.flush()
            self.context.load_cert_chain(file.name)


class TlsSession:
    """One TLS session over a tunnel, for one request.

    Parameters
    ----------
    channel
        Something like a socket.
    context
        Whose key to show.
    """

    def __init__(self, channel: Any, context: ssl.SSLContext) -> None:
        self._channel = channel
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def request(self) -> Asked | None:
        """Wait for a request; None where there comes none."""
        self._do(self._tls.do_handshake)
        head = b""
        while b"\r\n\r\n" not in head:
            more = self._read()
            if not more or len(head) > _CHUNK_BYTES:
                return None
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        first, _, rest = head.partition(b"\r\n")
        headers = http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n"))
        length = min(int(headers.get("Content-Length", 0)), _MOST_BYTES)
        while len(body) < length:
            more = self._read()
            if not more:
                return None
            body += more
        method, target, *_ = first.decode(errors="replace").split(" ")
        parts = urlsplit(target)
        small = {name.lower(): value for name, value in headers.items()}
        return Asked(method, parts.path, dict(parse_qsl(parts.query)), small, body)

    def answer(self, answered: Answered) -> None:
        """Send the answer and say that it was all."""
        self._do(self._tls.write, answered.raw())
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:  # the client need not say good-bye
            self._flush()

    def _read(self) -> bytes:
        return self._do(self._tls.read, _CHUNK_BYTES)

    def _do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            try:
                done = work(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._channel.recv(_CHUNK_BYTES)
                if not data:
                    raise EOFError from None
                self._in.write(data)
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        while data := self._out.read(_CHUNK_BYTES):
            self._channel.sendall(data)
