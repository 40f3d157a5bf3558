"""What the methods of iSCSI take.

Source: TrueNAS middleware 25.10 and 26, API models `iscsi_auth`, `iscsi_extent`, `iscsi_global`,
`iscsi_initiator`, `iscsi_portal`, `iscsi_target` and `iscsi_target_to_extent`; 25.04 as its old
schema has them.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Name,
    Text,
    absent,
    changes_of,
)

_Percent = Annotated[int, Field(ge=1, le=99)] | None


def _target_name(value: str) -> str:
    if not re.fullmatch(r"[-a-z0-9.:]+", value):
        raise ValueError(
            "Name can only contain lowercase alphanumeric charactersplus dot (.), dash (-), and "
            "colon (:)"
        )
    return value


class PortalAddress(Arguments):
    """An address to answer at."""

    ip: Name


class PortalCreate(Arguments):
    """Where it answers."""

    listen: list[PortalAddress]
    comment: Text = ""


class InitiatorCreate(Arguments):
    """Who may log in; nobody named: everyone."""

    initiators: list[Text] = Field([])
    comment: Text = ""


class AuthCreate(Arguments):
    """A login by CHAP."""

    tag: int
    user: Text
    secret: Text
    peeruser: Text = ""
    peersecret: Text = ""
    discovery_auth: Literal["NONE", "CHAP", "CHAP_MUTUAL"] = "NONE"


class Group(Arguments):
    """Who may log in at which portal."""

    portal: int
    initiator: int | None = None
    authmethod: Literal["NONE", "CHAP", "CHAP_MUTUAL"] = "NONE"
    auth: int | None = None


class TargetParameters(Arguments):
    """What is told to an initiator."""

    QueuedCommands: Literal[32, 128, None] = None


class TargetCreate(Arguments):
    """What an initiator logs in to."""

    name: Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_target_name)]
    alias: Text | None = None
    mode: Literal["ISCSI", "FC", "BOTH"] = "ISCSI"
    groups: list[Group] = Field([])
    auth_networks: list[Text] = Field([])
    iscsi_parameters: TargetParameters | None = None


class ExtentCreate(Arguments):
    """What is lent."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    type: Literal["DISK", "FILE"] = "DISK"
    disk: Text | None = None
    serial: Text | None = None
    path: Text | None = None
    filesize: Text | int = "0"
    blocksize: Literal[512, 1024, 2048, 4096] = 512
    pblocksize: bool = False
    avail_threshold: _Percent = None
    comment: Text = ""
    insecure_tpc: bool = True
    xen: bool = False
    rpm: Literal["UNKNOWN", "SSD", "5400", "7200", "10000", "15000"] = "SSD"
    ro: bool = False
    enabled: bool = True
    product_id: Annotated[str, Field(min_length=1, max_length=16)] | None = None

    @field_validator("blocksize", mode="before", check_fields=False)
    @classmethod
    def _no_truth(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("Input should be 512, 1024, 2048 or 4096")
        return value


class TargetExtentCreate(Arguments):
    """What is lent by which target."""

    target: int
    lunid: int | None = None
    extent: int


class TargetExtentChange(TargetExtentCreate):
    """The same once it is there: it has a number then."""

    lunid: int


class Global(Arguments):
    """What holds for all targets."""

    basename: Text
    isns_servers: list[Text]
    listen_port: Annotated[int, Field(ge=1025, le=65535)]
    pool_avail_threshold: _Percent
    alua: bool
    iser: bool


class Global26(Global):
    """The same in 26."""

    direct_config: bool | None
    mode: Annotated[int, Field(ge=0, le=1)]


PortalUpdate = changes_of(PortalCreate)
_numbered: dict[str, Any] = {"id": (int, absent())}
InitiatorUpdate = changes_of(InitiatorCreate, **_numbered)
AuthUpdate = changes_of(AuthCreate)
TargetUpdate = changes_of(TargetCreate)
ExtentUpdate = changes_of(ExtentCreate)
TargetExtentUpdate = changes_of(TargetExtentChange, **_numbered)
GlobalUpdate = changes_of(Global)
GlobalUpdate26 = changes_of(Global26)
