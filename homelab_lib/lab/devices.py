"""Catalog parts that sit in slots: graphics, accelerators, network cards, disks, adapters."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from homelab_lib.lab.base import Count, Form, Fraction, Number, Positive, Record
from homelab_lib.lab.part import Part, PcieLink
from homelab_lib.lab.platforms import Slot, SlotForm
from homelab_lib.lab.quantities import (
    DiskRate,
    DiskSize,
    Endurance,
    FailureRate,
    LinkSpeed,
    MemoryRate,
    MemorySize,
    PartLength,
    PowerDraw,
    ReservedSize,
    SupplyPower,
)

Connector = Literal["RJ45", "SFP", "SFP+", "SFP28", "QSFP+", "QSFP28", "LC", "WiFi", "USB-C"]
PciId = Annotated[
    str, Form(r"[0-9a-f]{4}:[0-9a-f]{4}", "maker and device as lspci -n has them: 8086:e20b")
]
Runtime = Literal["CUDA", "ROCm", "SYCL", "Vulkan", "OpenVINO", "HailoRT"]

_PCI_IDS = "What it says it is on the bus: any of these; empty: not known."


class PortFacts(Record):
    """What a network port is by its maker."""

    connector: Connector = Field(description="The jack or cage.")
    speeds_bps: tuple[LinkSpeed, ...] = Field(
        min_length=1, description="Speeds it negotiates, highest first [bit/s]."
    )


class GpuPart(Part):
    """A graphics card."""

    kind: ClassVar[str] = "gpus"

    vendor: Literal["NVIDIA", "AMD", "Intel"] = Field(description="Maker of the chip.")
    pci_ids: tuple[PciId, ...] = Field((), description=_PCI_IDS)
    vram_bytes: MemorySize = Field(description="Memory on the card [bytes].")
    vram_reserved_bytes: ReservedSize | None = Field(
        None, description="What driver and firmware keep of it [bytes]."
    )
    memory_bytes_per_s: MemoryRate | None = Field(None, description="Memory bandwidth [B/s].")
    board_power_w: PowerDraw | None = Field(None, description="Board power [W].")
    transient_power_w: PowerDraw | None = Field(None, description="Millisecond peak [W].")
    idle_power_w: PowerDraw | None = Field(None, description="Power when idle [W].")
    suggested_psu_w: SupplyPower | None = Field(None, description="Supply its maker suggests [W].")
    power_plugs: tuple[str, ...] = Field((), description="Power plugs, such as '8-pin'.")
    pcie: PcieLink | None = Field(None, description="Its electrical link.")
    length_mm: PartLength | None = Field(None, description="Length [mm].")
    slots_wide: Number | None = Field(None, description="Slots it covers.")
    architecture: str | None = Field(None, description="As runtimes call it: 'gfx1100', 'sm_89'.")
    runtimes: tuple[Runtime, ...] = Field((), description="Compute runtimes that drive it.")
    runtime_official: bool | None = Field(
        None, description="Whether the first runtime's maker supports this card."
    )
    runtime_override: str | None = Field(
        None, description="Environment that makes an unsupported card work."
    )
    min_kernel: str | None = Field(None, description="First Linux kernel that drives it.")
    needs_resizable_bar: bool = Field(False, description="Does not work, or crawls, without it.")
    resets_cleanly: bool | None = Field(
        None, description="Whether a passed-through card survives its VM's shutdown."
    )
    media_engines: Count | None = Field(None, description="Independent video engines.")
    decodes: tuple[str, ...] = Field((), description="Video codecs it decodes.")
    encodes: tuple[str, ...] = Field((), description="Video codecs it encodes.")


class AcceleratorPart(Part):
    """An inference accelerator that is no graphics card."""

    kind: ClassVar[str] = "accelerators"

    pci_ids: tuple[PciId, ...] = Field((), description=_PCI_IDS)
    int8_tops: Number | None = Field(None, description="Peak rate [10^12 INT8 operations/s].")
    pcie: PcieLink | None = Field(None, description="Its electrical link.")
    power_w: PowerDraw | None = Field(None, description="Typical power [W].")
    runtimes: tuple[Runtime, ...] = Field((), description="Runtimes that drive it.")


class NicPart(Part, PortFacts):
    """A network chip on a board, or a network card."""

    kind: ClassVar[str] = "nics"

    chip: str = Field(description="Controller chip.")
    pci_ids: tuple[PciId, ...] = Field((), description=_PCI_IDS)
    port_count: Positive = Field(1, description="Number of ports.")
    pcie: PcieLink | None = Field(None, description="Its electrical link.")
    fits: SlotForm | None = Field(None, description="Slot a card goes in; none for a chip.")
    driver: str | None = Field(None, description="Linux driver.")
    in_tree_since: str | None = Field(
        None, description="First Linux kernel that has the driver, such as '6.9'."
    )
    power_w: PowerDraw | None = Field(None, description="Typical power [W].")
    bluetooth: str | None = Field(None, description="Bluetooth version, on a wireless card.")


class DiskPart(Part):
    """A disk, an SSD or a thumb drive."""

    kind: ClassVar[str] = "disks"

    media: Literal["HDD", "SSD"] = Field(description="Spinning, or flash.")
    fits: SlotForm = Field(description="Slot or port it goes in.")
    capacity_bytes: DiskSize = Field(description="Exact capacity [bytes].")
    logical_sector_bytes: Literal[512, 4096] = Field(512, description="Logical sector [bytes].")
    physical_sector_bytes: Literal[512, 4096] = Field(4096, description="Physical sector [bytes].")
    rpm: Positive | None = Field(None, description="Speed of a spinning disk [1/min].")
    pcie: PcieLink | None = Field(None, description="Electrical link of an NVMe drive.")
    link_bps: LinkSpeed | None = Field(
        None, description="Rate of a SATA or SAS drive's link [bit/s]."
    )
    outer_bytes_per_s: DiskRate | None = Field(None, description="Rate on outer tracks [B/s].")
    inner_bytes_per_s: DiskRate | None = Field(None, description="Rate on inner tracks [B/s].")
    annual_failure_rate: FailureRate | None = Field(
        None, description="Share of such drives that fail in a year [1/year]."
    )
    unreadable_per_bit: Fraction | None = Field(
        None, description="Unrecoverable read errors per bit read, by its maker."
    )
    idle_power_w: PowerDraw | None = Field(None, description="Power when idle [W].")
    active_power_w: PowerDraw | None = Field(None, description="Power at work [W].")
    spin_up_power_w: PowerDraw | None = Field(None, description="Peak when it starts [W].")
    endurance_bytes: Endurance | None = Field(
        None, description="Bytes that may be written [bytes]."
    )


class AdapterPart(Part):
    """Something between a slot and a card: a splitter, a riser, a dock, a hat."""

    kind: ClassVar[str] = "adapters"

    fits: SlotForm = Field(description="Slot it goes in.")
    pcie: PcieLink | None = Field(None, description="Its upstream link.")
    needs_mode: str | None = Field(
        None, description="How the slot's lanes must be split for it, such as '2x2'."
    )
    slots: dict[str, Slot] = Field({}, description="Slots it offers, by name.")
    power_w: PowerDraw | None = Field(None, description="What it draws itself [W].")


class HbaPart(AdapterPart):
    """A host bus adapter: SAS and SATA links on PCI Express.

    A connector is a slot of form ``SAS x4``: an expander goes in it, or a cable that fans out to
    four drives, which is an adapter.
    """

    kind: ClassVar[str] = "hbas"

    chip: str = Field(description="Controller chip.")
    pci_ids: tuple[PciId, ...] = Field((), description=_PCI_IDS)
    link_bps: LinkSpeed = Field(description="Rate of one lane towards the drives [bit/s].")
    passes_disks: bool | None = Field(
        None, description="Whether the system sees the drives themselves (IT mode), as ZFS needs."
    )
    driver: str | None = Field(None, description="Linux driver.")


class BackplanePart(AdapterPart):
    """A backplane or an expander: places for drives behind the links of an HBA."""

    kind: ClassVar[str] = "backplanes"

    expander_chip: str | None = Field(
        None, description="Expander on it; none: its places are wired straight through."
    )
    link_bps: LinkSpeed = Field(description="Rate of one of its lanes [bit/s].")
