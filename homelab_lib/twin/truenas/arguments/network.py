"""What the methods of the network take.

Source: TrueNAS middleware 25.10 and 26, API models `interface`, `network`, `static_route`; 25.04 as
its old schema has them.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from homelab_lib.twin.truenas.arguments.base import (
    Address,
    AnyAddress,
    AnyNetwork,
    Arguments,
    Ipv4,
    Name,
    Text,
    absent,
    changes_of,
    unlike,
)

_NoneOf = Literal[""]


class Alias(Arguments):
    """One address of an interface."""

    type: Literal["INET", "INET6"] = "INET"
    address: _NoneOf | Address
    netmask: int


class FailoverAlias(Arguments):
    """An address that moves between the two halves of a pair."""

    type: Literal["INET", "INET6"] = "INET"
    address: _NoneOf | Address


class InterfaceSettings(Arguments):
    """An interface."""

    name: Text = absent()
    description: Text = ""
    ipv4_dhcp: bool = False
    ipv6_auto: bool = False
    aliases: Annotated[
        list[Alias], AfterValidator(unlike), Field(json_schema_extra={"uniqueItems": True})
    ] = Field([])  # fmt: skip
    failover_critical: bool = False
    failover_group: int | None = absent()
    failover_vhid: Annotated[int, Field(ge=1, le=255)] | None = absent()
    failover_aliases: list[FailoverAlias] = Field([])
    failover_virtual_aliases: list[FailoverAlias] = Field([])
    bridge_members: list[Any] = Field([])
    enable_learning: bool = True
    stp: bool = True
    lag_protocol: Literal["LACP", "FAILOVER", "LOADBALANCE", "ROUNDROBIN", "NONE"] = absent()
    xmit_hash_policy: Literal["LAYER2", "LAYER2+3", "LAYER3+4", None] = None
    lacpdu_rate: Literal["SLOW", "FAST", None] = None
    lag_ports: list[Text] = Field([])
    vlan_parent_interface: Text = absent()
    vlan_tag: int = Field(default_factory=absent().default_factory, ge=1, le=4094)
    vlan_pcp: Annotated[int, Field(ge=0, le=7)] | None = absent()
    mtu: Annotated[int, Field(ge=68, le=9216)] | None = None


class InterfaceCreate(InterfaceSettings):
    """One that is no port: a bridge, several ports as one, a VLAN."""

    type: Literal["BRIDGE", "LINK_AGGREGATION", "VLAN"]


InterfaceUpdate = changes_of(InterfaceSettings)
InterfaceUpdate26 = changes_of(
    InterfaceSettings,
    fec_mode=(Literal["AUTO", "OFF", "RS", "BASER", "LLRS"], absent()),
)


class Commit(Arguments):
    """How changes are applied."""

    rollback: bool = True
    checkin_timeout: int = 60


class SavedConfig(Arguments):
    """What DHCP gave and is now written down."""

    ipv4gateway: Ipv4
    nameserver1: _NoneOf | Address = absent()
    nameserver2: _NoneOf | Address = absent()
    nameserver3: _NoneOf | Address = absent()


class Announced(Arguments):
    """By which protocols the NAS tells of itself."""

    netbios: bool = absent()
    mdns: bool = absent()
    wsd: bool = absent()


class Activity(Arguments):
    """Which services may reach out."""

    type: Literal["ALLOW", "DENY"]
    activities: list[Text] = Field([])


class Configuration(Arguments):
    """Names, gateways, name servers."""

    hostname: Text
    domain: Text
    ipv4gateway: _NoneOf | Ipv4
    ipv6gateway: _NoneOf | Address
    nameserver1: _NoneOf | Address
    nameserver2: _NoneOf | Address
    nameserver3: _NoneOf | Address
    httpproxy: Text
    hosts: list[Text]
    domains: list[Text]
    service_announcement: Announced
    activity: Activity
    hostname_b: Text | None
    hostname_virtual: Text | None

    @field_validator("hostname", "hostname_b", "hostname_virtual", check_fields=False)
    @classmethod
    def _host(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
            raise ValueError("Hostname can only contain letters, numbers, periods, and dashes")
        return name

    @field_validator("domain", check_fields=False)
    @classmethod
    def _domain(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.-]*", name):
            raise ValueError("Domain can only contain letters, numbers, periods, and dashes")
        return name


ConfigurationUpdate = changes_of(Configuration)


class RouteCreate(Arguments):
    """A route of one's own since 25.10.1."""

    destination: Name
    gateway: Name
    description: Text = ""


class OldRouteCreate(Arguments):
    """A route of one's own until 25.10.0."""

    destination: AnyNetwork
    gateway: AnyAddress
    description: Text = ""


RouteUpdate = changes_of(RouteCreate)
OldRouteUpdate = changes_of(OldRouteCreate)
