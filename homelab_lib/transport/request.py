"""A call of a host's HTTPS service, typed by what it does."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode

from homelab_lib.secret import Secret
from homelab_lib.transport.reads import only_asks

_SHOWN_CHARACTERS = 400  # of a body, for people; the whole of it is in `payload`
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Request:
    """One request to a service that listens on the host's own loopback.

    It is carried through the host's SSH connection, so the service need not be open to the
    network.

    Parameters
    ----------
    service
        The kind of service, as the control room that knows it has declared it: ``opnsense``.
    method, path, query
        What is asked for. The path begins with a slash and is sent as it stands.
    body
        A JSON value, in which a `Secret` may stand for any text; or text, sent as it is.
    kind
        ``read`` observes; ``change`` may alter the host, and is refused before it is sent
        wherever changes are not allowed.
    auth
        Key and secret for HTTP basic authentication, or one token for ``Bearer``.
    port
        Where the service listens.
    timeout_s
        How long all of it may take [s].
    secret_output
        What it answers is a secret: masked in every record.
    """

    service: str
    method: str
    path: str
    kind: Literal["read", "change"]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    auth: Secret | tuple[str | Secret, Secret] | None = field(default=None, repr=False)
    port: int = 443
    timeout_s: float = 60.0
    secret_output: bool = False

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError(f"no method of HTTP that we use: {self.method!r}")
        if not self.path.startswith("/") or quote(self.path, safe="/%:@!$&'()*+,;=~") != self.path:
            raise ValueError(f"a path starts with a slash and is quoted for a URL: {self.path!r}")
        if not 0 < self.port < 2**16:
            raise ValueError(f"no port: {self.port!r}")
        if self.kind == "read" and not only_asks(self.service, self.method, self.path, self.query):
            raise ValueError(f"not known to be read-only, so it can't be typed read: {self.line}")

    @property
    def target(self) -> str:
        """Path and query, as they are sent."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def line(self) -> str:
        """For people and journals; never a secret."""
        line = f"{self.method} https://127.0.0.1:{self.port}{self.target}"
        match self.payload:
            case None:
                return line
            case Secret():
                return f"{line} (a body that holds a secret)"
            case str(text):
                cut = len(text) > _SHOWN_CHARACTERS
                return f"{line} {text[:_SHOWN_CHARACTERS]}{'…' if cut else ''}"
        raise TypeError(f"no body: {self.body!r}")

    @property
    def payload(self) -> str | Secret | None:
        """What is sent as body; a `Secret` if there is any in it."""
        if self.body is None or isinstance(self.body, str | Secret):
            return self.body
        if _secrets(self.body):
            return Secret("body", lambda: json.dumps(self.body, default=Secret.reveal))
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that go with it, for whoever has to mask them."""
        keys = self.auth if isinstance(self.auth, tuple) else (self.auth,)
        return tuple(_secrets([*keys, self.body]))

    def headers(self) -> dict[str, str]:
        """With the secrets in them: for the wire alone."""
        headers = {"Accept": "application/json"}
        if self.body is not None:
            kind = "text/plain" if isinstance(self.body, str | Secret) else "application/json"
            headers["Content-Type"] = f"{kind}; charset=utf-8"
        if isinstance(self.auth, tuple):
            pair = ":".join(map(_plain, self.auth))
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif self.auth is not None:
            headers["Authorization"] = f"Bearer {_plain(self.auth)}"
        return headers


def _plain(text: str | Secret) -> str:
    return text.reveal() if isinstance(text, Secret) else text


def _secrets(value: Any) -> list[Secret]:
    """Every secret in a JSON value."""
    if isinstance(value, Secret):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [secret for each in value for secret in _secrets(each)]
    return []
