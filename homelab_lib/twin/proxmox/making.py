"""Making a VM, and changing what it is made of.

Source: `create_vm` and `update_vm` of qemu-server 9.2.
"""

import re
from typing import Any
from urllib.parse import unquote

from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.devices import NETS
from homelab_lib.twin.proxmox.disks import (
    VIRTUAL_BYTES,
    attach,
    identifier,
    source_digest,
    with_mac,
)
from homelab_lib.twin.proxmox.drives import DISKS
from homelab_lib.twin.proxmox.guest_calls import VM, found, unlocked
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.options import CREATE, UPDATE, VM_OPTIONS
from homelab_lib.twin.proxmox.releases import release
from homelab_lib.twin.proxmox.restoring import restored
from homelab_lib.twin.proxmox.schema import (
    ParameterError,
    Property,
    PveError,
    split_list,
    split_properties,
)
from homelab_lib.twin.proxmox.vm import VirtualMachine

calls = Methods()

_COPY_BYTES_PER_S = 400e6
_KEY = re.compile(r"(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+")


@calls("POST", "/nodes/{node}/qemu", CREATE)
def _create(node: ProxmoxNode, given: Given) -> Any:
    vmid = int(given["vmid"])
    if "archive" in given:
        return restored(node, given)
    if taken := node.taken_by(vmid):
        raise PveError(f"unable to create VM {vmid} - {taken}")
    _assert_keys(given)
    upid = node.tasks.begin("qmcreate", str(vmid))
    vm = VirtualMachine(vmid, {"lock": "create"}, changed_s=node.world.clock.now())
    node.vms[vmid] = vm
    copied = 0
    try:
        for key in sorted(given):
            if DISKS.fullmatch(key) and "import-from" in given[key]:
                copied += VIRTUAL_BYTES
                source_digest(node, split_properties(given[key], "file")["import-from"])
    except PveError as error:
        return _tidied(node, vmid, upid, error)

    def done() -> Task:
        if node.vms.get(vmid) is not vm:
            raise PveError(f"unable to create VM {vmid} - it is gone")
        try:
            config = _made(node, vm, given)
        except PveError as error:
            return _tidied(node, vmid, upid, error)
        when = int(node.world.clock.now())
        node.changes(vm)
        drawn = _drawn(node, config)
        vm.config = drawn | config
        vm.config["meta"] = f"creation-qemu={release(node.version).qemu},ctime={when}"
        if given.get("start") == "1":
            node.start_vm(vmid)
        node.tasks.end(upid)
        return Task(upid, f"scsi0: successfully created disk\n{vmid}: created\n")

    return Later(1 + copied / _COPY_BYTES_PER_S, done)


def _tidied(node: ProxmoxNode, vmid: int, upid: str, error: PveError) -> Task:
    """A creation that fails tidies up after itself."""
    node.vms.pop(vmid, None)
    node.stores.free_volumes(vmid)
    failure = f"unable to create VM {vmid} - {error.text}"
    node.tasks.end(upid, failure)
    return Task(upid, failure=failure)


def _assert_keys(given: Given) -> None:
    for line in unquote(given.get("sshkeys", "")).splitlines():
        if line.strip() and not _KEY.match(line):
            raise ParameterError({"sshkeys": "SSH public key validation error"})


def _made(node: ProxmoxNode, vm: VirtualMachine, given: Given) -> Given:
    """The options as they are stored: disks made, MAC addresses drawn."""
    config: Given = {}
    for key, value in given.items():
        if key == "cdrom":  # its old name
            config["ide2"] = attach(node, vm, "ide2", f"{value},media=cdrom")
        elif DISKS.fullmatch(key):
            config[key] = attach(node, vm, key, value)
        elif NETS.fullmatch(key):
            config[key] = with_mac(node, value)
        elif key == "tags":
            config[key] = ";".join(sorted({tag.lower() for tag in split_list(value)}))
        elif key in VM_OPTIONS:
            config[key] = value
    return config


def _drawn(node: ProxmoxNode, config: Given) -> Given:
    """What every VM gets that was not given it."""
    devices = [key for key in config if DISKS.fullmatch(key) or NETS.fullmatch(key)]
    order = ";".join(key for key in devices if not key.startswith(("efi", "tpm")))
    drawn = {
        "smbios1": f"uuid={identifier(node)}",
        "vmgenid": identifier(node),
        "boot": f"order={order}",
    }
    return {key: value for key, value in drawn.items() if key != "boot" or order}


@calls("PUT", f"{VM}/config", UPDATE)
def _update(node: ProxmoxNode, given: Given) -> Any:
    _set(node, given)


@calls(
    "POST",
    f"{VM}/config",
    UPDATE
    | {
        "background_delay": Property("integer", minimum=1, maximum=30),
        "import-working-storage": CREATE["import-working-storage"],
    },
)
def _update_in_background(node: ProxmoxNode, given: Given) -> Any:
    upid = node.tasks.begin("qmconfig", given["vmid"])
    try:
        _set(node, given)
    except PveError as error:
        node.tasks.end(upid, error.text)
        return Task(upid, failure=error.text)
    node.tasks.end(upid)
    return Task(upid)


def _set(node: ProxmoxNode, given: Given) -> None:
    vm = found(node, given)
    unlocked(vm, given)
    _assert_keys(given)
    for key in split_list(given.get("delete", "")):
        if key in given:
            raise ParameterError({key: f"Cannot use '-{key}' and '-delete {key}' at once."})
        vm.config.pop(key, None)
    vm.config |= _made(node, vm, given)
    if vm.guest is not None and not vm.running:
        vm.guest.sees()
