"""Makes a twin's TrueNAS what a real one says it is."""

import json
from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.seeding import json_of, lines_of, loader, printed
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.truenas.graphics import seed_render_nodes
from homelab_lib.twin.truenas.kept import FAMILIES
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.seeding_network import seed_network
from homelab_lib.twin.truenas.tables import Row, ServiceState, Table, installed
from homelab_lib.twin.truenas.zfs import NasDisk, Vdev, ZPool
from homelab_lib.twin.truenas.zfs_dataset import EMPTY_BYTES, NasDataset

_DISK = ("identifier", "subsystem", "number", "rotationrate", "type", "bus", "zfs_guid")
_SHOWN_ONLY = {"locked", "state", "pool_name", "vmware_sync", "dataset", "relative_path", "tier"}
_SHOWN_ONLY |= {"type__title"}
"""What rows tell besides."""
_OWN = {"pool.snapshottask": {"dataset"}, "user": {"locked"}}
"""What of it is some families' own."""


def seed_truenas(nas: TrueNas, ask: Ask) -> None:
    """Version, disks, pools, datasets, shares, services and the network."""

    def call(method: str, *arguments: str) -> Any:
        return json_of(ask, nas.name, "midclt", "call", method, *arguments)

    version = lines_of(ask, nas.name, "midclt", "call", "system.version")
    if version:
        nas.version = version[0].removeprefix("TrueNAS-").removeprefix("SCALE-")
    details = call("disk.details", '{"type":"BOTH","join_partitions":true}')
    if details is not None:
        rows = sorted(details["used"] + details["unused"], key=lambda row: row.get("number") or 0)
        nas.disks = {row["name"]: _disk(row) for row in rows}
    # What the lab says of it counts no more: pools, datasets, and the shares of them.
    nas.datasets, nas.pools = {}, {}
    for row in call("pool.query") or ():
        nas.pools[row["name"]] = _pool(row)
    for row in call("pool.dataset.query", "[]", '{"extra":{"retrieve_children":false}}') or ():
        _seed_dataset(nas, row, ask)
    _seed_tables(nas, call, ask)
    seed_network(nas, call, ask)
    _seed_apps(nas, call)
    seed_render_nodes(nas, ask)


def _disk(row: Row) -> NasDisk:
    return NasDisk(
        row["name"],
        row.get("serial") or "",
        row.get("size") or 0,
        model=row.get("model") or "",
        lunid=row.get("lunid"),
        rotates=row.get("type") == "HDD",
        boot=row.get("imported_zpool") == "boot-pool",
        exported_zpool=row.get("exported_zpool"),
        partitions=list(row.get("partitions") or ()),
        told={key: row[key] for key in _DISK if key in row},
    )


def _pool(row: Row) -> ZPool:
    """A pool as it is: with what has failed in it, what stands in for that, or out of reach."""
    vdevs = []
    for role, found in (row.get("topology") or {}).items():  # one that is not imported has none
        for vdev in found or ():
            kind = "STRIPE" if vdev["type"] == "DISK" else vdev["type"]
            vdevs.append(Vdev(kind, [leaf["disk"] for leaf in _leaves(vdev) if leaf["disk"]], role))
    size = row.get("size") or 0
    return ZPool(row["id"], row["name"], row["guid"], vdevs, size, size, 0.0, told=dict(row))


def _leaves(vdev: Row) -> Iterator[Row]:
    """The disks of a vdev, below whatever is being replaced or spared in it."""
    below = vdev.get("children") or ()
    for child in below:
        yield from _leaves(child)
    if not below:
        yield {"disk": None} | vdev


def _seed_dataset(nas: TrueNas, row: Row, ask: Ask) -> None:
    if row["pool"] not in nas.pools:
        return
    local = {
        name: value["rawvalue"]
        for name, value in row.items()
        if isinstance(value, dict) and value.get("source") == "LOCAL" and value.get("rawvalue")
    }
    comments = row.get("comments") or {}
    own = comments.get("rawvalue") if comments.get("source") == "LOCAL" else None
    properties = {
        name: str((value or {}).get("value") or "")
        for name, value in (row.get("user_properties") or {}).items()
    }
    created = ((row.get("creation") or {}).get("parsed") or {}).get("$date") or 0
    dataset = NasDataset(
        row["name"],
        local,
        own,
        _parsed_bytes(row, "usedbydataset") or EMPTY_BYTES,
        created / 1000,
        kind=row["type"],
        locked=bool(row.get("locked")),
        user_properties=properties,
        snapshot_bytes=_parsed_bytes(row, "usedbysnapshots"),
        reserved_bytes=_parsed_bytes(row, "usedbyrefreservation"),
        key_format=_key_format(row),
        seeded=True,
    )
    if dataset.kind == "VOLUME":
        for name in ("volsize", "volblocksize"):
            dataset.local[name] = str((row.get(name) or {}).get("rawvalue") or 0)
    if row["name"] == row["pool"]:
        usable = row["used"]["parsed"] + row["available"]["parsed"]
        nas.pools[row["pool"]].usable_bytes = usable
    if dataset.kind == "FILESYSTEM" and not dataset.locked:
        dataset.files.loader = loader(ask, nas.name, dataset.mountpoint)
    nas.add_dataset(dataset)


def _key_format(row: Row) -> str:
    """The form of the dataset's own key; empty where it has none, or that of one above it."""
    if not row.get("encrypted") or row.get("encryption_root") != row["name"]:
        return ""
    return str((row.get("key_format") or {}).get("rawvalue") or "hex")


def _parsed_bytes(row: Row, name: str) -> int:
    return int((row.get(name) or {}).get("parsed") or 0)


def _seed_apps(nas: TrueNas, call: Any) -> None:
    config = call("docker.config")
    if config is not None:
        nas.config["docker"] = dict(config)
    nas.apps = list(call("app.query") or ())
    for row in nas.apps:
        nas.app_values[row["id"]] = call("app.config", row["id"]) or {}
        nas.open_ports(row)


def _settle_cloud(nas: TrueNas, ask: Ask) -> None:
    """A task has its login's number; its last run was as long ago as the real host's clock says."""
    nas.goes_on_from(printed(ask, nas.name, "date", "+%s") or "")
    ahead_ms = int((Machine.now_s(nas) - nas.world.clock.now()) * 1000)
    for row in nas.tables["cloudsync"].rows():
        row["credentials"] = row["credentials"]["id"]
        ended = (row.get("job") or {}).get("time_finished")
        if ended:
            ended["$date"] -= ahead_ms


def _seed_tables(nas: TrueNas, call: Any, ask: Ask) -> None:
    for family in FAMILIES.values():
        if family.until is not None and nas.release >= family.until:
            continue
        selected = ("[]", json.dumps({"select": list(family.asked)})) if family.asked else ()
        rows = call(f"{family.namespace}.query", *selected)
        table = family.kept_in
        if rows is None and table in ("user", "group"):
            continue  # every system has them
        nas.tables[table] = Table()
        told = _SHOWN_ONLY - _OWN.get(table, set())
        for row in rows or ():
            nas.tables[table].insert({key: row[key] for key in row if key not in told})
    _settle_cloud(nas, ask)
    nas.services = installed(nas.release)
    for row in call("service.query") or ():
        running = row["state"] == "RUNNING"
        nas.services[row["service"]] = ServiceState(
            row["id"], row["service"], row["enable"], running
        )
    for service in ("nfs", "smb", "mail", "iscsi.global"):
        config = call(f"{service}.config")
        if config is not None:
            nas.config[service] = nas.config.get(service, {}) | config
    ups = call("ups.config")
    if ups is not None:  # whether it has a password, and not which
        nas.config["ups"] = ups | {"monpwd": "*" if ups.get("monpwd") else ""}
    nas.alerts = call("alert.list") or []
    for row in nas.tables["smb"].rows():
        told = call("sharing.smb.getacl", json.dumps({"share_name": row["name"]}))
        if told is not None:
            nas.config["smb_acls"][row["name"]] = told["share_acl"]
