"""Datasets of the twin's NAS: file systems and volumes, and how the middleware shows them.

Source: TrueNAS 25.10 API, entry of `pool.dataset.query`; properties as in zfsprops(7).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.machine.files import FileSystem

Row = dict[str, Any]
EMPTY_BYTES = 96 * 2**10
"""What an empty dataset shows as used."""

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
_OF_VOLUMES = {"volsize": "0", "volblocksize": "16384"}
_OF_BOTH = (
    *("compression", "checksum", "copies", "dedup", "readonly", "refreservation", "reservation"),
    *("snapdev", "special_small_blocks", "sync"),
)
_OF_FILESYSTEMS = tuple(prop for prop in _DEFAULTS if prop != "aclinherit")
_WATCHED = ("quota_warning", "quota_critical", "refquota_warning", "refquota_critical", "managedby")
_API_NAMES = {"dedup": "deduplication", "special_small_blocks": "special_small_block_size"}
_NOT_INHERITED = {"quota", "refquota", "reservation", "refreservation", "casesensitivity"}
_NOT_INHERITED |= _OF_VOLUMES.keys()
_SIZES = {
    "volsize",
    "volblocksize",
    "recordsize",
    "quota",
    "refquota",
    "reservation",
    "refreservation",
    "special_small_blocks",
}


@dataclass
class NasDataset:
    """A file system, with the properties set on it and the files in it; or a volume.

    Parameters
    ----------
    name, local, comments, user_properties
        Its full name and what is set on it itself.
    used_bytes, snapshot_bytes, reserved_bytes
        What it holds itself, what only its snapshots hold, and what is kept free for it [bytes].
    kind
        ``FILESYSTEM`` or ``VOLUME``.
    locked
        Whether its key is missing: nothing of it can be read.
    key_format
        ``hex`` or ``passphrase`` where it is encrypted by a key of its own; what is below it is,
        too.
    preset
        The share type that it was made with.
    uid, gid, acl, seeded
        Owner, group and access control list of its folder; None for what it came with, or for what
        the real one behind a seeded twin says.
    """

    name: str
    local: dict[str, str] = field(default_factory=dict)
    comments: str | None = None
    used_bytes: int = EMPTY_BYTES
    created_s: float = 0.0
    files: FileSystem = field(default_factory=FileSystem)
    kind: str = "FILESYSTEM"
    locked: bool = False
    key_format: str = ""
    preset: str = "GENERIC"
    uid: int = 0
    gid: int = 0
    acl: list[Row] | None = None
    seeded: bool = False
    user_properties: dict[str, str] = field(default_factory=dict)
    snapshot_bytes: int = 0
    reserved_bytes: int = 0

    @property
    def own_bytes(self) -> int:
        """What it takes of its pool, without what is below it [bytes]."""
        return self.used_bytes + self.snapshot_bytes + self.reserved_bytes

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
            return (_DEFAULTS | _OF_VOLUMES)[prop], "DEFAULT"
        place, source = datasets[place.parent], "INHERITED"
    return place.local[prop], source


def encryption_root(datasets: Mapping[str, NasDataset], name: str) -> tuple[str, str] | None:
    """The dataset whose key is needed, and the key's form; None where nothing is encrypted."""
    place = datasets[name]
    while not (place.key_format or place.locked):
        if place.parent not in datasets:
            return None
        place = datasets[place.parent]
    return place.name, place.key_format or "hex"


def _key_property(raw: str) -> Row:
    plain = raw in ("none", "off")
    value = None if plain else raw.upper()
    return {
        "parsed": raw,
        "rawvalue": raw,
        "value": value,
        "source": "DEFAULT" if plain else "NONE",
    }


def children(datasets: Iterable[str], name: str) -> list[str]:
    """Names of the datasets directly below."""
    return sorted(other for other in datasets if other.rpartition("/")[0] == name)


def used_bytes(datasets: Mapping[str, NasDataset], name: str) -> int:
    """What a dataset and all below it hold [bytes]; 0 for a pool that is not imported."""
    if name not in datasets:
        return 0
    return datasets[name].own_bytes + sum(
        used_bytes(datasets, child) for child in children(datasets, name)
    )


def dataset_row(
    datasets: Mapping[str, NasDataset], name: str, available_bytes: int, *, nested: bool
) -> Row:
    """As `pool.dataset.query` shows it; with what is below it where `nested`."""
    dataset = datasets[name]
    volume = dataset.kind == "VOLUME"
    key = encryption_root(datasets, name)
    row: Row = {
        "id": name,
        "type": dataset.kind,
        "name": name,
        "pool": name.partition("/")[0],
        "encrypted": bool(key),
        "encryption_root": key[0] if key else None,
        "key_loaded": bool(key) and not dataset.locked,
        "children": [
            dataset_row(datasets, child, available_bytes, nested=True)
            for child in (children(datasets, name) if nested else ())
        ],
        "mountpoint": None if volume else dataset.mountpoint,
        "locked": dataset.locked,
        "user_properties": {key: _text(text) for key, text in dataset.user_properties.items()},
        "key_format": _key_property(key[1] if key else "none"),
        "encryption_algorithm": _key_property("aes-256-gcm" if key else "off"),
        "origin": {"parsed": "", "rawvalue": "", "value": "", "source": "NONE"},
        "compressratio": {"parsed": "1.00", "rawvalue": "1.00", "value": "1.00x", "source": "NONE"},
    }
    for prop in (*_OF_BOTH, *_OF_VOLUMES) if volume else _OF_FILESYSTEMS:
        row[_API_NAMES.get(prop, prop)] = _property(prop, *effective(datasets, name, prop))
    for prop in (each for each in _WATCHED if each in dataset.local):
        row[prop] = _text(dataset.local[prop])
    whole = used_bytes(datasets, name)
    quota = int(effective(datasets, name, "quota")[0])
    row |= {
        "used": _number(whole),
        "usedbydataset": _number(dataset.used_bytes),
        "usedbychildren": _number(whole - dataset.own_bytes),
        "usedbysnapshots": _number(dataset.snapshot_bytes),
        "usedbyrefreservation": _number(dataset.reserved_bytes),
        "available": _number(
            min(available_bytes, quota - whole)
            if quota
            else available_bytes + dataset.reserved_bytes
        ),
        "creation": {
            "parsed": {"$date": int(dataset.created_s * 1000)},
            "rawvalue": str(int(dataset.created_s)),
            "value": _date(dataset.created_s),
            "source": "NONE",
        },
    }
    if dataset.comments is not None:
        row["comments"] = _text(dataset.comments)
    return row


def _text(text: str) -> Row:
    """A property that is a text, set on the dataset itself."""
    return {"parsed": text, "rawvalue": text, "value": text, "source": "LOCAL"}


def _date(seconds: float) -> str:
    """``Mon Sep 21 15:33 2026``, as ZFS prints a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %b %e %H:%M %Y")
