"""API of datasets.

Source: TrueNAS middleware 25.04 to 26, `pool.dataset`: what a share type sets, what is refused.
Encryption is left out: it is refused.
"""

import errno
import re
from typing import Any

from homelab_lib.twin.truenas.arguments.base import Text
from homelab_lib.twin.truenas.arguments.datasets import (
    DatasetCreate,
    DatasetCreate26,
    DatasetDelete,
    DatasetUpdate,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import HALFMOON, left_out, method
from homelab_lib.twin.truenas.zfs_dataset import NasDataset, Row, dataset_row, effective

_RECORD_SIZES = tuple(["512", "512B"] + [f"{1 << n}K" for n in range(10)]) + tuple(
    f"{1 << n}M" for n in range(5)
)
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
_NO_PROPERTY |= {"encryption", "inherit_encryption", "encryption_options", "force_size", "sparse"}
_NO_PROPERTY |= {"user_properties_update"}
_OF_FILESYSTEMS = {"quota", "refquota", "recordsize", "aclmode", "acltype", "atime", "snapdir"}
_SUFFIXES = {"K": 10, "M": 20}
_MOST_OF_POOL = 0.8
"""A volume larger than this share of what is free has to be asked for with force."""


@method("pool.dataset.query")
def dataset_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Datasets, without those of the system."""
    extra = options.get("extra") if isinstance(options, dict) else None
    nested = not isinstance(extra, dict) or extra.get("retrieve_children", True)
    rows = [
        dataset_row(nas.datasets, name, nas.available_bytes(name), nested=bool(nested))
        for name in sorted(nas.datasets)
    ]
    return query(rows, filters, options)


@method("pool.dataset.create", {"data": DatasetCreate26}, since=HALFMOON)
@method("pool.dataset.create", {"data": DatasetCreate}, until=HALFMOON)
def dataset_create(nas: TrueNas, data: Row) -> Row:
    """Make a dataset, and mount it, or a volume."""
    name, errors = data["name"], ValidationErrors()
    if "/" not in name:
        errors.add("pool_dataset_create.name", "You need a full name, e.g. pool/newdataset")
    elif not re.fullmatch(r"[A-Za-z0-9][\w.: -]*(/[A-Za-z0-9_][\w.: -]*)+", name, re.ASCII):
        errors.add("pool_dataset_create.name", "Invalid dataset name")
    elif name.endswith(" "):
        text = "Trailing spaces are not permitted in dataset names"
        errors.add("pool_dataset_create.name", text)
    errors.check()
    parent = _parent_of(nas, data, errors)
    errors.check()
    if data["type"] == "FILESYSTEM":
        data |= _PRESETS[data["share_type"]]
        if nas.files.exists(f"/mnt/{name}"):
            errors.add("pool_dataset_create.name", f"Path /mnt/{name} already exists")
    else:
        _check_volume(nas, data, parent, errors)
    if name in nas.datasets:
        errors.add("pool_dataset_create.name", f"{name} already exists", errno.EEXIST)
    _check_properties(nas, data, parent, "pool_dataset_create", errors)
    errors.check()
    missing = name.removeprefix(f"{parent}/").split("/")
    for depth in range(1, len(missing)):
        nas.add_dataset(NasDataset("/".join([parent, *missing[:depth]]), created_s=nas.now_s()))
    dataset = NasDataset(name, kind=data["type"], created_s=nas.now_s())
    dataset.reserved_bytes = data.get("refreservation", 0)
    dataset.preset = data["share_type"]
    _set(dataset, data)
    nas.add_dataset(dataset)
    return _shown(nas, name)


def _shown(nas: TrueNas, name: str) -> Row:
    return dataset_row(nas.datasets, name, nas.available_bytes(name), nested=True)


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
    elif nas.datasets[parent].kind == "VOLUME":
        errors.add("pool_dataset_create.name", f"{parent} is a volume: nothing can be below it")
    elif effective(nas.datasets, parent, "readonly")[0] == "on":
        text = f"Turn off readonly mode on {parent} to create {parent.partition('/')[0]}"
        errors.add("pool_dataset_create.readonly", text)
    return parent


def _check_volume(nas: TrueNas, data: Row, parent: str, errors: ValidationErrors) -> None:
    data.setdefault("volblocksize", "16K")
    if data["volsize"] <= 0 or data["volsize"] % int(_raw("volblocksize", data["volblocksize"])):
        text = "Volume size should be a multiple of volume block size"
        errors.add("pool_dataset_create.volsize", text)
    if data["volsize"] > nas.available_bytes(parent) * _MOST_OF_POOL and not data.get("force_size"):
        text = "It is not recommended to use more than 80% of your available space for VOLUME"
        errors.add("pool_dataset_create.volsize", text)
    if not data.get("sparse"):
        data["refreservation"] = data["volsize"]


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
    if record is not None and record != "INHERIT" and record not in _RECORD_SIZES:
        errors.add(f"{schema}.recordsize", f"{record!r} is an invalid recordsize.")
    if data.get("copies", "INHERIT") not in ("INHERIT", 1, 2, 3):
        errors.add(f"{schema}.copies", "Only values from 1 to 3 are allowed")
    small = data.get("special_small_block_size", "INHERIT")
    if small != "INHERIT" and not 0 <= small <= 16 * 2**20:
        errors.add(f"{schema}.special_small_block_size", "Must be from 0 to 16 MiB")
    for key in ("reservation", "refreservation"):
        if not 0 <= data.get(key, 0) <= nas.available_bytes(parent):
            errors.add(f"{schema}.{key}", "cannot set property: size is greater than available")
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
    if "comments" in data:
        dataset.comments = None if data["comments"] == "INHERIT" else data["comments"]
    for each in (*data.get("user_properties", ()), *data.get("user_properties_update", ())):
        if each.get("remove"):
            dataset.user_properties.pop(each["key"], None)
        elif "value" in each:
            dataset.user_properties[each["key"]] = each["value"]


def _raw(name: str, value: Any) -> str:
    """As ZFS keeps a property: sizes in bytes, words in lower case."""
    if name in ("recordsize", "volblocksize"):
        number, unit = value.rstrip("KMB"), value.rstrip("B")[-1]
        return str(int(number) << _SUFFIXES.get(unit, 0))
    return "0" if value is None else str(value).lower()


@method("pool.dataset.update", {"id": Text, "data": DatasetUpdate})
def dataset_update(nas: TrueNas, id_: str, data: Row) -> Row:
    """Change a dataset's properties."""
    errors = ValidationErrors()
    if id_ not in nas.datasets:
        errors.add("id", f"{id_} does not exist", errno.ENOENT)
    errors.check()
    dataset, schema = nas.datasets[id_], "pool_dataset_update"
    strange = _OF_FILESYSTEMS if dataset.kind == "VOLUME" else {"volsize", "force_size"}
    for key in sorted(strange & data.keys()):
        errors.add(f"{schema}.{key}", f"This field is not valid for {dataset.kind}")
    if data.get("volsize", 0) < int(dataset.local.get("volsize", "0")) and "volsize" in data:
        errors.add(f"{schema}.volsize", "You cannot shrink a zvol from GUI, this may lead to loss.")
    errors.check()
    now = {key: effective(nas.datasets, id_, key)[0].upper() for key in ("acltype", "aclmode")}
    if data.get("acltype") in ("POSIX", "OFF"):
        now["aclmode"] = "DISCARD"
    _check_properties(nas, now | data, dataset.parent or id_, schema, errors)
    if data.get("acltype", now["acltype"]) != now["acltype"] and nas.shares_of("smb", id_):
        name = nas.shares_of("smb", id_)[0]["name"]
        text = "This dataset is hosting SMB shares. Before acltype can be updated the following "
        text += f"shares must be disabled: {name}. The shares may be re-enabled after the change."
        errors.add(f"{schema}.acltype", text)
    errors.check()
    _set(dataset, data)
    dataset.reserved_bytes = data.get("refreservation", dataset.reserved_bytes)
    return _shown(nas, id_)


@method("pool.dataset.delete", {"id": Text, "options": left_out(DatasetDelete)})
def dataset_delete(nas: TrueNas, id_: str, options: Row) -> bool:
    """Destroy a dataset, its files, and the shares of it."""
    if id_ not in nas.datasets:
        text = f"PoolDataset {id_} does not exist"
        raise ValidationErrors.one("", text, errno.ENOENT)
    if "/" not in id_:
        text = f"Failed to delete dataset: {id_} is the root of a pool: export the pool"
        raise CallError(text, errno.EINVAL)
    below = [name for name in nas.datasets if name.startswith(f"{id_}/")]
    if below and not options["recursive"]:
        text = f"Failed to delete dataset: cannot destroy {id_!r}: filesystem has children"
        raise CallError(text, errno.ENOTEMPTY)
    for name in sorted([id_, *below], reverse=True):
        nas.remove_dataset(name)
    return True
