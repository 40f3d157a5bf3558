"""Machines: what they are made of, what sits in their slots, how they are reached."""

from typing import Annotated, Literal

from pydantic import Field, InstanceOf, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.lab.base import (
    BY_NAME,
    Address,
    Bytes,
    Cidr,
    DiskName,
    Interface,
    Mac,
    Mtu,
    Named,
    PortName,
    Positive,
    Record,
    Slug,
    Tcp,
    User,
    VlanId,
)
from homelab_lib.lab.devices import (
    AcceleratorPart,
    AdapterPart,
    Connector,
    DiskPart,
    GpuPart,
    NicPart,
    PortFacts,
)
from homelab_lib.lab.part import FromCatalog
from homelab_lib.lab.platforms import AccessoryPart, BoardPart, CpuPart, MemoryPart, PsuPart


class OperatingSystem(Record):
    """What runs on a machine."""

    kind: Literal["proxmox", "truenas", "opnsense", "linux", "haos", "none"] = Field(
        description="Which system; 'none' for a machine that isn't administered."
    )
    version: str = Field("", description="Release, in quotes; empty where nothing says it.")
    node: Slug | None = Field(None, description="Proxmox node name; default: the host's name.")


class Ssh(Record):
    """How a runbook reaches a machine."""

    address: Address = Field(description="Address, or name that DNS or ~/.ssh/config knows.")
    port: Tcp = Field(22, description="TCP port.")
    user: User = Field(description="Login user: root, or one with sudo and no password.")


class Memory(Record):
    """Equal modules."""

    part: Annotated[MemoryPart, FromCatalog] = Field(description="The module.")
    count: Positive = Field(description="How many of it.")

    @property
    def capacity_bytes(self) -> int:
        """Of all these modules together [bytes]."""
        return self.count * self.part.capacity_bytes


class Device(Named):
    """A card or an adapter in a slot, of the board or of another adapter."""

    part: Annotated[
        GpuPart | NicPart | AcceleratorPart | AdapterPart | AccessoryPart, FromCatalog
    ] = Field(description="What it is.")
    slot: str | None = Field(
        None,
        description="The board's slot ('M2_1'), or an adapter's ('split.1'); "
        "none where the document doesn't say.",
    )
    psu: Annotated[PsuPart, FromCatalog] | None = Field(
        None, description="Its own power supply, outside of the case."
    )
    purpose: str = Field("", description="What it is used for.")


class Disk(Named):
    """A drive in a machine."""

    part: Annotated[DiskPart, FromCatalog] = Field(description="What it is.")
    slot: str | None = Field(
        None, description="Slot or port it is in; none where the document doesn't say."
    )
    serial: str | None = Field(
        None, description="Serial number: what tells it from its twin before anything is erased."
    )
    role: Literal["boot", "data", "log", "cache", "special", "spare", "unused"] = Field(
        "data", description="What it is used for."
    )
    purpose: str = Field("", description="The same in the document's words.")
    claimed_capacity_bytes: Bytes | None = Field(
        None, description="Size as the document has it [bytes]."
    )

    @property
    def capacity_bytes(self) -> int:
        """Exact capacity [bytes]."""
        return self.part.capacity_bytes


class Port(Named):
    """How a network port of a host or a switch is set up, and what it is by its maker."""

    part: SkipJsonSchema[InstanceOf[PortFacts] | None] = Field(None, exclude=True)
    mac: Mac | None = Field(None, description="Hardware address.")
    vlan: VlanId | None = Field(None, description="VLAN of untagged frames.")
    tagged: tuple[VlanId, ...] = Field((), description="VLANs carried with a tag.")
    mtu: Mtu = Field(1500, description="Largest packet [bytes].")

    @property
    def connector(self) -> Connector:
        """The jack or cage."""
        return self.part.connector

    @property
    def speeds_bps(self) -> tuple[int, ...]:
        """Speeds it negotiates, highest first [bit/s]."""
        return self.part.speeds_bps


class HostPort(Port):
    """A network port of a host."""

    part: Annotated[NicPart, FromCatalog] = Field(description="The network chip or card.")
    interface: Interface | None = Field(
        None, description="What the operating system calls it, such as 'enp12s0'."
    )
    address: Cidr | None = Field(
        None, description="Address with prefix length, of the port or of its bridge."
    )
    bridge: Interface | None = Field(None, description="Bridge it belongs to, such as 'vmbr0'.")
    addresses: dict[VlanId, Cidr] = Field(
        {}, description="Addresses on tagged VLANs, by VLAN: a router has one in each."
    )
    driver: str | None = Field(None, description="Driver that the document means to use.")
    kernel_status: str | None = Field(
        None, description="What the document says of that driver's place in the kernel."
    )


class Host(Named):
    """A physical machine."""

    title: str = Field(description="What people call it.")
    role: str = Field(description="What it is for.")
    os: OperatingSystem = Field(description="What runs on it.")
    ssh: Ssh | None = Field(None, description="How it is reached; none: no runbook logs in.")
    standalone: bool = Field(False, description="Kept apart: no runbook ever changes it.")
    purchase_pending: bool = Field(False, description="Not all of it has been bought yet.")

    board: Annotated[BoardPart, FromCatalog] | None = Field(
        None, description="Main board, single-board computer or whole system."
    )
    cpu: Annotated[CpuPart, FromCatalog] = Field(description="Processor.")
    memory: tuple[Memory, ...] = Field(description="Memory modules.")
    case: Annotated[AccessoryPart, FromCatalog] | None = Field(None, description="Case.")
    cooler: Annotated[AccessoryPart, FromCatalog] | None = Field(None, description="CPU cooler.")
    psus: tuple[Annotated[PsuPart, FromCatalog], ...] = Field(
        (), description="Power supply; several where the document leaves open which."
    )
    devices: Annotated[dict[PortName, Device], BY_NAME] = Field(
        {}, description="Cards and adapters in its slots."
    )
    disks: Annotated[dict[DiskName, Disk], BY_NAME] = Field({}, description="Its drives.")
    ports: Annotated[dict[PortName, HostPort], BY_NAME] = Field(
        {}, description="Its network ports."
    )
    software: tuple[str, ...] = Field((), description="Software the document names for it.")
    chain: tuple[str, ...] = Field((), description="How the document draws a chain of its parts.")

    @field_validator("os")
    @classmethod
    def _node_by_name(cls, os: OperatingSystem, info: ValidationInfo) -> OperatingSystem:
        return os if os.node else os.model_copy(update={"node": info.data.get("name")})

    @property
    def threads(self) -> int:
        """Hardware threads."""
        return self.cpu.threads

    @property
    def memory_bytes(self) -> int:
        """Installed memory [bytes]."""
        return sum(modules.capacity_bytes for modules in self.memory)

    @property
    def gpus(self) -> dict[str, Device]:
        """Its graphics cards by device name."""
        return {
            name: device
            for name, device in self.devices.items()
            if isinstance(device.part, GpuPart)
        }
