"""The parameters of the API's calls that make backups, now or again and again.

Source: the API schema of Proxmox VE 9.2. Of calendar events this twin knows those of daily times
and those that are lists of numbers or stars.
"""

import re

from homelab_lib.twin.machine.calendar import elapses_s
from homelab_lib.twin.proxmox.formats import BOOLEAN, CONFIG_ID, NODE, STORAGE_OF, TEXT, VMID, many
from homelab_lib.twin.proxmox.schema import Format, Property
from homelab_lib.twin.proxmox.storage_options import KEEP

_COUNT = Property("integer", minimum=0)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


_DAILY = re.compile(rf"(?i:((?:{'|'.join(DAYS)})(?:,(?:{'|'.join(DAYS)}))*) )?(\d{{1,2}}:\d\d)")


def next_run_s(event: str, after_s: float) -> float | None:
    """The first moment after another at which a job runs [s since 1970]; None for never.

    Raises
    ------
    ValueError
        It is no calendar event, or one of a form that this twin does not know.
    """
    if daily := _DAILY.fullmatch(event):
        days = f"{daily[1].title()} " if daily[1] else ""
        event = f"{days}*-*-* {daily[2]}:00"
    return elapses_s(event, after_s)


def _event(value: str) -> None:
    try:
        next_run_s(value, 0.0)
    except ValueError:
        raise ValueError(f"invalid format - twin: it knows no event '{value}'") from None


def _day(value: str) -> None:
    if value not in DAYS:
        raise ValueError(f"invalid day '{value}'")


def _fleecing(keys: dict[str, str]) -> None:
    if keys.get("enabled") == "1" and not keys.get("storage"):
        raise ValueError("'storage' parameter is required when 'enabled' is set")


_FLEECING = Format(
    "backup-fleecing",
    _fleecing,
    keys={"enabled": Property("boolean", bare=True), "storage": STORAGE_OF},
)
_PERFORMANCE = Format(
    "backup-performance",
    keys={
        "max-workers": Property("integer", minimum=1, maximum=256),
        "pbs-entries-max": Property("integer", minimum=1),
    },
)

VZDUMP: dict[str, Property] = {
    "bwlimit": _COUNT,
    "compress": Property(enum=("0", "1", "gzip", "lzo", "zstd")),
    "dumpdir": TEXT,
    "exclude": Property(format=many(VMID)),
    "exclude-path": Property("array", items=TEXT),
    "fleecing": Property(format=_FLEECING),
    "ionice": Property("integer", minimum=0, maximum=8),
    "lockwait": _COUNT,
    "mailnotification": Property(enum=("always", "failure")),
    "mailto": Property(format=many(Format("email-or-username"))),
    "maxfiles": Property("integer", minimum=1),
    "mode": Property(enum=("snapshot", "suspend", "stop")),
    "node": Property(format=NODE),
    "notes-template": Property(max_length=1024, requires="storage"),
    "notification-mode": Property(enum=("auto", "legacy-sendmail", "notification-system")),
    "pbs-change-detection-mode": Property(enum=("legacy", "data", "metadata")),
    "performance": Property(format=_PERFORMANCE),
    "pigz": Property("integer"),
    "pool": TEXT,
    "protected": Property("boolean", requires="storage"),
    "prune-backups": Property(format=KEEP),
    "script": TEXT,
    "stopwait": _COUNT,
    "storage": STORAGE_OF,
    "tmpdir": TEXT,
    "vmid": Property(format=many(VMID)),
    "zstd": Property("integer"),
} | dict.fromkeys(("all", "quiet", "remove", "stdexcludes", "stop"), BOOLEAN)
"""What a backup is made with."""

NOW = VZDUMP | {"job-id": Property(max_length=50, pattern=r"\S+"), "stdout": BOOLEAN}

JOB = VZDUMP | {
    "comment": Property(max_length=512),
    "dow": Property(format=many(Format("pve-day-of-week", _day)), requires="starttime"),
    "enabled": BOOLEAN,
    "id": Property(format=CONFIG_ID),
    "repeat-missed": BOOLEAN,
    "schedule": Property(format=Format("pve-calendar-event", _event), max_length=128),
    "starttime": Property(pattern=r"\d{1,2}:\d{1,2}"),
}
JOB_ID = Property(max_length=50, pattern=r"\S+", required=True)
CHANGED = JOB | {
    "id": JOB_ID,
    "delete": Property(format=many(CONFIG_ID)),
}
