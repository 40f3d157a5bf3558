"""What the methods of pools, scrubs and snapshots take.

Source: TrueNAS middleware 25.04 to 26, API models `pool`, `pool_scrub`, `pool_snapshottask` and
`disk`.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Name,
    Schedule,
    Text,
    TimedSchedule,
    absent,
    changes_of,
)

CHECKSUMS = ("ON", "OFF", "FLETCHER2", "FLETCHER4", "SHA256", "SHA512", "SKEIN", "EDONR", "BLAKE3")
Cipher = Literal[
    "AES-128-CCM", "AES-192-CCM", "AES-256-CCM", "AES-128-GCM", "AES-192-GCM", "AES-256-GCM"
]
_Passphrase = Annotated[str, Field(min_length=8, max_length=1024)]
_Key = Annotated[str, Field(min_length=64, max_length=64)]


class Encryption(Arguments):
    """How a pool or a dataset is encrypted."""

    generate_key: bool = False
    pbkdf2iters: int = Field(350_000, ge=100_000)
    algorithm: Cipher = "AES-256-GCM"
    passphrase: _Passphrase | None = ""
    key: _Key | None = ""


class Encryption26(Arguments):
    """The same in 26: one cipher, and many more rounds."""

    generate_key: bool = False
    pbkdf2iters: int = Field(1_300_000, ge=1_300_000)
    passphrase: _Passphrase | None = ""
    key: _Key | None = ""


class DraidVdev(Arguments):
    """A vdev with its spares spread over all disks."""

    type: Literal["DRAID1", "DRAID2", "DRAID3"]
    disks: list[Text]
    draid_data_disks: int | None = None
    draid_spare_disks: int = 0


class DataVdev(Arguments):
    """Any other vdev for data."""

    type: Literal["RAIDZ1", "RAIDZ2", "RAIDZ3", "MIRROR", "STRIPE"]
    disks: list[Text]


class SmallVdev(Arguments):
    """A vdev for a log, or for metadata until 26."""

    type: Literal["MIRROR", "STRIPE"]
    disks: list[Text]


class CacheVdev(Arguments):
    """A cache: each disk for itself."""

    type: Literal["STRIPE"]
    disks: list[Text]


AnyVdev = Annotated[DraidVdev | DataVdev, Field(discriminator="type")]


class Topology(Arguments):
    """A pool's vdevs."""

    data: list[AnyVdev] = Field(min_length=1)
    special: list[SmallVdev] = Field([])
    dedup: list[SmallVdev] = Field([])
    cache: list[CacheVdev] = Field([])
    log: list[SmallVdev] = Field([])
    spares: list[Text] = Field([])


class Topology26(Topology):
    """In 26 metadata may lie on any kind of vdev."""

    special: list[AnyVdev] = Field([])  # type: ignore[assignment]


class PoolCreate(Arguments):
    """A new pool."""

    name: Annotated[str, Field(min_length=1, max_length=50)]
    encryption: bool = False
    dedup_table_quota: Literal["AUTO", "CUSTOM", None] = "AUTO"
    dedup_table_quota_value: Annotated[int, Field(gt=0)] | None = None
    deduplication: Literal["ON", "VERIFY", "OFF", None] = None
    checksum: Literal[*CHECKSUMS, None] = None  # type: ignore[valid-type]
    encryption_options: Encryption = Field(default_factory=Encryption)
    topology: Topology
    allow_duplicate_serials: bool = False

    @field_validator("name")
    @classmethod
    def _no_space(cls, name: str) -> str:
        if any(letter.isspace() for letter in name):
            raise ValueError("Pool name must not contain whitespace")
        return name


class PoolCreate26(PoolCreate):
    """A new pool in 26."""

    name: Name
    encryption_options: Encryption26 = Field(  # type: ignore[assignment]
        default_factory=Encryption26
    )
    topology: Topology26
    all_sed: bool = False
    force_topology: bool = False


class DiskDetails(Arguments):
    """Which disks to tell of."""

    join_partitions: bool = False
    type: Literal["USED", "UNUSED", "BOTH"] = "BOTH"


class PoolExport(Arguments):
    """What goes with a pool."""

    cascade: bool = False
    restart_services: bool = False
    destroy: bool = False


class PoolImport(Arguments):
    """Which pool, and what it is called from now on."""

    guid: Text
    name: Annotated[str, Field(min_length=1, max_length=50)] | None = None


class PoolImport26(PoolImport):
    """The same in 26."""

    name: Name | None = None


class ScrubSchedule(Schedule):
    """Sundays at midnight, unless one says otherwise."""

    hour: Text = "00"
    dow: Text = "7"


class ScrubCreate(Arguments):
    """When a pool is scrubbed."""

    pool: int = Field(gt=0)
    threshold: int = Field(35, ge=0)
    description: Text = ""
    schedule: ScrubSchedule = Field(default_factory=ScrubSchedule)
    enabled: bool = True


class SnapshotTaskCreate(Arguments):
    """When snapshots are taken, and how long they are kept."""

    dataset: Text
    recursive: bool = False
    lifetime_value: int = 2
    lifetime_unit: Literal["HOUR", "DAY", "WEEK", "MONTH", "YEAR"] = "WEEK"
    enabled: bool = True
    exclude: list[Text] = Field([])
    naming_schema: Text = "auto-%Y-%m-%d_%H-%M"
    allow_empty: bool = True
    schedule: TimedSchedule = Field(default_factory=TimedSchedule)


ScrubUpdate = changes_of(ScrubCreate)
SnapshotTaskUpdate = changes_of(SnapshotTaskCreate, fixate_removal_date=(bool, absent()))
