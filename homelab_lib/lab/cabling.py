"""Catalog parts between machines: cables, transceivers, switches."""

from typing import ClassVar, Literal

from pydantic import Field

from homelab_lib.lab.base import PortName, Positive, Record
from homelab_lib.lab.devices import Connector, PortFacts
from homelab_lib.lab.part import Part
from homelab_lib.lab.quantities import CableLength, LinkSpeed, PowerDraw

Medium = Literal[
    "DAC", "AOC", "Cat5e", "Cat6", "Cat6A", "Cat8", "OM3", "OM4", "OS2", "WiFi", "USB-C"
]


class Reach(Record):
    """How far a cable carries a speed."""

    speed_bps: LinkSpeed = Field(description="Speed [bit/s].")
    length_m: CableLength = Field(description="Longest run [m].")


class CablePart(Part):
    """A network cable."""

    kind: ClassVar[str] = "cables"

    medium: Medium = Field(description="What carries the signal.")
    connectors: tuple[Connector, Connector] = Field(description="Plug at each end.")
    reach: tuple[Reach, ...] = Field((), description="Reach by speed.")


class TransceiverPart(Part):
    """A module that turns a cage into something a cable fits."""

    kind: ClassVar[str] = "transceivers"

    cage: Connector = Field(description="The cage it goes in.")
    connector: Connector = Field(description="What it offers outside.")
    speeds_bps: tuple[LinkSpeed, ...] = Field(
        min_length=1, description="Speeds on the line, highest first [bit/s]."
    )
    power_w: PowerDraw | None = Field(None, description="Power it draws from the cage [W].")
    media: tuple[Medium, ...] = Field((), description="Cables it drives.")


class PortGroup(PortFacts):
    """Ports of a switch that are alike. They are called prefix1, prefix2, …"""

    count: Positive = Field(description="How many.")
    prefix: str = Field("p", description="Beginning of their names.")
    poe_w: PowerDraw | None = Field(None, description="Power each can deliver [W].")


class SwitchPart(Part):
    """A switch, or an access point."""

    kind: ClassVar[str] = "switches"

    groups: tuple[PortGroup, ...] = Field(min_length=1, description="Its ports, by likeness.")
    managed: bool = Field(description="Whether it knows VLANs.")
    power_w: PowerDraw | None = Field(None, description="Power it draws [W].")

    @property
    def ports(self) -> dict[PortName, PortFacts]:
        """Every port by its name: ``p1`` … ``p8``, ``sfp1`` …"""
        return {
            f"{group.prefix}{number}": group
            for group in self.groups
            for number in range(1, group.count + 1)
        }
