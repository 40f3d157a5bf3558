"""What the API says of a node's disks and ZFS pools, and makes of them.

Source: `PVE::API2::Disks` and `PVE::API2::Disks::ZFS` (pve-storage 9.1): a disk in use is refused
before anything is begun, and nothing is ever forced.
"""

from typing import Any

from homelab_lib.twin.machine import zfs
from homelab_lib.twin.machine.disks import labels, link, partition, take
from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.formats import BOOLEAN, STORAGE_ID
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.pools import ZPool, by_id, disk_row, fewest
from homelab_lib.twin.proxmox.schema import Format, Property, PveError, split_list
from homelab_lib.twin.proxmox.storage import Store

calls = Methods()

_CREATE_S = 6.0
_RESERVED = 1 / 32  # of a pool, kept by ZFS itself
_ONE_DISKS_WORTH = ("mirror", "raid10")
_CREATE = {
    "add_storage": BOOLEAN,
    "ashift": Property("integer", minimum=9, maximum=16),
    "compression": Property(enum=("on", "off", "gzip", "lz4", "lzjb", "zle", "zstd")),
    "devices": Property(format=Format("string-list", many=True), required=True),
    "draid-config": Property(
        format=Format(
            keys={
                "data": Property("integer", minimum=1, required=True),
                "spares": Property("integer", minimum=0, required=True),
            }
        )
    ),
    "name": Property(format=STORAGE_ID, required=True),
    "raidlevel": Property(
        enum=(
            *("single", "mirror", "raid10", "raidz", "raidz2", "raidz3"),
            *("draid", "draid2", "draid3"),
        ),
        required=True,
    ),
}


@calls(
    "GET",
    "/nodes/{node}/disks/list",
    {
        "include-partitions": BOOLEAN,
        "skipsmart": BOOLEAN,
        "type": Property(enum=("unused", "journal_disks")),
    },
)
def _disks(node: ProxmoxNode, given: Given) -> Any:
    return [row for row in node.disks if given.get("type") != "unused" or "used" not in row]


@calls("GET", "/nodes/{node}/disks/zfs")
def _pools(node: ProxmoxNode, given: Given) -> Any:
    node.learn("disks")
    return [pool.row for pool in node.zpools.values()]


@calls("GET", "/nodes/{node}/disks/zfs/{name}")
def _pool(node: ProxmoxNode, given: Given) -> Any:
    node.learn("disks")
    if given["name"] not in node.zpools:
        raise PveError(f"cannot open '{given['name']}': no such pool")
    return node.zpools[given["name"]].detail


@calls("POST", "/nodes/{node}/disks/zfs", _CREATE)
def _create(node: ProxmoxNode, given: Given) -> Any:
    node.learn("disks")
    name, level, paths = given["name"], given["raidlevel"], split_list(given["devices"])
    rows = [_free(node, path) for path in paths]
    if given.get("add_storage") == "1" and name in node.stores:
        raise PveError(f"storage ID '{name}' already defined")
    if name in node.zpools:
        raise PveError(f"pool '{name}' already exists on node '{node.node}'")
    if len(rows) < fewest(level):
        raise PveError(f"'{level}' needs at least {fewest(level)} disks")
    if level == "single" and len(rows) > 1:
        raise PveError("please choose a RAID level")
    upid = node.tasks.begin("zfscreate", name)
    words = f"zpool create -o ashift={given.get('ashift', 12)} {name} {level}"
    log = f"# {words} {' '.join(by_id(row) for row in rows)}\n"

    def done() -> Task:
        if taken := [row for row in rows if labels(node, row["devpath"])]:
            what = f"{by_id(taken[0])} is part of potentially active pool or file system"
            failure = f"command '{words}' failed: exit code 1"
            said = f"invalid vdev specification\nuse '-f' to override the following errors:\n{what}"
            node.tasks.end(upid, failure)
            return Task(upid, f"{log}{said}\n", failure)
        make_pool(node, name, level, rows)
        if given.get("add_storage") == "1":
            add_pool_store(node, name, name, {"sparse": "1", "nodes": node.node})
        node.tasks.end(upid)
        return Task(upid, log)

    return Later(_CREATE_S, done)


def make_pool(node: ProxmoxNode, name: str, level: str, rows: list[dict[str, Any]]) -> None:
    """Have a pool stand on these disks.

    Parameters
    ----------
    node, name, level
        Where, its name, and the API's word for its layout.
    rows
        Its disks, as the API lists them.
    """
    sizes = [row["size"] for row in rows]
    shared = level in _ONE_DISKS_WORTH
    size = min(sizes) * (len(sizes) // 2 if shared else len(sizes))
    node.zpools[name] = ZPool(name, level, [f"{by_id(row)}-part1" for row in rows], size)
    zfs.add(node, name)
    for row in rows:
        row |= {"used": "ZFS", "gpt": 1}
        disk = row["devpath"].removeprefix("/dev/")
        for block in node.blocks:
            if block["name"] == disk and not block.get("children"):
                take(node, block, name)
        node.kept.setdefault("taken", set()).add(row["devpath"])
        link(node, f"{by_id(row)}-part1", partition(disk, 1))


def add_pool_store(node: ProxmoxNode, name: str, pool: str, options: dict[str, Any]) -> None:
    """Have the node's guests keep their disks on a pool."""
    whole = node.zpools[pool.partition("/")[0]].size_bytes
    size = int(whole * (1 - _RESERVED))
    node.stores[name] = Store(
        name, "zfspool", ["images", "rootdir"], pool, size, options=dict(options)
    )


def _free(node: ProxmoxNode, path: str) -> dict[str, Any]:
    row = next((r for r in node.disks if path in (r["devpath"], by_id(r))), None)
    if row is None:
        raise PveError(f"unable to get device info for '{path}'")
    if "used" in row:
        raise PveError(f"device '{row['devpath']}' is already in use")
    return row


def disks_of(node: ProxmoxNode) -> list[dict[str, Any]]:
    """The disks that a node is described with, as the API lists them."""
    return [disk_row(block) for block in node.blocks]
