"""A node's backups and the jobs that make them, as the real one tells them. What is in a backup is
not asked: it is taken for what the guest is now."""

from collections.abc import Callable
from typing import Any

from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.twin.machine.entry import Facts
from homelab_lib.twin.proxmox.archives import Archive, Inside, options_in
from homelab_lib.twin.proxmox.backup_calls import wait_for
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import print_properties
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, Store

_JOBS: Shape = [{"id": str, "schedule?": str, "type?": str}]
_BACKUPS: Shape = [
    {
        "volid": str,
        "vmid?": whole,
        "ctime?": whole,
        "size?": whole,
        "subtype?": str,
        "notes?": str,
        "protected?": whole,
        "encrypted?": SCALAR,
        "verification?": {"state": str},
    }
]
_STORES: Shape = [{"storage": str, "active?": whole}]
_NOT_OPTIONS = ("id", "type", "next-run")


def seed_backups(node: ProxmoxNode, get: Callable[..., Any]) -> None:
    """Jobs, and the backups on each storage that may hold some.

    Parameters
    ----------
    node, get
        The twin's node, and what asks the real one.
    """
    for job in get("/cluster/backup", shape=_JOBS):
        kept = {key: value for key, value in job.items() if key not in _NOT_OPTIONS}
        node.jobs[job["id"]] = {key: _text(value) for key, value in kept.items()}
        if "schedule" in job:
            try:
                wait_for(node, job["id"])
            except ValueError:
                continue  # written by a person, in a form that nobody here knows
    there = f"/nodes/{node.node}/storage"  # the twin may have got others since it was seeded
    for told in get(there, "--content", "backup", "--enabled", "1", shape=_STORES):
        store = node.stores.get(told["storage"])
        if store is not None and told.get("active"):
            path = f"{there}/{store.name}/content"
            for row in get(path, "--content", "backup", shape=_BACKUPS):
                _seed(node, store, row)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return print_properties({key: str(each) for key, each in value.items()})
    return str(int(value)) if isinstance(value, bool) else str(value)


def _seed(node: ProxmoxNode, store: Store, row: dict[str, Any]) -> None:
    if "vmid" not in row or "ctime" not in row:
        return
    name = row["volid"].partition(":")[2].removeprefix("backup/")
    vm = node.vms.get(row["vmid"])
    found = Archive(row.get("subtype", "qemu"), row["vmid"], float(row["ctime"]))
    found.size_bytes, found.notes = row.get("size", 0), row.get("notes", "")
    found.protected = bool(row.get("protected"))
    found.encrypted = str(row.get("encrypted", ""))
    found.verified = row.get("verification", {}).get("state", "")
    if vm is not None:
        found.config, found.booted = options_in(vm.config), vm.booted
        found.inside = Inside.of(vm.guest) if vm.guest is not None else vm.inside
    server = node.backup_servers.get(str(store.options.get("server")))
    known = server.datastores.setdefault(str(store.options["datastore"]), {}) if server else None
    (store.archives if known is None else known)[name] = found
    if store.kind in FILES:
        path = f"{store.place}/{FOLDERS['backup']}/{name}"
        facts = Facts(size_bytes=found.size_bytes, mtime_s=found.made_s)
        node.files.put(path, found.written(name), **facts)
