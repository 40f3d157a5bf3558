"""Disks of VMs: growing one is a task, and what the task does with a failure is its own affair.

Source: `resize_vm` of qemu-server 9.2: what is wrong with the call is said at once, what the
storage refuses is said by the task.
"""

from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import (
    Property,
    PveError,
    print_properties,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import parse_size, print_size

RESIZE = {
    "disk": Property(required=True),
    "size": Property(pattern=r"\+?\d+(\.\d+)?[KMGT]?", required=True),
}


def grow(node: ProxmoxNode, vmid: int, disk: str, size: str) -> tuple[str, str]:
    """Start the task that makes a disk larger; its UPID, and why it failed (empty: it did not).

    Parameters
    ----------
    node, vmid, disk
        Which one: ``scsi0``.
    size
        ``64G``, or ``+8G``.

    Raises
    ------
    PveError
        The call itself is wrong.
    """
    vm = node.vm(vmid)
    if "lock" in vm.config:
        raise PveError(f"VM is locked ({vm.config['lock']})")
    if disk not in vm.config:
        raise PveError(f"disk '{disk}' does not exist")
    keys = split_properties(vm.config[disk], "file")
    name, _, volume = keys["file"].partition(":")
    now = node.volume_size(keys["file"])
    wanted = now + parse_size(size[1:]) if size.startswith("+") else parse_size(size)
    if wanted < now:
        raise PveError("shrinking disks is not supported")
    upid = node.new_task("resize", str(vmid))
    store = node.store(name)
    if wanted - now > store.size_bytes - sum(store.volumes.values()):
        failure = f"zfs error: cannot set property for '{volume}': out of space"
        node.end_task(upid, failure)
        return upid, failure
    store.volumes[volume] = wanted
    vm.config[disk] = print_properties(keys | {"size": print_size(wanted)}, "file")
    node.end_task(upid)
    return upid, ""
