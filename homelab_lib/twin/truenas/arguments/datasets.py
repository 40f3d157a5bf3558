"""What the methods of datasets take.

Source: TrueNAS middleware 25.10 and 26, API model `pool_dataset`; 25.04 as its old schema has it.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Name,
    Text,
    absent,
    changes_of,
)
from homelab_lib.twin.truenas.arguments.pools import CHECKSUMS, Encryption, Encryption26

OnOff = Literal["ON", "OFF", "INHERIT"]
_ZSTD = tuple(f"ZSTD-{n}" for n in range(1, 20))
_FAST = tuple(f"ZSTD-FAST-{n}" for n in (*range(1, 11), *range(20, 101, 10), 500, 1000))
COMPRESSIONS = (
    *("ON", "OFF", "LZ4", "GZIP", "GZIP-1", "GZIP-9", "ZSTD", "ZSTD-FAST", "ZLE", "LZJB"),
    *_ZSTD,
    *_FAST,
    "INHERIT",
)
_Percent = Annotated[int, Field(ge=0, le=100)] | Literal["INHERIT"]


def _number(given: Any) -> Any:
    """A truth value is no number, though Python takes False for 0."""
    if isinstance(given, bool):
        raise ValueError("Input should be a valid integer")
    return given


_Quota = Annotated[
    Annotated[int, Field(ge=2**30)] | Literal[0, None], BeforeValidator(_number)
]  # fmt: skip
_Key = Annotated[str, StringConstraints(max_length=1024, pattern=".*:.*")]


class UserProperty(Arguments):
    """A property with a name of one's own, such as ``org:owner``."""

    key: _Key
    value: Text


class UserPropertyUpdate(Arguments):
    """A change of such a property."""

    key: _Key
    value: Text = absent()
    remove: bool = absent()


class _Common(Arguments):
    """What a file system and a volume have in common."""

    name: Name
    comments: Text = "INHERIT"
    sync: Literal["STANDARD", "ALWAYS", "DISABLED", "INHERIT"] = "INHERIT"
    snapdev: Literal["HIDDEN", "VISIBLE", "INHERIT"] = absent()
    compression: Literal[COMPRESSIONS] = "INHERIT"  # type: ignore[valid-type]
    exec: OnOff = "INHERIT"
    managedby: Name = "INHERIT"
    quota_warning: _Percent = "INHERIT"
    quota_critical: _Percent = "INHERIT"
    refquota_warning: _Percent = "INHERIT"
    refquota_critical: _Percent = "INHERIT"
    reservation: int = absent()
    refreservation: int = absent()
    special_small_block_size: int | Literal["INHERIT"] = absent()
    copies: int | Literal["INHERIT"] = "INHERIT"
    snapdir: Literal["DISABLED", "VISIBLE", "HIDDEN", "INHERIT"] = "INHERIT"
    deduplication: Literal["ON", "VERIFY", "OFF", "INHERIT"] = "INHERIT"
    checksum: Literal[*CHECKSUMS, "INHERIT"] = "INHERIT"  # type: ignore[valid-type]
    readonly: OnOff = "INHERIT"
    share_type: Literal["GENERIC", "MULTIPROTOCOL", "NFS", "SMB", "APPS"] = "GENERIC"
    encryption_options: Encryption = Field(default_factory=Encryption)
    encryption: bool = False
    inherit_encryption: bool = True
    user_properties: list[UserProperty] = Field([])
    create_ancestors: bool = False


class FilesystemCreate(_Common):
    """A new file system."""

    type: Literal["FILESYSTEM"] = "FILESYSTEM"
    aclmode: Literal["PASSTHROUGH", "RESTRICTED", "DISCARD", "INHERIT"] = absent()
    acltype: Literal["OFF", "NFSV4", "POSIX", "INHERIT"] = absent()
    atime: OnOff = absent()
    casesensitivity: Literal["SENSITIVE", "INSENSITIVE", "INHERIT"] = absent()
    quota: _Quota = absent()
    refquota: _Quota = absent()
    recordsize: Text = absent()


class VolumeCreate(_Common):
    """A new volume, which is a block device."""

    type: Literal["VOLUME"] = "VOLUME"
    force_size: bool = absent()
    sparse: bool = absent()
    volsize: int
    volblocksize: Literal[
        "512", "512B", "1K", "2K", "4K", "8K", "16K", "32K", "64K", "128K"
    ] = absent()  # fmt: skip


class FilesystemCreate26(FilesystemCreate):
    """A new file system in 26."""

    encryption_options: Encryption26 = Field(  # type: ignore[assignment]
        default_factory=Encryption26
    )


class VolumeCreate26(VolumeCreate):
    """A new volume in 26."""

    encryption_options: Encryption26 = Field(  # type: ignore[assignment]
        default_factory=Encryption26
    )


DatasetCreate: Any = FilesystemCreate | VolumeCreate


def _kind(given: Any) -> Any:
    """A file system, unless it says what else."""
    return given.get("type", "FILESYSTEM") if isinstance(given, dict) else "FILESYSTEM"


DatasetCreate26: Any = Annotated[
    Annotated[FilesystemCreate26, Tag("FILESYSTEM")] | Annotated[VolumeCreate26, Tag("VOLUME")],
    Discriminator(_kind),
]

DatasetUpdate = changes_of(
    FilesystemCreate,
    *("name", "share_type", "encryption_options", "encryption", "inherit_encryption"),
    *("type", "casesensitivity"),
    force_size=(bool, absent()),
    volsize=(int, absent()),
    user_properties_update=(list[UserPropertyUpdate], absent()),
)


class DatasetDelete(Arguments):
    """What may be destroyed with a dataset."""

    recursive: bool = False
    force: bool = False
