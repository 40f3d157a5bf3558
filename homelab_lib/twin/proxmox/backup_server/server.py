"""A Proxmox Backup Server: what is configured, whom it lets in, and what is in its datastores.

Sources: proxmox-backup 3.2.4, pbs-config/src/{acl,cached_user_info}.rs, src/api2/config/*; what 4
does otherwise when it makes a datastore, its src/api2/config/datastore.rs; which chunks are removed
when, pbs-datastore/src/chunk_store.rs (`sweep_unused_chunks`) and the manual, "Garbage Collection".
"""

import posixpath
import re
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.archives import Archive, kept
from homelab_lib.twin.proxmox.backup_options import next_run_s
from homelab_lib.twin.proxmox.backup_servers import Server

OWNER = "backup"
PRIVILEGES = {
    "Admin": {"backup", "prune"},
    "DatastoreAdmin": {"backup", "prune"},
    "DatastorePowerUser": {"backup", "prune"},
    "DatastoreBackup": {"backup"},
}
"""Roles by which a node can back up; which of these let it forget backups, too."""
_FOLDERS = 64 * 1024
_CUTOFF = re.compile(r"(?:^|,)gc-atime-cutoff=(\d+)(?:,|$)")
_CUTOFF_MIN = 24 * 60 + 5  # access times are moved once a day at least, by `relatime`
_LOCAL_S, _NFS_S = 6.0, 400.0  # for all of them


class Refused(Exception):
    """What the API says, in its words."""


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


@dataclass
class Manager(Server):
    """What a server keeps.

    Parameters
    ----------
    rows
        Its datastores as they are configured, by name; their backups are in `datastores`.
    users, acl
        Who is known, and each role of somebody on a path.
    jobs
        Those that prune and verify, by kind and id.
    ran
        When rubbish was removed from a datastore last.
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
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)  # tokens, as they are listed
    acl: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {"prune": {}, "verify": {}}
    )
    ran: dict[str, Ran] = field(default_factory=dict)
    full: dict[str, float] = field(default_factory=dict)
    unused: dict[str, list[Unused]] = field(default_factory=dict)
    working: list[str] = field(default_factory=list)
    atime_stands: set[str] = field(default_factory=set)
    failing: bool = False

    # ------------------------------------------------------------------ access

    def refuses(self, user: str, secret: str) -> bool:
        """A token is good as long as it is known, and its user is there and switched on."""
        owner = self.users.get(user.partition("!")[0], {"enable": False})
        good = self.known.get(user, {"enable": False}).get("enable", True)
        return not (good and owner.get("enable", True)) or super().refuses(user, secret)

    def shown_to(self, user: str) -> set[str]:
        """Datastores into which somebody may write; a token no more than its user."""
        return {name for name in self.rows if "backup" in self.privileges(user, name)}

    def privileges(self, user: str, store: str) -> set[str]:
        """What somebody may do there: the roles on the longest path count, and no others."""
        if user == "root@pam":
            return PRIVILEGES["Admin"]
        found: set[str] = set()
        for path in ("/", "/datastore", f"/datastore/{store}"):
            roles = [
                row["roleid"]
                for row in self.acl
                if (row["ugid"], row["path"]) == (user, path)
                and (row["propagate"] or path.count("/") == 2)
            ]
            if roles:
                found = set().union(*(PRIVILEGES.get(role, set()) for role in roles))
        if "!" in user:
            found &= self.privileges(user.partition("!")[0], store)
        return found

    # --------------------------------------------------------------- datastores

    def begin(self, machine: Machine, name: str, path: str) -> float:
        """Begin to make a datastore: how long that takes [s].

        Raises
        ------
        Refused
            There is one of that name.
        """
        if name in self.rows:
            raise Refused(f"parameter 'name': datastore '{name}' already exists.")
        if not path.startswith("/"):
            raise Refused(f"parameter 'path': expected an absolute path, '{path}' is not")
        self.working.append(name)
        return _NFS_S if _on_nfs(machine, path) else _LOCAL_S

    def make(self, machine: Machine, name: str, path: str, options: dict[str, Any]) -> str:
        """Make the chunk store and write down that it is one: why not; empty where it is there."""
        self.working.remove(name)
        reuse = options.pop("reuse-datastore", False)
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
        """Have its jobs run at their next times."""
        for kind in ("gc", "prune", "verify"):
            self._wait_for(machine, kind, name)

    def _schedule(self, kind: str, name: str) -> str:
        if kind == "gc":
            return str(self.rows.get(name, {}).get("gc-schedule", ""))
        jobs = [j for j in self.jobs[kind].values() if j["store"] == name and not j.get("disable")]
        return str(jobs[0].get("schedule", "")) if jobs else ""

    def _wait_for(self, machine: Machine, kind: str, name: str) -> None:
        event, now = self._schedule(kind, name), machine.world.clock.now()
        try:
            at = next_run_s(event, now) if event else None
        except ValueError:
            at = None  # a person has written it, in a form that nobody here knows

        def run() -> None:
            if self._schedule(kind, name) != event:
                return
            if machine.up:
                self.run(machine, kind, name)
            self._wait_for(machine, kind, name)

        if at is not None:
            machine.world.after(at - now, run, label=f"{kind} {name}")

    def run(self, machine: Machine, kind: str, name: str) -> None:
        """What a job does."""
        if kind == "gc":
            self._collect(machine, name)
            return
        archives = self.datastores[name]
        if kind == "verify":
            for each in archives.values():
                if not each.verified:  # `ignore-verified` is so by default
                    each.verified = "failed" if each.broken or self.failing else "ok"
            return
        for job in self.jobs["prune"].values():
            if job["store"] == name:
                keep = {k: str(v) for k, v in job.items() if k.startswith("keep-")}
                for gone in set(archives) - self._kept(archives, keep):
                    del archives[gone]

    def _collect(self, machine: Machine, name: str) -> None:
        """Remove what nobody uses; what was touched of late may be of a backup that is running."""
        now_s, unused = machine.now_s(), self.unused.get(name, [])
        if self.rows[name]["path"] in self.atime_stands:
            self.ran[name] = Ran(now_s, "atime safety check failed")
            return
        given = _CUTOFF.search(str(self.rows[name].get("tuning", "")))
        since_s = now_s - 60.0 * (int(given[1]) if given else _CUTOFF_MIN)
        waits = [each for each in unused if each.touched_s >= since_s]
        pending = sum(each.size_bytes for each in waits)
        removed = sum(each.size_bytes for each in unused) - pending
        self.unused[name] = waits
        if removed:
            self.full[name] -= removed / machine.root_bytes
        self.ran[name] = Ran(now_s, "OK", removed, pending)

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
    upid = f"UPID:{re.sub('[^a-z]', '', name) or 'pbs'}:00000001:00000001:00000001:00000001:verify"
    if each.verified:
        found["verification"] = {"state": each.verified, "upid": f"{upid}::root@pam:"}
    return found
