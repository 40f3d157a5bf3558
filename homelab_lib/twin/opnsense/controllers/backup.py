"""Backups of the configuration: `core/backup`."""

import datetime as dt
import difflib
import html
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.https import Answered
from homelab_lib.twin.opnsense.config import BACKUPS
from homelab_lib.twin.opnsense.credentials import reads_only
from homelab_lib.twin.opnsense.errors import Refused
from homelab_lib.twin.opnsense.visit import Visit

_HERE = "this"


def providers(visit: Visit) -> dict[str, Any]:
    return {"items": {_HERE: {"description": "This Firewall", "dirname": BACKUPS}}}


def backups(visit: Visit, host: str) -> dict[str, Any]:
    """Those there are, the newest first."""
    if host != _HERE:
        return {"items": []}
    return {"items": [backup.row() for backup in visit.firewall.config.backups()]}


def diff(visit: Visit, host: str, one: str, other: str) -> dict[str, Any]:
    """What led from the second to the first, escaped for a page."""
    config = visit.firewall.config
    texts = [config.backup(name) if host == _HERE else None for name in (other, one)]
    if None in texts:
        return {"items": []}
    old, new = ((text or "").splitlines() for text in texts)
    lines = difflib.unified_diff(
        old,
        new,
        f"{BACKUPS}/{other}",
        f"{BACKUPS}/{one}",
        _mtime(other),
        _mtime(one),
        lineterm="",
    )
    return {"items": [html.escape(line) for line in lines]}


def _mtime(name: str) -> str:
    stamp = name.removeprefix("config-").removesuffix(".xml").partition("_")[0]
    moment = dt.datetime.fromtimestamp(float(stamp), dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}000 +0000"


def download(visit: Visit, host: str, name: str = "") -> Answered | str:
    """The file itself, secrets and all; the newest where none is named."""
    config = visit.firewall.config
    found = config.backups()
    wanted = name or (found[0].id if found else "")
    text = config.backup(wanted) if host == _HERE and wanted else None
    return "" if text is None else Answered(body=text, kind="application/octet-stream")


def delete_backup(visit: Visit, name: str) -> dict[str, str]:
    _writes(visit)
    if not visit.is_post:
        return {"status": "failed"}
    deleted = visit.firewall.config.delete_backup(name)
    return {"status": "deleted" if deleted else "not_found"}


def revert_backup(visit: Visit, name: str) -> dict[str, str]:
    """Restore one; it makes a backup itself, and no service takes it over by that."""
    _writes(visit)
    if not visit.is_post:
        return {"status": "failed"}
    text = visit.firewall.config.backup(name)
    if text is None:
        return {"status": "not_found"}
    visit.config = ET.fromstring(text)
    visit.save()
    return {"status": "reverted"}


def _writes(visit: Visit) -> None:
    if reads_only(visit.config, visit.user):
        what = f"User {visit.user} denied for write access (user-config-readonly set)"
        raise Refused(what, "General access")


ENDPOINTS = {
    "core/backup": {
        "providers": providers,
        "backups": backups,
        "diff": diff,
        "download": download,
        "delete_backup": delete_backup,
        "revert_backup": revert_backup,
    }
}
