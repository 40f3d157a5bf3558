"""API of SMB: the service's settings and the shares.

Source: TrueNAS middleware 25.04 to 26, `smb` and `sharing.smb`. The form of a share changed with
25.10: a purpose with its options instead of single switches.
"""

import errno

from homelab_lib.twin.truenas.arguments.smb import SmbUpdate, SmbUpdate26
from homelab_lib.twin.truenas.arguments.smb_shares import (
    OldShareCreate,
    OldShareUpdate,
    ShareCreate,
    ShareCreateFirst,
    ShareUpdate,
    ShareUpdateFirst,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.kept import ALWAYS, Family, Row, Settings
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, GOLDEYE, HALFMOON

_HOSTS_SINCE = (25, 10, 1)
"""From here on each purpose says who may connect."""

FRESH: Row = {
    "netbiosname": "truenas",
    "netbiosalias": [],
    "workgroup": "WORKGROUP",
    "description": "TrueNAS Server",
    "unixcharset": "UTF-8",
    "localmaster": True,
    "syslog": False,
    "aapl_extensions": False,
    "admin_group": None,
    "guest": "nobody",
    "filemask": "DEFAULT",
    "dirmask": "DEFAULT",
    "ntlmv1_auth": False,
    "multichannel": False,
    "encryption": "DEFAULT",
    "bindip": [],
    "server_sid": None,
    "smb_options": "",
    "debug": False,
}
FRESH_26: Row = FRESH | {
    "minimum_protocol": "SMB2",
    "search_protocols": [],
    "stateful_failover": False,
}


def _check_settings(nas: TrueNas, new: Row, place: str, given: Row) -> None:
    errors = ValidationErrors()
    names = [new["netbiosname"], *new["netbiosalias"]]
    if new["workgroup"].casefold() in {name.casefold() for name in names}:
        text = "NetBIOS names must be unique, and none may be the workgroup's."
        errors.add(f"{place}.netbiosname", text)
    if new["admin_group"] and new["admin_group"] not in nas.group_names():
        errors.add(f"{place}.admin_group", "Group does not exist.")
    if new["guest"] not in nas.user_names():
        errors.add(f"{place}.guest", f"{new['guest']}: user does not exist.")
    for number, address in enumerate(given.get("bindip", ())):
        if address not in nas.network.static_addresses():
            text = f"IP address [{address}] is not a configured address for this server"
            errors.add(f"{place}.bindip.{number}", text)
    errors.check()


def _shown(nas: TrueNas, row: Row) -> Row:
    """What is told besides; 26 tells more."""
    return {"locked": False} | (nas.place_of(row["path"]) if nas.release >= HALFMOON else {})


def _check(nas: TrueNas, data: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    if any(other["name"].lower() == data["name"].lower() for other in others):
        errors.add(f"{place}.name", "Share with this name already exists.", errno.EEXIST)
    if nas.dataset_of(data["path"]) is None:
        errors.add(f"{place}.path", "The path must reside within a pool mount point")
    errors.check()
    if not nas.files.exists(data["path"]):
        raise CallError(f"Path {data['path']} not found", errno.ENOENT)


SETTINGS = Settings(
    "smb",
    {FANGTOOTH: SmbUpdate, HALFMOON: SmbUpdate26},
    {FANGTOOTH: FRESH | {"enable_smb1": False}, HALFMOON: FRESH_26},
    argument={FANGTOOTH: "smb_update"},
    left_out_until=ALWAYS,
    check=_check_settings,
)
SHARES = Family(
    "sharing.smb",
    "SharingSMB",
    "sharingsmb",
    {FANGTOOTH: OldShareCreate, GOLDEYE: ShareCreateFirst, _HOSTS_SINCE: ShareCreate},
    {FANGTOOTH: OldShareUpdate, GOLDEYE: ShareUpdateFirst, _HOSTS_SINCE: ShareUpdate},
    check=_check,
    shown=_shown,
    table="smb",
)
SETTINGS.register()
SHARES.register()
