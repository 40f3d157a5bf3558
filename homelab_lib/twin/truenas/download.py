"""Downloads: what a job writes into a pipe is fetched from the web server, once, with a token.

Source: TrueNAS middleware 25.04 to 26, `core.download` and `config.save`.
"""

import errno
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

from homelab_lib.twin.truenas.arguments.base import Arguments, Text
from homelab_lib.twin.truenas.errors import CallError
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import find, left_out, method
from homelab_lib.twin.truenas.tables import Row

_PLACE = "/_download/"


class ConfigSave(Arguments):
    """What goes with the configuration."""

    secretseed: bool = False
    pool_keys: bool = False
    root_authorized_keys: bool = False


@method("config.save", {"options": left_out(ConfigSave)}, job=True)
def config_save(nas: TrueNas, options: Row) -> Work:
    """The configuration, into a pipe that a plain call does not open."""
    yield Progress(0.1, 0, "")
    raise CallError("Output pipe is not open", errno.EINVAL)


@method(
    "core.download",
    {"method": Text, "args": list[Any], "filename": Text, "buffered": left_out(bool, False)},
)
def core_download(nas: TrueNas, method: str, args: list[Any], filename: str, buffered: bool) -> Any:
    """Have a job's output fetched: the job, and where."""
    options = find(method, nas.release).bind(args)[0]
    job = nas.jobs.start(method, args, _piped())
    token = hashlib.sha256(f"{nas.world.seed}{nas.name}{job.id}".encode()).hexdigest()
    nas.downloads[f"{_PLACE}{job.id}"] = (token, _archive(nas, options))
    return [job.id, f"{_PLACE}{job.id}?auth_token={token}"]


def _piped() -> Work:
    yield Progress(1.0, 50, "")


def _archive(nas: TrueNas, options: Row) -> bytes:
    """The database alone, or a tar with it and what goes along."""
    database = repr(sorted(nas.config.items())).encode()
    if not any(options.values()):
        return b"SQLite format 3\0" + database
    keys = b"pwenc_secret" if options["secretseed"] else b""
    return b"freenas-v1.db".ljust(512, b"\0") + database + keys


def serve_downloads(nas: TrueNas) -> None:
    """Have its web server give out what was asked for."""

    def answer(place: str, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(place)
        if not parts.path.startswith(_PLACE):
            return 200, b"<title>TrueNAS</title>"
        token, body = nas.downloads.get(parts.path, ("", b""))
        if [token] != parse_qs(parts.query).get("auth_token"):
            return 403, b"Forbidden"
        del nas.downloads[parts.path]
        return 200, body

    nas.http[443], nas.listeners[443] = answer, lambda: True
