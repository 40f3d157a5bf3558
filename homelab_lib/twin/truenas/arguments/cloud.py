"""What the methods of copies to places outside take.

Source: TrueNAS middleware 25.10 and 26, API models `cloud_sync` and `cloud_sync_providers`; 25.04
as its old schema has tasks.
"""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    LongText,
    Name,
    Schedule,
    Text,
    absent,
    changes_of,
)
from homelab_lib.twin.truenas.arguments.cloud_providers import login


class CredentialCreate(Arguments):
    """A login at a place outside."""

    name: Name
    provider: login()  # type: ignore[valid-type]  # made of a table


CredentialUpdate = changes_of(CredentialCreate)


class CredentialCreate26(Arguments):
    """The same; an S3's has its maker named."""

    name: Name
    provider: login(  # type: ignore[valid-type]  # made of a table
        S3={
            "provider": (Text, "Other"),
            "force_path_style": (bool, True),
            "sign_accept_encoding": (bool, True),
        }
    )


CredentialUpdate26 = changes_of(CredentialCreate26)


class TaskAttributes(Arguments):
    """Where at the place, and how."""

    bucket: Name = absent()
    folder: Text = absent()
    fast_list: bool = absent()
    bucket_policy_only: bool = absent()
    chunk_size: int = absent()
    acknowledge_abuse: bool = absent()
    region: Text = absent()
    encryption: Literal["AES256"] | None = absent()
    storage_class: Literal[
        "", "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
        "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE",
    ] = absent()  # fmt: skip


class BandwidthLimit(Arguments):
    """How fast, from a time of day on."""

    time: Text
    bandwidth: Annotated[int, Field(gt=0)] | None


class TaskCreate(Arguments):
    """A copy that is brought up to date again and again."""

    description: Text = ""
    path: Text
    credentials: int
    attributes: TaskAttributes
    schedule: Schedule = Schedule()
    pre_script: LongText = ""
    post_script: LongText = ""
    snapshot: bool = False
    include: list[Name] = Field(default_factory=list)
    exclude: list[Name] = Field(default_factory=list)
    args: LongText = ""
    enabled: bool = True
    bwlimit: list[BandwidthLimit] = Field(default_factory=list)
    transfers: Annotated[int, Field(gt=0)] | None = None
    direction: Literal["PUSH", "PULL"]
    transfer_mode: Literal["SYNC", "COPY", "MOVE"]
    encryption: bool = False
    filename_encryption: bool = False
    encryption_password: Text = ""
    encryption_salt: Text = ""
    create_empty_src_dirs: bool = False
    follow_symlinks: bool = False


TaskUpdate = changes_of(TaskCreate)


class SyncOptions(Arguments):
    """How one run goes."""

    dry_run: bool = False
