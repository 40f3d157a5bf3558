"""API of access control lists: of folders, their templates, and of SMB shares.

Source: TrueNAS middleware 25.04 to 26: `filesystem`, `filesystem.acltemplate`, `sharing.smb`; the
templates as its migrations write them. A list is kept for a dataset's folder; that of one below it
is what it inherited, and is not told apart here.
"""

import errno
from typing import Any

from homelab_lib.twin.truenas.arguments.base import Name
from homelab_lib.twin.truenas.arguments.filesystem import (
    EVERYONE,
    GetShareAcl,
    SetAcl,
    SetAcl26,
    SetShareAcl,
    SetShareAcl26,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import HALFMOON, left_out, method
from homelab_lib.twin.truenas.tables import Row
from homelab_lib.twin.truenas.zfs_dataset import NasDataset, effective

_TYPES = {"nfsv4": "NFS4", "posix": "POSIX1E", "posixacl": "POSIX1E"}
_BUILTIN_USERS, _BUILTIN_ADMINISTRATORS, _APPS = 545, 544, 568


def _nfs4(tag: str, basic: str, flags: str = "INHERIT", number: int | None = None) -> Row:
    entry: Row = {"tag": tag, "id": number, "type": "ALLOW"}
    return entry | {"perms": {"BASIC": basic}, "flags": {"BASIC": flags}}


def _posix(modes: str, *, default: bool) -> list[Row]:
    tags = ("USER_OBJ", "GROUP_OBJ", "OTHER")
    bits = (("READ", 4), ("WRITE", 2), ("EXECUTE", 1))
    return [
        {
            "tag": tag,
            "id": -1,
            "default": default,
            "perms": {name: bool(int(mode) & bit) for name, bit in bits},
        }
        for tag, mode in zip(tags, modes, strict=True)
    ]


_TEMPLATES: dict[str, list[Row]] = {
    "NFS4_OPEN": [
        _nfs4("owner@", "FULL_CONTROL"),
        _nfs4("group@", "FULL_CONTROL"),
        _nfs4("everyone@", "MODIFY"),
    ],
    "NFS4_RESTRICTED": [_nfs4("owner@", "FULL_CONTROL"), _nfs4("group@", "MODIFY")],
    "NFS4_HOME": [
        _nfs4("owner@", "FULL_CONTROL"),
        _nfs4("group@", "MODIFY", "NOINHERIT"),
        _nfs4("everyone@", "TRAVERSE", "NOINHERIT"),
    ],
    "NFS4_ADMIN": [
        _nfs4("owner@", "FULL_CONTROL"),
        _nfs4("group@", "FULL_CONTROL"),
        _nfs4("GROUP", "FULL_CONTROL", number=_BUILTIN_ADMINISTRATORS),
    ],
    "POSIX_OPEN": [*_posix("777", default=True), *_posix("777", default=False)],
    "POSIX_RESTRICTED": [*_posix("770", default=True), *_posix("770", default=False)],
    "POSIX_HOME": [*_posix("770", default=True), *_posix("775", default=False)],
}


@method("filesystem.acltemplate.query")
def templates(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """The lists that one may begin with."""
    rows = [
        {
            "id": number,
            "builtin": True,
            "name": name,
            "acltype": "NFS4" if name.startswith("NFS4") else "POSIX1E",
            "acl": entries,
            "comment": "",
        }
        for number, (name, entries) in enumerate(_TEMPLATES.items(), 1)
    ]
    return query(rows, filters, options)


def acltype(nas: TrueNas, dataset: NasDataset) -> str:
    """The kind of its lists, by its property."""
    return _TYPES.get(effective(nas.datasets, dataset.name, "acltype")[0], "DISABLED")


def _entries(nas: TrueNas, dataset: NasDataset) -> list[Row] | None:
    """The list of its folder: what was set, or what its preset gave it when it was made."""
    kind = acltype(nas, dataset)
    if kind == "DISABLED":
        return None
    if dataset.acl is not None:
        return dataset.acl
    if kind == "POSIX1E":
        return _posix("755", default=False)
    restricted = [
        *_TEMPLATES["NFS4_RESTRICTED"],
        _nfs4("GROUP", "MODIFY", number=_BUILTIN_USERS),
        _nfs4("GROUP", "FULL_CONTROL", number=_BUILTIN_ADMINISTRATORS),
    ]
    if dataset.preset == "SMB":
        return restricted
    if dataset.preset == "APPS":
        return [*restricted, _nfs4("USER", "MODIFY", number=_APPS)]
    return [
        _nfs4("owner@", "FULL_CONTROL", "NOINHERIT"),
        _nfs4("group@", "READ", "NOINHERIT"),
        _nfs4("everyone@", "READ", "NOINHERIT"),
    ]


def _of(nas: TrueNas, path: str) -> NasDataset:
    dataset = nas.dataset_of(path)
    if dataset is None or not nas.files.exists(path):
        raise CallError("Path not found.", errno.ENOENT)
    if dataset.seeded and dataset.acl is None:  # it is what the real one has
        told = nas.told("midclt", "call", "filesystem.getacl", dataset.mountpoint, "true")
        if told is not None:
            dataset.uid, dataset.gid, dataset.acl = told["uid"], told["gid"], told["acl"]
    return dataset


def _told(nas: TrueNas, path: str, *, resolved: bool) -> Row:
    dataset = _of(nas, path)
    kind, entries = acltype(nas, dataset), _entries(nas, dataset)
    users: dict[int, str] = {row["uid"]: row["username"] for row in nas.tables["user"].rows()}
    groups: dict[int, str] = {row["gid"]: row["name"] for row in nas.tables["group"].rows()}
    names = {"user": users.get(dataset.uid), "group": groups.get(dataset.gid)}

    def who(entry: Row) -> str | None:
        match entry["tag"]:
            case "owner@" | "USER_OBJ":
                return names["user"]
            case "group@" | "GROUP_OBJ":
                return names["group"]
            case "USER":
                return users.get(entry["id"])
            case "GROUP":
                return groups.get(entry["id"])
        return None

    shown = [_numbered_entry(each) for each in entries or ()]
    if resolved:
        shown = [each | {"who": who(each)} for each in shown]
    row: Row = {
        "path": path,
        "uid": dataset.uid,
        "gid": dataset.gid,
        "acltype": kind,
        "trivial": dataset.acl is None and dataset.preset not in ("SMB", "APPS"),
        "acl": None if entries is None else shown,
    }
    if kind == "NFS4":
        row["aclflags"] = {"autoinherit": False, "protected": False, "defaulted": False}
    return row | (names if resolved else {"user": None, "group": None})


def _numbered_entry(entry: Row) -> Row:
    kept = {key: value for key, value in entry.items() if key != "who"}
    return kept | {"id": -1 if entry.get("id") is None else int(entry["id"])}


@method(
    "filesystem.getacl",
    {"path": Name, "simplified": left_out(bool, True), "resolve_ids": left_out(bool, False)},
)
def getacl(nas: TrueNas, path: str, simplified: bool, resolve_ids: bool) -> Row:
    """Owner, group and list of a folder."""
    return _told(nas, path, resolved=resolve_ids)


@method("filesystem.setacl", {"filesystem_acl": SetAcl26}, since=HALFMOON, job=True, lock="perm")
@method("filesystem.setacl", {"filesystem_acl": SetAcl}, until=HALFMOON, job=True, lock="perm")
def setacl(nas: TrueNas, data: Row) -> Work:
    """Set owner, group and list of a folder."""
    yield Progress(0.5, 0, "Preparing to set acl.")
    dataset, errors = _of(nas, data["path"]), ValidationErrors()
    if data["path"].count("/") < 3:
        text = f'The specified path is a ZFS pool mountpoint "({data["path"]})" '
        errors.add("filesystem.setacl.path", text)
    kind = acltype(nas, dataset)
    tags = {entry["tag"] for entry in data["dacl"]}
    wanted = "POSIX1E" if tags & {"USER_OBJ", "GROUP_OBJ", "OTHER", "MASK"} else "NFS4"
    if kind == "DISABLED":
        raise CallError(f"{data['path']}: ACLs disabled on path.", errno.EOPNOTSUPP)
    if data["dacl"] and wanted != kind:
        errors.add("filesystem.setacl.dacl.acltype", "ACL type is invalid for selected path")
    owners = _owners(nas, data, errors)
    entries = [_numbered(nas, each, place, errors) for place, each in enumerate(data["dacl"])]
    errors.check()
    dataset.uid, dataset.gid = owners["uid"] or dataset.uid, owners["gid"] or dataset.gid
    dataset.acl = None if data["options"]["stripacl"] else entries
    return _told(nas, data["path"], resolved=False)


def _owners(nas: TrueNas, data: Row, errors: ValidationErrors) -> Row:
    found: Row = {}
    for name, number, table, key in (
        ("user", "uid", "user", "username"),
        ("group", "gid", "group", "name"),
    ):
        found[number] = data[number] if data[number] not in (None, -1) else None
        if data[name]:
            rows = [row for row in nas.tables[table].rows() if row[key] == data[name]]
            found[number] = rows[0][number] if rows else None
            if not rows:
                errors.add(f"filesystem.setacl.{name}", f"{data[name]}: {name} does not exist.")
    return found


def _numbered(nas: TrueNas, entry: Row, place: int, errors: ValidationErrors) -> Row:
    """An entry by its number, whoever it named."""
    kept = {key: value for key, value in entry.items() if key != "who"}
    if entry["tag"] not in ("USER", "GROUP"):
        return kept | {"id": -1}
    table, key, number = ("user", "username", "uid")
    if entry["tag"] == "GROUP":
        table, key, number = ("group", "name", "gid")
    if entry["id"] in (None, -1):
        rows = [row for row in nas.tables[table].rows() if row[key] == entry["who"]]
        if not rows:
            text = f"{entry['who']}: account does not exist"
            errors.add(f"filesystem.setacl.{place}.who", text)
        return kept | {"id": rows[0][number] if rows else -1}
    return kept


# ------------------------------------------------------------------------- SMB shares


def _share_acl(nas: TrueNas, name: str) -> Row:
    if name not in {row["name"] for row in nas.tables["smb"].rows()}:
        text = f"{name}: share does not exist."
        raise ValidationErrors.one("smb_share_acl.share_name", text, errno.ENOENT)
    fresh = [EVERYONE | {"ae_who_id": None, "ae_who_str": None}]
    return {"share_name": name, "share_acl": nas.config["smb_acls"].get(name, fresh)}


@method("sharing.smb.getacl", {"smb_getacl": GetShareAcl})
def share_getacl(nas: TrueNas, data: Row) -> Row:
    """Who may use a share."""
    return _share_acl(nas, data["share_name"])


@method("sharing.smb.setacl", {"smb_setacl": SetShareAcl26}, since=HALFMOON)
@method("sharing.smb.setacl", {"smb_setacl": SetShareAcl}, until=HALFMOON)
def share_setacl(nas: TrueNas, data: Row) -> Row:
    """Set who may use a share."""
    name, errors = data["share_name"], ValidationErrors()
    _share_acl(nas, name)
    for place, entry in enumerate(data["share_acl"]):
        given = [k for k in ("ae_who_sid", "ae_who_id", "ae_who_str") if entry[k] is not None]
        if not given:
            text = "Either a SID or Unix ID must be specified for ACL entry."
            errors.add(f"sharing_smb_setacl.share_acl.{place}.sid", text)
    errors.check()
    nas.config["smb_acls"][name] = data["share_acl"]
    return _share_acl(nas, name)
