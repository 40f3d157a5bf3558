"""Storage: pools, datasets, shares, where VMs keep their disks, and the tiers over all of it."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    Bytes,
    Count,
    DatasetName,
    DiskName,
    Named,
    Network,
    Phase,
    Positive,
    Record,
    Slug,
    User,
)

ShareType = Literal["NFS", "SMB", "MULTIPROTOCOL", "GENERIC", "APPS"]


class Pool(Named):
    """A ZFS pool."""

    host: Slug = Field(description="Machine it is in.")
    layout: Literal["stripe", "mirror", "raidz1", "raidz2", "raidz3", "draid1", "draid2"] = Field(
        description="Layout of each vdev."
    )
    disks: tuple[DiskName, ...] = Field(min_length=1, description="The host's disks it is made of.")
    vdevs: Positive = Field(1, description="Number of equal vdevs the disks are divided into.")
    ashift: Annotated[int, Field(strict=True, ge=9, le=16)] = Field(
        12, description="Sector size as a power of two."
    )
    purpose: str = Field("", description="What it is for.")
    scrub: str | None = Field(None, description="How often it is scrubbed, such as 'monthly'.")
    reasons: tuple[str, ...] = Field((), description="Why this layout, in the document's words.")
    claimed_raw_bytes: Bytes | None = Field(None, description="Raw size as written [bytes].")
    claimed_usable_bytes: Bytes | None = Field(None, description="Usable size as written [bytes].")
    claimed_failures: Count | None = Field(None, description="Disks it is said to survive losing.")
    phase: Phase = Field(None, description="Phase that makes it.")


class Dataset(Named):
    """A ZFS dataset, as TrueNAS makes one."""

    host: Slug = Field(description="Machine it is on.")
    purpose: str = Field(description="What is kept there.")
    share_type: ShareType = Field("GENERIC", description="TrueNAS's preset for how it is shared.")
    recordsize_bytes: Bytes | None = Field(None, description="Record size [bytes]; none: default.")
    quota_bytes: Bytes | None = Field(None, description="Most it may hold [bytes].")
    expected_bytes: Bytes | None = Field(None, description="What it is expected to hold [bytes].")
    phase: Phase = Field(None, description="Phase that makes it.")

    @property
    def pool(self) -> str:
        """The pool it is in."""
        return self.name.partition("/")[0]


class NfsShare(Named):
    """An NFS export."""

    host: Slug = Field(description="Machine that exports it.")
    dataset: DatasetName = Field(description="Dataset behind it.")
    path: AbsolutePath = Field(description="What is exported, such as '/mnt/tank/k3s'.")
    networks: tuple[Network, ...] = Field(
        min_length=1, description="Networks that may mount it; an empty list would mean everyone."
    )
    maproot_user: User | None = Field(None, description="Whom a client's root becomes.")
    maproot_group: User | None = Field(None, description="Whose group a client's root gets.")
    purpose: str = Field("", description="Who uses it.")
    phase: Phase = Field(None, description="Phase that makes it.")


class SmbShare(Named):
    """A Windows share."""

    host: Slug = Field(description="Machine that offers it.")
    dataset: DatasetName = Field(description="Dataset behind it.")
    path: AbsolutePath = Field(description="What is shared.")
    purpose: str = Field("", description="Who uses it.")
    phase: Phase = Field(None, description="Phase that makes it.")


class VmStorage(Named):
    """Where a Proxmox host keeps VM disks, images and snippets."""

    host: Slug = Field(description="The Proxmox host.")
    kind: Literal["zfspool", "dir"] = Field(description="Proxmox's storage type.")
    pool: str | None = Field(None, description="ZFS pool, or dataset of one, behind a zfspool.")
    path: AbsolutePath | None = Field(None, description="Folder behind a dir.")
    content: tuple[
        Literal["images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import"], ...
    ] = Field(description="What it may hold.")
    phase: Phase = Field(None, description="Phase that makes it.")


class Tier(Named):
    """A storage tier of the design."""

    title: str = Field(description="Its name in the document, such as 'Fast'.")
    where: str = Field(description="What it stands on, in the document's words.")
    host: Slug | None = Field(None, description="Machine it is on; none for one off site.")
    pools: tuple[str, ...] = Field((), description="The host's pools it stands on.")
    contents: tuple[str, ...] = Field(description="What goes there.")
    offsite: tuple[str, ...] = Field((), description="Places outside the house to choose from.")


class Storage(Record):
    """All of it, as keys of the lab's document."""

    pools: Annotated[dict[Slug, Pool], BY_NAME] = Field({}, description="ZFS pools.")
    datasets: Annotated[dict[DatasetName, Dataset], BY_NAME] = Field(
        {}, description="Datasets, by full name such as 'tank/media'."
    )
    nfs_shares: Annotated[dict[Slug, NfsShare], BY_NAME] = Field({}, description="NFS exports.")
    smb_shares: Annotated[dict[Slug, SmbShare], BY_NAME] = Field({}, description="SMB shares.")
    storages: Annotated[dict[Slug, VmStorage], BY_NAME] = Field(
        {}, description="Where Proxmox hosts keep VM disks, by Proxmox's storage id."
    )
    tiers: Annotated[dict[Slug, Tier], BY_NAME] = Field({}, description="Storage tiers.")
