"""How a datastore is: how full, when rubbish was removed and old backups were forgotten last, and
which backups are broken.

Source: proxmox-backup's API schema (4): ``/admin/gc``, ``/admin/prune``,
``/admin/datastore/{store}``.
"""

from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.answers import Shape, whole
from homelab_lib.control.backup_server.manager import asked
from homelab_lib.runbook.resource import Host

_GC: Shape = [
    {"store": str, "last-run-state?": str, "last-run-endtime?": int, "pending-bytes?": int}
]
_PRUNE: Shape = [
    {"store": str, "id": str, "last-run-state?": str, "last-run-endtime?": int, "disable?": bool}
]
_STATUS: Shape = {"total": int, "used": int}
_SNAPSHOTS: Shape = [
    {
        "backup-type": str,
        "backup-id": str,
        "backup-time": int,
        "comment?": str,
        "verification?": {"state": str},
    }
]


@dataclass(frozen=True)
class Collected:
    """What came of removing rubbish, or of forgetting what is too old, the last time.

    Parameters
    ----------
    ended_s
        When it ended [s since 1970]; None: it never ran.
    state
        ``OK``, or why not.
    pending_bytes
        What nobody uses any more and it left there: it was touched too short a time before.
    """

    ended_s: float | None
    state: str
    pending_bytes: int = 0

    @property
    def well(self) -> bool:
        """Whether it ended well."""
        return self.state == "OK" or self.state.startswith("WARNINGS")


@dataclass(frozen=True)
class Room:
    """The room on a datastore's file system.

    Parameters
    ----------
    total_bytes, used_bytes
        All of it, and what is taken.
    """

    total_bytes: int
    used_bytes: int

    def share(self, size_bytes: int) -> float:
        """What part of it that many bytes are; of none at all they are all."""
        return size_bytes / self.total_bytes if self.total_bytes else 1.0


@dataclass(frozen=True)
class Snapshot:
    """A backup in a datastore.

    Parameters
    ----------
    name
        Such as ``vm/201``.
    made_s
        When it was begun [s since 1970].
    verified
        ``ok``, ``failed``; empty: nobody has looked through it yet.
    """

    name: str
    made_s: float
    verified: str


def collected(host: Host) -> dict[str, Collected]:
    """When rubbish was removed from each datastore last, and what came of it."""
    return {
        row["store"]: Collected(
            row.get("last-run-endtime"), row.get("last-run-state", ""), row.get("pending-bytes", 0)
        )
        for row in asked(host, "/admin/gc", shape=_GC)
    }


def pruned(host: Host, datastore: str) -> dict[str, Collected]:
    """What came of the jobs that forget old backups in it, the last time each ran."""
    rows = asked(host, "/admin/prune", shape=_PRUNE)
    return {
        row["id"]: Collected(row.get("last-run-endtime"), row.get("last-run-state", ""))
        for row in rows
        if row["store"] == datastore and not row.get("disable")
    }


def room(host: Host, datastore: str) -> Room:
    """How much of its file system is taken."""
    found = asked(host, f"/admin/datastore/{datastore}/status", shape=_STATUS)
    return Room(found["total"], found["used"])


def snapshots(host: Host, datastore: str) -> list[Snapshot]:
    """The backups in it."""
    rows = asked(host, f"/admin/datastore/{datastore}/snapshots", shape=_SNAPSHOTS)
    return [
        Snapshot(
            f"{row['backup-type']}/{row['backup-id']}",
            float(row["backup-time"]),
            row.get("verification", {}).get("state", ""),
        )
        for row in rows
    ]


def made_s(host: Host, path: str) -> float:
    """When a chunk store was made [s since 1970]: after its last folder nothing was added to
    those."""
    words = ("stat", "--printf", "%Y", "--", f"{path}/.chunks")
    said = host.read(*words, sudo=True).stdout
    return float(answers.expected(said.strip(), whole, host=host.name, line=" ".join(words)))
