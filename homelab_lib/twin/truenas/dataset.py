"""API of datasets.

Source: TrueNAS middleware 24.10 to 26, `pool.dataset`: what a share type sets, what is refused.
Volumes and encryption are left out: they are refused.
"""

import errno
import re
from typing import Any

from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import NULL, Field, Fields, method, optional
from homelab_lib.twin.truenas.zfs import NasDataset, Row, dataset_row, effective

_ON_OFF = ("ON", "OFF", "INHERIT")
_RECORD_SIZES = tuple(["512", "512B"] + [f"{1 << n}K" for n in range(10)]) + tuple(
    f"{1 << n}M" for n in range(5)
)
_QUOTA = optional(int, NULL)
_COMMON = {
    "comments": optional(str),
    "sync": optional(str, choices=("STANDARD", "ALWAYS", "DISABLED", "INHERIT")),
    "compression": optional(str),
    "exec": optional(str, choices=_ON_OFF),
    "readonly": optional(str, choices=_ON_OFF),
    "atime": optional(str, choices=_ON_OFF),
    "snapdir": optional(str, choices=("DISABLED", "VISIBLE", "HIDDEN", "INHERIT")),
    "checksum": optional(str),
    "deduplication": optional(str, choices=("ON", "VERIFY", "OFF", "INHERIT")),
    "copies": optional(int, str),
    "quota": _QUOTA,
    "refquota": _QUOTA,
    "reservation": optional(int),
    "refreservation": optional(int),
    "recordsize": optional(str),
    "aclmode": optional(str, choices=("PASSTHROUGH", "RESTRICTED", "DISCARD", "INHERIT")),
    "acltype": optional(str, choices=("OFF", "NFSV4", "POSIX", "INHERIT")),
    "special_small_block_size": optional(int, str),
    "user_properties": optional(list),
}
CREATE = Fields(
    "pool_dataset_create",
    _COMMON
    | {
        "name": Field((str,)),
        "type": Field((str,), "FILESYSTEM", ("FILESYSTEM",)),
        "share_type": Field((str,), "GENERIC", ("GENERIC", "MULTIPROTOCOL", "NFS", "SMB", "APPS")),
        "casesensitivity": optional(str, choices=("SENSITIVE", "INSENSITIVE", "INHERIT")),
        "create_ancestors": Field((bool,), False),
        "encryption": Field((bool,), False),
        "inherit_encryption": Field((bool,), True),
    },
)
UPDATE = Fields("pool_dataset_update", _COMMON, update=True)
DELETE = Fields("options", {"recursive": Field((bool,), False), "force": Field((bool,), False)})

_SHARED = {
    "casesensitivity": "SENSITIVE",
    "atime": "OFF",
    "acltype": "NFSV4",
    "aclmode": "PASSTHROUGH",
}
_PRESETS = {
    "GENERIC": {},
    "SMB": {"casesensitivity": "INSENSITIVE", "acltype": "NFSV4", "aclmode": "RESTRICTED"},
    "NFS": _SHARED,
    "MULTIPROTOCOL": _SHARED,
    "APPS": _SHARED,
}
_ZFS_NAMES = {"deduplication": "dedup", "special_small_block_size": "special_small_blocks"}
_NO_PROPERTY = {"name", "type", "share_type", "comments", "create_ancestors", "user_properties"}
_NO_PROPERTY |= {"encryption", "inherit_encryption"}
_SUFFIXES = {"K": 10, "M": 20}


@method("pool.dataset.query")
def dataset_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Datasets, without those of the system."""
    extra = (options or {}).get("extra", {})
    nested = extra.get("retrieve_children", True)
    rows = [
        dataset_row(nas.datasets, name, nas.available_bytes(name), nested=nested)
        for name in sorted(nas.datasets)
    ]
    return query(rows, filters, options)


@method("pool.dataset.create", data=CREATE)
def dataset_create(nas: TrueNas, data: Row) -> Row:
    """Make a dataset, and mount it."""
    name = data["name"]
    errors = ValidationErrors()
    if "/" not in name:
        errors.add("pool_dataset_create.name", "You need a full name, e.g. pool/newdataset")
    elif not re.fullmatch(r"[A-Za-z0-9][\w.: -]*(/[A-Za-z0-9_][\w.: -]*)+", name):
        errors.add("pool_dataset_create.name", "Invalid dataset name")
    elif name.endswith(" "):
        text = "Trailing spaces are not permitted in dataset names"
        errors.add("pool_dataset_create.name", text)
    errors.check()
    parent = _parent_of(nas, data, errors)
    errors.check()
    data |= _PRESETS[data["share_type"]]
    _check_properties(nas, data, parent, "pool_dataset_create", errors)
    if nas.files.exists(f"/mnt/{name}"):
        errors.add("pool_dataset_create.name", f"Path /mnt/{name} already exists")
    errors.check()
    missing = name.removeprefix(f"{parent}/").split("/")
    for depth in range(1, len(missing)):
        nas.add_dataset(NasDataset("/".join([parent, *missing[:depth]]), created_s=nas.now_s()))
    dataset = NasDataset(name, comments=data.get("comments"), created_s=nas.now_s())
    _set(dataset, data)
    nas.add_dataset(dataset)
    return dataset_query(nas, [["id", "=", name]], {"get": True})


def _parent_of(nas: TrueNas, data: Row, errors: ValidationErrors) -> str:
    """The dataset to make it in: the nearest that is there, where ancestors may be made."""
    parent = str(data["name"]).rpartition("/")[0]
    if data["create_ancestors"]:
        while parent not in nas.datasets and "/" in parent:
            parent = parent.rpartition("/")[0]
    if parent not in nas.datasets:
        if data["create_ancestors"]:
            text = "Please specify a pool which exists for the dataset/volume to be created"
        else:
            what = "Parent dataset" if "/" in parent else "zpool"
            text = f"{what} ({parent}) does not exist."
        errors.add("pool_dataset_create.name", text)
    elif effective(nas.datasets, parent, "readonly")[0] == "on":
        text = f"Turn off readonly mode on {parent} to create {parent.partition('/')[0]}"
        errors.add("pool_dataset_create.readonly", text)
    return parent


def _check_properties(
    nas: TrueNas, data: Row, parent: str, schema: str, errors: ValidationErrors
) -> None:
    acl = {}
    for key in ("acltype", "aclmode"):
        given = data.get(key, "INHERIT")
        acl[key] = effective(nas.datasets, parent, key)[0].upper() if given == "INHERIT" else given
    if acl["acltype"] in ("POSIX", "OFF") and acl["aclmode"] != "DISCARD":
        errors.add(f"{schema}.aclmode", "Must be set to DISCARD when acltype is POSIX or OFF")
    elif acl["acltype"] == "NFSV4" and acl["aclmode"] == "DISCARD":
        errors.add(f"{schema}.aclmode", "DISCARD aclmode may not be set for NFSv4 acl type")
    record = data.get("recordsize")
    if record and record != "INHERIT" and record not in _RECORD_SIZES:
        errors.add(f"{schema}.recordsize", f"{record!r} is an invalid recordsize.")
    for key in ("quota", "refquota"):
        if data.get(key) and data[key] < 2**30:
            errors.add(f"{schema}.{key}", "Input should be greater than or equal to 1073741824")
    if data.get("encryption"):
        errors.add(f"{schema}.encryption", "This twin has no encryption")


def _set(dataset: NasDataset, data: Row) -> None:
    for key, value in data.items():
        name = _ZFS_NAMES.get(key, key)
        if key in _NO_PROPERTY:
            continue
        if value == "INHERIT":
            dataset.local.pop(name, None)
        else:
            dataset.local[name] = _raw(name, value)


def _raw(name: str, value: Any) -> str:
    """As ZFS keeps a property: sizes in bytes, words in lower case."""
    if name == "recordsize":
        number, unit = value.rstrip("KMB"), value.rstrip("B")[-1]
        return str(int(number) << _SUFFIXES.get(unit, 0))
    return "0" if value is None else str(value).lower()


@method("pool.dataset.update", data=UPDATE)
def dataset_update(nas: TrueNas, id_: str, data: Row) -> Row:
    """Change a dataset's properties."""
    errors = ValidationErrors()
    if id_ not in nas.datasets:
        errors.add("id", f"{id_} does not exist", errno.ENOENT)
    errors.check()
    dataset = nas.datasets[id_]
    now = {key: effective(nas.datasets, id_, key)[0].upper() for key in ("acltype", "aclmode")}
    if data.get("acltype") in ("POSIX", "OFF"):
        now["aclmode"] = "DISCARD"
    _check_properties(nas, now | data, dataset.parent or id_, "pool_dataset_update", errors)
    if data.get("acltype", now["acltype"]) != now["acltype"] and nas.shares_of("smb", id_):
        name = nas.shares_of("smb", id_)[0]["name"]
        text = "This dataset is hosting SMB shares. Before acltype can be updated the following "
        text += f"shares must be disabled: {name}. The shares may be re-enabled after the change."
        errors.add("pool_dataset_update.acltype", text)
    errors.check()
    _set(dataset, data)
    if "comments" in data:
        dataset.comments = data["comments"]
    return dataset_query(nas, [["id", "=", id_]], {"get": True})


@method("pool.dataset.delete", options=DELETE)
def dataset_delete(nas: TrueNas, id_: str, options: Row | None = None) -> bool:
    """Destroy a dataset, its files, and the shares of it."""
    below = [name for name in nas.datasets if name.startswith(f"{id_}/")]
    if below and not (options or {}).get("recursive"):
        text = f"Failed to delete dataset: cannot destroy {id_!r}: filesystem has children"
        raise CallError(text, errno.ENOTEMPTY)
    if id_ not in nas.datasets:
        text = f"PoolDataset {id_} does not exist"
        raise ValidationErrors.one("", text, errno.ENOENT)
    for name in sorted([id_, *below], reverse=True):
        nas.remove_dataset(name)
    return True
