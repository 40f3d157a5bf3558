"""The archives that a Proxmox host makes of its guests: where they lie, and which copies of files
carry them on.

Source: `PVE::Storage::Plugin` (pve-storage 9.1): ``dump`` below a storage's path, which is
``/mnt/pve/ID`` for what is mounted. What a Proxmox Backup Server keeps are no archives but chunks.
"""

from collections.abc import Iterator

from homelab_lib.lab.backups import FileBackup
from homelab_lib.lab.lab import Lab


def archives_copied(lab: Lab, host: str, storage: str) -> Iterator[FileBackup]:
    """The copies by restic of the folder in which a storage has its archives.

    Parameters
    ----------
    lab
        The lab.
    host, storage
        The Proxmox host, and its storage.

    Yields
    ------
    FileBackup
        Of the host itself, or of the machine that shares the folder.
    """
    folders = _folders(lab, host, storage)
    for backup in lab.backups.files.values():
        folder = folders.get(backup.machine)
        if folder and any(holds(path, folder) for path in backup.paths):
            yield backup


def only_archives(lab: Lab) -> set[str]:
    """The copies of files that carry backups of guests and nothing else: what they copy is theirs,
    and no data of its own.

    Parameters
    ----------
    lab
        The lab.
    """
    found = set()
    for host, storage in {(each.host, each.storage) for each in lab.backups.guests.values()}:
        folders = _folders(lab, host, storage)
        for backup in archives_copied(lab, host, storage):
            if all(holds(folders[backup.machine], path) for path in backup.paths):
                found.add(backup.name)
    return found


def holds(folder: str, path: str) -> bool:
    """Whether a path is a folder, or lies below it."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _folders(lab: Lab, host: str, storage: str) -> dict[str, str]:
    """Where a storage has its archives, on each machine that sees them."""
    store = lab.storages.get(host, {}).get(storage)
    if store is None or store.kind == "pbs":
        return {}
    if store.kind in ("dir", "btrfs"):
        return {host: f"{store.path}/dump"}
    found = {host: f"/mnt/pve/{storage}/dump"}
    for sharing in lab.nfs_shares if store.kind == "nfs" else ():
        if store.server in lab.addresses(sharing):
            found[sharing] = f"{store.export}/dump"
    return found
