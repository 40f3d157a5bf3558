"""What the API says of VMs, and does with them once they are made.

Source: `PVE::API2::Qemu` (qemu-server 9.2).
"""

from typing import Any

from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.disks import grow
from homelab_lib.twin.proxmox.drives import COUNTS
from homelab_lib.twin.proxmox.formats import (
    BOOLEAN,
    CIDR,
    CONFIG_ID,
    NODE,
    STORAGE_PAIR,
    TEXT,
    many,
)
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.options import DIGEST, MACHINE, VM_OPTIONS
from homelab_lib.twin.proxmox.schema import Property, PveError
from homelab_lib.twin.proxmox.vm import VirtualMachine, digest_of

calls = Methods()

VM = "/nodes/{node}/qemu/{vmid}"
_START_S, _STOP_S = 2.0, 3.0
_SECONDS = Property("integer", minimum=0)
_DISKS = (
    *(
        f"{bus}{number}"
        for bus in ("ide", "scsi", "virtio", "sata")
        for number in range(COUNTS[bus])
    ),
    *("efidisk0", "tpmstate0"),
)


def found(node: ProxmoxNode, given: Given) -> VirtualMachine:
    """The VM that a call is about.

    Raises
    ------
    PveError
        There is none.
    """
    return node.vm(int(given["vmid"]))


def unlocked(vm: VirtualMachine, given: Given) -> None:
    """Refuse what a lock forbids.

    Raises
    ------
    PveError
        It is locked, and that was not to be overlooked.
    """
    if "lock" in vm.config and given.get("skiplock") != "1":
        raise PveError(f"VM is locked ({vm.config['lock']})")


def typed_config(config: dict[str, str]) -> dict[str, Any]:
    """A configuration as the API prints it: whole numbers and truth values as numbers."""
    shown: dict[str, Any] = {
        key: int(value)
        if key in VM_OPTIONS and VM_OPTIONS[key].type in ("integer", "boolean")
        else value
        for key, value in config.items()
    }
    return shown | {"digest": digest_of(config)}


# Looking -----------------------------------------------------------------------------------------


@calls("GET", "/nodes/{node}/qemu", {"full": BOOLEAN})
def _list(node: ProxmoxNode, given: Given) -> Any:
    now = node.world.clock.now()
    return [vm.row(now) for _, vm in sorted(node.vms.items())]


@calls(
    "GET",
    f"{VM}/config",
    {"current": BOOLEAN, "snapshot": Property(format=CONFIG_ID, max_length=40)},
)
def _config(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    if "snapshot" in given:
        raise PveError(f"snapshot '{given['snapshot']}' does not exist")
    return typed_config(vm.config)


@calls("GET", f"{VM}/status/current")
def _current(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    row = vm.row(node.world.clock.now())
    row |= {"qmpstatus": row["status"], "ha": {"managed": 0}}
    return row | ({"agent": 1} if vm.agent else {})


@calls("GET", f"{VM}/pending")
def _pending(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    rows = []
    for key, value in sorted(vm.config.items()):
        was = vm.started.get(key, value) if vm.running else value
        if vm.running and key not in vm.started and key.startswith("hostpci"):
            rows.append({"key": key, "pending": value})  # a card is given to one that is off
            continue
        rows.append({"key": key, "value": was} | ({"pending": value} if was != value else {}))
    return rows


@calls(
    "GET",
    f"{VM}/cloudinit/dump",
    {"type": Property(enum=("user", "network", "meta"), required=True)},
)
def _dump(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    if given["type"] == "meta":
        return f"instance-id: {node.instance_id(vm.vmid)}\n"
    if given["type"] == "network":
        return f"version: 1\nconfig:\n  - {vm.config.get('ipconfig0', '')}\n"
    name, user = vm.config.get("name", ""), vm.config.get("ciuser", "")
    return f"#cloud-config\nhostname: {name}\nuser: {user}\n"


# Changing ----------------------------------------------------------------------------------------


@calls(
    "PUT",
    f"{VM}/resize",
    {
        "disk": Property(enum=_DISKS, required=True),
        "size": Property(pattern=r"\+?\d+(\.\d+)?[KMGT]?", required=True),
        "digest": DIGEST,
        "skiplock": BOOLEAN,
    },
)
def _resize(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    upid = node.tasks.begin("resize", given["vmid"])

    def done() -> Task:
        try:
            grow(node, vm, given["disk"], given["size"])
        except PveError as error:
            return _failed(node, upid, error)
        node.tasks.end(upid)
        return Task(upid)

    return Later(0.5, done)


def _failed(node: ProxmoxNode, upid: str, error: PveError) -> Task:
    node.tasks.end(upid, error.text)
    return Task(upid, failure=error.text)


@calls(
    "POST",
    f"{VM}/status/start",
    {
        "force-cpu": TEXT,
        "machine": MACHINE,
        "migratedfrom": Property(format=NODE),
        "migration_network": Property(format=CIDR),
        "migration_type": Property(enum=("secure", "insecure")),
        "nets-host-mtu": Property(pattern=r"net\d+=\d+(,net\d+=\d+)*"),
        "skiplock": BOOLEAN,
        "stateuri": Property(max_length=128),
        "targetstorage": Property(format=many(STORAGE_PAIR)),
        "timeout": _SECONDS,
        "with-conntrack-state": BOOLEAN,
    },
)
def _start(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    if vm.running:
        raise PveError(f"VM {vm.vmid} already running")
    unlocked(vm, given)
    upid = node.tasks.begin("qmstart", given["vmid"])

    def done() -> Task:
        try:
            node.start_vm(vm.vmid)
        except PveError as error:
            return _failed(node, upid, error)
        node.tasks.end(upid)
        return Task(upid)

    return Later(_START_S, done)


def _off(node: ProxmoxNode, given: Given, kind: str) -> Any:
    vm = found(node, given)
    unlocked(vm, given)
    upid = node.tasks.begin(kind, given["vmid"])
    node.stop_vm(vm.vmid)

    def done() -> Task:
        node.tasks.end(upid)
        return Task(upid)

    return Later(_STOP_S, done)


@calls(
    "POST",
    f"{VM}/status/stop",
    {"migratedfrom": Property(format=NODE), "timeout": _SECONDS}
    | dict.fromkeys(("keepActive", "overrule-shutdown", "skiplock"), BOOLEAN),
)
def _stop(node: ProxmoxNode, given: Given) -> Any:
    return _off(node, given, "qmstop")


@calls(
    "POST",
    f"{VM}/status/shutdown",
    {"timeout": _SECONDS} | dict.fromkeys(("forceStop", "keepActive", "skiplock"), BOOLEAN),
)
def _shutdown(node: ProxmoxNode, given: Given) -> Any:
    return _off(node, given, "qmshutdown")


@calls("DELETE", VM, dict.fromkeys(("destroy-unreferenced-disks", "purge", "skiplock"), BOOLEAN))
def _destroy(node: ProxmoxNode, given: Given) -> Any:
    vm = found(node, given)
    upid = node.tasks.begin("qmdestroy", given["vmid"])
    try:
        node.destroy_vm(vm.vmid, skip_lock=given.get("skiplock") == "1")
    except PveError as error:
        node.tasks.end(upid, error.text)
        raise
    node.tasks.end(upid)
    return Later(1.0, lambda: Task(upid))
