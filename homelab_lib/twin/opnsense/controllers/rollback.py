"""The savepoint of 26.1, with its fault: the revision that it answers names no backup.

It has two decimals and the backup's name up to four, and the timer looks for the exact name. So
its minute runs out and nothing is restored, unless one takes the number from the list of backups.
From 26.7 on there is no such thing.
"""

import re
from copy import deepcopy
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.firewall import OpnSense
from homelab_lib.twin.opnsense.visit import Visit

WAIT_S = 60.0
_MODEL = "OPNsense/Firewall/Filter"


def _number(revision: str) -> str:
    return re.sub(r"[^0-9.]", "", revision)


def arm(firewall: OpnSense, revision: str) -> None:
    """Go back to a backup in a minute, unless somebody says otherwise; one timer at a time."""
    number = _number(revision)
    if not number or firewall.rollback is not None:
        return
    firewall.rollback = number
    boots = firewall.boots

    def time_is_up() -> None:
        if firewall.rollback == number and firewall.boots == boots and firewall.up:
            firewall.rollback = None
            if restore(firewall, number, "(root)"):
                firewall.reload_filter()

    firewall.world.after(WAIT_S, time_is_up, label="filter rollback")


def restore(firewall: OpnSense, revision: str, by: str) -> bool:
    """Restore the rules of a backup, and nothing else of it; whether there is one."""
    text = firewall.config.backup(f"config-{_number(revision)}.xml")
    old = ET.fromstring(text).find(_MODEL) if text else None
    root = firewall.config.load()
    parent, held = root.find("OPNsense/Firewall"), root.find(_MODEL)
    if old is None or parent is None or held is None:
        return False
    parent.insert(list(parent).index(held), deepcopy(old))
    parent.remove(held)
    firewall.config.save(root, by=by, description="filter rollback")
    return True


def savepoint(visit: Visit) -> dict[str, str]:
    if not visit.is_post:
        return {"status": "error"}
    return {"status": "ok", "retention": "100", "revision": visit.save()}


def cancel(visit: Visit, revision: str) -> dict[str, str]:
    """Stop the timer; where there is none the answer is an empty one."""
    if not visit.is_post:
        return {"status": "error"}
    armed = visit.firewall.rollback is not None and visit.firewall.rollback == _number(revision)
    if armed:
        visit.firewall.rollback = None
    return {"status": "\n\n" if armed else ""}


def revert(visit: Visit, revision: str) -> dict[str, str]:
    if not visit.is_post:
        return {"status": "error"}
    if not restore(visit.firewall, revision, f"{visit.user}@127.0.0.1"):
        return {"status": "unknown (or removed) savepoint"}
    visit.firewall.reload_filter()
    return {"status": "ok"}


ACTIONS: dict[str, Action] = {
    "savepoint": savepoint,
    "cancel_rollback": cancel,
    "revert": revert,
}
