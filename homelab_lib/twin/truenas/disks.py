"""API of disks, and of the pool the system started from.

Source: TrueNAS middleware 25.10: `disk`, `boot`. A USB stick is an HDD without a rotation rate.
"""

from typing import Any

from homelab_lib.twin.machine.devices import device, root_disk
from homelab_lib.twin.truenas.arguments.pools import DiskDetails
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import HALFMOON, left_out, method
from homelab_lib.twin.truenas.zfs import NasDisk, Row, Vdev, ZPool

_TRANSPORTS = {"NVME": "nvme", "SCSI": "sas", "ATA": "sata", "USB": "usb"}
_BOOT_USED_BYTES = 4 * 2**30


def _disk_row(nas: TrueNas, disk: NasDisk) -> Row:
    pool = next((pool.name for pool in nas.pools.values() if disk.name in pool.disks), None)
    row = {
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
        "bus": disk.bus,
        "devname": disk.name,
        "enclosure": None,
    }
    if nas.release >= HALFMOON:
        row["sed"] = False
    return row | disk.told | {"pool": "boot-pool" if disk.boot else pool}


@method("disk.query")
def disk_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All disks. Of what pool they are is only told to those who ask for it."""
    asked = options.get("extra") if isinstance(options, dict) else None
    rows = [_disk_row(nas, disk) for disk in nas.disks.values()]
    if not (isinstance(asked, dict) and asked.get("pools")):
        rows = [row | {"pool": None} for row in rows]
    return query(rows, filters, options)


def blocks_of(nas: TrueNas) -> list[Row]:
    """The disks as `lsblk` shows them: what lies on each of them, and on its partitions."""
    return [_block(nas, disk) for disk in nas.disks.values()]


def _block(nas: TrueNas, disk: NasDisk) -> Row:
    facts: Row = {
        "rota": disk.rotates,
        "model": disk.model,
        "serial": disk.serial,
        "tran": _TRANSPORTS.get(disk.bus),
        "fstype": disk.fstype or None,
    }
    if disk.boot:
        return root_disk(disk.name, disk.size_bytes, **facts)
    pool = next((pool.name for pool in nas.pools.values() if disk.name in pool.disks), None)
    label = pool or disk.exported_zpool
    zfs: Row = {"fstype": "zfs_member", "label": label} if label else {}
    children = [
        device(part["name"], part["size"], type="part", pttype="gpt", **zfs)
        for part in disk.partitions
    ]
    if disk.partitions:
        facts["pttype"] = "gpt"
    return device(disk.name, disk.size_bytes, *children, **facts)


def _details(nas: TrueNas, join_partitions: bool) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {"used": [], "unused": []}
    for disk in nas.disks.values():
        row = _disk_row(nas, disk)
        imported = row.pop("pool")
        row |= {
            "enclosure": {},
            "partitions": list(disk.partitions) if join_partitions else [],
            "exported_zpool": disk.exported_zpool,
            "imported_zpool": imported,
            "duplicate_serial": nas.twins_of(disk.name),
        }
        found["used" if imported or disk.exported_zpool else "unused"].append(row)
    return found


@method("disk.details", {"data": left_out(DiskDetails)})
def disk_details(nas: TrueNas, data: Row) -> Any:
    """Disks in use and disks that are free."""
    details = _details(nas, data["join_partitions"])
    return details if data["type"] == "BOTH" else details[data["type"].lower()]


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
    row = pool.row(_BOOT_USED_BYTES, {disk: nas.guid(disk) for disk in disks}, nas.release)
    return {key: value for key, value in row.items() if key not in ("id", "guid")} | {"path": "/"}
