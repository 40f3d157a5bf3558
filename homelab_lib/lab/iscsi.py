"""Block devices that a NAS lends out by iSCSI."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    DatasetName,
    Form,
    Ip,
    Made,
    Network,
    Positive,
    Record,
    SecretReference,
    Slug,
)
from homelab_lib.lab.quantities import VolumeSize

Iqn = Annotated[
    str,
    Form(
        r"iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:\S+)?|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16,32}",
        "an iSCSI name, such as iqn.1993-08.org.debian:01:abcdef",
    ),
]
TargetName = Annotated[
    str, Form(r"[a-z0-9.:-]{1,120}", "lower-case letters, digits and any of . : -")
]
Lun = Annotated[int, Field(strict=True, ge=0, le=1023)]


class IscsiPortal(Made):
    """Addresses at which a NAS answers."""

    listen: tuple[Ip, ...] = Field(
        min_length=1, description="Addresses of the NAS; 0.0.0.0 for all."
    )


class IscsiInitiators(Made):
    """Who may log in."""

    names: tuple[Iqn, ...] = Field(
        min_length=1, description="Their iSCSI names; an empty list would mean everyone."
    )


class IscsiAuth(Made):
    """A login by CHAP."""

    tag: Positive = Field(description="Number by which targets refer to it.")
    user: str = Field(min_length=1, description="Login name of the initiator.")
    secret: SecretReference = Field(description="Where its secret of 12 to 16 characters is kept.")
    peer_user: str | None = Field(None, description="Login name of the target, with mutual CHAP.")
    peer_secret: SecretReference | None = Field(None, description="Where that secret is kept.")


class IscsiExtent(Made):
    """What is lent: a zvol, or a file."""

    zvol: DatasetName | None = Field(None, description="Zvol behind it, such as 'tank/lun0'.")
    file: AbsolutePath | None = Field(None, description="File behind it, in place of a zvol.")
    size_bytes: VolumeSize | None = Field(None, description="Its size [bytes]; none: as it is.")
    block_bytes: Literal[512, 1024, 2048, 4096] = Field(512, description="Block size [bytes].")
    serial: str | None = Field(None, description="Serial number; none: the NAS makes one.")
    rpm: Literal["SSD", "5400", "7200", "10000", "15000", "UNKNOWN"] = Field(
        "SSD", description="What it says of its speed."
    )
    read_only: bool = Field(False, description="Whether nobody may write.")
    sparse: bool = Field(True, description="Whether a zvol takes only the space that is used.")


class IscsiTarget(Made):
    """What an initiator logs in to."""

    alias: str | None = Field(None, description="A name for people.")
    portal: Slug = Field(description="Portal it answers at.")
    initiators: Slug | None = Field(
        None, description="Who may log in; none: everyone in its networks."
    )
    auth: Slug | None = Field(None, description="Login by CHAP; none: without.")
    mutual: bool = Field(False, description="Whether the target logs in as well.")
    networks: tuple[Network, ...] = Field((), description="Networks it may be reached from.")
    extents: dict[Lun, Slug] = Field(description="Extents by LUN.")


class Iscsi(Record):
    """All of it, of one NAS."""

    portals: Annotated[dict[Slug, IscsiPortal], BY_NAME] = Field({}, description="Portals.")
    initiators: Annotated[dict[Slug, IscsiInitiators], BY_NAME] = Field(
        {}, description="Who may log in."
    )
    auths: Annotated[dict[Slug, IscsiAuth], BY_NAME] = Field({}, description="Logins by CHAP.")
    extents: Annotated[dict[Slug, IscsiExtent], BY_NAME] = Field({}, description="What is lent.")
    targets: Annotated[dict[TargetName, IscsiTarget], BY_NAME] = Field({}, description="Targets.")
