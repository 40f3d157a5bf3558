"""What a hypervisor runs: VMs, containers, and what they start from."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from homelab_lib.lab.base import (
    BY_NAME,
    Count,
    FileMode,
    Form,
    Interface,
    Ip,
    Mac,
    Made,
    Named,
    PortName,
    Positive,
    Record,
    Sha256,
    Slug,
    StorageId,
    Url,
    User,
    VlanId,
    cidr,
)
from homelab_lib.lab.host import OperatingSystem
from homelab_lib.lab.quantities import FileSize, MemorySize, SwapSize, VolumeSize

FileName = Annotated[str, Form(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", "a file's name without folders")]
VmId = Annotated[int, Field(strict=True, ge=100, le=999_999_999)]
Drive = Annotated[
    str, Form(r"(scsi|sata|virtio)([0-9]|[12][0-9]|30)", "Proxmox's name of a drive, such as scsi1")
]
Mount = Annotated[
    str, Form(r"mp([0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])", "Proxmox's name, such as mp0")
]
NicName = Annotated[
    str, Form(r"net([0-9]|[12][0-9]|3[01])", "Proxmox's name of a network card, such as net1")
]


def _guest_address(value: str) -> str:
    return value if value == "dhcp" else cidr(value)


UsbId = Annotated[
    str, Form(r"[0-9a-f]{4}:[0-9a-f]{4}", "maker and product as lsusb has them: 10c4:ea60")
]
GuestAddress = Annotated[
    str, AfterValidator(_guest_address), WithJsonSchema({"type": "string", "examples": ["dhcp"]})
]
"""An address with its prefix length, or ``dhcp``."""


class Image(Named):
    """What the first disk of a VM or a container is made from."""

    kind: Literal["cloud", "disk", "iso", "template"] = Field(
        "cloud",
        description="A cloud image (cloud-init sets it up), a disk that boots as it is, an ISO to "
        "install from by hand, or a container's template.",
    )
    url: Url | None = Field(None, description="Where it is downloaded; none if it exists.")
    filename: FileName = Field(description="Name of the file on the host.")
    sha256: Sha256 | None = Field(None, description="SHA-256 of the file; none if it exists.")
    size_bytes: FileSize | None = Field(None, description="Size of the file [bytes].")
    release: str = Field(description="System and release it holds.")
    exists: bool = Field(False, description="It is on the host already: looked at, never fetched.")


class Download(Named):
    """A file that machines fetch themselves, with the digest it must have."""

    url: Url = Field(description="Where it is downloaded.")
    sha256: Sha256 = Field(description="SHA-256 of the file.")
    size_bytes: FileSize | None = Field(None, description="Size of the file [bytes].")
    version: str = Field("", description="Version of what is in it.")
    mode: FileMode = Field("0644", description="File mode, octal, in quotes.")
    member: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$",
        description="The program in it, of a tar archive that is a tool; none: it is the tool.",
    )


class GuestNic(Record):
    """A further network card of a guest."""

    bridge: Interface = Field("vmbr0", description="The host's bridge it is plugged into.")
    vlan: VlanId = Field(description="VLAN it is in.")
    mac: Mac | None = Field(None, description="Hardware address; none: Proxmox picks one.")
    address: GuestAddress | None = Field(None, description="Its address, 'dhcp', or none.")


class VmDisk(Record):
    """A further drive of a VM: a volume on a storage, or a disk of the host as a whole."""

    storage: StorageId | None = Field(None, description="The host's storage it is on.")
    size_bytes: VolumeSize | None = Field(None, description="Its size [bytes].")
    disk: PortName | None = Field(None, description="The host's disk that is passed through.")


class MountPoint(Record):
    """A further volume, or a folder of the host, in a container."""

    path: Annotated[str, Form(r"/[^\x00-\x1f]*", "an absolute path")] = Field(
        description="Where it is seen."
    )
    storage: StorageId | None = Field(None, description="The host's storage it is on.")
    size_bytes: VolumeSize | None = Field(None, description="Its size [bytes].")
    folder: Annotated[str, Form(r"/[^\x00-\x1f]*", "an absolute path")] | None = Field(
        None, description="The host's folder that is seen there."
    )


class Guest(Made):
    """What VMs and containers have in common."""

    host: Slug = Field(description="Proxmox host it runs on.")
    vmid: VmId = Field(description="Its number, unique in the Proxmox cluster.")
    vcpu: Positive = Field(description="Virtual cores.")
    memory_bytes: MemorySize = Field(description="Memory [bytes].")
    disk_bytes: VolumeSize = Field(description="Size of its first disk [bytes].")
    storage: StorageId = Field(description="The host's storage its first disk is on.")
    bridge: Interface = Field("vmbr0", description="The host's bridge it is plugged into.")
    vlan: VlanId = Field(description="VLAN it is in.")
    mac: Mac | None = Field(None, description="Hardware address; none: Proxmox picks one.")
    address: GuestAddress = Field(description="Its address with prefix length, or 'dhcp'.")
    gateway: Ip | None = Field(None, description="Its default gateway.")
    nameserver: Ip | None = Field(None, description="Its DNS server.")
    nics: dict[NicName, GuestNic] = Field(
        {}, description="Further network cards by Proxmox's name, such as 'net1'."
    )
    purpose: str = Field("", description="What it is for.")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its fixed addresses with prefix length; none where DHCP gives them."""
        named = (self.address, *(nic.address for nic in self.nics.values()))
        return tuple(each for each in named if each is not None and each != "dhcp")

    @property
    def vlans(self) -> frozenset[int]:
        """Those in which it has a network card."""
        return frozenset((self.vlan, *(nic.vlan for nic in self.nics.values())))

    @property
    def ip(self) -> str | None:
        """Its first address without prefix length; None where DHCP gives it."""
        return None if self.address == "dhcp" else self.address.partition("/")[0]

    @property
    def ip_in_url(self) -> str | None:
        """The same as a URL has it: an address of IPv6 stands in brackets."""
        return f"[{self.ip}]" if self.ip and ":" in self.ip else self.ip


class Vm(Guest):
    """A virtual machine: from a cloud image, a disk, an ISO, or there already."""

    image: Slug | None = Field(None, description="Image it starts from; none if it exists.")
    cdroms: tuple[Slug, ...] = Field((), description="Further ISO images in its drives.")
    os: OperatingSystem | None = Field(
        None, description="System on it, where it is an appliance such as TrueNAS."
    )
    user: User = Field("homelab", description="Login user, which cloud-init makes.")
    ostype: Literal["l26", "win10", "win11", "w2k22", "w2k25", "other"] = Field(
        "l26", description="What Proxmox takes its system for."
    )
    firmware: Literal["seabios", "ovmf"] | None = Field(
        None, description="Firmware; none: ovmf where it has a card passed through, else seabios."
    )
    machine: Literal["pc", "q35"] | None = Field(
        None, description="Machine type; none: q35 where it has a card passed through, else pc."
    )
    tpm: bool = Field(False, description="Whether it has a TPM 2.0.")
    disks: dict[Drive, VmDisk] = Field(
        {}, description="Further drives by Proxmox's name, such as 'scsi1'."
    )
    gpus: tuple[PortName, ...] = Field(
        (), description="The host's cards that it gets, each in the phase of its gpu_allocation."
    )
    passthrough: tuple[PortName, ...] = Field(
        (), description="The host's other devices passed through: an HBA, or an NVMe drive."
    )
    usb: tuple[UsbId, ...] = Field(
        (), description="USB devices passed through, by maker and product: whichever is plugged in."
    )

    @property
    def takes_devices(self) -> bool:
        """Whether it has PCI devices of its host."""
        return bool(self.gpus or self.passthrough)


class Container(Guest):
    """A Linux container (LXC) on a Proxmox host."""

    template: Slug | None = Field(None, description="Its template; none if it exists.")
    swap_bytes: SwapSize = Field(0, description="Swap [bytes].")
    unprivileged: bool = Field(True, description="Whether its root is nobody on the host.")
    nesting: bool = Field(True, description="Whether it may run containers of its own.")
    mounts: dict[Mount, MountPoint] = Field(
        {}, description="Further volumes and folders by Proxmox's name, such as 'mp0'."
    )


class Reservation(Named):
    """Part of a host's resources that the design sets aside."""

    host: Slug = Field(description="The host.")
    title: str = Field(description="Its row in the document's table.")
    vcpu: Count = Field(description="Virtual cores.")
    memory_bytes: MemorySize = Field(description="Memory [bytes].")
    for_host: bool = Field(
        False,
        description="Kept for the host itself, its ZFS cache included; else for guests that are "
        "not described.",
    )
    purpose: str = Field("", description="What it is for.")


class Guests(Record):
    """All of it, as keys of the lab's document."""

    vms: Annotated[dict[Slug, Vm], BY_NAME] = Field({}, description="Virtual machines.")
    containers: Annotated[dict[Slug, Container], BY_NAME] = Field({}, description="Containers.")
    reservations: Annotated[dict[Slug, Reservation], BY_NAME] = Field(
        {}, description="Resources set aside on hosts."
    )
    images: Annotated[dict[Slug, Image], BY_NAME] = Field(
        {}, description="What VMs and containers start from."
    )
    downloads: Annotated[dict[Slug, Download], BY_NAME] = Field(
        {}, description="Files that machines fetch."
    )

    def promised(self, host: str) -> list[Vm | Container | Reservation]:
        """Everything that has a part of a host: its guests, and what the design sets aside."""
        kept = (each for each in self.reservations.values() if each.host == host)
        return [*self.guests(host), *kept]

    def guests(self, host: str) -> list[Vm | Container]:
        """The VMs and containers of a host.

        Parameters
        ----------
        host
            Name of a Proxmox host.
        """
        both: list[Any] = [*self.vms.values(), *self.containers.values()]
        return [guest for guest in both if guest.host == host]
