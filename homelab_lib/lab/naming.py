"""Addresses, names and time that machines are given: DHCP, DNS, NTP."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    BY_NAME,
    Address,
    DnsName,
    Form,
    Ip,
    Mac,
    Made,
    Named,
    Positive,
    Record,
    Slug,
    Tcp,
    VlanId,
)

HostLabel = Annotated[
    str, Form(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "a host's name without its domain")
]
OverrideName = Annotated[
    str,
    Form(
        r"(\*\.)?[a-z0-9_]([a-z0-9._-]{0,250}[a-z0-9])?",
        "a DNS name in lower case, such as nas.home.arpa",
    ),
]


class DhcpRange(Made):
    """Addresses that are given out in a VLAN."""

    vlan: VlanId = Field(description="VLAN it is for.")
    first: Ip = Field(description="First address.")
    last: Ip = Field(description="Last address.")
    lease_s: Positive = Field(86400, description="How long an address is lent [s].")
    gateway: Ip | None = Field(None, description="Router that is told; none: the VLAN's.")
    dns: tuple[Ip, ...] = Field((), description="Name servers that are told; empty: the server.")
    ntp: tuple[Ip, ...] = Field((), description="Time servers that are told.")
    domain: DnsName | None = Field(None, description="Domain that is told.")
    advertise: Literal["slaac", "stateless", "managed", "off"] = Field(
        "off", description="IPv6: what router advertisements say of how to get an address."
    )


class DhcpLease(Made):
    """An address that one machine always gets."""

    vlan: VlanId = Field(description="VLAN it is in.")
    mac: Mac | None = Field(None, description="The machine's hardware address.")
    client_id: (
        Annotated[
            str, Form(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+", "hexadecimal bytes, such as 01:ab")
        ]
        | None
    ) = Field(None, description="The machine's client identifier, or DUID, in place of its MAC.")
    address: Ip = Field(description="What it gets.")
    hostname: HostLabel | None = Field(None, description="Name it gets; none: the entry's.")
    lease_s: Positive | None = Field(None, description="How long [s]; none: as in its range.")


class DhcpServer(Named):
    """DHCP as one host serves it. Its key is the host's name."""

    server: Literal["dnsmasq", "kea", "isc", "other"] = Field(
        "dnsmasq", description="Program that serves."
    )
    ranges: Annotated[dict[Slug, DhcpRange], BY_NAME] = Field({}, description="Addresses to lend.")
    leases: Annotated[dict[Slug, DhcpLease], BY_NAME] = Field({}, description="Fixed addresses.")


class DnsOverride(Made):
    """What a name means inside the house."""

    addresses: tuple[Ip, ...] = Field((), description="Its addresses, of either family.")
    machine: Slug | None = Field(
        None, description="Host or VM whose addresses it has, in place of written ones."
    )
    aliases: tuple[OverrideName, ...] = Field((), description="Other names for the same.")
    ttl_s: Positive | None = Field(None, description="How long others may remember it [s].")
    reverse: bool = Field(True, description="Whether its addresses lead back to it.")


class DnsForward(Made):
    """Whom the server asks."""

    domain: DnsName | None = Field(None, description="For names of this domain; none: for all.")
    server: Ip = Field(description="Address of the name server.")
    port: Tcp | None = Field(None, description="Port; none: 53, or 853 over TLS.")
    tls_name: DnsName | None = Field(
        None, description="Name in its certificate, for DNS over TLS; none: plain DNS."
    )


class DnsServer(Named):
    """Names as one host serves them. Its key is the host's name."""

    server: Literal["unbound", "dnsmasq", "pihole", "adguard", "bind", "other"] = Field(
        "unbound", description="Program that serves."
    )
    domain: DnsName | None = Field(None, description="Domain of the house, such as home.arpa.")
    overrides: Annotated[dict[OverrideName, DnsOverride], BY_NAME] = Field(
        {}, description="Names of the house."
    )
    forwards: Annotated[dict[Slug, DnsForward], BY_NAME] = Field(
        {}, description="Whom it asks; empty: it starts at the root."
    )
    dnssec: bool = Field(True, description="Whether it checks signatures.")


class TimeServer(Record):
    """How a time server is asked."""

    prefer: bool = Field(False, description="Preferred over the others.")
    iburst: bool = Field(True, description="Several questions at once at the start.")
    burst: bool = Field(False, description="Several questions at once each time.")
    minpoll: Annotated[int, Field(strict=True, ge=3, le=17)] = Field(
        6, description="Shortest time between questions, as a power of two [s]."
    )
    maxpoll: Annotated[int, Field(strict=True, ge=3, le=17)] = Field(
        10, description="Longest time between questions, as a power of two [s]."
    )


class TimeClient(Made):
    """Whom a host asks for the time, and whom it tells. Its key is the host's name."""

    servers: dict[Address, TimeServer | None] = Field(
        description="Servers it asks, by name or address."
    )
    serves: tuple[VlanId, ...] = Field((), description="VLANs that it gives the time to.")
