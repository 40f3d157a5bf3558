"""Disks of guests as block devices of their node: where they are, loop devices with the partitions
on them, and what is mounted of these.

Sources: `PVE::Storage::Plugin::path` (pve-storage 9.1), losetup(8) of util-linux 2.41.
"""

import re

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.tree import Tree
from homelab_lib.twin.machine.usage import Misused, Usage
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import PveError
from homelab_lib.twin.proxmox.storage import FILES, Store, guest_of

loops = Commands()
_LOSETUP = Usage(
    "r,read-only P,partscan f,find show d,detach: j,associated: n,noheadings O,output:"
)
_SYSTEM, _BOOT = "p1", ("p14", "p15", "p16")
"""The partitions of a cloud image: its system, and what it is booted by."""


def path_of(store: Store, volume: str) -> str:
    """Where a volume of a guest is on its node.

    Raises
    ------
    PveError
        Nowhere: this kind of storage has no such thing.
    """
    if store.kind == "zfspool":
        return f"/dev/zvol/{store.place}/{volume}"
    if store.kind in ("lvm", "lvmthin"):
        return f"/dev/{store.options.get('vgname', store.name)}/{volume}"
    if store.kind in FILES:
        return f"{store.place}/images/{volume}"
    raise PveError(f"storage '{store.name}' has no paths")


def volume_at(node: ProxmoxNode, path: str) -> tuple[Store, str] | None:
    """The volume that is at a path of the node."""
    for store in node.stores.values():
        for volume in store.volumes if store.active and store.kind != "pbs" else ():
            if path_of(store, volume) == path:
                return store, volume
    return None


@loops("losetup")
def losetup(node: Machine, call: Call) -> Reply:
    """Loop devices: make one over a disk, list those over it, take one away."""
    assert isinstance(node, ProxmoxNode)
    try:
        given = _LOSETUP.of(call)
    except Misused as error:
        return error.reply
    if "d" in given:
        return _detached(node, call, given.options["d"])
    if "j" in given:
        found = [name for name, path in node.loops.items() if path == given.options["j"]]
        return Reply(0, "".join(f"{name}\n" for name in found))
    if not {"f", "show"} <= given.options.keys() or len(given.words) != 1:
        return fails(call, "this twin knows -f --show FILE, -d and -j")
    path = given.words[0]
    found_there = volume_at(node, path)
    if found_there is None:
        return fails(call, f"{path}: failed to set up loop device: No such file or directory")
    name = next(f"/dev/loop{n}" for n in range(64) if f"/dev/loop{n}" not in node.loops)
    node.loops[name] = path
    parts = ("", _SYSTEM, *_BOOT) if "P" in given else ("",)
    for part in parts if _root_of(node, path) is not None else ("",):
        node.files.put(f"{name}{part}", b"", mode=0o660)
        node.files.stat(f"{name}{part}").kind = "block device"
    return Reply(0, f"{name}\n")


def _detached(node: ProxmoxNode, call: Call, name: str) -> Reply:
    if name not in node.loops:
        return fails(call, f"{name}: detach failed: No such device or address")
    busy = [m for m in node.files.mounts.values() if m.source.startswith(name)]
    if busy:  # the kernel takes it away once nobody uses it any more
        return Reply()
    del node.loops[name]
    for path in [p for p in node.files.entries if re.fullmatch(rf"{name}(p\d+)?", p)]:
        node.files.remove(path)
    return Reply()


def _root_of(node: ProxmoxNode, path: str) -> Tree | None:
    """The root file system on a guest's first disk; None where there is none."""
    found = volume_at(node, path)
    vm = node.vms.get(guest_of(found[1]) or 0) if found else None
    if found is None or vm is None or not vm.inside.entries:
        return None
    first = next((vm.config[key] for key in ("scsi0", "virtio0", "sata0") if key in vm.config), "")
    return vm.inside.disk() if f":{found[1]}" in first else None


def on_device(node: Machine, device: str, options: str) -> tuple[Tree, str] | str:
    """The file system on a block device, and its kind; or why nothing can be mounted."""
    assert isinstance(node, ProxmoxNode)
    found = re.fullmatch(r"(/dev/loop\d+)(p\d+)", device)
    if found is None or not node.files.exists(device):
        return f"special device {device} does not exist."
    bad = f"wrong fs type, bad option, bad superblock on {device}, missing codepage or helper"
    tree = _root_of(node, node.loops[found[1]])
    if found[2] != _SYSTEM or tree is None:
        return f"{bad} program, or other error."
    if "ro" not in options.split(","):
        return f"{device} is write-protected but explicit read-write mode requested."
    return tree, "ext4"


def path_printed(node: ProxmoxNode, volid: str) -> str:
    """What ``pvesm path`` prints: where a volume would be, whether or not it is there."""
    name, _, volume = volid.partition(":")
    store = node.stores.named(name)
    if store.kind == "pbs":
        return f"pbs://{_repository(store)}/{volume.removeprefix('backup/')}"
    return path_of(store, volume) if guest_of(volume) else node.volume_path(volid)


def _repository(store: Store) -> str:
    options = store.options
    return f"{options.get('username', 'root@pam')}@{options['server']}:{options['datastore']}"
