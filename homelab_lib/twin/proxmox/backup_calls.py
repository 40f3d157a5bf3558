"""Backups of guests: made now, made by jobs, listed, and forgotten.

Sources: `PVE::VZDump`, `PVE::API2::{VZDump,Backup}` (pve-manager 9.2), `PVE::VZDump::QemuServer`
(qemu-server 9.2): one guest after the other; one that fails does not keep the others from theirs,
and the task ends with ``job errors``. Guessed: how long a backup takes and how large it gets, what
a backup server's client says of a full disk, and that a container's archive says the same as a
VM's. Not here: the lock that keeps two tasks apart, pools, and modes other than ``snapshot``.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.machine.entry import Facts, FileError
from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.archives import Archive, Inside, kept, options_in
from homelab_lib.twin.proxmox.backup_options import CHANGED, DAYS, JOB, JOB_ID, NOW, next_run_s
from homelab_lib.twin.proxmox.disks import identifier
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import (
    ParameterError,
    PveError,
    split_list,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, Store, parse_size

calls = Methods()

_BEGIN_S, _BYTES_PER_S = 3.0, 200e6
_PART = 0.15  # what is left of a disk that is mostly empty, compressed
_COMPRESSED = {"zstd": ".zst", "gzip": ".gz", "1": ".lzo", "lzo": ".lzo"}
_OBJECTS = ("prune-backups", "fleecing", "performance")
_WHOLE = {key for key, rule in JOB.items() if rule.type in ("boolean", "integer")}
_NOT_SETTINGS = ("enabled", "id", "schedule", "starttime", "dow")
_DELETED = JOB.keys() - {*_NOT_SETTINGS}
_NOTED = re.compile(r"{{(\w+)}}")


# Jobs --------------------------------------------------------------------------------------------


@calls("GET", "/cluster/backup")
def _jobs(node: ProxmoxNode, given: Given) -> Any:
    node.learn("backups")
    return [_shown(node, name) | _next_run(node, name) for name in node.jobs]


@calls("GET", "/cluster/backup/{id}", {"id": JOB_ID})
def _job(node: ProxmoxNode, given: Given) -> Any:
    return _shown(node, _known(node, given["id"]))


def _known(node: ProxmoxNode, name: str) -> str:
    node.learn("backups")
    if name not in node.jobs:
        raise ParameterError({"id": f"No such job '{name}'"})
    return name


def _shown(node: ProxmoxNode, name: str) -> dict[str, Any]:
    """As it is read from its file: what was a property string is an object."""
    job: dict[str, Any] = {"id": name, "type": "vzdump"}
    for key, value in node.jobs[name].items():
        job[key] = split_properties(value) if key in _OBJECTS else value
        job[key] = int(value) if key in _WHOLE else job[key]
    return job


def _next_run(node: ProxmoxNode, name: str) -> dict[str, Any]:
    """What only a list has; a time that never comes is left out."""
    try:
        at = next_run_s(node.jobs[name].get("schedule", ""), node.world.clock.now())
    except ValueError:  # a person has written it, in a form that nobody here knows
        at = None
    return {} if at is None else {"next-run": int(at)}


@calls("POST", "/cluster/backup", JOB)
def _make_job(node: ProxmoxNode, given: Given) -> Any:
    _schedule(given)
    if "schedule" not in given:
        raise ParameterError({"schedule": "neither 'starttime' nor 'schedule' were set"})
    node.learn("backups")
    name = given.pop("id", "") or identifier(node)
    if name in node.jobs:
        raise PveError(f"Job '{name}' already exists")
    _verify(given)
    _refuse_nobody(given)
    node.jobs[name] = {"enabled": "1"} | given
    wait_for(node, name)


@calls("PUT", "/cluster/backup/{id}", CHANGED)
def _change_job(node: ProxmoxNode, given: Given) -> Any:
    name = given.pop("id")
    gone = split_list(given.pop("delete", ""))
    _schedule(given)
    node.learn("backups")
    if not given and not gone:
        raise PveError("no options specified")
    _verify(given)
    if name not in node.jobs:
        raise PveError("no such vzdump job")
    if other := [key for key in gone if key not in _DELETED]:
        raise ParameterError({"delete": f"unknown option '{other[0]}'"})
    job = {k: v for k, v in node.jobs[name].items() if k not in gone} | given
    _select(job, given)
    _verify(job)
    _refuse_nobody(job)
    node.jobs[name] = job
    wait_for(node, name)


def _select(job: Given, given: Given) -> None:
    """Whoever chooses guests in one way has not chosen them in another any more."""
    if "exclude" in job and "pool" not in job:
        job["all"] = "1"
    others: tuple[str, ...] = ()
    if "vmid" in given:
        others = ("all", "exclude", "pool")
    elif given.get("all") == "1":
        others = ("vmid", "pool")
    elif job.get("pool"):
        others = ("vmid", "all", "exclude")
    for key in others:
        job.pop(key, None)


@calls("DELETE", "/cluster/backup/{id}", {"id": JOB_ID})
def _delete_job(node: ProxmoxNode, given: Given) -> Any:
    del node.jobs[_known(node, given["id"])]


def _schedule(given: Given) -> None:
    """What is kept of the old way to say when: a schedule."""
    start, days = given.pop("starttime", ""), split_list(given.pop("dow", ""))
    if start and "schedule" in given:
        raise ParameterError({"starttime": "'starttime' and 'schedule' cannot both be set"})
    if start:
        some = ",".join(days) if tuple(days) != DAYS else ""
        given["schedule"] = f"{some} {start}".strip()


def _verify(given: Given) -> None:
    """Refuse what does not go together; who leaves some out means all the others."""
    for key in ("all", "exclude", "pool"):
        if given.get("vmid") and given.get(key, "0") not in ("", "0"):
            raise ParameterError({key: "option conflicts with option 'vmid'"})
    unknown = [
        f"variable '{found[1]}' at char {found.start() + 2}"
        for found in _NOTED.finditer(given.get("notes-template", ""))
        if found[1] not in ("cluster", "guestname", "node", "vmid")
    ]
    if unknown:
        raise ParameterError({"notes-template": f"found unknown: {', '.join(unknown)}"})
    if "exclude" in given and not given.get("pool"):
        given["all"] = "1"


def _refuse_nobody(given: Given) -> None:
    if all(given.get(key, "0") in ("", "0") for key in ("all", "stop", "pool", "vmid")):
        raise ParameterError({"vmid": "property is missing"})


def wait_for(node: ProxmoxNode, name: str) -> None:
    """Have a job begin at its next time, if it is then still there and as it is now."""
    job, now = node.jobs[name], node.world.clock.now()
    at = next_run_s(job["schedule"], now)

    def begin() -> None:
        if node.jobs.get(name) is not job:
            return
        if node.up and job.get("enabled", "1") == "1":  # one that was off has missed it
            _follow(node, name, begin_backup(node, dict(job)))
        wait_for(node, name)

    if at is not None:
        node.world.after(at - now, begin, label=f"job {name}")


def _follow(node: ProxmoxNode, name: str, answer: Any) -> None:
    """Nobody waits for a job's task: it goes on by itself."""
    if isinstance(answer, Later):
        node.world.after(
            answer.takes_s, lambda: _follow(node, name, answer.answer()), label=f"backup {name}"
        )


# Making ------------------------------------------------------------------------------------------


@calls("POST", "/nodes/{node}/vzdump", NOW)
def _vzdump(node: ProxmoxNode, given: Given) -> Any:
    _verify(given)
    _refuse_nobody(given)
    return begin_backup(node, given)


def begin_backup(node: ProxmoxNode, given: Given) -> Any:
    """Begin a backup: one guest after the other; what comes of each is there once it has taken its
    time."""
    ids = sorted(int(each) for each in split_list(given.get("vmid", "")))
    if given.get("all") == "1":
        ids = sorted({*node.vms, *node.containers} - {int(e) for e in split_list(
            given.get("exclude", ""))})  # fmt: skip
    ids = [each for each in ids if each not in node.others]
    if not ids and given.get("all") != "1":
        return "OK"
    upid = node.tasks.begin("vzdump", str(ids[0]) if len(ids) == 1 else "")
    name = given.get("storage", "local")
    if why := _unfit(node, name):
        node.tasks.end(upid, why)
        return Task(upid, failure=why)
    return _backed_up(_Run(upid, node.stores[name], given), node, ids)


@dataclass
class _Run:
    """A task that makes backups, and what it has printed."""

    upid: str
    store: Store
    given: Given
    lines: list[str] = field(default_factory=list)
    failed: bool = False


def _backed_up(run: _Run, node: ProxmoxNode, ids: list[int]) -> Any:
    if not ids:
        failure = "job errors" if run.failed else ""
        node.tasks.end(run.upid, failure or "OK")
        return Task(run.upid, "".join(run.lines), failure)
    work = _Work(node, run.store, ids[0], run.given)
    work.lock()

    def done() -> Any:
        why = work.ends()
        run.failed |= bool(why)
        word = f"ERROR: Backup of VM {work.vmid} failed - {why}" if why else (
            f"INFO: Finished Backup of VM {work.vmid}")  # fmt: skip
        run.lines.append(f"INFO: Starting Backup of VM {work.vmid} ({work.kind})\n{word}\n")
        if why == _INTERRUPTED:
            node.tasks.end(run.upid, why)
            return Task(run.upid, "".join(run.lines), why)
        return _backed_up(run, node, ids[1:])

    return Later(work.takes_s, done)


def _unfit(node: ProxmoxNode, name: str) -> str:
    """Why a storage takes no backups, all reasons there are; empty where it does."""
    store = node.stores.get(name)
    begin = f"could not activate storage '{name}': "
    told = f"could not get storage information for '{name}': "
    if store is None:
        return "\n".join(f"{each}storage '{name}' does not exist" for each in (begin, told))
    found = []
    if not store.enabled:
        found.append(f"{begin}storage '{name}' is disabled")
    elif not store.active and store.kind != "pbs":
        found.append(f"{begin}storage '{name}' is not online")
    else:
        try:
            archives_of(node, store)
        except PveError as error:
            found.append(f"{begin}{error.text}")
    if "backup" not in store.content:
        found.append(f"{told}can't use storage '{name}' for backups - wrong content type")
    return "\n".join(found)


class _Work:
    """The backup of one guest."""

    def __init__(self, node: ProxmoxNode, store: Store, vmid: int, given: Given) -> None:
        self.node, self.store, self.vmid, self.given = node, store, vmid, given
        self.kind = "lxc" if vmid in node.containers else "qemu"
        self.config = self._config()
        self.begun_s = node.world.clock.now()
        self.booted_at = node.boots
        self.archive = self._archive()

    def _config(self) -> dict[str, str] | None:
        if self.vmid in self.node.vms:
            return self.node.vms[self.vmid].config
        found = self.node.containers.get(self.vmid)
        return found.config if found else None

    def _archive(self) -> Archive | None:
        """What is in it: the guest as it is when the backup begins."""
        if self.config is None:
            return None
        found = Archive(self.kind, self.vmid, self.begun_s, options_in(self.config))
        found.size_bytes = int(sum(_disks(self.config)) * _PART)
        found.notes = self._notes(self.config)
        found.protected = self.given.get("protected") == "1"
        vm = self.node.vms.get(self.vmid)
        if vm is not None:
            found.booted, found.firmware = vm.booted, vm.firmware
            found.inside = Inside.of(vm.guest) if vm.guest is not None else vm.inside
        return found

    def _notes(self, config: dict[str, str]) -> str:
        called = config.get("name", config.get("hostname", f"VM {self.vmid}"))
        known = {"guestname": called, "node": self.node.node, "vmid": str(self.vmid),
                 "cluster": "cluster" if self.node.peers else "standalone node"}  # fmt: skip
        text = self.given.get("notes-template", "").replace("\\n", "\n")
        return _NOTED.sub(lambda found: known[found[1]], text)

    @property
    def takes_s(self) -> float:
        return _BEGIN_S + (self.archive.size_bytes / _BYTES_PER_S if self.archive else 0.0)

    def lock(self) -> None:
        """Nobody may change the guest meanwhile."""
        if self.config is not None and "lock" not in self.config:
            self.config["lock"] = "backup"
            self.mine = True
        else:
            self.mine = False

    def ends(self) -> str:
        """Write it, and say why not; empty where it is there."""
        config, archive = self.config, self.archive
        if config is None or archive is None:
            return f"unable to find VM '{self.vmid}'"
        if not self.mine:
            kind = "CT" if self.kind == "lxc" else "VM"
            return f"{kind} is locked ({config.get('lock', 'backup')})"
        if not self.node.up or self.booted_at != self.node.boots:
            return _INTERRUPTED  # the lock goes when the node starts again
        config.pop("lock", None)
        archives = archives_of(self.node, self.store)
        keep, own = self._keep(), self._own(archives)
        count = sum(not each.protected for each in own.values())
        limit = sum(int(value) for key, value in keep.items() if key != "keep-all")
        if 0 < limit <= count and not self._removes and not archive.protected:
            return _LIMIT.format(limit)
        if self.store.full:
            return self._no_room()
        name = archive.server_name
        if self.store.kind in FILES:
            name = archive.file_name(_COMPRESSED.get(self.given.get("compress", "0"), ""))
            path = posixpath.join(self.store.place, FOLDERS["backup"], name)
            facts = Facts(size_bytes=archive.size_bytes, mtime_s=archive.made_s)
            try:
                self.node.files.put(path, archive.written(name), **facts)
                for beside, text in _beside(archive, path).items():
                    self.node.files.put(beside, text)
            except FileError:
                return self._no_room()
        archive.encrypted = str(self.store.options.get("encryption-key", ""))
        archives[name] = archive
        if self._removes:
            self._prune(archives, keep)
        return ""

    @property
    def _removes(self) -> bool:
        return self.given.get("remove", "1") == "1"

    def _keep(self) -> dict[str, str]:
        """How many are kept, by the job's own word or else by the storage's; all by default."""
        text = self.given.get("prune-backups") or self.store.options.get("prune-backups")
        keep = split_properties(str(text or "keep-all=1"))
        return {} if keep.get("keep-all") == "1" else keep

    def _own(self, archives: dict[str, Archive]) -> dict[str, Archive]:
        """The backups of this guest alone."""
        whose = (self.kind, self.vmid)
        return {name: each for name, each in archives.items() if (each.kind, each.vmid) == whose}

    def _prune(self, archives: dict[str, Archive], keep: dict[str, str]) -> None:
        own = self._own(archives)
        for name in own.keys() - kept(own, keep):
            del archives[name]
            if self.store.kind in FILES:
                path = f"{self.store.place}/{FOLDERS['backup']}/{name}"
                self.node.files.remove(path)
                for beside in _beside(own[name], path):
                    if self.node.files.exists(beside):
                        self.node.files.remove(beside)

    def _no_room(self) -> str:
        if self.store.kind == "pbs":
            return _NO_ROOM_FOR_CHUNKS
        packed = self.given.get("compress", "0") != "0"  # whoever packs it ends first, and says why
        return _NO_ROOM.format("Broken pipe" if packed else "No space left on device")


def _beside(archive: Archive, path: str) -> dict[str, str]:
    """What lies beside an archive's file: what a person reads of it, and the task's log.

    Source: `archive_auxiliaries_remove` of `PVE::Storage` (pve-storage 9.1).
    """
    log = path[: path.rindex(".vma" if archive.kind == "qemu" else ".tar")] + ".log"
    told = {log: f"INFO: Starting Backup of VM {archive.vmid} ({archive.kind})\n"}
    return told | ({f"{path}.notes": archive.notes} if archive.notes else {})


_INTERRUPTED = "interrupted by signal"
_LIMIT = (
    "There is a max backup limit of {} enforced by the target storage or the vzdump parameters. "
    "Either increase the limit or delete old backups."
)
_NO_ROOM = "vma_queue_write: write error - {}"
_NO_ROOM_FOR_CHUNKS = (
    "backup write data failed: command error: write_data upload error: pipelined request "
    "failed: inserting chunk on store failed: No space left on device (os error 28)"
)


def archives_of(node: ProxmoxNode, store: Store) -> dict[str, Archive]:
    """The backups on a storage: those whose files are there, or those that its server has.

    Raises
    ------
    PveError
        The server does not let this node in.
    """
    node.learn("backups")
    return node.served(node, store) if store.kind == "pbs" else store.archives


def listed(node: ProxmoxNode, store: Store) -> Iterator[dict[str, Any]]:
    """The backups on a storage that its own server keeps, as a listing has them."""
    for name, each in archives_of(node, store).items():
        kind = "vm" if each.kind == "qemu" else "ct"
        yield each.row(f"{store.name}:backup/{name}", f"pbs-{kind}")


def _disks(config: dict[str, str]) -> Iterator[int]:
    for value in config.values():
        size = split_properties(value).get("size") if "size=" in value else None
        if size and "media=cdrom" not in value and "backup=0" not in value:
            yield parse_size(size)
