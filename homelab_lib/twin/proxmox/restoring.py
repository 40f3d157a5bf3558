"""A VM that is restored from a backup.

Source: `create_vm` with ``archive``, `restore_vma_archive`, `restore_update_config_line` and
`restore_merge_config` of qemu-server 9.2: an archive called ``-`` is read from standard input,
unpacked; options that are given go before those of the backup; addresses of network cards
are new only if it was asked for; a restore that fails takes its disks away, and leaves a VM without
them and without a lock. Guessed: how long it takes, and the signal by which
`vma` ends that is given no archive. All disks of a VM that is overwritten go, where
the real one keeps, as unused, those that the backup has not.
"""

import re

from homelab_lib.twin.proxmox.api import Given, Later, Task
from homelab_lib.twin.proxmox.archives import Archive, Written
from homelab_lib.twin.proxmox.backup_calls import archives_of
from homelab_lib.twin.proxmox.backup_servers import not_opened
from homelab_lib.twin.proxmox.devices import NETS
from homelab_lib.twin.proxmox.disks import cloud_init_disk, identifier, with_mac
from homelab_lib.twin.proxmox.drives import DISKS
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.options import VM_OPTIONS
from homelab_lib.twin.proxmox.schema import (
    NO_SUCH_FILE,
    ParameterError,
    PveError,
    print_properties,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, parse_size
from homelab_lib.twin.proxmox.vm import VirtualMachine

_BYTES_PER_S = 250e6
_NOT_KEPT = re.compile(r"lock|parent|unused\d+")
_CLOUD_INIT = re.compile(r"[:/](?:vm-\d+-)?cloudinit(?:\.\w+)?$")
PIPED = "-"
"""What an archive is called that comes by standard input; behind it, here, what came."""
_NO_VMA = (
    "command 'vma extract -v -r /var/tmp/vzdumptmp4711.fifo - /var/tmp/vzdumptmp4711' failed: got "
    "signal 5"
)
_CLIENT_FAILED = (
    "command '/usr/bin/proxmox-backup-client restore '--crypt-mode=encrypt' '--keyfd=12' {} "
    "index.json /var/tmp/vzdumptmp4711/index.json --repository {}:{}' failed: exit code 255"
)
_LEFT = (
    "error before or during data restore, some or all disks were not completely restored. "
    "VM {} state is NOT cleaned up.\n"
)


def restored(node: ProxmoxNode, given: Given) -> Later:
    """Restore a VM under a number.

    Raises
    ------
    PveError
        The number is taken, there is no such backup, or a disk is given beside it.
    """
    vmid = int(given["vmid"])
    begin = f"unable to restore VM {vmid} -"
    if drives := sorted(key for key in given if DISKS.fullmatch(key)):
        raise ParameterError({drives[0]: "option conflicts with option 'archive'"})
    archive = _archive(node, given["archive"])
    there = node.vms.get(vmid)
    if (taken := node.taken_by(vmid)) and (there is None or given.get("force") != "1"):
        raise PveError(f"{begin} {taken}")
    if there is not None and "lock" in there.config:
        raise PveError(f"{begin} VM is locked ({there.config['lock']})")
    upid = node.tasks.begin("qmrestore", str(vmid))
    if there is not None and (why := _kept_from(there)):
        node.tasks.end(upid, f"{begin} {why}")
        return Later(1.0, lambda: Task(upid, _LEFT.format(vmid), f"{begin} {why}"))
    node.stores.free_volumes(vmid)
    vm = VirtualMachine(vmid, {"lock": "create"}, changed_s=node.world.clock.now())
    node.vms[vmid] = vm

    def done() -> Task:
        if node.vms.get(vmid) is not vm:
            raise PveError(f"{begin} it is gone")
        try:
            config = _config(node, vm, archive, given)
            if archive.broken:
                raise PveError(archive.broken)
            if _is_served(node, given["archive"]):
                _open(node, given["archive"], archive)
        except PveError as error:
            node.stores.free_volumes(vmid)
            stub = there is not None or _is_served(node, given["archive"])
            vm.config = {"memory": "128"} if stub else {}
            node.tasks.end(upid, error.text)
            return Task(upid, _LEFT.format(vmid), error.text)
        node.changes(vm)
        vm.config, vm.booted, vm.firmware = config, archive.booted, archive.firmware
        vm.inside = archive.inside
        if given.get("start") == "1":
            node.start_vm(vmid)
        node.tasks.end(upid)
        called = given["archive"] if given["archive"][0] != PIPED else PIPED
        return Task(upid, f"restore {called} ended\n")

    return Later(2.0 + archive.size_bytes / _BYTES_PER_S, done)


def _kept_from(vm: VirtualMachine) -> str:
    """Why a VM is not overwritten, which only the task finds; empty where it may be."""
    if vm.config.get("protection") == "1":
        return "- protection mode enabled"  # in Proxmox's own words, with both dashes
    return "vm is running" if vm.running else ""


def _is_served(node: ProxmoxNode, volid: str) -> bool:
    return volid[0] != PIPED and node.stores.named(volid.partition(":")[0]).kind == "pbs"


def _open(node: ProxmoxNode, volid: str, archive: Archive) -> None:
    store = node.stores.named(volid.partition(":")[0])
    if not_opened(store, archive):  # why, is in the task's log
        at = f"{store.options.get('username')}@{store.options.get('server')}"
        name = volid.partition(":backup/")[2]
        raise PveError(_CLIENT_FAILED.format(name, at, store.options.get("datastore")))


def config_in(node: ProxmoxNode, volid: str) -> str:
    """The options that a backup has, as they are written.

    Raises
    ------
    PveError
        There is no such backup, or it can't be read.
    """
    archive = _archive(node, volid)
    if _is_served(node, volid):
        why = not_opened(node.stores.named(volid.partition(":")[0]), archive)
        if why:
            raise PveError(f"proxmox-backup-client failed: Error: {why}")
    return "".join(f"{key}: {value}\n" for key, value in archive.config.items())


def _archive(node: ProxmoxNode, volid: str) -> Archive:
    if volid.startswith(PIPED):
        return _piped(node, volid.removeprefix(PIPED))
    name, _, volume = volid.partition(":")
    store = node.stores.named(name)
    file = volume.removeprefix("backup/")
    path = f"{store.place}/{FOLDERS['backup']}/{file}"
    found = archives_of(node, store).get(file)
    if found is None or (store.kind in FILES and not node.files.exists(path)):
        raise PveError(f"can't find file '{volid}'", NO_SUCH_FILE)
    return found


def _piped(node: ProxmoxNode, stream: str) -> Archive:
    """What comes in: an archive that some repository has a copy of, or nothing that is one."""
    for repository in node.world.repositories.repositories.values():
        for snapshot in repository.snapshots:
            for entry in snapshot.files.values():
                data = entry.data
                if isinstance(data, Written) and data.archive.stream == stream.encode("latin-1"):
                    return data.archive
    return Archive("qemu", 0, 0.0, broken=_NO_VMA)


def _config(
    node: ProxmoxNode, vm: VirtualMachine, archive: Archive, given: Given
) -> dict[str, str]:
    """The options of the restored VM, its disks made."""
    config: dict[str, str] = {}
    unique, onto = given.get("unique") == "1", given.get("storage", "")
    left_out = ""
    for key, value in archive.config.items():
        if _NOT_KEPT.fullmatch(key):
            continue
        if DISKS.fullmatch(key):
            if split_properties(value).get("backup") == "0":
                left_out += f"{key}: {value}\n"
            else:
                config[key] = _disk(node, vm, value, onto)
        elif NETS.fullmatch(key):
            config[key] = with_mac(node, value, renew=True) if unique else value
        elif key == "vmgenid":
            config[key] = value if value == "0" else identifier(node)
        elif key == "smbios1" and unique:
            config[key] = print_properties(split_properties(value) | {"uuid": identifier(node)})
        else:
            config[key] = value
    if left_out:  # a line that is no option any more is read as a part of the description
        config["description"] = config.get("description", "") + left_out
    for key in given.keys() & VM_OPTIONS.keys():
        config[key] = with_mac(node, given[key]) if NETS.fullmatch(key) else given[key]
    return config


def _disk(node: ProxmoxNode, vm: VirtualMachine, value: str, storage: str) -> str:
    """A disk as the restored VM has it; what is no volume of the VM's own stays as it is."""
    keys = split_properties(value, "file")
    store = storage or keys["file"].partition(":")[0]
    if _CLOUD_INIT.search(keys["file"]):
        keys["file"] = cloud_init_disk(node, vm.vmid, store)
        return print_properties(keys, "file")
    if keys.get("media") == "cdrom" or "size" not in keys:
        return value
    keys.pop("format", None)
    size = parse_size(keys["size"])
    keys["file"] = node.stores.allocate(store, node.stores.free_name(vm.vmid), size)
    return print_properties(keys, "file")
