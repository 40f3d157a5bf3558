"""API of copies to places outside: logins, tasks, and their runs by rclone.

Source: TrueNAS middleware 25.04 to 26: `cloudsync`, `cloudsync.credentials`
(plugins/cloud_sync.py), plugins/cloud/crud.py.
"""

import errno
from typing import Any

from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.truenas.arguments.cloud import (
    CredentialCreate,
    CredentialCreate26,
    CredentialUpdate,
    CredentialUpdate26,
    SyncOptions,
    TaskCreate,
    TaskUpdate,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.jobs import Job, Progress, Work
from homelab_lib.twin.truenas.kept import Family, Row
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, HALFMOON, left_out, method

_BYTES_PER_S = 12e6
_HOUR_S = 3600.0
_UNAUTHORIZED = (
    '2026/09/21 14:13:20 Failed to create file system for "remote:{place}": failed to authorize '
    "account: failed to authenticate: {why}\n"
)


def _credentials(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    if any(other["name"] == row["name"] for other in others):
        raise ValidationErrors.one(f"{place}.name", "This name already exists")


def _task(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    if nas.tables["cloudsync.credentials"].get(row["credentials"]) is None:
        errors.add(f"{place}.credentials", "Invalid credentials")
    path = row["path"]
    if not path.startswith("/mnt/") or nas.dataset_of(path) is None:
        errors.add(f"{place}.path", "The path must reside within a pool mount point")
    elif not nas.files.is_dir(path):
        errors.add(f"{place}.path", "This path does not exist.")
    if row["snapshot"]:
        if row["direction"] != "PUSH":
            text = "This option can only be enabled for PUSH tasks"
            errors.add(f"{place}.snapshot", text)
        if row["transfer_mode"] == "MOVE":
            errors.add(f"{place}.snapshot", "This option can not be used for MOVE transfer mode")
        below = path.removeprefix("/mnt/").rstrip("/") + "/"
        if any(name.startswith(below) for name in nas.datasets):
            text = "This option is only available for datasets that have no further nesting"
            errors.add(f"{place}.snapshot", text)
    errors.check()
    _goes_by_the_clock(nas)


def _shown(nas: TrueNas, row: Row) -> Row:
    kept = nas.tables["cloudsync.credentials"].get(row["credentials"])
    job = _last(nas, row["id"])
    place = nas.place_of(row["path"]) if nas.release >= HALFMOON else {}
    last = job.row() if job else row.get("job")
    return {"credentials": kept, "job": last, "locked": False} | place


def _last(nas: TrueNas, number: int) -> Job | None:
    jobs = [job for job in nas.jobs.all.values() if job.method == "cloudsync.sync"]
    return next((job for job in reversed(jobs) if job.arguments[0] == number), None)


CREDENTIALS = Family(
    "cloudsync.credentials",
    "CloudCredential",
    "cloud_sync_credentials",
    {FANGTOOTH: CredentialCreate, HALFMOON: CredentialCreate26},
    {FANGTOOTH: CredentialUpdate, HALFMOON: CredentialUpdate26},
    check=_credentials,
    argument="",
    asked=("id", "name", "provider.type"),
)
TASKS = Family(
    "cloudsync",
    "CloudSync",
    "cloud_sync",
    {FANGTOOTH: TaskCreate},
    {FANGTOOTH: TaskUpdate},
    check=_task,
    shown=_shown,
    argument="",
    asked=(
        *("id", "description", "path", "credentials.id", "attributes", "schedule", "direction"),
        *("transfer_mode", "snapshot", "include", "exclude", "enabled", "bwlimit", "transfers"),
        *("encryption", "filename_encryption", "follow_symlinks", "pre_script", "job"),
    ),
)
CREDENTIALS.register()
TASKS.register()


@method(
    "cloudsync.sync",
    {"id": int, "cloud_sync_sync_options": left_out(SyncOptions)},
    job=True,
    lock="cloud_sync",
)
def sync(nas: TrueNas, number: int, options: Row) -> Work:
    """Bring a copy up to date."""
    task = nas.tables["cloudsync"].get(number)
    if task is None:
        raise CallError(f"CloudSync {number} does not exist", errno.ENOENT)
    yield Progress(1.0, 0, "Starting")
    if task["pre_script"]:
        done = nas.call(Call(("sh", "-c", task["pre_script"]))).finished()
        if done.status:
            raise CallError(f"Pre-script failed with exit code {done.status}")
    if why := nas.world.internet(nas):
        raise CallError(f"dial tcp: lookup: no such host ({why})")
    place = _place(nas, task)
    if why := nas.world.repositories.why_not(place):
        raise CallError(_UNAUTHORIZED.format(place=place, why=why))
    here = _files(nas, task["path"])
    size = sum(len(data) for data in here.values())
    yield Progress(1.0 + size / _BYTES_PER_S, 50, "Transferring")
    if not options.get("dry_run"):
        there = nas.world.repositories.buckets.setdefault(place, {})
        if task["transfer_mode"] == "SYNC":
            there.clear()  # what is not here any more is deleted there
        there.update(here)


def _place(nas: TrueNas, task: Row) -> str:
    kept = nas.tables["cloudsync.credentials"].get(task["credentials"]) or {}
    kind = kept.get("provider", {}).get("type", "")
    where = task["attributes"].get("bucket", kept.get("provider", {}).get("host", ""))
    return f"{kind}:{where}/{task['attributes'].get('folder', '').strip('/')}"


def _files(nas: TrueNas, path: str) -> dict[str, bytes]:
    found = {}
    for each in nas.files.walk(path):
        entry = nas.files.entry(each, follow=False)
        if entry is not None and entry.kind == "file":
            found[each.removeprefix(path).lstrip("/")] = entry.data
    return found


def _goes_by_the_clock(nas: TrueNas) -> None:
    """From the first task on, look each hour whose turn it is."""
    if nas.kept.setdefault("cloudsync", False):
        return
    nas.kept["cloudsync"] = True

    def look() -> None:
        hour = int(nas.now_s() // _HOUR_S) % 24
        for row in nas.tables["cloudsync"].rows() if nas.up else ():
            due = row["schedule"]["hour"] in ("*", str(hour), f"{hour:02}")
            if due and row["enabled"]:
                work: Any = sync(nas, row["id"], {})
                nas.jobs.start("cloudsync.sync", [row["id"]], work, f"cloud_sync{row['id']}")
        wait()

    def wait() -> None:
        nas.world.after(_HOUR_S - nas.now_s() % _HOUR_S, look, label="cloud sync")

    wait()
