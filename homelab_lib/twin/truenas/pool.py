"""API of pools.

Source: TrueNAS middleware 25.10, `pool`. `pool.create` looks at nothing but disks in use and equal
serial numbers, as the real one: a disk with partitions or with the label of an exported pool is
wiped.
"""

import errno
from typing import Any

from homelab_lib.models.zfs import Role
from homelab_lib.twin.truenas.arguments.pools import PoolCreate, PoolCreate26
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import HALFMOON, method
from homelab_lib.twin.truenas.zfs import Row, Vdev, ZPool, zpool_sizes
from homelab_lib.twin.truenas.zfs_dataset import root_dataset

_LEAST_DISKS = {"STRIPE": 1, "MIRROR": 2, "RAIDZ1": 3, "RAIDZ2": 4, "RAIDZ3": 5}
_CLASSES: tuple[Role, ...] = ("data", "special", "dedup", "cache", "log")
_WIPE_S = 6.0
_LOCK = "pool_createupdate"
_SUNDAYS = {"minute": "00", "hour": "00", "dom": "*", "month": "*", "dow": "7"}


@method("pool.query")
def pool_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Pools that the system knows, imported or not."""
    return query(nas.pool_rows(), filters, options)


@method("pool.import_find", job=True)
def import_find(nas: TrueNas) -> Work:
    """Pools on disks that are plugged in and not imported."""
    yield Progress(3.0, 0, "")
    names = sorted({disk.exported_zpool for disk in nas.disks.values() if disk.exported_zpool})
    return [
        {"name": name, "guid": nas.guid(f"exported {name}"), "status": "ONLINE", "hostname": ""}
        for name in names
    ]


@method("pool.create", {"data": PoolCreate26}, since=HALFMOON, job=True, lock=_LOCK)
@method("pool.create", {"data": PoolCreate}, until=HALFMOON, job=True, lock=_LOCK)
def pool_create(nas: TrueNas, data: Row) -> Work:
    """Wipe the disks and make a pool of them."""
    vdevs = _checked_vdevs(nas, data)
    disks = [disk for vdev in vdevs for disk in vdev.disks]
    for place, disk in enumerate(disks):
        nas.disks[disk].partitioned, nas.disks[disk].exported_zpool = True, None
        done = f"Formatting disks ({place + 1}/{len(disks)})"
        yield Progress(_WIPE_S, 30 * (place + 1) / len(disks), done)
    yield Progress(4.0, 90, "Creating ZFS Pool")
    size, usable = zpool_sizes(vdevs, nas.disks)
    number = max((pool.id for pool in nas.pools.values()), default=0) + 1
    name, now_s = data["name"], nas.now_s()
    pool = ZPool(number, name, nas.guid(f"pool {name}"), vdevs, size, usable, now_s)
    first = not nas.pools
    nas.pools[name] = pool
    nas.add_dataset(root_dataset(name, now_s))
    yield Progress(1.0, 95, "Setting pool options")
    scrub = {"pool": number, "threshold": 35, "description": "", "enabled": True}
    nas.tables["pool.scrub"].insert(scrub | {"schedule": dict(_SUNDAYS)})
    if first:  # the system dataset leaves the boot pool for the first real one
        nas.config["systemdataset"] |= {"pool": name, "basename": f"{name}/.system"}
    return query(nas.pool_rows(), [["id", "=", number]], {"get": True})


def _checked_vdevs(nas: TrueNas, data: Row) -> list[Vdev]:
    errors = ValidationErrors()
    if data["name"] in nas.pools:
        errors.add("pool_create.name", "A pool with this name already exists.", errno.EEXIST)
    elif not data["name"][:1].isalpha():
        errors.add("pool_create.name", "Invalid pool name")
    if data["encryption"]:
        errors.add("pool_create.encryption", "This twin has no encryption")
    errors.check()
    vdevs = []
    for role in _CLASSES:
        for place, vdev in enumerate(data["topology"][role]):
            vdevs.append(Vdev(vdev["type"], list(vdev["disks"]), role))
            _check_vdev(vdevs[-1], f"pool_create.topology.{role}.{place}", errors)
    if spares := data["topology"]["spares"]:
        vdevs.append(Vdev("STRIPE", list(spares), "spare"))
    kinds = [vdev.kind for vdev in vdevs if vdev.role == "data"]
    for place, kind in enumerate(kinds):
        if kind != kinds[0]:
            text = "You are not allowed to create a pool with different data vdev types "
            text += f"({kinds[0]} and {kind})."
            errors.add(f"pool_create.topology.data.{place}.type", text)
    errors.check()
    _check_disks(nas, [disk for vdev in vdevs for disk in vdev.disks], data, errors)
    errors.check()
    return vdevs


def _check_vdev(vdev: Vdev, place: str, errors: ValidationErrors) -> None:
    if vdev.kind not in _LEAST_DISKS:
        errors.add(f"{place}.type", f"This twin makes no {vdev.kind}")
    elif len(vdev.disks) < (least := _LEAST_DISKS[vdev.kind]):
        text = f"You need at least {least} disk(s) for this vdev type."
        errors.add(f"{place}.disks", text)


def _check_disks(nas: TrueNas, names: list[str], data: Row, errors: ValidationErrors) -> None:
    place = "pool_create.topology"
    if twice := sorted({name for name in names if names.count(name) > 1}):
        errors.add(place, f"The following disks are named twice: {', '.join(twice)}.")
    if missing := [name for name in names if name not in nas.disks]:
        errors.add(place, f"The following disks were not found in system: {','.join(missing)}.")
    reserved = {name for pool in nas.pools.values() for name in pool.disks}
    reserved |= {disk.name for disk in nas.disks.values() if disk.boot}
    if used := [name for name in names if name in reserved]:
        errors.add(place, f"The following disks are already in use: {','.join(used)}.")
    if errors.errors or data["allow_duplicate_serials"]:
        return
    for name in names:
        if twins := set(nas.twins_of(name)) & (set(names) | reserved):
            both = ", ".join(sorted({name} | twins))
            text = f"Disks have duplicate serial numbers: {nas.disks[name].serial!r} ({both})."
            errors.add(place, text)
            return
