"""Backups of guests: made now, made by jobs, listed, and forgotten.

Sources: `PVE::VZDump`, `PVE::API2::{VZDump,Backup}` (pve-manager 9.2), `PVE::VZDump::QemuServer`
(qemu-server 9.2): one guest after the other; one that fails does not keep the others from theirs,
and the task ends with ``job errors``.
"""

import posixpath
from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.machine.calendar import elapses_s
from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.archives import Archive, Inside, kept, options_in
from homelab_lib.twin.proxmox.backup_options import CHANGED, JOB, JOB_ID, NOW
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
_WHOLE = ("all", "enabled", "quiet", "remove", "repeat-missed", "stdexcludes", "protected")


# Jobs --------------------------------------------------------------------------------------------


@calls("GET", "/cluster/backup")
def _jobs(node: ProxmoxNode, given: Given) -> Any:
    node.learn("backups")
    return [_shown(node, name) for name in node.jobs]


@calls("GET", "/cluster/backup/{id}", {"id": JOB_ID})
def _job(node: ProxmoxNode, given: Given) -> Any:
    return _shown(node, _known(node, given["id"]))


def _known(node: ProxmoxNode, name: str) -> str:
    node.learn("backups")
    if name not in node.jobs:
        raise ParameterError({"id": f"No such job '{name}'"})
    return name


def _shown(node: ProxmoxNode, name: str) -> dict[str, Any]:
    """As a list has it: what was a property string is an object."""
    job: dict[str, Any] = {"id": name, "type": "vzdump"}
    for key, value in node.jobs[name].items():
        job[key] = split_properties(value) if key in _OBJECTS else value
        job[key] = int(value) if key in _WHOLE else job[key]
    if "schedule" in job:
        job["next-run"] = int(elapses_s(job["schedule"], node.world.clock.now()) or 0)
    return job


@calls("POST", "/cluster/backup", JOB)
def _make_job(node: ProxmoxNode, given: Given) -> Any:
    if "schedule" not in given:
        raise ParameterError({"schedule": "neither 'starttime' nor 'schedule' were set"})
    node.learn("backups")
    name = given.pop("id", "") or f"backup-{node.world.rng.getrandbits(32):08x}"
    if name in node.jobs:
        raise PveError(f"Job '{name}' already exists")
    _refuse_selection(given)
    node.jobs[name] = {"enabled": "1"} | given
    wait_for(node, name)


@calls("PUT", "/cluster/backup/{id}", CHANGED)
def _change_job(node: ProxmoxNode, given: Given) -> Any:
    name = _known(node, given.pop("id"))
    gone = split_list(given.pop("delete", ""))
    job = {k: v for k, v in node.jobs[name].items() if k not in gone} | given
    _refuse_selection(job)
    node.jobs[name] = job
    wait_for(node, name)


@calls("DELETE", "/cluster/backup/{id}", {"id": JOB_ID})
def _delete_job(node: ProxmoxNode, given: Given) -> Any:
    del node.jobs[_known(node, given["id"])]


def _refuse_selection(given: Given) -> None:
    chosen = [key for key in ("all", "vmid", "pool") if given.get(key, "0") != "0"]
    if not chosen:
        raise ParameterError({"vmid": "property is missing and it is not optional"})
    if len(chosen) > 1:
        raise ParameterError({chosen[1]: f"option conflicts with option '{chosen[0]}'"})


def wait_for(node: ProxmoxNode, name: str) -> None:
    """Have a job begin at its next time, if it is then still there and as it is now."""
    job, now = node.jobs[name], node.world.clock.now()
    at = elapses_s(job["schedule"], now)

    def begin() -> None:
        if node.jobs.get(name) is not job:
            return
        if node.up and job.get("enabled", "1") == "1":  # one that was off has missed it
            answer = begin_backup(node, dict(job))
            if isinstance(answer, Later):
                node.world.after(answer.takes_s, answer.answer, label=f"backup {name}")
        wait_for(node, name)

    if at is not None:
        node.world.after(at - now, begin, label=f"job {name}")


# Making ------------------------------------------------------------------------------------------


@calls("POST", "/nodes/{node}/vzdump", NOW)
def _vzdump(node: ProxmoxNode, given: Given) -> Any:
    _refuse_selection(given)
    return begin_backup(node, given)


def begin_backup(node: ProxmoxNode, given: Given) -> Any:
    """Begin a backup; what comes of it is there once it has taken its time."""
    ids = sorted(int(each) for each in split_list(given.get("vmid", "")))
    if given.get("all") == "1":
        ids = sorted({*node.vms, *node.containers} - {int(e) for e in split_list(
            given.get("exclude", ""))})  # fmt: skip
    ids = [each for each in ids if each not in node.others]
    if not ids:
        return "OK"
    upid = node.tasks.begin("vzdump", str(ids[0]) if len(ids) == 1 else "")
    try:
        store = node.stores.named(given.get("storage", "local"))
        if "backup" not in store.content:
            why = f"can't use storage '{store.name}' for backups - wrong content type"
            raise PveError(f"could not get storage information for '{store.name}': {why}")
        if not (store.active and store.enabled):
            raise PveError(f"could not activate storage '{store.name}': it is not online")
        archives_of(node, store)
    except PveError as error:
        node.tasks.end(upid, error.text)
        return Task(upid, failure=error.text)
    works = [_Work(node, store, vmid, given) for vmid in ids]
    for work in works:
        work.lock()

    def done() -> Task:
        lines, failed = [], False
        for work in works:
            why = work.ends()
            failed |= bool(why)
            word = f"ERROR: Backup of VM {work.vmid} failed - {why}" if why else (
                f"INFO: Finished Backup of VM {work.vmid}")  # fmt: skip
            lines.append(f"INFO: Starting Backup of VM {work.vmid} ({work.kind})\n{word}\n")
        failure = "job errors" if failed else ""
        node.tasks.end(upid, failure or "OK")
        return Task(upid, "".join(lines), failure)

    return Later(sum(work.takes_s for work in works), done)


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
        found.notes = self.given.get("notes-template", "").replace(
            "{{guestname}}", self.config.get("name", self.config.get("hostname", ""))
        )
        vm = self.node.vms.get(self.vmid)
        if vm is not None:
            found.booted, found.firmware = vm.booted, vm.firmware
            found.inside = Inside.of(vm.guest) if vm.guest is not None else vm.inside
        return found

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
            return f"VM is locked ({config.get('lock', 'backup')})"
        config.pop("lock", None)
        if not self.node.up or self.booted_at != self.node.boots:
            return "interrupted by signal"
        archives = archives_of(self.node, self.store)
        if self.store.full:
            return _FULL["pbs" if self.store.kind == "pbs" else "file"]
        name = archive.server_name
        if self.store.kind in FILES:
            name = archive.file_name(_COMPRESSED.get(self.given.get("compress", "0"), ""))
            path = posixpath.join(self.store.place, FOLDERS["backup"], name)
            self.node.files.put(path, b"", size_bytes=archive.size_bytes, mtime_s=archive.made_s)
        archive.encrypted = str(self.store.options.get("encryption-key", ""))
        archives[name] = archive
        self._prune(archives)
        return ""

    def _prune(self, archives: dict[str, Archive]) -> None:
        """Of this guest alone, by the job's own word or else by the storage's."""
        text = self.given.get("prune-backups", self.store.options.get("prune-backups", ""))
        if not text or self.given.get("remove", "1") == "0":
            return
        own = {name: each for name, each in archives.items() if each.vmid == self.vmid}
        for name in own.keys() - kept(own, split_properties(str(text))):
            del archives[name]
            if self.store.kind in FILES:
                self.node.files.remove(f"{self.store.place}/{FOLDERS['backup']}/{name}")


_FULL = {
    "file": "vma_queue_write: write error - No space left on device",
    "pbs": "backup write data failed: command error: write_data upload error: pipelined request "
    "failed: inserting chunk on store failed: No space left on device (os error 28)",
}


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
