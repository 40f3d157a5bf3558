"""API of SMB: the service's settings and the shares.

Source: TrueNAS middleware 24.10 to 26, `smb` and `sharing.smb`. The form of a share changed with
25.10: a purpose with its options instead of single switches.
"""

import errno
import re
from typing import Any

from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import GOLDEYE, NULL, Field, Fields, method, optional

Row = dict[str, Any]

DEFAULT_CONFIG: Row = {
    "id": 1,
    "netbiosname": "truenas",
    "netbiosalias": [],
    "workgroup": "WORKGROUP",
    "description": "TrueNAS Server",
    "enable_smb1": False,
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
_CONFIG = {
    "netbiosname": optional(str),
    "workgroup": optional(str),
    "description": optional(str),
    "enable_smb1": optional(bool),
    "aapl_extensions": optional(bool),
    "multichannel": optional(bool),
    "encryption": optional(str, choices=("DEFAULT", "NEGOTIATE", "DESIRED", "REQUIRED")),
    "bindip": optional(list),
    "guest": optional(str),
}
_PURPOSES = ("DEFAULT_SHARE", "LEGACY_SHARE", "TIMEMACHINE_SHARE", "MULTIPROTOCOL_SHARE")
_PURPOSES += ("TIME_LOCKED_SHARE", "PRIVATE_DATASETS_SHARE", "EXTERNAL_SHARE")
_PURPOSES += ("VEEAM_REPOSITORY_SHARE",)
_OLD_PURPOSES = ("NO_PRESET", "DEFAULT_SHARE", "TIMEMACHINE", "ENHANCED_TIMEMACHINE")
_OLD_PURPOSES += ("MULTI_PROTOCOL_NFS", "PRIVATE_DATASETS", "WORM_DROPBOX")


_SHARE = {
    "name": Field((str,)),
    "path": Field((str,)),
    "comment": Field((str,), ""),
    "enabled": Field((bool,), True),
    "browsable": Field((bool,), True),
    "audit": Field((dict,), {"enable": False, "watch_list": [], "ignore_list": []}),
}
_NEW_SHARE = _SHARE | {
    "purpose": Field((str,), "DEFAULT_SHARE", _PURPOSES),
    "readonly": Field((bool,), False),
    "access_based_share_enumeration": Field((bool,), False),
    "options": Field((dict, NULL), None),
}
_OLD_SHARE = _SHARE | {
    "purpose": Field((str,), "DEFAULT_SHARE", _OLD_PURPOSES),
    "ro": Field((bool,), False),
    "abe": Field((bool,), False),
    "acl": Field((bool,), True),
    "guestok": Field((bool,), False),
    "home": Field((bool,), False),
    "recyclebin": Field((bool,), False),
    "timemachine": Field((bool,), False),
    "shadowcopy": Field((bool,), True),
    "durablehandle": Field((bool,), True),
    "streams": Field((bool,), True),
    "hostsallow": Field((list,), []),
    "hostsdeny": Field((list,), []),
}
_CREATE, _UPDATE = "sharingsmb_create", "sharingsmb_update"
_RESERVED = ("global", "printers", "homes")


@method("smb.config")
def smb_config(nas: TrueNas) -> Row:
    """The service's settings."""
    return dict(nas.config["smb"])


@method("smb.update", data=Fields("smb_update", _CONFIG, update=True))
def smb_update(nas: TrueNas, data: Row) -> Row:
    """Change the service's settings."""
    nas.config["smb"] |= data
    return dict(nas.config["smb"])


@method("sharing.smb.query")
def share_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """SMB shares."""
    rows = [row | {"locked": False} for row in nas.tables["smb"].rows()]
    return query(rows, filters, options)


@method("sharing.smb.create", since=GOLDEYE, data=Fields(_CREATE, _NEW_SHARE))
@method("sharing.smb.create", until=GOLDEYE, data=Fields(_CREATE, _OLD_SHARE))
def share_create(nas: TrueNas, data: Row) -> Row:
    """Share a folder."""
    _check(nas, data, _CREATE, nas.tables["smb"].rows())
    number = nas.tables["smb"].insert(data)
    return share_query(nas, [["id", "=", number]], {"get": True})


@method("sharing.smb.update", since=GOLDEYE, data=Fields(_UPDATE, _NEW_SHARE, update=True))
@method("sharing.smb.update", until=GOLDEYE, data=Fields(_UPDATE, _OLD_SHARE, update=True))
def share_update(nas: TrueNas, id: int, data: Row) -> Row:
    """Change a share."""
    row = _share(nas, id)
    new = row | data
    _check(nas, new, _UPDATE, [other for other in nas.tables["smb"].rows() if other["id"] != id])
    row |= new
    return share_query(nas, [["id", "=", id]], {"get": True})


@method("sharing.smb.delete")
def share_delete(nas: TrueNas, id: int) -> bool:
    """Share it no more; the files stay."""
    _share(nas, id)
    nas.tables["smb"].delete(id)
    return True


def _share(nas: TrueNas, number: int) -> Row:
    row = nas.tables["smb"].get(number)
    if row is None:
        raise ValidationErrors.one("", f"SharingSMB {number} does not exist", errno.ENOENT)
    return row


def _check(nas: TrueNas, data: Row, schema: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    name = data["name"]
    if re.search(r'[\\/\[\]:|<>+=;,*?"]', name):
        errors.add(f"{schema}.name", "Share name contains invalid characters")
    elif name.lower() in _RESERVED:
        errors.add(
            f"{schema}.name", f"{name} is a reserved section name, please select another one"
        )
    elif any(other["name"].lower() == name.lower() for other in others):
        errors.add(f"{schema}.name", "Share with this name already exists.", errno.EEXIST)
    if nas.dataset_of(data["path"]) is None:
        errors.add(f"{schema}.path", "The path must reside within a pool mount point")
    errors.check()
    if not nas.files.exists(data["path"]):
        raise CallError(f"Path {data['path']} not found", errno.ENOENT)
