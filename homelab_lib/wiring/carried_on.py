"""Where backups go on to from where they lie: a NAS copies the dataset behind their share."""

from collections.abc import Iterator

from homelab_lib.lab.lab import Lab
from homelab_lib.lab.nas import CloudTask


def carried_on(lab: Lab, host: str, storage: str) -> Iterator[tuple[str, CloudTask]]:
    """The copies that NASes make of what a Proxmox host's storage holds.

    Parameters
    ----------
    lab
        The lab.
    host, storage
        The Proxmox host, and its storage. Only one that is an NFS share of a NAS of the lab goes on
        to anywhere: what else makes copies of a folder copies files, and is told as that.

    Yields
    ------
    tuple
        The NAS, and the task that copies the dataset behind the share.
    """
    store = lab.storages[host][storage]
    for nas, holds in lab.nas.items():
        if store.kind != "nfs" or store.server not in lab.addresses(nas):
            continue
        shares = lab.nfs_shares.get(nas, {}).values()
        datasets = {each.dataset for each in shares if each.path == store.export}
        for task in holds.cloud_tasks.values():
            whole = task.path is None or f"{store.export}/".startswith(f"{task.path}/")
            out = task.direction == "PUSH" and task.enabled and not task.include
            if out and whole and task.dataset in datasets:
                yield nas, task


def backups_carried_on(lab: Lab) -> set[tuple[str, str]]:
    """The NAS and the name of each task that copies backups of guests: what it copies is theirs,
    and no data of its own.

    Parameters
    ----------
    lab
        The lab.
    """
    kept = {(each.host, each.storage) for each in lab.backups.guests.values()}
    return {(nas, task.name) for where in kept for nas, task in carried_on(lab, *where)}
