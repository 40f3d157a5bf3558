"""Proxmox Backup Servers: their datastores, and what is done with these again and again.

Who may write into a datastore stands with the storages of Proxmox nodes that name it.
"""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.backups import Keep
from homelab_lib.lab.base import BY_NAME, AbsolutePath, Form, Made, Named, Positive, Record, Ref
from homelab_lib.lab.schedule import Cron

DatastoreName = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_][A-Za-z0-9._-]{2,31}",
        "a datastore's name: 3 to 32 letters, digits and any of . _ -",
    ),
]


MailAddress = Annotated[
    str,
    Form(r"(?=.{3,64}$)[^\s@,;<>\"-][^\s@,;<>\"]*@[A-Za-z0-9][A-Za-z0-9.-]*", "a mail address"),
]


class Tuning(Record):
    """How a datastore writes and cleans up, where that is not as by default."""

    chunk_order: Literal["none", "inode"] | None = Field(
        None, description="In which order chunks are read when they are verified."
    )
    sync_level: Literal["none", "file", "filesystem"] | None = Field(
        None, description="What is waited for until it is on the disk."
    )
    gc_atime_cutoff_minutes: Annotated[int, Field(strict=True, ge=1, le=2880)] | None = Field(
        None, description="How long a chunk that nobody uses is kept [min]."
    )

    @property
    def text(self) -> str:
        """As the server has it; empty for nothing."""
        words = {
            "chunk-order": self.chunk_order,
            "gc-atime-cutoff": self.gc_atime_cutoff_minutes,
            "sync-level": self.sync_level,
        }
        return ",".join(f"{key}={value}" for key, value in words.items() if value is not None)


class Datastore(Made):
    """A folder of a backup server in which backups lie as chunks that they share."""

    path: AbsolutePath = Field(description="The folder: an empty one, or where one will be made.")
    share: Ref | None = Field(
        None, description="NFS share that is mounted there, such as 'nas.pbs'; none: a disk of its."
    )
    prune: Cron = Field("0 3 * * *", description="When what is too old is forgotten.")
    keep: Keep = Field(description="How long backups are kept.")
    gc: Cron = Field("30 3 * * *", description="When chunks that nobody uses are removed.")
    gc_within_days: Positive = Field(8, description="That was never longer ago than this [days].")
    verify: Cron = Field("0 5 * * 6", description="When backups are looked through.")
    verify_again_days: Positive = Field(30, description="Each again after so long [days].")
    tuning: Tuning = Field(Tuning(), description="How it writes and cleans up.")
    purpose: str = Field("", description="What for, for people.")


class BackupServer(Named):
    """A machine with Debian on which Proxmox Backup Server is installed."""

    datastores: Annotated[dict[DatastoreName, Datastore], BY_NAME] = Field(
        description="Its datastores."
    )
    mail_to: MailAddress | None = Field(
        None,
        description="Who hears of jobs that failed: the machine's own mailer sends it, which has "
        "to get mail out of the house. None: nobody but who logs in.",
    )
