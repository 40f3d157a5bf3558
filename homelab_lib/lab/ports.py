"""Network ports of machines: their addresses, the VLANs on them, and bonds of several."""

import ipaddress
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, InstanceOf, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.lab.base import Cidr, Interface, Mac, Mtu, Named, PortName, VlanId
from homelab_lib.lab.devices import Connector, NicPart, PortFacts
from homelab_lib.lab.part import FromCatalog

Automatic = Literal["dhcp", "dhcp6", "slaac"]
"""Ways to an address that nobody writes down: by DHCP, by DHCPv6, by router advertisements."""


def _some(written: Any) -> Any:
    """One address or a list of them, as a list."""
    return [written] if isinstance(written, str) else written


def _address(written: Any) -> Any:
    """Say what an address looks like, not what each member of a union refuses."""
    if isinstance(written, str) and written not in ("dhcp", "dhcp6", "slaac"):
        if "/" not in written:
            raise ValueError(
                "write an address with its prefix length, such as 10.0.30.10/24, or dhcp, dhcp6 "
                "or slaac"
            )
        ipaddress.ip_interface(written)
    return written


_TEXT = {"type": "string"}
Addresses = Annotated[
    tuple[Annotated[Automatic | Cidr, BeforeValidator(_address)], ...],
    BeforeValidator(_some),
    WithJsonSchema(
        {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}], "examples": ["10.0.30.10/24", "dhcp"]}
    ),
]
"""``10.0.30.10/24``, ``dhcp``, or a list of several such."""


def static(written: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are written out, IPv4 first."""
    fixed = [each for each in written if "/" in each]
    return tuple(sorted(fixed, key=lambda cidr: ipaddress.ip_interface(cidr).version))


class Port(Named):
    """How a network port of a host or a switch is set up, and what it is by its maker."""

    # A host's port names its part. Into those of a switch it writes what its own part has; until
    # then there is nothing.
    part: SkipJsonSchema[InstanceOf[PortFacts]] = Field(cast(PortFacts, None), exclude=True)
    mac: Mac | None = Field(None, description="Hardware address.")
    vlan: VlanId | None = Field(None, description="VLAN of untagged frames.")
    tagged: tuple[VlanId, ...] = Field((), description="VLANs carried with a tag.")
    mtu: Mtu = Field(1500, description="Largest packet [bytes].")

    @property
    def untagged(self) -> int | None:
        """The VLAN of its untagged frames on a switch that knows VLANs: the one that is written.

        A port of which nothing is said is as it left the factory, in VLAN 1 (IEEE 802.1Q, the
        default PVID); one that only carries tags drops what comes without.
        """
        return self.vlan if self.vlan is not None or self.tagged else 1

    @property
    def connector(self) -> Connector:
        """The jack or cage."""
        return self.part.connector

    @property
    def speeds_bps(self) -> tuple[int, ...]:
        """Speeds it negotiates, highest first [bit/s]."""
        return self.part.speeds_bps


class Addressed(Named):
    """What a host's port and a bond have in common: addresses, and a bridge above."""

    on_untagged: Addresses = Field(
        (),
        alias="address",
        description="Address with prefix length, of the port or of its bridge; dhcp, dhcp6 or "
        "slaac; or a list of several.",
    )
    on_tagged: dict[VlanId, Addresses] = Field(
        {},
        alias="addresses",
        description="Addresses on tagged VLANs, by VLAN: a router has one or more in each.",
    )
    bridge: Interface | None = Field(None, description="Bridge it belongs to, such as 'vmbr0'.")

    @property
    def address(self) -> str | None:
        """Its address where it is written out, IPv4 before IPv6; None where DHCP gives it."""
        return next(iter(static(self.on_untagged)), None)

    @property
    def addresses(self) -> dict[int, str]:
        """The same on tagged VLANs, by VLAN."""
        fixed = {id_: static(written) for id_, written in self.on_tagged.items()}
        return {id_: cidrs[0] for id_, cidrs in fixed.items() if cidrs}

    @property
    def cidrs(self) -> tuple[str, ...]:
        """All of its addresses that are written out, of both families, on all VLANs."""
        tagged = (cidr for written in self.on_tagged.values() for cidr in static(written))
        return (*static(self.on_untagged), *tagged)

    @property
    def automatic(self) -> bool:
        """Whether it gets its untagged address from somebody else."""
        return any("/" not in written for written in self.on_untagged)


class HostPort(Port, Addressed):
    """A network port of a host."""

    part: Annotated[NicPart, FromCatalog] = Field(description="The network chip or card.")
    interface: Interface | None = Field(
        None, description="What the operating system calls it, such as 'enp12s0'."
    )
    driver: str | None = Field(None, description="Driver that the document means to use.")
    kernel_status: str | None = Field(
        None, description="What the document says of that driver's place in the kernel."
    )


class Bond(Addressed):
    """Several ports of a host that are used as one, under the name of the bond's interface."""

    kind: Literal["lacp", "active-backup", "balance-xor", "balance-rr"] = Field(
        description="How its members are used: IEEE 802.3ad, one at a time, by hash, or in turn."
    )
    members: tuple[PortName, ...] = Field(min_length=1, description="The host's ports in it.")
    hash_policy: Literal["layer2", "layer2+3", "layer3+4"] = Field(
        "layer2+3", description="What a flow's member is chosen by, with lacp and balance-xor."
    )
    lacp_rate: Literal["slow", "fast"] = Field("slow", description="How often LACP speaks.")
    primary: PortName | None = Field(
        None, description="Member that active-backup prefers; none: whichever comes up first."
    )
    mac: Mac | None = Field(None, description="Hardware address; none: its first member's.")
    vlan: VlanId | None = Field(None, description="VLAN of untagged frames.")
    tagged: tuple[VlanId, ...] = Field((), description="VLANs carried with a tag.")
    mtu: Mtu = Field(1500, description="Largest packet [bytes].")

    @property
    def interface(self) -> str:
        """What the operating system calls it."""
        return self.name
