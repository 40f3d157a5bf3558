"""What keeps machines running when the mains fail: UPSes, and a cluster's majority."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    Address,
    Form,
    Ip,
    Made,
    Positive,
    Record,
    SecretReference,
    Slug,
)
from homelab_lib.lab.part import FromCatalog
from homelab_lib.lab.platforms import UpsPart


class Nut(Record):
    """Network UPS Tools: one host watches the UPS, and tells others."""

    host: Slug = Field(description="Host that the UPS is plugged into, or that asks it by SNMP.")
    driver: str | None = Field(None, description="NUT's driver; none: the catalog's.")
    port: str = Field("auto", description="Where the driver finds it: a device, or an address.")
    identifier: Annotated[
        str, Form(r"[A-Za-z0-9_.-]{1,64}", "letters, digits and any of _ . -")
    ] = Field("ups", description="What NUT calls it.")
    user: str = Field("upsmon", description="NUT's login.")
    password: SecretReference | None = Field(None, description="Where its password is kept.")
    tells: tuple[Slug, ...] = Field((), description="Hosts and VMs that listen to it.")
    shutdown: Literal["LOWBATT", "BATT"] = Field(
        "LOWBATT", description="When machines go down: at low battery, or soon after the cut."
    )
    shutdown_after_s: Positive = Field(30, description="With BATT: how soon [s].")
    power_off: bool = Field(False, description="Whether the UPS then cuts its outlets.")
    wait_for_others_s: Positive = Field(
        15, description="How long the host waits for those it tells [s]."
    )
    options: str = Field("", description="Further lines for ups.conf.")


class Ups(Made):
    """An uninterruptible power supply."""

    title: str = Field(description="What people call it.")
    part: Annotated[UpsPart, FromCatalog] = Field(description="What it is.")
    feeds: tuple[Slug, ...] = Field((), description="Hosts and switches that hang on it.")
    nut: Nut | None = Field(None, description="Who watches it; none: nobody.")


class ProxmoxCluster(Made):
    """Proxmox hosts that are one cluster."""

    nodes: tuple[Slug, ...] = Field(min_length=1, description="Hosts, in the order of joining.")
    qdevice: Address | None = Field(
        None, description="Host, VM or address that votes without being a node."
    )
    links: dict[Slug, tuple[Ip, ...]] = Field(
        {}, description="Addresses that Corosync uses, by host; empty: those of the login."
    )

    @property
    def votes(self) -> int:
        """Votes in all.

        A quorum device has one vote where the number of nodes is even, and one fewer than there
        are nodes where it is odd (Proxmox VE Administration Guide, "QDevice Technical Overview").
        """
        count = len(self.nodes)
        if self.qdevice is None:
            return count
        return count + 1 if count % 2 == 0 else 2 * count - 1

    @property
    def failures(self) -> int:
        """How many nodes may fail before the others stop, while a quorum device answers."""
        count = len(self.nodes)
        others = self.votes - count
        return count - max(self.votes // 2 + 1 - others, 1)
