"""Storage: pools, datasets, shares, where VMs keep their disks, and the tiers over all of it."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    Address,
    DatasetName,
    Form,
    Named,
    Network,
    PoolName,
    Record,
    Ref,
    SecretReference,
    ShareName,
    Slug,
    StorageId,
    User,
    ZfsName,
)
from homelab_lib.lab.per_host import BY_HOST, OnHost
from homelab_lib.lab.pools import Pool
from homelab_lib.lab.quantities import RecordSize, VolumeSize

ShareType = Literal["NFS", "SMB", "MULTIPROTOCOL", "GENERIC", "APPS"]
Content = Literal["images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import"]
VolumeGroup = Annotated[
    str, Form(r"[A-Za-z0-9_.+][A-Za-z0-9_.+-]*", "an LVM name: letters, digits and any of _ . + -")
]

_FILES: tuple[Content, ...] = (
    "images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import",
)  # fmt: skip
_BLOCKS: tuple[Content, ...] = ("images", "rootdir")

STORAGE_KINDS: dict[str, tuple[tuple[str, ...], tuple[Content, ...]]] = {
    "dir": (("path",), _FILES),
    "btrfs": (("path",), _FILES),
    "nfs": (("server", "export"), _FILES),
    "cifs": (("server", "share"), _FILES),
    "zfspool": (("pool",), _BLOCKS),
    "lvm": (("vgname",), _BLOCKS),
    "lvmthin": (("vgname", "thinpool"), _BLOCKS),
    "pbs": (("server", "datastore"), ("backup",)),
}
"""What each kind of storage is made of, and what it can hold, by Proxmox VE's storage plugins."""


class Dataset(OnHost):
    """A ZFS dataset, as TrueNAS makes one."""

    purpose: str = Field(description="What is kept there.")
    share_type: ShareType = Field("GENERIC", description="TrueNAS's preset for how it is shared.")
    recordsize_bytes: RecordSize | None = Field(
        None, description="Record size [bytes]; none: default."
    )
    quota_bytes: VolumeSize | None = Field(None, description="Most it may hold [bytes].")
    expected_bytes: VolumeSize | None = Field(
        None, description="What it is expected to hold [bytes]."
    )

    @property
    def pool(self) -> str:
        """The pool of its machine that it is in."""
        return self.name.partition("/")[0]


class Share(OnHost):
    """A folder that others may mount."""

    dataset: ZfsName | None = Field(
        None,
        description="Dataset of the same machine behind it, or a pool's own; none without ZFS.",
    )
    path: AbsolutePath = Field(description="What is shared, such as '/mnt/tank/k3s'.")
    purpose: str = Field("", description="Who uses it.")


class NfsShare(Share):
    """An NFS export."""

    networks: tuple[Network, ...] = Field(
        min_length=1, description="Networks that may mount it; an empty list would mean everyone."
    )
    maproot_user: User | None = Field(None, description="Whom a client's root becomes.")
    maproot_group: User | None = Field(None, description="Whose group a client's root gets.")


class SmbShare(Share):
    """A Windows share."""


class VmStorage(OnHost):
    """Where a Proxmox node keeps VM disks, images and snippets.

    In a Proxmox cluster one definition serves all nodes: what several of them have under the same
    id is written under each, and must be the same.
    """

    kind: Literal["dir", "zfspool", "lvmthin", "lvm", "btrfs", "nfs", "cifs", "pbs"] = Field(
        description="Proxmox's storage type."
    )
    content: tuple[Content, ...] = Field(description="What it may hold.")
    path: AbsolutePath | None = Field(None, description="Folder of a dir or btrfs.")
    pool: ZfsName | None = Field(
        None, description="The node's ZFS pool, or a dataset of one, behind a zfspool."
    )
    vgname: VolumeGroup | None = Field(None, description="Volume group of an lvm or lvmthin.")
    thinpool: VolumeGroup | None = Field(None, description="Thin pool of an lvmthin.")
    server: Address | None = Field(None, description="Server of an nfs, cifs or pbs.")
    export: AbsolutePath | None = Field(None, description="What the server of an nfs exports.")
    share: ShareName | None = Field(None, description="Share of a cifs.")
    datastore: Annotated[str, Form(r"[A-Za-z0-9_][A-Za-z0-9._-]*", "a datastore's name")] | None = (
        Field(None, description="Datastore of a pbs.")
    )
    username: str | None = Field(
        None, description="Login of a cifs or pbs: of a pbs a token, such as 'pve@pbs!node'."
    )
    password: SecretReference | None = Field(
        None, description="Where the secret of a pbs's token is kept."
    )
    fingerprint: (
        Annotated[
            str,
            Form(
                r"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}",
                "a certificate's SHA-256 as `proxmox-backup-manager cert info` shows it",
            ),
        ]
        | None
    ) = Field(
        None,
        description="By which the server of a pbs is known; none: a server of this lab is asked, "
        "over SSH.",
    )
    encrypted: bool = Field(
        False, description="Whether a pbs gets backups that are encrypted by a key of the host's."
    )
    paper: str = Field("", description="Who has that key on paper, and where.")
    size_bytes: VolumeSize | None = Field(
        None, description="What it holds [bytes], where nothing else here says it."
    )


class Tier(Named):
    """A storage tier of the design."""

    title: str = Field(description="Its name in the document, such as 'Fast'.")
    where: str = Field(description="What it stands on, in the document's words.")
    pools: tuple[Ref, ...] = Field(
        (), description="Pools it stands on, such as 'nas.tank'; none for one off site."
    )
    contents: tuple[str, ...] = Field(description="What goes there.")
    offsite: tuple[str, ...] = Field((), description="Places outside the house to choose from.")


class Storage(Record):
    """All of it, as keys of the lab's document."""

    pools: Annotated[dict[Slug, Annotated[dict[PoolName, Pool], BY_NAME]], BY_HOST] = Field(
        {}, description="ZFS pools, by machine and name."
    )
    datasets: Annotated[dict[Slug, Annotated[dict[DatasetName, Dataset], BY_NAME]], BY_HOST] = (
        Field({}, description="Datasets, by machine and full name such as 'tank/media'.")
    )
    nfs_shares: Annotated[dict[Slug, Annotated[dict[ShareName, NfsShare], BY_NAME]], BY_HOST] = (
        Field({}, description="NFS exports, by machine and a name of ours.")
    )
    smb_shares: Annotated[dict[Slug, Annotated[dict[ShareName, SmbShare], BY_NAME]], BY_HOST] = (
        Field({}, description="SMB shares, by machine and name.")
    )
    storages: Annotated[dict[Slug, Annotated[dict[StorageId, VmStorage], BY_NAME]], BY_HOST] = (
        Field({}, description="Where Proxmox nodes keep VM disks, by machine and storage id.")
    )
    tiers: Annotated[dict[Slug, Tier], BY_NAME] = Field({}, description="Storage tiers.")
