"""API of pools, disks and the tasks that belong to a pool.

Source: TrueNAS middleware 25.10: `pool`, `disk`, `boot`, `pool.scrub`, `pool.snapshottask`.
`pool.create` looks at nothing but disks in use and equal serial numbers, as the real one: a disk
with partitions or with the label of an exported pool is wiped.
"""

import errno
from typing import Any

from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import NULL, Field, Fields, method, optional
from homelab_lib.twin.truenas.zfs import NasDisk, Row, Vdev, ZPool, root_dataset, zpool_sizes

_LEAST_DISKS = {"STRIPE": 1, "MIRROR": 2, "RAIDZ1": 3, "RAIDZ2": 4, "RAIDZ3": 5}
_WIPE_S = 6.0

POOL_CREATE = Fields(
    "pool_create",
    {
        "name": Field((str,)),
        "topology": Field((dict,)),
        "encryption": Field((bool,), False),
        "encryption_options": Field((dict,), {}),
        "deduplication": Field((str, NULL), None, ("ON", "VERIFY", "OFF")),
        "checksum": Field((str, NULL), None),
        "dedup_table_quota": Field((str, NULL), "AUTO", ("AUTO", "CUSTOM")),
        "dedup_table_quota_value": Field((int, NULL), None),
        "allow_duplicate_serials": Field((bool,), False),
    },
)
_CRON = {"minute": "00", "hour": "*", "dom": "*", "month": "*", "dow": "*"}
_SCRUB = {
    "threshold": Field((int,), 35, minimum=0),
    "description": Field((str,), ""),
    "schedule": Field((dict,), {}),
    "enabled": Field((bool,), True),
}
_SNAPSHOTS = {
    "dataset": Field((str,)),
    "recursive": Field((bool,), False),
    "lifetime_value": Field((int,), 2),
    "lifetime_unit": Field((str,), "WEEK", ("HOUR", "DAY", "WEEK", "MONTH", "YEAR")),
    "enabled": Field((bool,), True),
    "exclude": Field((list,), []),
    "naming_schema": Field((str,), "auto-%Y-%m-%d_%H-%M"),
    "allow_empty": Field((bool,), True),
    "schedule": Field((dict,), {}),
}


@method("pool.query")
def pool_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Imported pools."""
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


@method("pool.create", job=True, lock="pool_createupdate", data=POOL_CREATE)
def pool_create(nas: TrueNas, data: Row) -> Work:
    """Wipe the disks and make a pool of them."""
    vdevs = _checked_vdevs(nas, data)
    disks = [disk for vdev in vdevs for disk in vdev.disks]
    for place, disk in enumerate(disks):
        nas.disks[disk].partitioned, nas.disks[disk].exported_zpool = True, None
        done = f"Formatting disks ({place + 1}/{len(disks)})"
        yield Progress(_WIPE_S, 30 * (place + 1) / len(disks), done)
    yield Progress(4.0, 90, "Creating ZFS Pool")
    smallest = min(nas.disks[disk].size_bytes for disk in disks)
    size, usable = zpool_sizes(vdevs[0].kind, len(vdevs[0].disks), len(vdevs), smallest)
    number = max((pool.id for pool in nas.pools.values()), default=0) + 1
    name, now_s = data["name"], nas.now_s()
    pool = ZPool(number, name, nas.guid(f"pool {name}"), vdevs, size, usable, now_s)
    first = not nas.pools
    nas.pools[name] = pool
    nas.add_dataset(root_dataset(name, now_s))
    yield Progress(1.0, 95, "Setting pool options")
    nas.tables["pool.scrub"].insert(
        {
            "pool": number,
            "threshold": 35,
            "description": "",
            "enabled": True,
            "schedule": _CRON | {"hour": "00", "dow": "7"},
        }
    )
    if first:  # the system dataset leaves the boot pool for the first real one
        nas.config["systemdataset"] |= {"pool": name, "basename": f"{name}/.system"}
    return query(nas.pool_rows(), [["id", "=", number]], {"get": True})


def _checked_vdevs(nas: TrueNas, data: Row) -> list[Vdev]:
    errors = ValidationErrors()
    if data["name"] in nas.pools:
        errors.add("pool_create.name", "A pool with this name already exists.", errno.EEXIST)
    elif not data["name"][:1].isalpha() or " " in data["name"]:
        errors.add("pool_create.name", "Invalid pool name")
    errors.check()
    vdevs = [Vdev(vdev["type"], list(vdev["disks"])) for vdev in data["topology"].get("data", [])]
    for place, vdev in enumerate(vdevs):
        least = _LEAST_DISKS.get(vdev.kind)
        if least is None:
            kinds = ", ".join(f"'{kind}'" for kind in _LEAST_DISKS)
            errors.add(f"topology.data.{place}.type", f"Input tag does not match any of: {kinds}")
        elif len(vdev.disks) < least:
            text = f"You need at least {least} disk(s) for this vdev type."
            errors.add(f"pool_create.topology.data.{place}.disks", text)
        if vdev.kind != vdevs[0].kind:
            text = "You are not allowed to create a pool with different data vdev types "
            text += f"({vdevs[0].kind} and {vdev.kind})."
            errors.add(f"pool_create.topology.data.{place}.type", text)
    errors.check()
    _check_disks(nas, [disk for vdev in vdevs for disk in vdev.disks], data, errors)
    errors.check()
    return vdevs


def _check_disks(nas: TrueNas, names: list[str], data: Row, errors: ValidationErrors) -> None:
    place = "pool_create.topology"
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


def _disk_row(nas: TrueNas, disk: NasDisk) -> Row:
    pool = next((pool.name for pool in nas.pools.values() if disk.name in pool.disks), None)
    return {
        "identifier": disk.identifier,
        "name": disk.name,
        "subsystem": "nvme" if disk.name.startswith("nvme") else "scsi",
        "number": list(nas.disks).index(disk.name),
        "serial": disk.serial,
        "lunid": disk.lunid,
        "size": disk.size_bytes,
        "description": "",
        "transfermode": "Auto",
        "hddstandby": "ALWAYS ON",
        "advpowermgmt": "DISABLED",
        "expiretime": None,
        "model": disk.model,
        "rotationrate": 7200 if disk.rotates else None,
        "type": "HDD" if disk.rotates else "SSD",
        "zfs_guid": None,
        "bus": "ATA" if disk.rotates else "USB",
        "devname": disk.name,
        "enclosure": None,
        "pool": "boot-pool" if disk.boot else pool,
    }


@method("disk.query")
def disk_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All disks."""
    return query([_disk_row(nas, disk) for disk in nas.disks.values()], filters, options)


def _details(nas: TrueNas, join_partitions: bool) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {"used": [], "unused": []}
    for disk in nas.disks.values():
        row = _disk_row(nas, disk)
        imported = row.pop("pool")
        row |= {
            "enclosure": {},
            "partitions": [{"name": f"{disk.name}1"}]
            if join_partitions and disk.partitioned
            else [],
            "exported_zpool": disk.exported_zpool,
            "imported_zpool": imported,
            "duplicate_serial": nas.twins_of(disk.name),
        }
        found["used" if imported or disk.exported_zpool else "unused"].append(row)
    return found


@method("disk.details")
def disk_details(nas: TrueNas, data: Row | None = None) -> Any:
    """Disks in use and disks that are free."""
    wanted: Row = {"join_partitions": False, "type": "BOTH"} | (data or {})
    details = _details(nas, wanted["join_partitions"])
    return details if wanted["type"] == "BOTH" else details[wanted["type"].lower()]


@method("disk.get_unused")
def disk_get_unused(nas: TrueNas, join_partitions: bool = False) -> list[Row]:
    """Disks that are free. Private since 25.04, and still answering."""
    return _details(nas, join_partitions)["unused"]


@method("boot.get_disks")
def boot_get_disks(nas: TrueNas) -> list[str]:
    """Disks the system started from."""
    return [disk.name for disk in nas.disks.values() if disk.boot]


@method("boot.get_state")
def boot_get_state(nas: TrueNas) -> Row:
    """The pool the system started from."""
    disks = boot_get_disks(nas)
    size = min((nas.disks[name].size_bytes for name in disks), default=0)
    kind = "MIRROR" if len(disks) > 1 else "STRIPE"
    pool = ZPool(0, "boot-pool", nas.guid("boot-pool"), [Vdev(kind, disks)], size, size, 0.0)
    row = pool.row(4 * 2**30, {disk: nas.guid(disk) for disk in disks})
    return {key: value for key, value in row.items() if key != "id"} | {"path": "/"}


@method("pool.scrub.query")
def scrub_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """When pools are scrubbed."""
    names = {pool.id: pool.name for pool in nas.pools.values()}
    rows = nas.tables["pool.scrub"].rows()
    return query([row | {"pool_name": names.get(row["pool"])} for row in rows], filters, options)


@method("pool.scrub.create", data=Fields("pool_scrub_create", _SCRUB | {"pool": Field((int,))}))
def scrub_create(nas: TrueNas, data: Row) -> Row:
    """Refused for every pool that `pool.create` made: it has its scrub task already."""
    if any(row["pool"] == data["pool"] for row in nas.tables["pool.scrub"].rows()):
        text = "A scrub with this pool already exists"
        raise ValidationErrors.one("pool_scrub_create.pool", text)
    data["schedule"] = _CRON | {"hour": "00", "dow": "7"} | data["schedule"]
    number = nas.tables["pool.scrub"].insert(data)
    return scrub_query(nas, [["id", "=", number]], {"get": True})


@method("pool.scrub.update", data=Fields("pool_scrub_update", _SCRUB, update=True))
def scrub_update(nas: TrueNas, id_: int, data: Row) -> Row:
    """Change when a pool is scrubbed."""
    row = nas.tables["pool.scrub"].get(id_)
    if row is None:
        raise ValidationErrors.one("", f"Scrub task {id_} does not exist", errno.ENOENT)
    row |= data | {"schedule": row["schedule"] | data.get("schedule", {})}
    return scrub_query(nas, [["id", "=", id_]], {"get": True})


@method("pool.snapshottask.query")
def snapshottask_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Periodic snapshots."""
    state = {"state": {"state": "PENDING"}, "vmware_sync": False}
    return query([row | state for row in nas.tables["pool.snapshottask"].rows()], filters, options)


@method("pool.snapshottask.create", data=Fields("periodic_snapshot_create", _SNAPSHOTS))
def snapshottask_create(nas: TrueNas, data: Row) -> Row:
    """Take snapshots of a dataset from now on."""
    errors = ValidationErrors()
    if data["dataset"] not in nas.datasets:
        errors.add("periodic_snapshot_create.dataset", "ZFS dataset or zvol not found")
    errors.check()
    data["schedule"] = _CRON | {"begin": "00:00", "end": "23:59"} | data["schedule"]
    number = nas.tables["pool.snapshottask"].insert(data)
    return snapshottask_query(nas, [["id", "=", number]], {"get": True})


_RETENTION = {"fixate_removal_date": optional(bool)}


@method(
    "pool.snapshottask.update",
    data=Fields("periodic_snapshot_update", _SNAPSHOTS | _RETENTION, update=True),
)
def snapshottask_update(nas: TrueNas, id_: int, data: Row) -> Row:
    """Change when snapshots are taken, and how long they are kept."""
    row = nas.tables["pool.snapshottask"].get(id_)
    if row is None:
        raise ValidationErrors.one("", f"PeriodicSnapshotTask {id_} does not exist", errno.ENOENT)
    data.pop("fixate_removal_date", None)  # about snapshots that are there already
    row |= data | {"schedule": row["schedule"] | data.get("schedule", {})}
    return snapshottask_query(nas, [["id", "=", id_]], {"get": True})
