"""What is kept besides itself: of what, how often, where to, how long, and who has the key."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    Form,
    Made,
    Positive,
    Record,
    SecretReference,
    Slug,
    StorageId,
    Tcp,
)
from homelab_lib.lab.guests import VmId
from homelab_lib.lab.schedule import Cron

RepositoryUrl = Annotated[
    str,
    Form(
        r"s3:https?://[^\s/@]+(/[^\s/]+)+|sftp:[^\s:@/]+@[^\s:/]+:/\S+|rest:https?://[^\s@]+|/\S+",
        "a repository as restic has it, without a login in it: s3:https://HOST/BUCKET/FOLDER, "
        "sftp:USER@HOST:/FOLDER, rest:https://HOST:8000/NAME/ or a folder of the machine",
    ),
]
Login = Literal["access_key_id", "secret_access_key", "login_key", "user", "password"]
_LOGINS: dict[str, tuple[tuple[str, ...], ...]] = {
    "s3": (("access_key_id", "secret_access_key"),),
    "sftp": (("login_key",),),
    "rest": ((), ("password", "user")),
    "": ((),),
}
"""What it takes to log in, by the kind of a repository: one of these sets."""
CONFIGURATIONS = "/var/lib/homelab/configurations"
"""Where a machine has what it fetched from appliances."""


class Keep(Record):
    """How long copies are kept: the newest of so many hours, days, weeks, months and years."""

    last: Positive | None = Field(None, description="The newest so many.")
    hourly: Positive | None = Field(None, description="One of each of so many hours.")
    daily: Positive | None = Field(None, description="One of each of so many days.")
    weekly: Positive | None = Field(None, description="One of each of so many weeks.")
    monthly: Positive | None = Field(None, description="One of each of so many months.")
    yearly: Positive | None = Field(None, description="One of each of so many years.")

    @property
    def counts(self) -> dict[str, int]:
        """Those that are given, by their names."""
        return {name: count for name, count in self if count is not None}

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.counts:
            raise ValueError("say how many are kept: daily: 7, say; nothing would be kept")
        return self


class Repository(Made):
    """Where restic keeps copies, encrypted before they leave the machine."""

    url: RepositoryUrl = Field(description="Where it is, as restic has it, without a login.")
    password: SecretReference = Field(description="Where the key to all of it is kept.")
    secrets: dict[Login, SecretReference] = Field(
        {}, description="What it takes to log in, such as access_key_id: env:B2_KEY_ID."
    )
    host_keys: tuple[Annotated[str, Form(r"\S+ \S+", "such as ssh-ed25519 AAAA…")], ...] = Field(
        (), description="Keys by which the host of an sftp repository is known."
    )
    ssh_port: Tcp = Field(22, description="Port of that host's SSH.")
    offsite: bool = Field(description="Whether it is in another place than the lab.")
    medium: str = Field(description="What it lies on, such as 'Backblaze B2': a medium of its own.")
    check_schedule: Cron = Field(
        "0 5 * * 0", description="When it is tidied up and looked through, as in crontab."
    )
    check_percent: Positive = Field(
        5, le=100, description="How much of the data is read each time [%]."
    )
    paper: str = Field("", description="Who has the key on paper, and where; empty: nobody.")

    @property
    def kind(self) -> str:
        """``s3``, ``sftp``, ``rest``; empty for a folder."""
        return self.url.partition(":")[0] if not self.url.startswith("/") else ""

    @model_validator(mode="after")
    def _logs_in(self) -> Self:
        wanted = _LOGINS[self.kind]
        if tuple(sorted(self.secrets)) not in wanted:
            ways = " or ".join(", ".join(each) or "none" for each in wanted)
            raise ValueError(f"of secrets, {self.kind or 'a folder'} takes {ways}")
        if self.kind == "sftp" and not self.host_keys:
            raise ValueError("an sftp repository's host is known by its host_keys; give them")
        return self


class FileBackup(Made):
    """Folders of a machine that are copied again and again."""

    machine: Slug = Field(description="Host or VM whose folders they are.")
    paths: tuple[AbsolutePath, ...] = Field(min_length=1, description="What is copied.")
    exclude: tuple[Annotated[str, Form(r"[^\n]+", "a pattern of one line")], ...] = Field(
        (), description="What in it is left out, by restic's patterns."
    )
    repository: Slug = Field(description="Where to.")
    schedule: Cron = Field(description="When, as in crontab: '0 1 * * *'.")
    within_hours: Positive = Field(26, description="The newest is never older than this [h].")
    keep: Keep = Field(description="How long copies are kept.")
    purpose: str = Field("", description="What is in it, for people.")


class Configuration(Made):
    """What an OPNsense is set to, fetched by its API again and again onto a machine that has its
    folders copied."""

    appliance: Slug = Field(description="The firewall.")
    machine: Slug = Field(description="Host or VM that fetches it.")
    key: SecretReference = Field(
        description="Key of a user who may see the configuration's history and nothing else."
    )
    secret: SecretReference = Field(description="That key's secret.")
    schedule: Cron = Field(description="When, as in crontab: '0 1 * * *'.")
    within_hours: Positive = Field(26, description="The newest is never older than this [h].")

    @property
    def path(self) -> str:
        """Where it lies on that machine."""
        return f"{CONFIGURATIONS}/{self.appliance}.xml"


class GuestBackup(Made):
    """Guests of a Proxmox host that it backs up whole, again and again, onto one of its storages:
    a folder, an NFS share, or a Proxmox Backup Server."""

    host: Slug = Field(description="Proxmox host whose guests they are.")
    guests: tuple[Slug, ...] = Field(min_length=1, description="VMs and containers, by name.")
    storage: StorageId = Field(description="The host's storage that they go to.")
    schedule: Cron = Field(description="When, as in crontab: '30 2 * * *'.")
    within_hours: Positive = Field(26, description="The newest is never older than this [h].")
    keep: Keep = Field(description="How long they are kept.")
    medium: str = Field(description="What they lie on, such as 'tank of the NAS'.")
    offsite: bool = Field(False, description="Whether that is in another place than the lab.")
    purpose: str = Field("", description="What for, for people.")


class GuestDrill(Made):
    """A VM that is restored beside itself, compared and removed, again and again. It gets a number
    and addresses of its own, no network, and none of the cards."""

    backup: Slug = Field(description="Backup of guests that it is restored from.")
    carried_by: Slug | None = Field(
        None,
        description="Copy of files that carries those backups to another repository: it is "
        "restored from there, and not from where Proxmox has put them.",
    )
    from_paper: SecretReference | None = Field(
        None,
        description="Where the key is taken from that stands on paper: that of the copy's "
        "repository, or else of the backup server. Nothing of what the host holds is used.",
    )
    vm: Slug = Field(description="The VM.")
    vmid: VmId = Field(description="Number that nobody has, under which it is restored.")
    storage: StorageId = Field(description="The host's storage that it is restored onto.")
    files: Positive = Field(10, le=200, description="How many files are compared.")
    seed: Positive = Field(1, description="Which ones: another number picks others.")
    every_days: Positive = Field(90, description="How old the last drill may be [days].")
    start: bool = Field(False, description="Whether it is started, too, without its network.")


class ClaimDrill(Made):
    """A claim of a cluster that is restored beside itself, compared and deleted, again and again.
    It is a folder of the node whose folders are copied."""

    backup: Slug = Field(description="Copy that it is restored from: of that node's folders.")
    cluster: Slug = Field(description="The cluster.")
    namespace: Slug = Field(description="The claim's namespace.")
    claim: Slug = Field(description="The claim.")
    files: Positive = Field(10, le=1000, description="How many files are compared.")
    seed: Positive = Field(1, description="Which ones: another number picks others.")
    every_days: Positive = Field(90, description="How old the last drill may be [days].")


class RestoreDrill(Made):
    """Files that are brought back into a place of their own and compared, again and again."""

    backup: Slug = Field(description="Copy that they are brought back from.")
    what: Literal["files", "etcd", "configuration"] = Field(
        "files",
        description="Files that are picked, the newest snapshot of a cluster's etcd, or files "
        "without which a machine is not set up again.",
    )
    needed: tuple[AbsolutePath, ...] = Field(
        (), description="Of a configuration: the files that have to be in it, and be readable."
    )
    files: Positive = Field(10, le=1000, description="How many are picked.")
    seed: Positive = Field(1, description="Which ones: another number picks others.")
    every_days: Positive = Field(90, description="How old the last drill may be [days].")
    from_paper: SecretReference | None = Field(
        None,
        description="Where the key is taken from that stands on paper: nothing of what the machine "
        "holds is used, neither its keys nor its list of what it knows.",
    )

    @model_validator(mode="after")
    def _of_what(self) -> Self:
        if (self.what == "configuration") != bool(self.needed):
            raise ValueError(
                "needed: says what a drill of a configuration wants back, and that alone"
            )
        return self


class Backups(Record):
    """All of it."""

    repositories: Annotated[dict[Slug, Repository], BY_NAME] = Field(
        {}, description="Where restic keeps copies."
    )
    files: Annotated[dict[Slug, FileBackup], BY_NAME] = Field(
        {}, description="Folders of machines that restic copies."
    )
    configurations: Annotated[dict[Slug, Configuration], BY_NAME] = Field(
        {}, description="What appliances are set to, fetched to where it is copied."
    )
    drills: Annotated[dict[Slug, RestoreDrill], BY_NAME] = Field(
        {}, description="What is brought back to see that it can be."
    )
    guests: Annotated[dict[Slug, GuestBackup], BY_NAME] = Field(
        {}, description="VMs and containers that Proxmox backs up whole."
    )
    guest_drills: Annotated[dict[Slug, GuestDrill], BY_NAME] = Field(
        {}, description="VMs that are restored to see that they can be."
    )

    claim_drills: Annotated[dict[Slug, ClaimDrill], BY_NAME] = Field(
        {}, description="Claims that are restored to see that they can be."
    )

    def storages_of(self, host: str) -> set[str]:
        """The storages of a host that its guests are backed up to."""
        return {each.storage for each in self.guests.values() if each.host == host}


def sftp_parts(url: str) -> tuple[str, str, str]:
    """User, host and folder of an sftp repository."""
    found = re.fullmatch(r"sftp:([^:@]+)@([^:]+):(/\S+)", url)
    if found is None:
        raise ValueError(f"no sftp repository: {url}")
    return found[1], found[2], found[3]
