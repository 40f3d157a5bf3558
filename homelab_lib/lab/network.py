"""The network: switches, cables, VLANs, the rules between them, and what the design says of it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.lab.base import (
    BY_ID,
    BY_NAME,
    Cidr,
    Form,
    Ip,
    Ip6,
    Listed,
    Named,
    Network,
    Network6,
    Phase,
    PortName,
    Record,
    Slug,
    VlanId,
)
from homelab_lib.lab.cabling import CablePart, Medium, SwitchPart, TransceiverPart
from homelab_lib.lab.coverage import Coverage
from homelab_lib.lab.part import FromCatalog
from homelab_lib.lab.ports import Port
from homelab_lib.lab.quantities import CableLength, LinkSpeed

ServicePort = Annotated[
    str, Form(r"(tcp|udp)/\d{1,5}(-\d{1,5})?|icmp", "tcp/2049, udp/53, tcp/8000-8010 or icmp")
]


class SwitchPort(Port):
    """A port of a switch. What it is, the catalog says under the switch."""

    purpose: str = Field("", description="What is plugged in there, where it is no host.")


class Switch(Named):
    """A switch. It has all ports of its part; the description lists those that are set up."""

    title: str = Field(description="What people call it.")
    part: Annotated[SwitchPart, FromCatalog] = Field(description="What it is.")
    address: Cidr | None = Field(None, description="Address for management.")
    ports: Annotated[dict[PortName, SwitchPort], BY_NAME] = Field(
        {}, validate_default=True, description="Its ports by name, such as 'p1' or 'sfp1'."
    )

    @property
    def managed(self) -> bool:
        """Whether it knows VLANs."""
        return self.part.managed

    @field_validator("ports")
    @classmethod
    def _all_ports(
        cls, ports: dict[str, SwitchPort], info: ValidationInfo
    ) -> dict[str, SwitchPort]:
        part = info.data.get("part")
        if part is None:  # reported already
            return ports
        strangers = {name: port for name, port in ports.items() if name not in part.ports}
        return strangers | {
            name: ports.get(name, SwitchPort(name=name)).model_copy(update={"part": facts})
            for name, facts in part.ports.items()
        }


class Cable(Listed):
    """A cable, or a radio link, between two ports."""

    a: str = Field(description="One end: 'host.port' or 'switch.port'.")
    b: str = Field(description="Other end: 'host.port' or 'switch.port'.")
    medium: Medium = Field(description="What carries the signal.")
    part: Annotated[CablePart, FromCatalog] | None = Field(
        None, description="The product, where one is named."
    )
    length_m: CableLength | None = Field(None, description="Length [m].")
    a_transceiver: Annotated[TransceiverPart, FromCatalog] | None = Field(
        None, description="Module in the cage at end a."
    )
    b_transceiver: Annotated[TransceiverPart, FromCatalog] | None = Field(
        None, description="Module in the cage at end b."
    )
    claimed_speed_bps: LinkSpeed | None = Field(
        None, description="Speed that the document expects [bit/s]."
    )


class Vlan(Record):
    """A VLAN and its subnet."""

    id: SkipJsonSchema[VlanId] = Field(1, description="Its key in the mapping; never written.")
    name: Slug = Field(description="A short name, such as 'servers'.")
    purpose: str = Field(description="Who lives there.")
    subnet: Network = Field(description="Its network, such as '10.0.30.0/24'.")
    gateway: Ip | None = Field(None, description="The router's address in it; none: no way out.")
    subnet6: Network6 | None = Field(
        None, description="Its IPv6 network beside that, such as 'fd00:30::/64'."
    )
    gateway6: Ip6 | None = Field(
        None, description="The router's IPv6 address in it, a link-local one maybe."
    )
    notes: tuple[str, ...] = Field((), description="What is known of it and has no field here.")
    assumed: str = Field("", description="Why something of it is invented; empty: nothing is.")
    phase: Phase = Field(None, description="Phase that makes it.")
    exists: bool = Field(
        False, description="It is there already: looked at, never made or changed."
    )

    @property
    def subnets(self) -> tuple[str, ...]:
        """Its networks, of one family or both."""
        return (self.subnet,) if self.subnet6 is None else (self.subnet, self.subnet6)


class FirewallRule(Listed):
    """What may pass from one network to another. What no rule allows is refused."""

    source: VlanId | Literal["any", "internet"] = Field(description="VLAN it comes from.")
    destination: VlanId | Literal["any", "internet"] = Field(description="VLAN it goes to.")
    allow: bool = Field(True, description="Whether it may pass.")
    ports: tuple[ServicePort, ...] = Field(
        (), description="Ports such as 'tcp/2049'; empty for all."
    )
    reason: str = Field(description="What needs it.")


class PromisedLink(Listed):
    """A connection as the document's table of links promises it."""

    a: str = Field(description="One end: a host, a switch, or 'LAN'.")
    b: str = Field(description="Other end: a host, a switch, or 'LAN'.")
    claimed_speed_bps: LinkSpeed = Field(description="Promised speed [bit/s].")
    claimed_medium: str = Field("", description="Promised medium, such as 'SFP+ DAC'.")
    direct: bool = Field(False, description="Promised without a switch between.")
    critical: bool = Field(False, description="The document calls it critical.")
    protocols: tuple[str, ...] = Field((), description="What it is to carry, such as 'NFS'.")
    uses: tuple[str, ...] = Field((), description="What it is for, in the document's words.")


class RemoteAccess(Record):
    """A way in from outside."""

    method: str = Field(description="What it is, such as 'Tailscale'.")
    use_case: str = Field(description="What it is good for.")
    recommended: bool = Field(False, description="The document's choice.")
    covered: Coverage | None = Field(None, description="What of this project is about it.")


class Wires(Record):
    """All of it, as keys of the lab's document."""

    switches: Annotated[dict[Slug, Switch], BY_NAME] = Field({}, description="Switches.")
    cables: tuple[Cable, ...] = Field((), description="Cables and radio links.")
    vlans: Annotated[dict[VlanId, Vlan], BY_ID] = Field({}, description="VLANs by number.")
    rules: tuple[FirewallRule, ...] = Field(
        (), description="What may pass between networks; the first rule that fits decides."
    )
    links: tuple[PromisedLink, ...] = Field(
        (), description="Connections as the document promises them."
    )
    remote_access: tuple[RemoteAccess, ...] = Field((), description="Ways in from outside.")
