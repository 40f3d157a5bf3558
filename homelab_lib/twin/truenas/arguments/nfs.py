"""What the methods of NFS take.

Source: TrueNAS middleware 25.04 to 26, API models `nfs` and `sharing_nfs`.
"""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Name,
    Path,
    Port,
    Text,
    changes_of,
)


class NfsSettings(Arguments):
    """The NFS service."""

    servers: Annotated[int, Field(ge=1, le=256)] | None
    allow_nonroot: bool
    protocols: list[Literal["NFSV3", "NFSV4"]]
    v4_krb: bool
    v4_domain: Text
    bindip: list[Name]
    mountd_port: Port | None
    rpcstatd_port: Port | None
    rpclockd_port: Port | None
    mountd_log: bool
    statd_lockd_log: bool
    userd_manage_gids: bool
    rdma: bool


class NfsShareCreate(Arguments):
    """A new export."""

    path: Path
    aliases: list[Name] = Field([])
    comment: Text = ""
    networks: list[Name] = Field([])
    hosts: list[Name] = Field([])
    ro: bool = False
    maproot_user: Text | None = None
    maproot_group: Text | None = None
    mapall_user: Text | None = None
    mapall_group: Text | None = None
    security: list[Literal["SYS", "KRB5", "KRB5I", "KRB5P"]] = Field([])
    enabled: bool = True
    expose_snapshots: bool = False


NfsUpdate = changes_of(NfsSettings)
NfsShareUpdate = changes_of(NfsShareCreate)
