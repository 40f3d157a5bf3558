"""API of pools that go and come: exported, imported, disks wiped.

Source: TrueNAS middleware 25.04 to 26: `pool.export`, `pool.import_pool`, `disk.wipe`. What was
shared of a pool that is exported stays as rows, switched off, unless it is to go with it.
"""

import errno
from typing import Literal

from homelab_lib.twin.truenas.arguments.base import Name
from homelab_lib.twin.truenas.arguments.pools import PoolExport, PoolImport, PoolImport26
from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.pool import SUNDAYS
from homelab_lib.twin.truenas.rpc import HALFMOON, left_out, method
from homelab_lib.twin.truenas.tables import Row

_WIPES: Row = {"QUICK": 6.0, "FULL": 80_000.0, "FULL_RANDOM": 160_000.0}


@method("pool.export", {"id": int, "options": left_out(PoolExport)}, job=True, lock="pool_export")
def pool_export(nas: TrueNas, number: int, options: Row) -> Work:
    """Let a pool go, or destroy it."""
    pool = next((each for each in nas.pools.values() if each.id == number), None)
    if pool is None:
        raise ValidationErrors.one("", f"Pool {number} does not exist", errno.ENOENT)
    yield Progress(3.0, 20, "Terminating processes that are using this pool")
    place = f"/mnt/{pool.name}"
    for table in ("nfs", "smb"):
        for row in nas.tables[table].rows():
            if row["path"] == place or row["path"].startswith(f"{place}/"):
                if options["cascade"]:
                    nas.tables[table].delete(row["id"])
                else:
                    nas.tables[table].insert(row | {"enabled": False})
    yield Progress(3.0, 80, "Cleaning disks" if options["destroy"] else "Exporting pool")
    datasets = {n: d for n, d in nas.datasets.items() if n.partition("/")[0] == pool.name}
    for name in sorted(datasets, reverse=True):
        dataset = nas.datasets.pop(name)
        if dataset.kind == "FILESYSTEM" and not dataset.locked:
            nas.files.umount(dataset.mountpoint)
    for row in nas.tables["pool.scrub"].rows():
        if row["pool"] == number:
            nas.tables["pool.scrub"].delete(row["id"])
    del nas.pools[pool.name]
    for disk in (nas.disks[each] for each in pool.disks):
        disk.exported_zpool = None if options["destroy"] else pool.name
        disk.partitions = [] if options["destroy"] else disk.partitions
    if not options["destroy"]:
        nas.exported[pool.guid] = (pool, datasets)
    if nas.config["systemdataset"]["pool"] == pool.name:
        nas.config["systemdataset"] |= {"pool": "boot-pool", "basename": "boot-pool/.system"}
    nas.blocks = blocks_of(nas)
    return None


_LOCK = "import_pool"


@method("pool.import_pool", {"pool_import": PoolImport26}, since=HALFMOON, job=True, lock=_LOCK)
@method("pool.import_pool", {"pool_import": PoolImport}, until=HALFMOON, job=True, lock=_LOCK)
def import_pool(nas: TrueNas, data: Row) -> Work:
    """Take a pool that lies on the disks."""
    if data["guid"] not in nas.exported:
        raise CallError(f'Pool with guid "{data["guid"]}" not found', errno.ENOENT)
    pool, datasets = nas.exported[data["guid"]]
    if data["name"] not in (None, pool.name):
        raise CallError("This twin imports a pool under its own name only", errno.EINVAL)
    if pool.name in nas.pools:
        raise ValidationErrors.one("pool_import.name", f"{pool.name}: it exists", errno.EEXIST)
    yield Progress(5.0, 50, "Importing")
    del nas.exported[data["guid"]]
    pool.id = max((each.id for each in nas.pools.values()), default=0) + 1
    nas.pools[pool.name] = pool
    for disk in (nas.disks[each] for each in pool.disks):
        disk.exported_zpool = None
    for name in sorted(datasets):
        nas.add_dataset(datasets[name])
    scrub = {"pool": pool.id, "threshold": 35, "description": "", "enabled": True}
    nas.tables["pool.scrub"].insert(scrub | {"schedule": dict(SUNDAYS)})
    nas.blocks = blocks_of(nas)
    return True


_WIPE: Row = {
    "dev": Name,
    "mode": Literal["QUICK", "FULL", "FULL_RANDOM"],
    "synccache": left_out(bool, True),
}


@method("disk.wipe", _WIPE, job=True)
def disk_wipe(nas: TrueNas, dev: str, mode: str, synccache: bool) -> Work:
    """Take off a disk whatever lies on it."""
    disk = nas.disks.get(dev)
    if disk is None:
        raise CallError(f"Unable to retrieve disk details for {dev!r}", errno.EINVAL)
    if disk.boot or any(dev in pool.disks for pool in nas.pools.values()):
        raise CallError(f"{dev!r} is reserved: it is in use", errno.EBUSY)
    yield Progress(_WIPES[mode], 50, "")
    disk.partitions, disk.fstype, disk.exported_zpool = [], "", None
    nas.blocks = blocks_of(nas)
    return None
