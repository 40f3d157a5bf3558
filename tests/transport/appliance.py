"""A small HTTPS service on loopback, for the tests: what it was asked, and what it is to say."""

import datetime as dt
import http.server
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path) -> tuple[Path, bytes]:
    """A new key and a certificate it signed itself, in one PEM file; and the DER form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "appliance")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{made.serial_number}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file, made.public_bytes(serialization.Encoding.DER)


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Appliance:
    """Serves until closed.

    Parameters
    ----------
    folder
        For its key.
    answer
        Writes the whole reply, status line and all, to what it is given.
    """

    folder: Path
    answer: Callable[[Asked, Callable[[bytes], object]], None] = lambda asked, say: say(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    )
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> "Appliance":
        file, self.der = certificate(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                self.close_connection = True
                if not self.raw_requestline or not self.parse_request():
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, dict(self.headers), body)
                owner.asked.append(asked)
                owner.answer(asked, self.wfile.write)

            def finish(self) -> None:
                super().finish()
                self.connection.unwrap()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """The client went away."""

            def finish_request(self, request: object, address: object) -> None:
                with context.wrap_socket(request, server_side=True) as link:  # type: ignore[arg-type]
                    Handler(link, address, self)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
