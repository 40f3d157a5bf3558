"""Disks, pools and datasets of the twin's NAS, and how the middleware shows them.

Source: TrueNAS 25.10 API, entries of `pool.query`, `pool.dataset.query` and `disk.details`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.models.zfs import pool_capacity
from homelab_lib.twin.machine.files import FileSystem

Row = dict[str, Any]
EMPTY_BYTES = 96 * 2**10
"""What an empty dataset shows as used."""

_TAIL_BYTES = 2 * 2**30
"""TrueNAS leaves this much of each disk unused, so that a slightly smaller one can replace it."""


@dataclass
class NasDisk:
    """A disk as the NAS sees it."""

    name: str
    serial: str
    size_bytes: int
    model: str = ""
    lunid: str | None = None
    rotates: bool = True
    boot: bool = False
    exported_zpool: str | None = None
    partitioned: bool = False

    @property
    def identifier(self) -> str:
        """By which the middleware knows it whatever its name is this time."""
        return (
            f"{{serial_lunid}}{self.serial}_{self.lunid}"
            if self.lunid
            else f"{{serial}}{self.serial}"
        )


@dataclass
class Vdev:
    """A top-level vdev."""

    kind: str
    disks: list[str]


@dataclass
class ZPool:
    """An imported pool."""

    id: int
    name: str
    guid: str
    vdevs: list[Vdev]
    size_bytes: int
    usable_bytes: int
    created_s: float
    status: str = "ONLINE"
    scan: Row | None = None

    @property
    def disks(self) -> list[str]:
        """Names of its disks."""
        return [disk for vdev in self.vdevs for disk in vdev.disks]

    def row(self, allocated_bytes: int, guids: Mapping[str, str]) -> Row:
        """As `pool.query` shows it."""
        healthy = self.status == "ONLINE"
        return {
            "id": self.id,
            "name": self.name,
            "guid": self.guid,
            "path": f"/mnt/{self.name}",
            "status": self.status,
            "scan": self.scan or _NO_SCAN,
            "expand": None,
            "topology": self._topology(guids),
            "is_upgraded": True,
            "healthy": healthy,
            "warning": False,
            "status_code": "OK" if healthy else None,
            "status_detail": None,
            "size": self.size_bytes,
            "allocated": allocated_bytes,
            "free": self.size_bytes - allocated_bytes,
            "freeing": 0,
            "fragmentation": "0",
            "size_str": str(self.size_bytes),
            "allocated_str": str(allocated_bytes),
            "free_str": str(self.size_bytes - allocated_bytes),
            "freeing_str": "0",
            "dedup_table_size": 0,
            "dedup_table_quota": "auto",
            "autotrim": {"value": "off", "rawvalue": "off", "parsed": "off", "source": "DEFAULT"},
        }

    def _topology(self, guids: Mapping[str, str]) -> Row:
        data = []
        for place, vdev in enumerate(self.vdevs):
            leaves = [_leaf(disk, guids.get(disk, "")) for disk in vdev.disks]
            if vdev.kind == "STRIPE":
                data += leaves
                continue
            name = f"{vdev.kind.lower()}-{place}"
            data.append(
                _leaf(name, "")
                | {
                    "type": vdev.kind,
                    "name": name,
                    "path": None,
                    "device": None,
                    "disk": None,
                    "children": leaves,
                }
            )
        return {"data": data, "log": [], "cache": [], "spare": [], "special": [], "dedup": []}


_NO_SCAN: Row = dict.fromkeys(
    (
        "function",
        "state",
        "start_time",
        "end_time",
        "percentage",
        "bytes_to_process",
        "bytes_processed",
        "bytes_issued",
        "pause",
        "errors",
        "total_secs_left",
    )
)


def _leaf(disk: str, guid: str) -> Row:
    return {
        "name": guid or disk,
        "type": "DISK",
        "path": f"/dev/disk/by-partuuid/{guid}",
        "guid": guid,
        "status": "ONLINE",
        "stats": {"read_errors": 0, "write_errors": 0, "checksum_errors": 0},
        "children": [],
        "device": f"{disk}1",
        "disk": disk,
        "unavail_disk": None,
    }


def zpool_sizes(kind: str, width: int, vdevs: int, disk_bytes: int) -> tuple[int, int]:
    """A pool's raw and usable size [bytes]: the one place where the twin gets them from.

    Parameters
    ----------
    kind
        ``RAIDZ2``, ``MIRROR``, ``STRIPE`` …, as `pool.create` has it.
    width, vdevs
        Disks in each vdev, number of vdevs.
    disk_bytes
        The smallest disk [bytes].
    """
    if kind == "STRIPE":  # one disk after the other: each is a vdev
        width, vdevs = 1, width * vdevs
    partition_bytes = disk_bytes - _TAIL_BYTES
    pool = pool_capacity(kind.lower(), width, partition_bytes, vdevs=vdevs, whole_disk=False)
    return int(pool.size_bytes), int(pool.usable_bytes)


_ROOT_PROPERTIES = {
    "atime": "off",
    "aclmode": "discard",
    "acltype": "posix",
    "compression": "lz4",
    "aclinherit": "passthrough",
    "xattr": "sa",
}
_DEFAULTS = {
    "recordsize": "131072",
    "atime": "on",
    "compression": "on",
    "aclmode": "discard",
    "acltype": "off",
    "aclinherit": "restricted",
    "casesensitivity": "sensitive",
    "checksum": "on",
    "copies": "1",
    "dedup": "off",
    "exec": "on",
    "quota": "0",
    "refquota": "0",
    "readonly": "off",
    "refreservation": "0",
    "reservation": "0",
    "snapdev": "hidden",
    "snapdir": "hidden",
    "special_small_blocks": "0",
    "sync": "standard",
    "xattr": "on",
}
_API_NAMES = {"dedup": "deduplication", "special_small_blocks": "special_small_block_size"}
_NOT_INHERITED = {"quota", "refquota", "reservation", "refreservation", "casesensitivity"}
_SIZES = {
    "recordsize",
    "quota",
    "refquota",
    "reservation",
    "refreservation",
    "special_small_blocks",
}


@dataclass
class NasDataset:
    """A filesystem, with the properties set on it and the files in it."""

    name: str
    local: dict[str, str] = field(default_factory=dict)
    comments: str | None = None
    used_bytes: int = EMPTY_BYTES
    created_s: float = 0.0
    files: FileSystem = field(default_factory=FileSystem)

    @property
    def parent(self) -> str:
        """Name of the dataset above; empty for a pool's root."""
        return self.name.rpartition("/")[0]

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""
        return f"/mnt/{self.name}"


def root_dataset(pool: str, created_s: float) -> NasDataset:
    """The dataset that a new pool has, with the properties TrueNAS sets on it."""
    return NasDataset(pool, dict(_ROOT_PROPERTIES), created_s=created_s)


def nicenum(size_bytes: int) -> str:
    """``1M`` for 1048576, as ZFS prints sizes."""
    for unit, scale in (("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size_bytes >= 1 << scale:
            amount = size_bytes / (1 << scale)
            return f"{amount:.{0 if amount == int(amount) else 2}f}{unit}"
    return f"{size_bytes}B"


def _property(name: str, raw: str, source: str) -> Row:
    parsed: Any = raw
    value: str | None = raw.upper()
    if name in _SIZES:
        parsed = int(raw) or (None if "quota" in name or "reservation" in name else 0)
        value = nicenum(int(raw)).removesuffix("B") if parsed is not None else None
    elif raw in ("on", "off") and name in ("atime", "readonly", "exec"):
        parsed = raw == "on"
    return {"parsed": parsed, "rawvalue": raw, "value": value, "source": source}


def _number(size_bytes: int) -> Row:
    text = nicenum(size_bytes)
    return {"parsed": size_bytes, "rawvalue": str(size_bytes), "value": text, "source": "NONE"}


def effective(datasets: Mapping[str, NasDataset], name: str, prop: str) -> tuple[str, str]:
    """A property's raw value, and where it comes from: ``LOCAL``, ``INHERITED``, ``DEFAULT``."""
    place = datasets[name]
    source = "LOCAL"
    while prop not in place.local:
        if prop in _NOT_INHERITED or place.parent not in datasets:
            return _DEFAULTS[prop], "DEFAULT"
        place, source = datasets[place.parent], "INHERITED"
    return place.local[prop], source


def children(datasets: Iterable[str], name: str) -> list[str]:
    """Names of the datasets directly below."""
    return [other for other in datasets if other.rpartition("/")[0] == name]


def used_bytes(datasets: Mapping[str, NasDataset], name: str) -> int:
    """What a dataset and all below it hold [bytes]."""
    return datasets[name].used_bytes + sum(
        used_bytes(datasets, child) for child in children(datasets, name)
    )


def dataset_row(
    datasets: Mapping[str, NasDataset], name: str, available_bytes: int, *, nested: bool
) -> Row:
    """As `pool.dataset.query` shows it; with what is below it where `nested`."""
    dataset = datasets[name]
    row: Row = {
        "id": name,
        "type": "FILESYSTEM",
        "name": name,
        "pool": name.partition("/")[0],
        "encrypted": False,
        "encryption_root": None,
        "key_loaded": False,
        "children": [
            dataset_row(datasets, child, available_bytes, nested=True)
            for child in (children(datasets, name) if nested else ())
        ],
        "mountpoint": dataset.mountpoint,
        "locked": False,
        "user_properties": {},
        "key_format": {"parsed": "none", "rawvalue": "none", "value": None, "source": "DEFAULT"},
        "encryption_algorithm": _property("encryption", "off", "DEFAULT") | {"value": None},
        "origin": {"parsed": "", "rawvalue": "", "value": "", "source": "NONE"},
        "compressratio": {"parsed": "1.00", "rawvalue": "1.00", "value": "1.00x", "source": "NONE"},
    }
    for prop in _DEFAULTS:
        row[_API_NAMES.get(prop, prop)] = _property(prop, *effective(datasets, name, prop))
    whole = used_bytes(datasets, name)
    quota = int(effective(datasets, name, "quota")[0])
    row |= {
        "used": _number(whole),
        "usedbydataset": _number(dataset.used_bytes),
        "usedbychildren": _number(whole - dataset.used_bytes),
        "usedbysnapshots": _number(0),
        "usedbyrefreservation": _number(0),
        "available": _number(min(available_bytes, quota - whole) if quota else available_bytes),
        "creation": {
            "parsed": {"$date": int(dataset.created_s * 1000)},
            "rawvalue": str(int(dataset.created_s)),
            "value": {"$date": int(dataset.created_s * 1000)},
            "source": "NONE",
        },
    }
    if dataset.comments is not None:
        text = dataset.comments
        row["comments"] = {"parsed": text, "rawvalue": text, "value": text, "source": "LOCAL"}
    return row
