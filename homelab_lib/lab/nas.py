"""What a NAS does beside its shares: who may use them, copies, tests, messages."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from homelab_lib.lab.accounts import AccountName, Acl, NasGroup, NasUser, ShareAcl
from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    DatasetName,
    DiskName,
    Form,
    Ip,
    Made,
    Named,
    Phase,
    PoolName,
    Positive,
    Record,
    SecretReference,
    Slug,
    Tcp,
)
from homelab_lib.lab.iscsi import Iscsi
from homelab_lib.lab.quantities import FileSize, SpeedLimit
from homelab_lib.lab.schedule import Cron

Time = Annotated[str, Form(r"([01]\d|2[0-3]):[0-5]\d", "a time of day, such as '08:00'")]

_SECRET = {
    "account",
    "access_key_id",
    "api_key",
    "auth_token",
    "aws_access_key_id",
    "aws_secret_access_key",
    "bot_token",
    "client_secret",
    "community",
    "key",
    "pass",
    "password",
    "private_key",
    "routing_key",
    "secret",
    "secret_access_key",
    "service_account_credentials",
    "service_key",
    "token",
    "v3_authkey",
    "v3_privkey",
}
"""Fields of TrueNAS's cloud credentials and alert services that nobody may see."""


def _without(*secret: str) -> BeforeValidator:
    """Settings among which none is a secret; the value of one that is isn't even looked at."""

    def check(written: Any) -> Any:
        found = sorted({*secret, *_SECRET} & set(written)) if isinstance(written, dict) else ()
        if found:
            raise PydanticCustomError(
                "not_a_reference",
                "{name} is a secret, which is never written here; write {name}: env:NAME under "
                "secrets",
                {"name": found[0]},
            )
        return written

    return BeforeValidator(check)


Setting = str | int | bool | tuple[int, ...] | tuple[str, ...]

# Sharing -----------------------------------------------------------------------------------------


class SmbService(Record):
    """How a NAS speaks SMB."""

    netbios_name: (
        Annotated[str, Form(r"[A-Za-z0-9-]{1,15}", "15 letters, digits and hyphens at most")] | None
    ) = Field(None, description="Name that Windows shows; none: the host's.")
    workgroup: str = Field("WORKGROUP", description="Workgroup.")
    encryption: Literal["DEFAULT", "NEGOTIATE", "DESIRED", "REQUIRED"] = Field(
        "DEFAULT", description="Whether what goes over the wire is encrypted."
    )
    multichannel: bool = Field(False, description="Whether a client may use several links.")
    apple: bool = Field(False, description="Whether it speaks Apple's extensions.")
    listen: tuple[Ip, ...] = Field((), description="Addresses it answers at; empty: all.")
    phase: Phase = Field(None, description="Phase that sets it up.")


class NfsService(Record):
    """How a NAS speaks NFS."""

    versions: tuple[Literal["3", "4"], ...] = Field(
        ("3", "4"), min_length=1, description="Versions, in quotes."
    )
    threads: Positive | None = Field(None, description="Server threads; none: as the NAS does it.")
    listen: tuple[Ip, ...] = Field((), description="Addresses it answers at; empty: all.")
    phase: Phase = Field(None, description="Phase that sets it up.")


# Copies ------------------------------------------------------------------------------------------


class SnapshotTask(Made):
    """Snapshots that are made again and again."""

    dataset: Annotated[str, Form(r"\S.*", "a pool or a dataset")] = Field(
        description="Pool or dataset that is kept."
    )
    recursive: bool = Field(False, description="Whether the datasets in it are kept, too.")
    exclude: tuple[DatasetName, ...] = Field((), description="Datasets in it that are left out.")
    keep: Positive = Field(description="How long a snapshot is kept, in the next field's unit.")
    unit: Literal["HOUR", "DAY", "WEEK", "MONTH", "YEAR"] = Field(description="Unit of keep.")
    naming_schema: Annotated[
        str, Form(r"[\w.:%-]*%Y[\w.:%-]*", "strftime's letters, %Y among them")
    ] = Field("auto-%Y-%m-%d_%H-%M", description="How a snapshot is called.")
    schedule: Cron = Field(description="When, as in crontab: '0 0 * * *'.")
    begin: Time = Field("00:00", description="Not before this time of day.")
    end: Time = Field("23:59", description="Not after it.")
    allow_empty: bool = Field(False, description="Whether one is made where nothing has changed.")
    enabled: bool = Field(True, description="Whether it runs.")


class ScrubTask(Made):
    """When a pool is read as a whole and mended. Its key is the pool."""

    schedule: Cron = Field(description="When it is asked for, as in crontab: '0 3 1 * *'.")
    threshold_days: Positive = Field(
        20,
        description="Left out where the last one is fewer days ago: well below the schedule's "
        "own distance, or every second one is left out [days].",
    )
    enabled: bool = Field(True, description="Whether it runs.")


class CloudCredential(Made):
    """A login at a place outside of the house."""

    provider: Literal[
        "AZUREBLOB", "B2", "BOX", "DROPBOX", "FTP", "GOOGLE_CLOUD_STORAGE", "GOOGLE_DRIVE",
        "HTTP", "MEGA", "ONEDRIVE", "OPENSTACK_SWIFT", "PCLOUD", "S3", "SFTP", "STORJ_IX",
        "WEBDAV", "YANDEX",
    ] = Field(description="Whose place it is, in TrueNAS's words.")  # fmt: skip
    secrets: dict[str, SecretReference] = Field(
        description="What it takes to log in, by the provider's field: account: env:B2_KEY_ID."
    )
    settings: Annotated[dict[str, Setting], _without()] = Field(
        {}, description="Its other fields, such as host or endpoint."
    )


class Bandwidth(Record):
    """How fast a copy may be from a time of day on."""

    time: Time = Field(description="From when on.")
    limit_bps: SpeedLimit | None = Field(description="At most so fast [bit/s]; null: no limit.")


class CloudTask(Made):
    """A copy outside of the house that is brought up to date again and again."""

    dataset: DatasetName = Field(description="Dataset that is copied.")
    path: AbsolutePath | None = Field(None, description="Folder in it; none: all of it.")
    credential: Slug = Field(description="Login at the place.")
    direction: Literal["PUSH", "PULL"] = Field("PUSH", description="Out of the house, or into it.")
    mode: Literal["COPY", "SYNC"] = Field(
        "COPY", description="SYNC also deletes at the far end what isn't here any more."
    )
    least_files: Positive | None = Field(
        None, description="With SYNC: it isn't run where fewer files are here than this."
    )
    bucket: str | None = Field(None, description="Bucket, where the place has such.")
    folder: str = Field("/", description="Folder at the place.")
    schedule: Cron = Field(description="When, as in crontab: '0 1 * * *'.")
    within_hours: Positive = Field(26, description="The copy is never older than this [h].")
    snapshot: bool = Field(True, description="Whether a snapshot is taken and that is copied.")
    encryption_password: SecretReference | None = Field(
        None, description="Where the password is kept that it is encrypted with; none: it isn't."
    )
    encryption_salt: SecretReference | None = Field(None, description="Where its salt is kept.")
    encrypt_names: bool = Field(False, description="Whether file names are encrypted, too.")
    exclude: tuple[str, ...] = Field((), description="Files that are left out, as rclone has it.")
    include: tuple[str, ...] = Field((), description="The only folders that are copied.")
    bandwidth: tuple[Bandwidth, ...] = Field((), description="How fast, by time of day.")
    transfers: Positive | None = Field(None, description="Files at once.")
    chunk_bytes: FileSize | None = Field(None, description="Size of an upload's pieces [bytes].")
    fast_list: bool = Field(False, description="Whether it lists with few questions, in memory.")
    storage_class: str | None = Field(None, description="S3's storage class.")
    follow_links: bool = Field(False, description="Whether symbolic links are followed.")
    enabled: bool = Field(True, description="Whether it runs.")


# By itself --------------------------------------------------------------------------------------


class OwnCommand(Made):
    """A command that a TrueNAS runs by itself: when it starts or stops, or at set times."""

    command: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="As a shell runs it. Anybody on the NAS sees it: no secrets."
    )
    at: Literal["PREINIT", "POSTINIT", "SHUTDOWN"] | None = Field(
        None, description="As it starts: before its services or after them; or as it stops."
    )
    timeout_s: Positive = Field(10, description="With at: how long it is waited for [s].")
    schedule: Cron | None = Field(None, description="When else, as in crontab: '0 3 * * *'.")
    user: AccountName = Field("root", description="With schedule: who runs it.")
    enabled: bool = Field(True, description="Whether it runs.")

    @model_validator(mode="after")
    def _when(self) -> "OwnCommand":
        if (self.at is None) == (self.schedule is None):
            raise ValueError("say when it runs: either at, or schedule")
        if self.at is not None and self.user != "root":
            raise ValueError("at start and stop a TrueNAS runs commands as root")
        return self


# Watching ----------------------------------------------------------------------------------------


class SmartTest(Made):
    """A disk's test of itself."""

    kind: Literal["SHORT", "LONG", "CONVEYANCE", "OFFLINE"] = Field(description="Which.")
    disks: tuple[DiskName, ...] = Field((), description="Disks that it is for; empty: all.")
    schedule: Cron = Field(description="When, as in crontab: '0 2 15 * *'.")


class Mail(Record):
    """How a NAS sends mail."""

    sender: str = Field(description="Address it writes from.")
    sender_name: str = Field("", description="Name it writes under.")
    server: str = Field(description="Mail server.")
    port: Tcp = Field(587, description="Its port.")
    security: Literal["PLAIN", "SSL", "TLS"] = Field("TLS", description="How it is protected.")
    user: str | None = Field(None, description="Login there; none: without.")
    password: SecretReference | None = Field(None, description="Where its password is kept.")


class AlertService(Made):
    """Where a NAS reports trouble."""

    kind: Literal[
        "Mail", "Slack", "Mattermost", "Telegram", "PagerDuty", "OpsGenie", "VictorOps", "SNMPTrap",
        "AWSSNS", "InfluxDB",
    ] = Field(description="Which service, in TrueNAS's words.")  # fmt: skip
    level: Literal["INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"] = Field(
        "WARNING", description="From which level on."
    )
    secrets: dict[str, SecretReference] = Field(
        {}, description="Fields that nobody may see, such as bot_token or Slack's url."
    )
    settings: Annotated[dict[str, Setting], _without("url")] = Field(
        {}, description="Its other fields, such as email."
    )
    enabled: bool = Field(True, description="Whether it reports.")


class Nas(Named):
    """What is set up on one NAS beside pools and shares. Its key is the host's name."""

    groups: Annotated[dict[AccountName, NasGroup], BY_NAME] = Field({}, description="Groups.")
    users: Annotated[dict[AccountName, NasUser], BY_NAME] = Field({}, description="Users.")
    acls: Annotated[dict[DatasetName | AbsolutePath, Acl], BY_NAME] = Field(
        {},
        description="Who may do what in a dataset, by the dataset; on plain Linux in a folder, "
        "too, by its path.",
    )
    share_acls: Annotated[dict[str, ShareAcl], BY_NAME] = Field(
        {}, description="Who may use an SMB share, by the share's name."
    )
    smb: SmbService | None = Field(None, description="How it speaks SMB; none: as it comes.")
    nfs: NfsService | None = Field(None, description="How it speaks NFS; none: as it comes.")
    iscsi: Iscsi | None = Field(None, description="Block devices that it lends out.")
    apps_pool: PoolName | None = Field(
        None, description="Pool that apps are kept on; none: its only one."
    )
    snapshot_tasks: Annotated[dict[Slug, SnapshotTask], BY_NAME] = Field(
        {}, description="Snapshots that are made again and again."
    )
    scrubs: Annotated[dict[str, ScrubTask], BY_NAME] = Field(
        {}, description="When pools are scrubbed, by the pool."
    )
    cloud_credentials: Annotated[dict[Slug, CloudCredential], BY_NAME] = Field(
        {}, description="Logins at places outside of the house."
    )
    cloud_tasks: Annotated[dict[Slug, CloudTask], BY_NAME] = Field(
        {}, description="Copies outside of the house."
    )
    smart_tests: Annotated[dict[Slug, SmartTest], BY_NAME] = Field(
        {}, description="Disks' tests of themselves."
    )
    commands: Annotated[dict[Slug, OwnCommand], BY_NAME] = Field(
        {}, description="Commands that it runs by itself."
    )
    mail: Mail | None = Field(None, description="How it sends mail.")
    alerts: Annotated[dict[Slug, AlertService], BY_NAME] = Field(
        {}, description="Where it reports trouble."
    )
