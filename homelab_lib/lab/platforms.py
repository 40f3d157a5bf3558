"""Catalog parts that a host is built on: processors, memory, boards, power, what holds them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from homelab_lib.lab.base import Count, PortName, Positive, Record
from homelab_lib.lab.part import Part, name_of
from homelab_lib.lab.quantities import (
    ClockRate,
    Energy,
    MemorySize,
    PartLength,
    PowerDraw,
    PowerRating,
    SupplyPower,
    TransferRate,
)

SlotForm = Literal[
    "PCIe",
    "M.2",
    "M.2 E",
    "U.2",
    "OCuLink",
    "SATA",
    "SAS",
    "SAS x4",
    "USB-A 2",
    "USB-A 3",
    "USB-C",
    "eMMC",
    "FFC",
]
"""``SAS`` is a drive's place, which takes a SATA drive, too; ``SAS x4`` a cable of four lanes."""

MemoryType = Literal["DDR3", "DDR4", "DDR5", "LPDDR4X", "LPDDR5"]


class Slot(Record):
    """A place where a card, an adapter or a drive goes, on a board or on an adapter."""

    form: SlotForm = Field(description="Mechanical form.")
    generation: Literal[1, 2, 3, 4, 5, 6] | None = Field(
        None, description="PCI Express generation; none for SATA, USB and eMMC."
    )
    lanes: Literal[1, 2, 4, 8, 16] | None = Field(None, description="PCI Express lanes wired.")
    mechanical_lanes: Literal[1, 4, 8, 16] | None = Field(
        None, description="Length of the connector [lanes], where it is longer than its wiring."
    )
    uplink: str | None = Field(
        None,
        description="'cpu' ('cpu2' for the second one's), or the uplink behind which it hangs; "
        "none on an adapter.",
    )
    modes: tuple[str, ...] = Field(
        (), description="Ways to split its lanes that the firmware offers, such as '2x2'."
    )
    shares_with: tuple[str, ...] = Field(
        (), description="Slots that lose lanes, or work, while this one is used."
    )
    max_power_w: PowerDraw | None = Field(None, description="Power it may draw [W].")


class Uplink(Record):
    """A link that several slots and devices share on their way to the processor."""

    title: str = Field(description="What it is: the chipset, a SATA controller, a switch.")
    generation: Literal[1, 2, 3, 4, 5, 6] | None = Field(
        None, description="PCI Express generation; none where the data sheet is silent."
    )
    lanes: Literal[1, 2, 4, 8, 16] | None = Field(None, description="PCI Express lanes.")
    upstream: str = Field("cpu", description="'cpu', or the uplink above this one.")


class MemorySpeed(Record):
    """Transfer rate that a board reaches with so many modules."""

    modules: Positive = Field(description="Number of modules fitted.")
    speed_mtps: TransferRate = Field(description="Transfer rate [MT/s].")
    official: bool = Field(False, description="The maker promises it; else somebody measured it.")


class CpuPart(Part):
    """A processor."""

    kind: ClassVar[str] = "cpus"

    cores: Positive = Field(description="Physical cores of all kinds.")
    threads: Positive = Field(description="Hardware threads.")
    performance_cores: Count | None = Field(None, description="Cores of the fast kind.")
    efficiency_cores: Count | None = Field(None, description="Cores of the frugal kind.")
    base_hz: ClockRate | None = Field(None, description="Base clock [Hz].")
    boost_hz: ClockRate | None = Field(None, description="Highest clock of one core [Hz].")
    base_power_w: PowerDraw | None = Field(None, description="TDP, or processor base power [W].")
    max_power_w: PowerDraw | None = Field(None, description="Sustained limit (PPT, PL2) [W].")
    socket: str | None = Field(None, description="Socket; none when soldered.")
    pcie_generation: Literal[2, 3, 4, 5] | None = Field(None, description="Of its own lanes.")
    pcie_lanes: Count | None = Field(None, description="Lanes the processor or SoC offers.")
    memory_types: tuple[MemoryType, ...] = Field((), description="Memory it can drive.")
    memory_channels: Positive | None = Field(None, description="64-bit memory channels.")
    memory_max_bytes: MemorySize | None = Field(
        None, description="Most memory, by its maker [bytes]."
    )
    ecc: bool | None = Field(None, description="Whether it can use ECC memory.")
    graphics: str | None = Field(None, description="Integrated graphics, if any.")
    min_microcode: int | None = Field(
        None, ge=1, description="Least revision of microcode that does it no harm, such as 0x12b."
    )
    decodes: tuple[str, ...] = Field((), description="Video codecs its graphics decode.")
    encodes: tuple[str, ...] = Field((), description="Video codecs its graphics encode.")


class MemoryPart(Part):
    """One memory module, or memory soldered to a board."""

    kind: ClassVar[str] = "memory"

    type: MemoryType = Field(description="Generation.")
    form: Literal["UDIMM", "SO-DIMM", "RDIMM", "LRDIMM", "soldered"] = Field(
        description="Module form."
    )
    capacity_bytes: MemorySize = Field(description="Capacity of one module [bytes].")
    speed_mtps: TransferRate | None = Field(None, description="Rated transfer rate [MT/s].")
    ecc: bool = Field(False, description="Whether it corrects errors end to end.")


class BoardPart(Part):
    """A main board."""

    kind: ClassVar[str] = "boards"

    form: str | None = Field(None, description="Form factor, such as 'ATX'.")
    socket: str | None = Field(None, description="CPU socket; none when soldered.")
    sockets: Positive = Field(1, description="How many processors it takes.")
    chipset: str | None = Field(None, description="Chipset.")
    cpu: Annotated[str, name_of("cpus")] | None = Field(
        None, description="The processor soldered to it: its catalog name."
    )
    memory_type: MemoryType | None = Field(None, description="Memory it takes.")
    memory_slots: Count | None = Field(None, description="Places for modules.")
    memory_max_bytes: MemorySize | None = Field(None, description="Most memory it takes [bytes].")
    memory_speeds: tuple[MemorySpeed, ...] = Field((), description="Rates by modules fitted.")
    slots: dict[PortName, Slot] = Field({}, description="Its slots and drive ports, by label.")
    uplinks: dict[PortName, Uplink] = Field({}, description="Its shared links, by name.")
    nics: dict[str, str | None] = Field(
        {}, description="Network chips on board by catalog name, each with the uplink it hangs on."
    )
    resizable_bar: bool | None = Field(None, description="Whether its firmware offers it.")
    needs_supply_w: SupplyPower | None = Field(None, description="Power brick it asks for [W].")
    supply_included: bool = Field(False, description="Whether that is in its box.")
    idle_power_w: PowerDraw | None = Field(None, description="Board and processor when idle [W].")
    load_power_w: PowerDraw | None = Field(None, description="Board and processor under load [W].")


class SystemPart(BoardPart):
    """A whole machine in its case, or a single-board computer."""

    kind: ClassVar[str] = "systems"


class PsuPart(Part):
    """A power supply."""

    kind: ClassVar[str] = "psus"

    power_w: PowerRating = Field(description="Rated output [W].")
    efficiency: str | None = Field(None, description="Label, such as '80 PLUS Gold'.")
    pcie_8pin: Count | None = Field(None, description="8-pin PCI Express plugs.")
    has_12vhpwr: bool | None = Field(None, description="Has a 12VHPWR or 12V-2x6 plug.")


class UpsPart(Part):
    """An uninterruptible power supply."""

    kind: ClassVar[str] = "upses"

    rated_va: PowerRating = Field(description="Rated apparent power [VA].")
    rated_w: PowerRating = Field(description="Rated real power [W].")
    energy_wh: Energy | None = Field(None, description="What its batteries hold when new [Wh].")
    topology: Literal["offline", "line-interactive", "online"] | None = Field(
        None, description="How it stands between mains and load."
    )
    outlets: Positive | None = Field(None, description="Outlets with battery behind them.")
    interface: Literal["USB", "serial", "SNMP", "none"] | None = Field(
        None, description="How it tells a computer of a power cut."
    )
    nut_driver: str | None = Field(None, description="Driver of Network UPS Tools for it.")


class AccessoryPart(Part):
    """A case, a cooler, a thumb drive's housing: what has no data path that matters."""

    kind: ClassVar[str] = "accessories"

    role: Literal["case", "cooler", "other"] = Field(description="What it is.")
    radiator_mm: PartLength | None = Field(None, description="Length of a cooler's radiator [mm].")
    max_gpu_length_mm: PartLength | None = Field(
        None, description="Longest card a case takes [mm]."
    )
    power_w: PowerDraw | None = Field(None, description="What it draws [W].")

    @field_validator("role", mode="before")
    @classmethod
    def _no_ups(cls, role: object) -> object:
        if role == "ups":
            raise ValueError(
                "a UPS is a part of its own now: move it to upses: with rated_va and rated_w"
            )
        return role
