"""API of iSCSI: portals, initiators, logins, targets, extents, and which target lends which.

Source: TrueNAS middleware 25.04 to 26: `iscsi.*`.
"""

import errno

from homelab_lib.twin.truenas.arguments.iscsi import (
    AuthCreate,
    AuthUpdate,
    ExtentCreate,
    ExtentUpdate,
    GlobalUpdate,
    GlobalUpdate26,
    InitiatorCreate,
    InitiatorUpdate,
    PortalCreate,
    PortalUpdate,
    TargetCreate,
    TargetExtentCreate,
    TargetExtentUpdate,
    TargetUpdate,
)
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import ALWAYS, Family, Row, Settings
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, HALFMOON, left_out

_CHAP_CHARACTERS = range(12, 17)
_FORCED: Row = {"force": left_out(bool, False)}
_FRESH: Row = {
    "basename": "iqn.2005-10.org.freenas.ctl",
    "isns_servers": [],
    "listen_port": 3260,
    "pool_avail_threshold": None,
    "alua": False,
    "iser": False,
}


def _portal(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    taken = {each["ip"] for other in others for each in other["listen"]}
    if not row["listen"]:
        errors.add(f"{place}.listen", "At least one listen entry is required.")
    for number, each in enumerate(row["listen"]):
        where = f"{place}.listen.{number}.ip"
        if each["ip"] in taken:
            errors.add(where, f"{each['ip']}: already in use by another portal")
        elif each["ip"] not in (*nas.network.static_addresses(), "0.0.0.0", "::"):
            errors.add(where, f"IP {each['ip']} not configured on this system, is unreachable.")
    errors.check()
    row.setdefault("tag", max((other["tag"] for other in others), default=0) + 1)


def _portal_shown(nas: TrueNas, row: Row) -> Row:
    port = (_FRESH | nas.config.get("iscsi.global", {}))["listen_port"]
    return {"listen": [{"ip": each["ip"], "port": port} for each in row["listen"]]}


def _auth(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    for key in ("secret", "peersecret"):
        if row[key] and len(row[key]) not in _CHAP_CHARACTERS:
            text = "Secret must be between 12 and 16 characters: that is at least 12."
            errors.add(f"{place}.{key}", text)
    if not row["secret"]:
        errors.add(f"{place}.secret", "This field is required")
    if row["peersecret"] and not row["peeruser"]:
        errors.add(f"{place}.peeruser", "The peer user is required if you set a peer secret.")
    if row["peersecret"] and row["peersecret"] == row["secret"]:
        errors.add(f"{place}.peersecret", "The peer secret is invalid: it is the secret itself.")
    errors.check()


def _target(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    for key in ("name", "alias"):
        if row[key] is not None and any(row[key] == other[key] for other in others):
            errors.add(f"{place}.{key}", f"Target with this {key} already exists", errno.EEXIST)
    if row["mode"] != "ISCSI":
        errors.add(f"{place}.mode", "Fibre Channel not enabled: a license is required")
    portals = {each["id"] for each in nas.tables["iscsi.portal"].rows()}
    initiators = {each["id"] for each in nas.tables["iscsi.initiator"].rows()}
    auths = {each["tag"]: each for each in nas.tables["iscsi.auth"].rows()}
    for number, group in enumerate(row["groups"]):
        where = f"{place}.groups.{number}"
        if group["portal"] not in portals:
            errors.add(f"{where}.portal", f"{group['portal']} Portal not found in database")
        if group["initiator"] and group["initiator"] not in initiators:
            text = f"{group['initiator']} Initiator not found in database"
            errors.add(f"{where}.initiator", text)
        if group["authmethod"] != "NONE" and not group["auth"]:
            text = "Authentication group is required for CHAP and CHAP Mutual"
            errors.add(f"{where}.auth", text)
        if group["authmethod"] == "CHAP_MUTUAL" and group["auth"]:
            if group["auth"] not in auths:
                errors.add(f"{where}.auth", "Authentication group not found", errno.ENOENT)
            elif not auths[group["auth"]]["peeruser"]:
                text = f"Invalid: authentication group {group['auth']} does not support CHAP Mutual"
                errors.add(f"{where}.auth", text)
    errors.check()
    row.setdefault("rel_tgt_id", max((o["rel_tgt_id"] for o in others), default=0) + 1)


def _extent(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    for key, text in (("name", "Extent name"), ("serial", "Serial number")):
        if row[key] and any(row[key] == other[key] for other in others):
            errors.add(f"{place}.{key}", f"{text} must be unique: it exists.", errno.EEXIST)
    if row["type"] == "DISK":
        zvol = (row["disk"] or "").removeprefix("zvol/").replace("+", " ")
        found = nas.datasets.get(zvol)
        if not (row["disk"] or "").startswith("zvol/"):
            errors.add(f"{place}.disk", 'Invalid disk: its name must start with "zvol/"')
        elif found is None or found.kind != "VOLUME":
            text = f"Device '/dev/{row['disk']}' for volume {zvol!r} does not exist"
            errors.add(f"{place}.disk", text)
    else:
        _file_of(nas, row, place, errors)
    errors.check()
    row["serial"] = row["serial"] or nas.guid(f"extent {row['name']}")[:15]
    row.setdefault("naa", f"0x6589cfc000000{nas.guid('naa ' + row['name']):0>19}"[:34])
    row.setdefault("vendor", "TrueNAS")
    if row["type"] == "DISK":
        row["path"] = row["disk"]


def _file_of(nas: TrueNas, row: Row, place: str, errors: ValidationErrors) -> None:
    path, size = row["path"], int(row["filesize"]) if str(row["filesize"]).isdigit() else -1
    if not path:
        errors.add(f"{place}.path", "This field is required")
    elif nas.dataset_of(path) is None:
        errors.add(f"{place}.path", "The path must reside within a pool mount point")
    elif size == 0 and not nas.files.exists(path):
        text = "The file must exist if the extent size is set to auto (0)"
        errors.add(f"{place}.path", text)
    elif size < 0 or size % row["blocksize"]:
        text = f"File size ({row['filesize']}) must be a multiple of block size"
        errors.add(f"{place}.filesize", text)
    elif size and not nas.files.exists(path):
        nas.files.put(path, "")


def _extent_shown(nas: TrueNas, row: Row) -> Row:
    told: Row = {"locked": False}
    if nas.release < HALFMOON:
        return told
    if row["type"] == "DISK":
        return told | {"dataset": row["disk"].removeprefix("zvol/"), "relative_path": ""}
    return told | nas.place_of(row["path"])


def _lent(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    for key in ("target", "extent"):
        if nas.tables[f"iscsi.{key}"].get(row[key]) is None:
            errors.add(f"{place}.{key}", f"{row[key]}: not found")
    used = {other["lunid"] for other in others if other["target"] == row["target"]}
    if row["lunid"] is not None and row["lunid"] in used:
        errors.add(f"{place}.lunid", f"LUN ID {row['lunid']} is already used by this target")
    if any(o["target"] == row["target"] and o["extent"] == row["extent"] for o in others):
        errors.add(f"{place}.target", "Extent is already exists in this target.")
    errors.check()
    if row["lunid"] is None:
        row["lunid"] = next(number for number in range(1024) if number not in used)


ALL = (
    Family(
        "iscsi.portal",
        "iSCSIPortal",
        "iscsi_portal",
        {FANGTOOTH: PortalCreate},
        {FANGTOOTH: PortalUpdate},
        check=_portal,
        shown=_portal_shown,
        argument="",
    ),
    Family(
        "iscsi.initiator",
        "iSCSIInitiator",
        "iscsi_initiator",
        {FANGTOOTH: InitiatorCreate},
        {FANGTOOTH: InitiatorUpdate},
        argument="",
    ),
    Family(
        "iscsi.auth",
        "iSCSIAuth",
        "iscsi_auth",
        {FANGTOOTH: AuthCreate},
        {FANGTOOTH: AuthUpdate},
        check=_auth,
        asked=("id", "tag", "user", "peeruser", "discovery_auth"),
    ),
    Family(
        "iscsi.target",
        "iSCSITarget",
        "iscsi_target",
        {FANGTOOTH: TargetCreate},
        {FANGTOOTH: TargetUpdate},
        check=_target,
        argument="",
        delete=_FORCED | {"delete_extents": left_out(bool, False)},
    ),
    Family(
        "iscsi.extent",
        "iSCSIExtent",
        "iscsi_extent",
        {FANGTOOTH: ExtentCreate},
        {FANGTOOTH: ExtentUpdate},
        check=_extent,
        shown=_extent_shown,
        argument="",
        delete={"remove": left_out(bool, False)} | _FORCED,
    ),
    Family(
        "iscsi.targetextent",
        "iSCSITargetToExtent",
        "iscsi_target_to_extent",
        {FANGTOOTH: TargetExtentCreate},
        {FANGTOOTH: TargetExtentUpdate},
        check=_lent,
        argument="",
        delete=_FORCED,
    ),
)
for _family in ALL:
    _family.register()
Settings(
    "iscsi.global",
    {FANGTOOTH: GlobalUpdate, HALFMOON: GlobalUpdate26},
    {FANGTOOTH: _FRESH, HALFMOON: _FRESH | {"direct_config": None, "mode": 0}},
    {FANGTOOTH: "iscsi_update"},
    left_out_until=ALWAYS,
).register()
