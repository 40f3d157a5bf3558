"""The parameters of the API's calls that make backups, now or again and again.

Source: the API schema of Proxmox VE 9.2.
"""

from homelab_lib.twin.machine.calendar import elapses_s
from homelab_lib.twin.proxmox.formats import BOOLEAN, CONFIG_ID, NODE, STORAGE_OF, TEXT, VMID, many
from homelab_lib.twin.proxmox.schema import Format, Property
from homelab_lib.twin.proxmox.storage_options import KEEP

_COUNT = Property("integer", minimum=0)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _event(value: str) -> None:
    try:
        elapses_s(value, 0.0)
    except ValueError:
        why = f"unable to parse calendar event '{value}'"
        raise ValueError(f"invalid format - {why}") from None


def _day(value: str) -> None:
    if value not in _DAYS:
        raise ValueError(f"invalid day '{value}'")


VZDUMP: dict[str, Property] = {
    "bwlimit": _COUNT,
    "compress": Property(enum=("0", "1", "gzip", "lzo", "zstd")),
    "dumpdir": TEXT,
    "exclude": Property(format=many(VMID)),
    "exclude-path": Property("array", items=TEXT),
    "fleecing": Property(format=Format("backup-fleecing")),
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
    "performance": Property(format=Format("backup-performance")),
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
