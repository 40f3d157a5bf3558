"""API of what a NAS does by itself: scrubs, snapshots, commands, numbers that are sent.

Source: TrueNAS middleware 25.04 to 26: `pool.scrub`, `pool.snapshottask`, `cronjob`,
`initshutdownscript`, `reporting.exporters`.
"""

import errno
import stat
from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.twin.truenas.arguments.base import Arguments, Text, changes_of
from homelab_lib.twin.truenas.arguments.pools import (
    ScrubCreate,
    ScrubUpdate,
    SnapshotTaskCreate,
    SnapshotTaskUpdate,
)
from homelab_lib.twin.truenas.arguments.system import (
    CronJobCreate,
    CronJobUpdate,
    ExporterCreate,
    ExporterUpdate,
)
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import Family, Row
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, left_out


def _pool_name(nas: TrueNas, row: Row) -> Row:
    names = {pool.id: pool.name for pool in nas.pools.values()}
    return {"pool_name": names.get(row["pool"], "")}


def _scrubbed_once(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    """One task a pool: a pool that `pool.create` made has its own already."""
    if any(other["pool"] == row["pool"] for other in others):
        raise ValidationErrors.one(f"{place}.pool", "A scrub with this pool already exists")
    if row["pool"] not in {pool.id for pool in nas.pools.values()}:
        raise ValidationErrors.one(f"{place}.pool", "Pool with the given ID does not exist")


def _snapshots(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    if row["dataset"] not in nas.datasets:
        raise ValidationErrors.one(f"{place}.dataset", "ZFS dataset or zvol not found")
    if row["exclude"] and not row["recursive"]:
        text = "Excluding datasets or zvols is not necessary for non-recursive periodic snapshots"
        raise ValidationErrors.one(f"{place}.exclude", text)
    if any(not name.startswith(f"{row['dataset']}/") for name in row["exclude"]):
        text = "Excluded dataset or zvol should be a child or other descendant of selected dataset"
        raise ValidationErrors.one(f"{place}.exclude", text)
    if not {"%Y", "%m", "%d", "%H", "%M"} <= set(_marks(row["naming_schema"])):
        text = "Naming schema must contain %Y, %m, %d, %H and %M"
        raise ValidationErrors.one(f"{place}.naming_schema", text)


def _marks(schema: str) -> list[str]:
    return [schema[at : at + 2] for at in range(len(schema)) if schema[at] == "%"]


def _known_user(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    if row["user"] not in nas.user_names():
        raise ValidationErrors.one(f"{place}.user", "Specified user does not exist")


def _named_once(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    if any(other["name"] == row["name"] for other in others):
        raise ValidationErrors.one(f"{place}.name", "Specified name is already in use")


class SnapshotTaskDelete(Arguments):
    """Whether snapshots that are there keep the time they were to go at."""

    fixate_removal_date: bool = Field(False)


class InitScriptCreate(Arguments):
    """A command as the NAS starts or stops."""

    type: Literal["COMMAND", "SCRIPT"]
    command: Text | None = ""
    script: Text | None = ""
    when: Literal["PREINIT", "POSTINIT", "SHUTDOWN"]
    enabled: bool = True
    timeout: int = 10
    comment: Annotated[str, Field(max_length=255)] = ""


def _script_there(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    field = row["type"].lower()
    if not row[field]:
        raise ValidationErrors.one(f"{place}.{field}", "This field is required")
    if field == "command":
        return
    script = nas.files.entry(row["script"])
    if script is None:
        text = f"Path {row['script']} not found"
        raise ValidationErrors.one(f"{place}.script", text, errno.ENOENT)
    if script.kind != "file":
        text = 'Script must be a regular file not {obj["type"]!r}'  # to the letter: no f-string
        raise ValidationErrors.one(f"{place}.script", text)
    if not script.mode & stat.S_IXUSR:
        text = "Script must have execute bit set for the user"
        raise ValidationErrors.one(f"{place}.script", text)


SCRUBS = Family(
    "pool.scrub",
    "Scrub task",
    "pool_scrub",
    {FANGTOOTH: ScrubCreate},
    {FANGTOOTH: ScrubUpdate},
    check=_scrubbed_once,
    shown=_pool_name,
    number="id_",
)
SNAPSHOTS = Family(
    "pool.snapshottask",
    "PeriodicSnapshotTask",
    "periodic_snapshot",
    {FANGTOOTH: SnapshotTaskCreate},
    {FANGTOOTH: SnapshotTaskUpdate},
    check=_snapshots,
    shown=lambda nas, row: {"state": {"state": "PENDING"}, "vmware_sync": False},
    once=("fixate_removal_date",),
    delete={"options": left_out(SnapshotTaskDelete)},
)
CRON_JOBS = Family(
    "cronjob",
    "CronJob",
    "cron_job",
    {FANGTOOTH: CronJobCreate},
    {FANGTOOTH: CronJobUpdate},
    check=_known_user,
)
INIT_SCRIPTS = Family(
    "initshutdownscript",
    "InitShutdownScript",
    "init_shutdown_script",
    {FANGTOOTH: InitScriptCreate},
    {FANGTOOTH: changes_of(InitScriptCreate)},
    check=_script_there,
)
EXPORTERS = Family(
    "reporting.exporters",
    "ReportingExports",
    "reporting_exporter",
    {FANGTOOTH: ExporterCreate},
    {FANGTOOTH: ExporterUpdate},
    argument="",
    check=_named_once,
)
TASKS = (SCRUBS, SNAPSHOTS, CRON_JOBS, INIT_SCRIPTS, EXPORTERS)
for _family in TASKS:
    _family.register()
