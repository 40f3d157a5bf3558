"""A VM that is restored from a backup.

Source: `create_vm` with ``archive``, `restore_update_config_line` and `restore_merge_config` of
qemu-server 9.2: options that are given go before those of the backup; addresses of network cards
are new only if it was asked for; a restore that fails leaves what it has made, without its lock.
"""

import re

from homelab_lib.twin.proxmox.api import Given, Later, Task
from homelab_lib.twin.proxmox.archives import Archive
from homelab_lib.twin.proxmox.backup_calls import archives_of
from homelab_lib.twin.proxmox.devices import NETS
from homelab_lib.twin.proxmox.disks import with_mac
from homelab_lib.twin.proxmox.drives import DISKS
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.options import VM_OPTIONS
from homelab_lib.twin.proxmox.schema import (
    NO_SUCH_FILE,
    PveError,
    print_properties,
    split_list,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, parse_size
from homelab_lib.twin.proxmox.vm import VirtualMachine

_BYTES_PER_S = 250e6
_NOT_KEPT = re.compile(r"lock|parent|unused\d+")
_LEFT = (
    "error before or during data restore, some or all disks were not completely restored. "
    "VM {} state is NOT cleaned up.\n"
)


def restored(node: ProxmoxNode, given: Given) -> Later:
    """Restore a VM under a number.

    Raises
    ------
    PveError
        The number is taken, or there is no such backup.
    """
    vmid = int(given["vmid"])
    begin = f"unable to restore VM {vmid} - "
    archive = _archive(node, given["archive"])
    there = node.vms.get(vmid)
    if (taken := node.taken_by(vmid)) and (there is None or given.get("force") != "1"):
        raise PveError(begin + taken)
    if there is not None and there.config.get("protection") == "1":
        raise PveError(f"{begin}can't remove VM {vmid} - protection mode enabled")
    if there is not None and there.running:
        raise PveError(f"{begin}vm is running")
    upid = node.tasks.begin("qmrestore", str(vmid))
    node.stores.free_volumes(vmid)
    vm = VirtualMachine(vmid, {"lock": "create"}, changed_s=node.world.clock.now())
    node.vms[vmid] = vm

    def done() -> Task:
        if node.vms.get(vmid) is not vm:
            raise PveError(f"{begin}it is gone")
        try:
            if archive.broken:
                raise PveError(archive.broken)
            config = _config(node, vm, archive, given)
        except PveError as error:
            vm.config = {}
            node.tasks.end(upid, error.text)
            return Task(upid, _LEFT.format(vmid), error.text)
        node.changes(vm)
        vm.config, vm.booted, vm.firmware = config, archive.booted, archive.firmware
        vm.inside = archive.inside
        if given.get("start") == "1":
            node.start_vm(vmid)
        node.tasks.end(upid)
        return Task(upid, f"restore {given['archive']} ended\n")

    return Later(2.0 + archive.size_bytes / _BYTES_PER_S, done)


def _archive(node: ProxmoxNode, volid: str) -> Archive:
    name, _, volume = volid.partition(":")
    store = node.stores.named(name)
    file = volume.removeprefix("backup/")
    path = f"{store.place}/{FOLDERS['backup']}/{file}"
    found = archives_of(node, store).get(file)
    if found is None or (store.kind in FILES and not node.files.exists(path)):
        raise PveError(f"volume '{volid}' does not exist", NO_SUCH_FILE)
    return found


def _config(
    node: ProxmoxNode, vm: VirtualMachine, archive: Archive, given: Given
) -> dict[str, str]:
    """The options of the restored VM, its disks made."""
    config: dict[str, str] = {}
    for key, value in archive.config.items():
        if _NOT_KEPT.fullmatch(key):
            continue
        if DISKS.fullmatch(key) and "size=" in value and "media=cdrom" not in value:
            config[key] = _disk(node, vm, value, given.get("storage", ""))
        elif NETS.fullmatch(key) and given.get("unique") == "1":
            config[key] = with_mac(node, value, renew=True)
        else:
            config[key] = value
    for key in ("smbios1", "vmgenid"):
        if key in config and (key == "vmgenid" or given.get("unique") == "1"):
            text = f"{node.world.rng.getrandbits(128):032x}"
            uuid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
            config[key] = uuid if key == "vmgenid" else f"uuid={uuid}"
    for key in given.keys() & VM_OPTIONS.keys():
        value = given[key]
        config[key] = ";".join(sorted(split_list(value))) if key == "tags" else value
    return config


def _disk(node: ProxmoxNode, vm: VirtualMachine, value: str, storage: str) -> str:
    keys = split_properties(value, "file")
    size = parse_size(keys["size"])
    store = storage or keys["file"].partition(":")[0]
    keys["file"] = node.stores.allocate(store, node.stores.free_name(vm.vmid), size)
    return print_properties(keys, "file")
