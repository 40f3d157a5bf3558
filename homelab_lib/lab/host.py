"""Machines: what they are made of, what sits in their slots, how they are reached."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from homelab_lib.lab.base import (
    BY_NAME,
    Address,
    DiskName,
    Form,
    Interface,
    Ip,
    Named,
    Phase,
    PortName,
    Positive,
    Record,
    SecretReference,
    Sha256,
    Slug,
    Tcp,
    User,
)
from homelab_lib.lab.devices import AcceleratorPart, AdapterPart, DiskPart, GpuPart, NicPart
from homelab_lib.lab.part import FromCatalog
from homelab_lib.lab.platforms import AccessoryPart, BoardPart, CpuPart, MemoryPart, PsuPart
from homelab_lib.lab.ports import Bond, HostPort
from homelab_lib.lab.quantities import DiskSize

NodeName = Annotated[
    str,
    Form(
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
        "a Proxmox node's name as Proxmox writes it: letters, digits and hyphens, 63 at most",
    ),
]

PackageName = Annotated[
    str, Form(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?", "a package's name, such as python3-venv")
]

LINUX = ("proxmox", "debian", "ubuntu", "linux")
"""Systems that are a plain Linux, as far as packages, accounts, files and shares go."""
DRIVEN = ("truenas", "opnsense", *LINUX)
"""Systems that a runbook can set up. With the others the lab can only reckon."""


class OperatingSystem(Record):
    """What runs on a machine."""

    kind: Literal[
        "proxmox",
        "truenas",
        "opnsense",
        "pfsense",
        "synology",
        "unraid",
        "debian",
        "ubuntu",
        "linux",
        "windows",
        "macos",
        "haos",
        "other",
        "none",
    ] = Field(description="Which system; 'none' for a machine that isn't administered.")
    title: str = Field("", description="What it is called, where its kind doesn't say that.")
    version: str = Field("", description="Release, in quotes; empty where nothing says it.")
    node: NodeName | None = Field(None, description="Proxmox node name; default: the host's name.")

    @property
    def driven(self) -> bool:
        """Whether a runbook can set it up."""
        return self.kind in DRIVEN


class Ssh(Record):
    """How a runbook reaches a machine."""

    address: Address = Field(description="Address, or name that DNS or ~/.ssh/config knows.")
    port: Tcp = Field(22, description="TCP port.")
    user: User = Field(description="Login user: root, or one with sudo and no password.")


class Api(Record):
    """How an appliance's HTTPS interface is reached, through the SSH connection."""

    address: Address = Field("127.0.0.1", description="Where it listens, seen from the machine.")
    port: Tcp = Field(443, description="TCP port.")
    key: SecretReference = Field(description="Where its key is kept: env:, file: or keyring:.")
    secret: SecretReference | None = Field(
        None, description="Where the key's secret is kept, where it has one."
    )
    certificate_sha256: Sha256 | None = Field(
        None, description="SHA-256 of its certificate; none: it is asked for at the first look."
    )


class Memory(Record):
    """Equal modules."""

    part: Annotated[MemoryPart, FromCatalog] = Field(description="The module.")
    count: Positive = Field(description="How many of it.")
    assumed: str = Field("", description="Why something of it is invented; empty: nothing is.")

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
        description="The board's slot ('M2_1'), or an adapter's ('split.1', 'hba.c0'); "
        "none where the document doesn't say.",
    )
    more_slots: tuple[str, ...] = Field(
        (), description="Further slots it takes: a second link from an expander to its HBA."
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
    claimed_capacity_bytes: DiskSize | None = Field(
        None, description="Size as the document has it [bytes]."
    )

    @property
    def capacity_bytes(self) -> int:
        """Exact capacity [bytes]."""
        return self.part.capacity_bytes


class Host(Named):
    """A physical machine."""

    title: str = Field(description="What people call it.")
    role: str = Field(description="What it is for.")
    os: OperatingSystem = Field(description="What runs on it.")
    ssh: Ssh | None = Field(None, description="How it is reached; none: no runbook logs in.")
    api: Api | None = Field(None, description="Access to its HTTPS interface, where it has one.")
    standalone: bool = Field(False, description="Kept apart: no runbook ever changes it.")
    purchase_pending: bool = Field(False, description="Not all of it has been bought yet.")
    phase: Phase = Field(
        None,
        description="Phase that sets it up, its network among it; none: it stands as described.",
    )

    board: Annotated[BoardPart, FromCatalog] | None = Field(
        None, description="Main board, single-board computer or whole system."
    )
    cpu: Annotated[CpuPart, FromCatalog] | None = Field(
        None, description="Processor; none where it is not described, as of a provider's box."
    )
    cpu_count: Positive = Field(1, description="How many of it: sockets that are filled.")
    memory: tuple[Memory, ...] = Field(
        (), description="Memory modules; empty where they are not described."
    )
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
    bonds: Annotated[dict[Interface, Bond], BY_NAME] = Field(
        {}, description="Ports used as one, by the name of the interface they make."
    )
    nameservers: tuple[Ip, ...] = Field(
        (), description="Name servers it asks, where DHCP doesn't say."
    )
    software: tuple[str, ...] = Field((), description="Software the document names for it.")
    packages: tuple[PackageName, ...] = Field(
        (), description="Packages of its distribution that people work with on it."
    )
    tools: tuple[Slug, ...] = Field(
        (), description="Downloads that its user gets as programs of their own, in ~/.local/bin."
    )
    chain: tuple[str, ...] = Field((), description="How the document draws a chain of its parts.")

    @field_validator("os")
    @classmethod
    def _node_by_name(cls, os: OperatingSystem, info: ValidationInfo) -> OperatingSystem:
        return os if os.node else os.model_copy(update={"node": info.data.get("name")})

    @property
    def threads(self) -> int | None:
        """Hardware threads of all processors; None where they are not described."""
        return self.cpu.threads * self.cpu_count if self.cpu else None

    @property
    def memory_bytes(self) -> int | None:
        """Installed memory [bytes]; None where it is not described."""
        return sum(modules.capacity_bytes for modules in self.memory) or None

    @property
    def processor(self) -> str:
        """Its processors in words; 'not described' where they are not."""
        if self.cpu is None:
            return "not described"
        return self.cpu.title if self.cpu_count == 1 else f"{self.cpu_count} × {self.cpu.title}"

    @property
    def attached(self) -> dict[str, HostPort | Bond]:
        """What carries its addresses and bridges, by name: its ports and its bonds."""
        return {**self.ports, **self.bonds}

    @property
    def cidrs(self) -> tuple[str, ...]:
        """All of its addresses that are written out, with prefix length."""
        return tuple(cidr for each in self.attached.values() for cidr in each.cidrs)

    @property
    def vlans(self) -> frozenset[int]:
        """Those in which it has an address."""
        attached = self.attached.values()
        untagged = {each.vlan for each in attached if each.on_untagged and each.vlan is not None}
        return frozenset(untagged.union(*(each.on_tagged for each in attached)))

    def bond_of(self, port: str) -> Bond | None:
        """The bond that a port is in; None where it stands alone."""
        return next((bond for bond in self.bonds.values() if port in bond.members), None)

    def on_wire(self, port: str) -> HostPort:
        """A port with the VLANs and the packet size that count on it: those of its bond, if any."""
        bond = self.bond_of(port)
        if bond is None:
            return self.ports[port]
        counts = {"vlan": bond.vlan, "tagged": bond.tagged, "mtu": bond.mtu}
        return self.ports[port].model_copy(update=counts)

    def segment(self, port: str) -> str:
        """What a port belongs to inside of the host: a bridge, a bond, or itself alone."""
        bond = self.bond_of(port)
        return (bond or self.ports[port]).bridge or (bond.name if bond else port)

    def below(self, device: str) -> tuple[str, ...]:
        """The disks that go with a device: those that hang on it, through backplanes and expanders;
        of an NVMe drive, which is a device of its own, that drive."""
        above = {device}
        for _ in self.devices:
            above |= {
                name
                for name, each in self.devices.items()
                if each.slot and each.slot.partition(".")[0] in above
            }
        return tuple(
            name
            for name, disk in self.disks.items()
            if name == device or (disk.slot and disk.slot.partition(".")[0] in above)
        )

    @property
    def passable(self) -> dict[str, Device | Disk]:
        """What has a place of its own on the bus, by name: devices, and NVMe drives."""
        nvme = {name: disk for name, disk in self.disks.items() if disk.part.pcie is not None}
        return {**nvme, **self.devices}

    @property
    def bridges(self) -> tuple[str, ...]:
        """Bridges that its ports and bonds belong to, in the order of the description."""
        return tuple(dict.fromkeys(e.bridge for e in self.attached.values() if e.bridge))

    @property
    def gpus(self) -> dict[str, GpuPart]:
        """Its graphics cards by device name."""
        return {
            name: device.part
            for name, device in self.devices.items()
            if isinstance(device.part, GpuPart)
        }
