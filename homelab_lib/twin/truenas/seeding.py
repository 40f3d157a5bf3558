"""Makes a twin's TrueNAS what a real one says it is."""

from typing import Any

from homelab_lib.twin.machine.seeding import json_of, lines_of, loader
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.truenas.kept import FAMILIES
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import parse_release
from homelab_lib.twin.truenas.tables import ServiceState, Table, installed
from homelab_lib.twin.truenas.zfs import NasDataset, NasDisk, Vdev, ZPool


def seed_truenas(nas: TrueNas, ask: Ask) -> None:
    """Version, disks, pools, datasets, shares and services."""

    def call(method: str, *arguments: str) -> Any:
        return json_of(ask, nas.name, "midclt", "call", method, *arguments)

    version = lines_of(ask, nas.name, "midclt", "call", "system.version")
    if version:
        nas.version = version[0].removeprefix("TrueNAS-").removeprefix("SCALE-")
        nas.release = parse_release(nas.version)
    details = call("disk.details", '{"type":"BOTH","join_partitions":true}')
    if details is not None:
        nas.disks = {row["name"]: _disk(row) for row in details["used"] + details["unused"]}
    for name in list(nas.datasets):
        nas.remove_dataset(name)
    nas.pools = {}
    for row in call("pool.query") or ():
        _seed_pool(nas, row)
    for row in call("pool.dataset.query", "[]", '{"extra":{"retrieve_children":false}}') or ():
        _seed_dataset(nas, row, ask)
    _seed_tables(nas, call)


def _disk(row: dict[str, Any]) -> NasDisk:
    return NasDisk(
        row["name"],
        row.get("serial", ""),
        row.get("size", 0),
        model=row.get("model") or "",
        lunid=row.get("lunid"),
        rotates=row.get("type") == "HDD",
        boot=row.get("imported_zpool") == "boot-pool",
        exported_zpool=row.get("exported_zpool"),
        partitioned=bool(row.get("partitions")),
    )


def _seed_pool(nas: TrueNas, row: dict[str, Any]) -> None:
    vdevs = []
    for vdev in (row.get("topology") or {}).get("data", ()):  # an exported pool has none
        leaves = vdev["children"] or [vdev]
        kind = "STRIPE" if vdev["type"] == "DISK" else vdev["type"]
        vdevs.append(Vdev(kind, [leaf["disk"] for leaf in leaves if leaf.get("disk")]))
    nas.pools[row["name"]] = ZPool(
        row["id"],
        row["name"],
        row["guid"],
        vdevs,
        row.get("size") or 0,
        row.get("size") or 0,
        0.0,
        status=row["status"],
        scan=row.get("scan"),
    )


def _seed_dataset(nas: TrueNas, row: dict[str, Any], ask: Ask) -> None:
    if row["type"] != "FILESYSTEM" or row["pool"] not in nas.pools:
        return
    local = {
        name: value["rawvalue"]
        for name, value in row.items()
        if isinstance(value, dict) and value.get("source") == "LOCAL" and value.get("rawvalue")
    }
    comments = row.get("comments") or {}
    own = comments.get("rawvalue") if comments.get("source") == "LOCAL" else None
    dataset = NasDataset(row["name"], local, comments=own)
    dataset.used_bytes = (row.get("usedbydataset") or {}).get("parsed") or dataset.used_bytes
    if row["name"] == row["pool"]:
        usable = row["used"]["parsed"] + row["available"]["parsed"]
        nas.pools[row["pool"]].usable_bytes = usable
    dataset.files.loader = loader(ask, nas.name, dataset.mountpoint)
    nas.add_dataset(dataset)


def _seed_tables(nas: TrueNas, call: Any) -> None:
    # Of accounts no more than their names: a user's row has password hashes in it.
    users = ("[]", '{"select":["id","uid","username","group"]}')
    for table, method, *more in (
        ("nfs", "sharing.nfs.query"),
        ("smb", "sharing.smb.query"),
        ("user", "user.query", *users),
        *((family.namespace, f"{family.namespace}.query") for family in FAMILIES),
        ("pool.snapshottask", "pool.snapshottask.query"),
    ):
        rows = call(method, *more)
        if rows is not None:
            nas.tables[table] = Table()
            for row in rows:
                row.pop("locked", None)
                nas.tables[table].insert(row)
    nas.services = installed(nas.release)
    for row in call("service.query") or ():
        running = row["state"] == "RUNNING"
        nas.services[row["service"]] = ServiceState(
            row["id"], row["service"], row["enable"], running
        )
    config = call("nfs.config")
    if config is not None:
        nas.config["nfs"] |= config
