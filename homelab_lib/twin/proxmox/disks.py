"""Disks of VMs: making one, and growing one.

Source: `create_disks` and `resize_vm` of qemu-server 9.2: what is wrong with a disk that is to grow
is said by the task, as is what the storage refuses.
"""

import re

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.devices import print_net, split_net
from homelab_lib.twin.proxmox.drives import NEW_DISK
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import (
    NO_SUCH_FILE,
    PveError,
    print_properties,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import parse_size, print_size
from homelab_lib.twin.proxmox.vm import VirtualMachine

VIRTUAL_BYTES = 3584 * 2**20  # what a cloud image's disk is, unpacked
_FIRMWARE_BYTES = {"efidisk": 2**20, "tpmstate": 2**22}
_CLOUD_INIT_BYTES = 2**22


def attach(node: ProxmoxNode, vm: VirtualMachine, drive: str, value: str) -> str:
    """A drive as it is stored, with its volume made where one was to be made.

    Parameters
    ----------
    node, vm, drive
        Where: ``scsi0``.
    value
        As it was given.

    Raises
    ------
    PveError
        There is no such volume, or no room for a new one.
    """
    keys = {"file" if key == "volume" else key: v for key, v in _split(value).items()}
    file = keys["file"]
    if file.endswith(":cloudinit"):
        return f"{cloud_init_disk(node, vm.vmid, file.partition(':')[0])},media=cdrom"
    made = NEW_DISK.fullmatch(file)
    if made is None:
        return _existing(node, keys, value)
    size = int(float(made[2]) * 2**30)
    source = keys.pop("import-from", "")
    if source:
        vm.booted = source_digest(node, source)
        size = max(size, VIRTUAL_BYTES)
    kind = drive.rstrip("0123456789")
    if kind in _FIRMWARE_BYTES:
        size = _FIRMWARE_BYTES[kind]
    elif not size:
        raise PveError(f"{drive}: invalid disk size")
    keys["file"] = node.stores.allocate(made[1] or "local", node.stores.free_name(vm.vmid), size)
    return print_properties(keys | {"size": print_size(size)}, "file")


def cloud_init_disk(node: ProxmoxNode, vmid: int, store: str) -> str:
    """Make the disk from which a VM's cloud-init reads."""
    return node.stores.allocate(store, f"vm-{vmid}-cloudinit", _CLOUD_INIT_BYTES)


def _split(value: str) -> dict[str, str]:
    return split_properties(value, "file")


def _existing(node: ProxmoxNode, keys: dict[str, str], value: str) -> str:
    """A volume that is there, an ISO image, or the host's own drive or disk."""
    file = keys["file"]
    if file in ("none", "cdrom"):
        return value if "media=cdrom" in value else f"{value},media=cdrom"
    if file.startswith("/"):
        for row in node.disks:  # a disk as a whole, however it is in use
            if file in (row["devpath"], row.get("by_id_link")):
                return value if "size" in keys else f"{value},size={print_size(row['size'])}"
        if node.files.entry(file) is None:
            raise PveError(f"unable to associate path '{file}' to any storage")
        return value
    if re.match(r"[^:]+:iso/", file):
        if node.files.entry(node.volume_path(file)) is None:
            raise PveError(f"volume '{file}' does not exist", NO_SUCH_FILE)
        return value if "media=cdrom" in value else f"{value},media=cdrom"
    size = node.stores.volume_size(file)
    return value if "size" in keys else f"{value},size={print_size(size)}"


def source_digest(node: ProxmoxNode, source: str) -> str:
    """The digest of the image that a disk is made from.

    Raises
    ------
    PveError
        There is none.
    """
    path = node.volume_path(source) if ":" in source else source
    entry = node.files.entry(path)
    if entry is None:
        raise PveError(f"cannot import from '{source}' - no such volume", NO_SUCH_FILE)
    return entry.sha256


def identifier(machine: Machine) -> str:
    """A UUID that nothing else has."""
    text = f"{machine.world.rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def with_mac(node: ProxmoxNode, value: str, *, renew: bool = False) -> str:
    """A network card as it is stored: it has got an address where it had none, or is to have
    another one."""
    keys = split_net(value)
    if renew or "macaddr" not in keys:
        draw = node.world.rng.getrandbits(24)
        keys["macaddr"] = f"BC:24:11:{draw >> 16 & 255:02X}:{draw >> 8 & 255:02X}:{draw & 255:02X}"
    keys["macaddr"] = keys["macaddr"].upper()
    return print_net(keys)


def grow(node: ProxmoxNode, vm: VirtualMachine, disk: str, size: str) -> None:
    """Make a disk larger.

    Parameters
    ----------
    node, vm, disk
        Which one: ``scsi0``.
    size
        ``64G``, or ``+8G``.

    Raises
    ------
    PveError
        It is not to be.
    """
    if "lock" in vm.config:
        raise PveError(f"VM is locked ({vm.config['lock']})")
    if disk not in vm.config:
        raise PveError(f"disk '{disk}' does not exist")
    keys = _split(vm.config[disk])
    if keys.get("media") == "cdrom":
        raise PveError("you can't resize a cdrom")
    name, _, volume = keys["file"].partition(":")
    now = node.stores.volume_size(keys["file"])
    wanted = now + parse_size(size[1:]) if size.startswith("+") else parse_size(size)
    if wanted < now:
        raise PveError("shrinking disks is not supported")
    store = node.stores.named(name)
    if not store.holds(wanted - now):
        raise PveError(f"zfs error: cannot set property for '{volume}': out of space")
    store.volumes[volume] = wanted
    vm.config[disk] = print_properties(keys | {"size": print_size(wanted)}, "file")
