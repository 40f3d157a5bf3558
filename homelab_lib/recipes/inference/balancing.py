"""What HAProxy is told of model servers that stand in for each other.

Sources: HAProxy's configuration manual, 2.6; ollama/ollama server/routes.go: a server that listens
on its own machine alone answers a bare 403 where it is asked by another name than the machine's, so
that name is set; `POST /api/show` says 404 where a model is missing. (A list of all models is no
check: with many of them it is longer than what HAProxy looks at, and a server that is well would be
taken for dead.)
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STATUS_PORT = 8404
STATUS = f"http://127.0.0.1:{STATUS_PORT}/;csv"
_ASKED = ("/", "/api/version", "/api/tags", "/api/ps", "/api/show", "/api/generate", "/api/chat",
          "/api/embed", "/api/embeddings")  # fmt: skip
_LONGEST_ANSWER_S = 600


@dataclass(frozen=True)
class End:
    """A server behind a port.

    Parameters
    ----------
    name, address, port
        What it is called, and where it is reached.
    """

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Way:
    """A port and the servers behind it.

    Parameters
    ----------
    name, port
        What it is called, and where it listens.
    tag
        The model that each of them has to have.
    ends
        The servers, the preferred first.
    """

    name: str
    port: int
    tag: str
    ends: tuple[End, ...]


def configuration(ways: Sequence[Way], asked_from: Sequence[str], status: int = STATUS_PORT) -> str:
    """The whole of it.

    Parameters
    ----------
    ways
        Its ports.
    asked_from
        Networks whose machines may ask; none: its own machine alone.
    status
        The port at which its own machine is told how its servers are.
    """
    return "\n".join((*_general(), *_status(status), *_listening(ways, asked_from))) + "\n"


def _general() -> Iterator[str]:
    yield from ("global", "  log stderr format raw local0 notice", "", "defaults", "  mode http")
    yield from ("  log global", "  timeout connect 3s", "  timeout check 5s")
    yield f"  timeout client {_LONGEST_ANSWER_S}s"
    yield f"  timeout server {_LONGEST_ANSWER_S}s"
    # Who can't be reached is down at once, and the same request goes to the next one.
    yield from ("  option redispatch 1", "  retries 3", "  retry-on conn-failure")
    checks = "check inter 2s fall 2 rise 2 observe layer4 error-limit 1 on-error mark-down"
    yield f"  default-server {checks}"
    yield ""


def _status(port: int) -> Iterator[str]:
    yield from ("listen status", f"  bind 127.0.0.1:{port}", "  stats uri /", "")


def _listening(ways: Sequence[Way], asked_from: Sequence[str]) -> Iterator[str]:
    address = "0.0.0.0" if asked_from else "127.0.0.1"
    for way in ways:
        yield f"listen {way.name}"
        yield f"  bind {address}:{way.port}"
        if asked_from:
            yield f"  http-request deny unless {{ src 127.0.0.0/8 {' '.join(asked_from)} }}"
        # Whoever may ask may not pull, push, make or delete.
        yield f"  http-request deny unless {{ path {' '.join(_ASKED)} }} || {{ path_beg /v1/ }}"
        yield "  http-request set-header Host localhost"
        yield "  option httpchk"
        body = json.dumps({"model": way.tag})
        yield (
            "  http-check send meth POST uri /api/show ver HTTP/1.1 hdr Host localhost "
            f"hdr Content-Type application/json body '{body}'"
        )
        yield "  http-check expect status 200"
        for number, end in enumerate(way.ends):
            yield f"  server {end.name} {end.address}:{end.port}{' backup' if number else ''}"
        yield ""
