"""The options of a VM, as `qm create` and `qm set` take them.

Source: `PVE::QemuServer` (qemu-server 9.2), its API schema.
"""

from homelab_lib.twin.proxmox.cpu import CPU
from homelab_lib.twin.proxmox.devices import DEVICES
from homelab_lib.twin.proxmox.drives import DRIVES
from homelab_lib.twin.proxmox.formats import (
    ADDRESS,
    BOOLEAN,
    CONFIG_ID,
    COUNT,
    CPU_SET,
    DNS_NAME,
    HOTPLUG,
    POOL_ID,
    STARTUP,
    STORAGE_OF,
    TAG,
    TEXT,
    URL_ENCODED,
    VMID_OF,
    VOLUME,
    many,
)
from homelab_lib.twin.proxmox.schema import Format, Property, Schema

_KEYBOARDS = (
    *("de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu"),
    *("is", "it", "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr"),
)
_SYSTEMS = (
    *("other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24"),
    *("l26", "solaris"),
)
_LOCKS = (
    *("backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete"),
    *("suspending", "suspended"),
)
_VERSION = r"\d+(\.\d+)+"
_PVE = r"(\+pve\d+)?"
_BASE64 = Property(pattern=r"[A-Za-z0-9+\/]+={0,2}")
_UUID = "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}"


def _is_drive(value: str) -> bool:
    return value in DRIVES and not value.startswith(("cdrom", "unused"))


def _boot_disk(value: str) -> None:
    if not _is_drive(value):
        raise ValueError(f"invalid boot disk '{value}'")


def _boot_device(value: str) -> None:
    """Drives but for the firmware's, network cards, what is passed through."""
    known = _is_drive(value) and not value.startswith(("efidisk", "tpmstate"))
    if not known and not (value.startswith(("net", "usb", "hostpci")) and value in DEVICES):
        raise ValueError(f"invalid boot device '{value}'")


_AGENT: Schema = {
    "enabled": Property("boolean", bare=True, required=True),
    "type": Property(enum=("virtio", "isa")),
} | dict.fromkeys(("fstrim_cloned_disks", "freeze-fs-on-backup"), BOOLEAN)
_MACHINE: Schema = {
    "type": Property(
        pattern=rf"(pc|pc(-i440fx)?-{_VERSION}{_PVE}(\.pxe)?|q35|pc-q35-{_VERSION}{_PVE}(\.pxe)?"
        rf"|virt(?:-{_VERSION})?{_PVE})",
        max_length=40,
        bare=True,
    ),
    "viommu": Property(enum=("intel", "virtio")),
    "aw-bits": Property("number", minimum=32, maximum=64),
    "enable-s3": BOOLEAN,
    "enable-s4": BOOLEAN,
}
_MEMORY: Schema = {"current": Property("integer", minimum=16, bare=True, required=True)}
_BOOT: Schema = {
    "legacy": Property(pattern="[acdn]{1,4}", bare=True),
    "order": Property(format=many(Format("pve-qm-bootdev", _boot_device))),
}
_SEV: Schema = {
    "type": Property(enum=("std", "es", "snp"), max_length=3, bare=True, required=True)
} | dict.fromkeys(("no-debug", "no-key-sharing", "allow-smt", "kernel-hashes"), BOOLEAN)
_TDX: Schema = {
    "type": Property(enum=("tdx",), bare=True, required=True),
    "attestation": Property("boolean", required=True),
    "vsock-cid": Property("integer", minimum=2),
    "vsock-port": Property("integer", minimum=0),
}
_SMBIOS: Schema = {"uuid": Property(pattern=_UUID), "base64": BOOLEAN} | dict.fromkeys(
    ("version", "serial", "manufacturer", "product", "sku", "family"), _BASE64
)
_CUSTOM: Schema = dict.fromkeys(("meta", "network", "user", "vendor"), Property(format=VOLUME))

MACHINE = Property(format=Format(keys=_MACHINE))
DIGEST = Property(max_length=40)

VM_OPTIONS: dict[str, Property] = {
    "affinity": Property(format=CPU_SET),
    "agent": Property(format=Format(keys=_AGENT)),
    "amd-sev": Property(format=Format("pve-qemu-sev-fmt", keys=_SEV)),
    "arch": Property(enum=("x86_64", "aarch64")),
    "args": TEXT,
    "balloon": Property("integer", minimum=0),
    "bios": Property(enum=("seabios", "ovmf")),
    "boot": Property(format=Format("pve-qm-boot", keys=_BOOT)),
    "bootdisk": Property(
        format=Format("pve-qm-bootdisk", _boot_disk), pattern=r"(ide|sata|scsi|virtio)\d+"
    ),
    "cicustom": Property(format=Format("pve-qm-cicustom", keys=_CUSTOM)),
    "cipassword": TEXT,
    "citype": Property(enum=("configdrive2", "nocloud", "opennebula")),
    "ciuser": TEXT,
    "cores": COUNT,
    "cpu": CPU,
    "cpulimit": Property("number", minimum=0, maximum=128),
    "cpuunits": Property("integer", minimum=1, maximum=262144),
    "description": Property(max_length=8192),
    "hookscript": Property(format=VOLUME),
    "hotplug": Property(format=HOTPLUG),
    "hugepages": Property(enum=("any", "2", "1024")),
    "intel-tdx": Property(format=Format("pve-qemu-tdx-fmt", keys=_TDX)),
    "keyboard": Property(enum=_KEYBOARDS),
    "lock": Property(enum=_LOCKS),
    "machine": MACHINE,
    "memory": Property(format=Format(keys=_MEMORY)),
    "migrate_downtime": Property("number", minimum=0),
    "migrate_speed": Property("integer", minimum=0),
    "name": Property(format=DNS_NAME),
    "nameserver": Property(format=many(ADDRESS)),
    "ostype": Property(enum=_SYSTEMS),
    "scsihw": Property(
        enum=("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi")
    ),
    "searchdomain": TEXT,
    "shares": Property("integer", minimum=0, maximum=50000),
    "smbios1": Property(format=Format("pve-qm-smbios1", keys=_SMBIOS), max_length=512),
    "smp": COUNT,
    "sockets": COUNT,
    "sshkeys": Property(format=URL_ENCODED),
    "startdate": Property(pattern=r"(now|\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}:\d{1,2}:\d{1,2})?)"),
    "startup": Property(format=STARTUP),
    "tags": Property(format=many(TAG)),
    "vcpus": COUNT,
    "vmgenid": Property(pattern=f"(?:{_UUID}|[01])"),
    "vmstatestorage": STORAGE_OF,
}
VM_OPTIONS |= dict.fromkeys(
    (
        *("acpi", "allow-ksm", "autostart", "ciupgrade", "freeze", "keephugepages", "kvm"),
        *("localtime", "numa", "onboot", "protection", "reboot", "tablet", "tdf", "template"),
    ),
    BOOLEAN,
)
VM_OPTIONS |= DRIVES | DEVICES

CREATE: dict[str, Property] = VM_OPTIONS | {
    "archive": Property(max_length=255),
    "bwlimit": Property("integer", minimum=0),
    "force": Property("boolean", requires="archive"),
    "ha-managed": BOOLEAN,
    "import-working-storage": STORAGE_OF,
    "live-restore": BOOLEAN,
    "pool": Property(format=POOL_ID),
    "start": BOOLEAN,
    "storage": STORAGE_OF,
    "unique": Property("boolean", requires="archive"),
    "vmid": VMID_OF,
}
"""What a VM is made with; only the options of the VM stay with it."""

UPDATE: dict[str, Property] = VM_OPTIONS | {
    "delete": Property(format=many(CONFIG_ID)),
    "digest": DIGEST,
    "force": Property("boolean", requires="delete"),
    "revert": Property(format=many(CONFIG_ID)),
    "skiplock": BOOLEAN,
}
