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


class B2(Arguments):
    """Backblaze."""

    type: Literal["B2"]
    account: Name
    key: Name


class S3(Arguments):
    """Amazon, and whoever speaks like it."""

    type: Literal["S3"]
    access_key_id: Name
    secret_access_key: Name
    endpoint: Text = ""
    region: Text = ""
    skip_region: bool = False
    signatures_v2: bool = False
    max_upload_parts: int = 10_000


class Sftp(Arguments):
    """Whoever has an SSH server."""

    type: Literal["SFTP"]
    host: Name
    port: int = 22
    user: Name
    pass_: Text | None = Field("", alias="pass")
    private_key: int | None = None


Provider = Annotated[B2 | S3 | Sftp, Field(discriminator="type")]
"""Those that anybody here has a use for."""


class CredentialCreate(Arguments):
    """A login at a place outside."""

    name: Name
    provider: Provider


CredentialUpdate = changes_of(CredentialCreate)


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
