"""What a backup server does to surprise those who make room on it."""

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.backup_server.manager import KEPT
from homelab_lib.twin.proxmox.backup_server.server import Manager, Unused
from homelab_lib.twin.surprises import surprise


@surprise("pbs-gc-grace", on="backup server")
def gc_grace(machine: Machine, *, taken: float = 0.9, forgotten: float = 0.4) -> None:
    """Backups were forgotten and rubbish is removed, all ends well: and not a byte is free.

    What was touched in the last 24 h 5 min stays: a run after that removes it.

    Parameters
    ----------
    machine
        The backup server; each of its datastores has been filled.
    taken, forgotten
        The share of a file system that is taken, and what of it nobody uses any more.
    """
    server: Manager = machine.kept[KEPT]
    for name in server.rows:
        server.full[name] = taken
        size_bytes = int(forgotten * machine.root_bytes)
        server.unused[name] = [Unused(size_bytes, machine.now_s())]
        server.run(machine, "gc", name)
