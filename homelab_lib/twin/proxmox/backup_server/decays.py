"""What decays of a backup server."""

from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.decays import decay
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.backup_server.manager import KEPT


def _holds_some(machine: Any) -> bool:
    server = machine.kept.get(KEPT)
    return server is not None and any(server.datastores.values())


@decay(
    "pbs-disk-rots",
    r"no backup in datastore \S+ is broken",
    r"no newest backup on \S+ is broken",
    fits=_holds_some,
)
def disk_rots(machine: Machine) -> Iterator[None]:
    """What is read from the disk of a backup server is not what was written."""
    server = machine.kept[KEPT]
    server.failing = True
    yield
    server.failing = False  # another one in its place, and what is broken is forgotten
    for archives in server.datastores.values():
        for name in [name for name, each in archives.items() if each.verified == "failed"]:
            del archives[name]
