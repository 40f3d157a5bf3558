"""A Proxmox Backup Server: what is configured, and what is in its datastores.

Sources: proxmox-backup 3.2.4, src/api2/config/*; what is looked through again,
src/backup/verify.rs (`verify_filter`); what 4 does otherwise when it makes a datastore, its
src/api2/config/datastore.rs; which chunks are removed when, pbs-datastore/src/chunk_store.rs
(`sweep_unused_chunks`) and the manual, "Garbage Collection". Not here: the log of what a task did.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.archives import Archive, kept
from homelab_lib.twin.proxmox.backup_options import next_run_s
from homelab_lib.twin.proxmox.backup_server.access import ROOT, Access
from homelab_lib.twin.proxmox.backup_server.options import wrong

OWNER = "backup"
_DAY_S = 86_400.0
_CUTOFF = re.compile(r"(?:^|,)gc-atime-cutoff=(\d+)(?:,|$)")
_CUTOFF_MIN = 24 * 60 + 5  # access times are moved once a day at least, by `relatime`
_LOCAL_S, _NFS_S = 6.0, 400.0  # for all of its folders
_NOT_VERIFIED = "verification failed - please check the log for details"


@dataclass
class Ran:
    """What came of a job, the last time."""

    ended_s: float
    state: str
    removed_bytes: int = 0
    pending_bytes: int = 0


@dataclass
class Unused:
    """Chunks of which no backup is made any more, and when they were touched last [s]."""

    size_bytes: int
    touched_s: float


def _as_installed() -> dict[str, dict[str, dict[str, Any]]]:
    to, all_ = "mail-to-root", "default-matcher"
    return {
        "endpoint sendmail": {to: {"name": to, "mailto-user": [ROOT], "origin": "builtin"}},
        "matcher": {all_: {"name": all_, "target": [to], "origin": "builtin"}},
    }


@dataclass
class Manager(Access):
    """What a server keeps.

    Parameters
    ----------
    rows
        Its datastores as they are configured, by name; their backups are in `datastores`.
    jobs
        Those that prune and verify, by kind and id.
    ran
        When rubbish was removed from a datastore last.
    pruned
        What came of each job that forgets, by its id.
    full
        The share of each datastore's file system that is taken.
    unused
        What of that nobody uses any more.
    working
        Datastores that are being made.
    atime_stands
        Folders on which access times don't move.
    failing
        Whether what is read from its disk is not what was written.
    notifying
        Endpoints and matchers, by kind and name; an installer makes one of each.
    mails
        To whom it has sent what.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {"prune": {}, "verify": {}}
    )
    ran: dict[str, Ran] = field(default_factory=dict)
    pruned: dict[str, Ran] = field(default_factory=dict)
    full: dict[str, float] = field(default_factory=dict)
    unused: dict[str, list[Unused]] = field(default_factory=dict)
    working: list[str] = field(default_factory=list)
    atime_stands: set[str] = field(default_factory=set)
    failing: bool = False
    notifying: dict[str, dict[str, dict[str, Any]]] = field(default_factory=_as_installed)
    mails: list[tuple[str, str]] = field(default_factory=list)
    awaited: dict[tuple[str, str], float] = field(default_factory=dict)  # when a job is to run

    # --------------------------------------------------------------- datastores

    def begin(self, machine: Machine, name: str, path: str) -> float:
        """Begin to make a datastore: how long that takes [s].

        Raises
        ------
        Refused
            There is one of that name.
        """
        if name in self.rows:
            raise wrong([("name", f"datastore '{name}' already exists.")])
        if not path.startswith("/"):
            raise wrong([("path", f"expected an absolute path, '{path}' is not")])
        self.working.append(name)
        return _NFS_S if _on_nfs(machine, path) else _LOCAL_S

    def make(self, machine: Machine, name: str, path: str, options: dict[str, Any]) -> str:
        """Make the chunk store and write down that it is one: why not; empty where it is there."""
        self.working.remove(name)
        reuse = options.pop("reuse-datastore", False)
        if not path.strip("/"):
            return "cannot create datastore in root path"
        files, chunks = machine.files, f"{path}/.chunks"
        there = _names(machine, path)
        if reuse and ".chunks" not in there:
            return f'unable to open chunk store at "{chunks}" - No such file or directory'
        if not reuse:
            if any(not each.startswith(".") and each != "lost+found" for each in there):
                return "datastore path not empty"
            if ".chunks" in there:
                return (
                    f"unable to create chunk store '{name}' subdir \"{chunks}\" - "
                    "EEXIST: File exists"
                )
            try:
                files.make_folder(path, user=OWNER, group=OWNER)
                files.make_folder(chunks, user=OWNER, group=OWNER)
                files.put(f"{path}/.lock", b"", user=OWNER, group=OWNER)
                files.stat(chunks).mtime_s = machine.now_s()
            except FileError as error:
                return f"unable to create chunk store '{name}' at \"{path}\" - {error.says}"
        if path in self.atime_stands:
            files.put(f"{chunks}/bb9f/bb9f8df61474d25e71fa00722318cd38", b"")
            return "access time safety check failed"
        self.rows[name] = {"name": name, "path": path} | options
        self.datastores.setdefault(name, {})
        self.wait(machine, name)
        return ""

    def wait(self, machine: Machine, name: str) -> None:
        """Have a datastore's jobs run at their next times, and no others."""
        jobs = [
            (kind, key)
            for kind, each in self.jobs.items()
            for key, job in each.items()
            if job["store"] == name
        ]
        for kind, key in [("gc", name), *jobs]:
            self._wait_for(machine, kind, key)

    def _schedule(self, kind: str, key: str) -> str:
        if kind == "gc":
            return str(self.rows.get(key, {}).get("gc-schedule", ""))
        job = self.jobs[kind].get(key, {"disable": True})
        return "" if job.get("disable") else str(job.get("schedule", ""))

    def _wait_for(self, machine: Machine, kind: str, key: str) -> None:
        event, now = self._schedule(kind, key), machine.world.clock.now()
        try:
            at = next_run_s(event, now) if event else None
        except ValueError:
            at = None  # a person has written it, in a form that nobody here knows
        if self.awaited.get((kind, key)) == at:
            return

        def run() -> None:
            if self.awaited.get((kind, key)) != at:
                return
            del self.awaited[kind, key]
            if machine.up and self._schedule(kind, key) == event:
                self.run(machine, kind, key)
            self._wait_for(machine, kind, key)

        if at is None:
            self.awaited.pop((kind, key), None)
        else:
            self.awaited[kind, key] = at
            machine.world.after(at - now, run, label=f"{kind} {key}")

    def run(self, machine: Machine, kind: str, key: str) -> None:
        """What a job does: it is called as its datastore is where rubbish is removed, and otherwise
        by its own id."""
        job = {"store": key} if kind == "gc" else self.jobs[kind][key]
        if job["store"] not in self.rows:
            return  # it fails
        if kind == "gc":
            ends = self.collect(machine, key)
            self._tell(job["store"], kind, "" if ends == "OK" else ends)
        elif kind == "verify":
            self._tell(job["store"], kind, self.look_through(machine, job))
        else:
            why = self._held_back(job["store"])
            self.pruned[key] = Ran(machine.now_s(), why or "OK")
            self._tell(job["store"], kind, why)
            archives = self.datastores[job["store"]] if not why else {}
            keep = {k: str(v) for k, v in job.items() if k.startswith("keep-")}
            for gone in set(archives) - self._kept(archives, keep):
                del archives[gone]

    def _held_back(self, store: str) -> str:
        """Why nothing may be changed in a datastore just now; empty where it may."""
        mode = str(self.rows[store].get("maintenance-mode", ""))
        return f"{mode.partition(',')[0]} maintenance mode: " if mode else ""

    def _tell(self, store: str, kind: str, why: str) -> None:
        """Send what became of a job to whom its matchers say; fields and calendars of these are not
        looked at here."""
        if self.rows[store].get("notification-mode") != "notification-system":
            return
        severity = "error" if why else "info"
        for matcher in self.notifying["matcher"].values():
            wanted = [each for one in matcher.get("match-severity", ()) for each in one.split(",")]
            if not matcher.get("disable") and (not wanted or severity in wanted):
                for target in matcher.get("target", ()):
                    self.send(target, f"{kind} of {store}: {why or 'OK'}")

    def send(self, target: str, what: str) -> None:
        """Send mail by an endpoint."""
        row = self.notifying["endpoint sendmail"].get(target, {"disable": True})
        if not row.get("disable"):
            whom = (*row.get("mailto", ()), *row.get("mailto-user", ()))
            self.mails += [(each, what) for each in whom]

    def look_through(self, machine: Machine, given: Mapping[str, Any]) -> str:
        """Read backups of a datastore whole: why the task fails; empty where all are well.

        Parameters
        ----------
        machine
            On which.
        given
            The datastore; whether those that were read once are left out (they are, by default),
            and after how many days they are not.
        """
        outdated, now_s = given.get("outdated-after"), machine.now_s()
        failed = False
        for each in self.datastores[given["store"]].values():
            days = (now_s - each.verified_s) // _DAY_S
            fresh = outdated is None or days <= outdated
            if each.verified and given.get("ignore-verified", True) and fresh:
                continue
            each.verified = "failed" if each.broken or self.failing else "ok"
            each.verified_s = now_s
            failed |= each.verified == "failed"
        return _NOT_VERIFIED if failed else ""

    def collect(self, machine: Machine, name: str) -> str:
        """Remove what nobody uses: how it ends. What was touched of late may be of a backup that is
        running."""
        now_s, unused = machine.now_s(), self.unused.get(name, [])
        if self.rows[name]["path"] in self.atime_stands:
            self.ran[name] = Ran(now_s, "atime safety check failed")
            return self.ran[name].state
        given = _CUTOFF.search(str(self.rows[name].get("tuning", "")))
        since_s = now_s - 60.0 * (int(given[1]) if given else _CUTOFF_MIN)
        waits = [each for each in unused if each.touched_s >= since_s]
        pending = sum(each.size_bytes for each in waits)
        removed = sum(each.size_bytes for each in unused) - pending
        self.unused[name] = waits
        if removed:
            self.full[name] -= removed / machine.root_bytes
        self.ran[name] = Ran(now_s, "OK", removed, pending)
        return "OK"

    @staticmethod
    def _kept(archives: dict[str, Archive], keep: dict[str, str]) -> set[str]:
        groups: dict[tuple[str, int], dict[str, Archive]] = {}
        for name, each in archives.items():
            groups.setdefault((each.kind, each.vmid), {})[name] = each
        return {name for group in groups.values() for name in kept(group, keep)}


def _names(machine: Machine, path: str) -> list[str]:
    """What is in a folder; nothing where there is none."""
    return machine.files.listdir(path) if machine.files.exists(path) else []


def _on_nfs(machine: Machine, path: str) -> bool:
    return any(
        mount.fstype.startswith("nfs") and f"{path}/".startswith(f"{posixpath.normpath(target)}/")
        for target, mount in machine.files.mounts.items()
    )


def snapshot_row(name: str, each: Archive, owner: str) -> dict[str, Any]:
    """A backup as the API lists it."""
    found: dict[str, Any] = {
        "backup-type": "vm" if each.kind == "qemu" else "ct",
        "backup-id": str(each.vmid),
        "backup-time": int(each.made_s),
        "files": [],
        "owner": owner,
        "protected": each.protected,
        "size": each.size_bytes,
    }
    found |= {"comment": each.notes} if each.notes else {}
    found |= {"fingerprint": each.encrypted} if each.encrypted else {}
    if each.verified:
        upid = upid_of("pbs", "verificationjob", "", each.verified_s)
        found["verification"] = {"state": each.verified, "upid": upid}
    return found


def upid_of(node: str, kind: str, about: str, begun_s: float) -> str:
    """What a task is called (proxmox-schema, upid.rs); which process it is is made up."""
    return f"UPID:{node}:00000001:00000001:00000001:{int(begun_s):08X}:{kind}:{about}:{ROOT}:"
