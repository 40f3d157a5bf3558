"""A datastore: a folder in which backups lie as chunks that they share.

To make one is to make 65,536 folders: seconds on a disk, minutes over NFS. A folder that holds
something is never taken: neither somebody's files nor a chunk store that was there, which only a
person says is to be used again. Over NFS it has to be mounted first, or the backups would land on
the disk under it; and whether access times move there, by which rubbish is known, the server tries
by itself when it makes one (`gc-atime-safety-check`, which nobody here switches off).

Sources: proxmox-backup 3.2.4, src/api2/config/datastore.rs and pbs-datastore/src/chunk_store.rs;
4's API schema.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control import mark
from homelab_lib.control.backup_server.manager import before, changing, listed
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.transport.command import change

_ROWS: Shape = [{"name": str, "path": str, "comment?": str}]
_TASKS: Shape = [{"worker_type": str, "worker_id?": str}]
_MOUNTS: Shape = {"filesystems": [{"target": str, "fstype": str, "source?": str}]}
_SETTINGS = ("gc-schedule", "tuning", "notification-mode")
_NOTHING = ("lost+found",)  # what an empty file system of its own holds
_HALF_MADE = {".chunks", ".lock"}
# Looked at again where it is cleared: one with a chunk in it stays, and one that can't be read
# whole, for which `find` ends with 1: an assignment has its end, a test of its output has not.
_CLEAR = (
    'set -e; if [ -e "$1/.chunks" ]; then held=$(find "$1/.chunks" -type f -print); '
    '[ -z "$held" ]; rm -r -- "$1/.chunks"; fi; rm -f -- "$1/.lock"'
)


@dataclass(frozen=True)
class Datastore:
    """A datastore of a Proxmox Backup Server.

    Parameters
    ----------
    host, datastore
        The server, and the datastore's name.
    path
        The folder.
    sources
        What of NFS is mounted there, by any of its server's names: ``10.0.30.5:/mnt/tank/pbs``;
        empty: nothing.
    gc_schedule
        When rubbish is removed, as a calendar event.
    tuning
        As the server has it; empty for nothing.
    heard
        Whether somebody is to hear of its jobs as `notifications` has it.
    lab
        The lab whose it is.
    timeout_s
        How long making it may take [s].
    """

    host: str
    datastore: str
    path: str
    sources: tuple[str, ...]
    gc_schedule: str
    tuning: str
    lab: str
    heard: bool = False
    timeout_s: float = 3600.0

    @property
    def name(self) -> str:
        return f"datastore {self.datastore}"

    @property
    def _settings(self) -> dict[str, str]:
        found = {"gc-schedule": self.gc_schedule, "tuning": self.tuning}
        found |= {"notification-mode": "notification-system"} if self.heard else {}
        return {key: value for key, value in found.items() if value}

    def observe(self, host: Host) -> dict[str, Any]:
        rows = listed(host, "datastore", "list", shape=_ROWS)
        row = next((each for each in rows if each["name"] == self.datastore), None)
        found: dict[str, Any] = {
            "mounted": _mounted(host, self.path) if self.sources else None,
            "others": sorted(each["name"] for each in rows if _meet(each["path"], self.path)),
        }
        if row is not None:
            kept = {k: row[k] for k in ("path", "comment", *_SETTINGS) if k in row}
            line = "proxmox-backup-manager datastore list"
            found["row"] = answers.expected(kept, {str: SCALAR}, host=host.name, line=line)
            return found
        running = listed(host, "task", "list", shape=_TASKS)
        found["at_work"] = any(task["worker_type"] == "create-datastore" for task in running)
        found["holds"] = _held(host, self.path)
        found["begun"] = host.begun(self.name)
        if found["begun"] and ".chunks" in found["holds"]:
            words = ("find", f"{self.path}/.chunks", "-type", "f", "-print")
            found["chunks"] = len(host.read(*words, sudo=True).stdout.splitlines())
        return found

    def diff(self, observed: dict[str, Any]) -> Diff:
        if self.sources and observed["mounted"] not in self.sources:
            there = observed["mounted"] or "nothing of NFS"
            return Diff(
                conflict=f"{self.sources[0]} is to be mounted at {self.path} of {self.host}, and "
                f"there is {there}: backups would land on the disk under it. Write a line into "
                "/etc/fstab, and mount it"
            )
        if "row" in observed:
            return self._kept(observed["row"])
        if observed["at_work"]:
            return Diff(waiting="a datastore is being made")
        if others := ", ".join(observed["others"]):
            return Diff(conflict=f"{self.path} is in, or around, the folder of datastore {others}")
        holds = set(observed["holds"])
        making = Change(
            f"make datastore {self.datastore} in {self.path}: 65,536 folders"
            + (", minutes over NFS" if self.sources else ""),
            self._writing("create", self.datastore, self.path),
            undo=f"proxmox-backup-manager datastore remove {self.datastore} (its folder stays)",
            detached=True,
        )
        if not holds:
            return Diff((making,))
        if observed.get("chunks"):
            return Diff(
                conflict=f"making {self.name} in {self.path} of {self.host} broke off once its "
                "first chunk was written, as it does where access times don't move: its NFS server "
                "has to let the server's user `backup` (34) set them. Then empty the folder: "
                f"rm -r {self.path}/.chunks {self.path}/.lock"
            )
        if holds <= _HALF_MADE and observed["begun"]:
            clearing = change("sh", "-c", _CLEAR, "sh", self.path, sudo=True, timeout_s=600.0)
            what = f"half-made datastore in {self.path}"
            summary = f"clear away the {what}: empty folders of ours, and no chunk"
            undo = f"{NOT_UNDONE}: it is made anew by what follows"
            return Diff((Change(summary, clearing, destroys=(what,), undo=undo), making))
        if ".chunks" in holds:
            return Diff(
                conflict=f"{self.path} of {self.host} is a chunk store already, and nobody's "
                "datastore. If it is yours, and is to be used again: proxmox-backup-manager "
                f"datastore create {self.datastore} {self.path} --reuse-datastore true --comment "
                f"'{mark.text(self.lab)}'"
            )
        some = ", ".join(sorted(holds)[:3])
        return Diff(
            conflict=f"{self.path} of {self.host} is not empty: {some}; name another folder"
        )

    def _kept(self, row: dict[str, Any]) -> Diff:
        if row["path"].rstrip("/") != self.path.rstrip("/"):
            return Diff(
                conflict=f"datastore {self.datastore} is there, in {row['path']}; nothing is done "
                "to it: call ours otherwise, or describe it as it is"
            )
        other = {k: str(row.get(k, "")) for k, v in self._settings.items() if not _same(row, k, v)}
        if not other:
            return Diff()
        if not mark.marks(row.get("comment"), self.lab):
            return Diff(
                conflict=f"there is a datastore {self.datastore} already, which we did not make "
                f"for lab {self.lab}: say exists: true of it; or, if it is to be ours, write "
                f"{mark.text(self.lab)!r} into its comment"
            )
        replaces = "; ".join(f"{key} {value or 'none'}" for key, value in sorted(other.items()))
        summary = f"have {self.name} as described: {', '.join(sorted(other))}"
        call = self._writing("update", self.datastore)
        undo = before("datastore", self.datastore, other)
        return Diff((Change(summary, call, replaces=replaces, undo=undo),))

    def _writing(self, verb: str, *words: str) -> Any:
        options = [word for key, value in self._settings.items() for word in (f"--{key}", value)]
        if verb == "create":
            options += ["--comment", mark.text(self.lab)]
        return changing("datastore", verb, *words, *options, timeout_s=self.timeout_s)


def _same(row: dict[str, Any], key: str, value: str) -> bool:
    """Whether a setting is as wanted; the parts of a property string come in any order."""
    return sorted(str(row.get(key, "")).split(",")) == sorted(value.split(","))


def _meet(one: str, other: str) -> bool:
    """Whether one folder is the other, or lies in it."""
    first, second = f"{one.rstrip('/')}/", f"{other.rstrip('/')}/"
    return first.startswith(second) or second.startswith(first)


def _mounted(host: Host, path: str) -> str:
    """What of NFS is mounted at a path itself; empty for nothing."""
    words = ("findmnt", "-J", "-o", "TARGET,FSTYPE,SOURCE", "-M", path)
    said = host.read(*words, ok=(0, 1))
    if said.exit_status:
        return ""
    told = answers.understood(said.stdout, _MOUNTS, host=host.name, line=" ".join(words))
    rows: Iterable[dict[str, str]] = told["filesystems"]
    return next((row.get("source", "") for row in rows if row["fstype"].startswith("nfs")), "")


def _held(host: Host, path: str) -> list[str]:
    """What is in a folder; nothing where there is none."""
    if host.read("test", "-d", path, ok=(0, 1), sudo=True).exit_status:
        return []
    said = host.read("ls", "-1A", "--", path, sudo=True).stdout
    return [name for name in said.splitlines() if name and name not in _NOTHING]
