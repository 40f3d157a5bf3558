"""NFS exports of a machine that is no appliance: a Linux server, a Synology."""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.surroundings import Export


@dataclass
class NfsShare:
    """A folder that is exported.

    Parameters
    ----------
    path, networks
        The folder, and the networks that may mount it.
    as_root
        Whether a client's root may write there.
    files
        What is in it.
    """

    path: str
    networks: tuple[str, ...]
    as_root: bool
    files: FileSystem = field(default_factory=FileSystem)


@dataclass(frozen=True)
class NfsServer:
    """The kernel's own server, where a machine has it.

    Parameters
    ----------
    exports
        What it tells that it exports.
    export_for
        What a client gets that mounts a path.
    """

    exports: Callable[[], list[dict[str, Any]]]
    export_for: Callable[[str, str], Export | None]


def export(shares: Iterable[NfsShare], path: str, client: str) -> Export | None:
    """What a client gets that mounts `path`; None if it may not."""
    address = ipaddress.ip_address(client)
    for share in shares:
        inside = path == share.path or path.startswith(f"{share.path}/")
        if inside and any(address in ipaddress.ip_network(net) for net in share.networks):
            return Export(share.files, share.as_root)
    return None
