"""Makes a twin's Proxmox node what a real one says it is."""

from typing import Any

from homelab_lib.twin.machine.seeding import json_of, seed_machine
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.proxmox.guest import Guest, VirtualMachine
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import split_properties
from homelab_lib.twin.proxmox.storage import FOLDERS, OPTIONS, Store, parse_size

_NOT_CONFIGURATION = ("digest",)


def seed_proxmox(node: ProxmoxNode, ask: Ask) -> None:
    """Version, memory, storages with what is on them, VMs."""

    def get(path: str, *more: str) -> Any:
        return json_of(ask, node.name, "pvesh", "get", path, *more, "--output-format", "json")

    version = get("/version") or {}
    node.version = version.get("version", node.version)
    status = get(f"/nodes/{node.node}/status") or {}
    node.memory_bytes = status.get("memory", {}).get("total", node.memory_bytes)
    node.threads = status.get("cpuinfo", {}).get("cpus", node.threads)
    room = {row["storage"]: row for row in get(f"/nodes/{node.node}/storage") or ()}
    node.stores = {}
    for vm in node.vms.values():  # as the lab has them; now as they are
        node.world.machines.pop(vm.guest.name if vm.guest else "", None)
    node.vms = {}
    for row in get("/storage") or ():
        _seed_store(node, row, room.get(row["storage"], {}), get)
    node.others = {
        row["vmid"]: row
        for row in get("/cluster/resources", "--type", "vm") or ()
        if row.get("type") != "qemu" or row.get("node") != node.node
    }
    for row in get(f"/nodes/{node.node}/qemu") or ():
        _seed_vm(node, row, get(f"/nodes/{node.node}/qemu/{row['vmid']}/config") or {}, ask)


def _seed_store(node: ProxmoxNode, row: dict[str, Any], room: dict[str, Any], get: Any) -> None:
    name, kind = row["storage"], row["type"]
    content = [each for each in row.get("content", "").split(",") if each]
    place = row.get("path") or row.get("pool") or ""
    options = {key: str(row[key]) for key in OPTIONS if key in row}
    store = Store(name, kind, content, place, room.get("total", 0), options=options)
    node.stores[name] = store
    for item in get(f"/nodes/{node.node}/storage/{name}/content") or ():
        if item.get("content") in ("images", "rootdir"):
            store.volumes[item["volid"].partition(":")[2]] = item["size"]
    if kind == "dir":
        for folder in FOLDERS.values():
            node.files.exists(f"{place}/{folder}")  # asks the host for it


def _seed_vm(node: ProxmoxNode, row: dict[str, Any], config: dict[str, Any], ask: Ask) -> None:
    kept = {key: str(value) for key, value in config.items() if key not in _NOT_CONFIGURATION}
    vm = VirtualMachine(row["vmid"], kept)
    node.vms[vm.vmid] = vm
    name = kept.get("name", "")
    described = node.world.lab.vms.get(name)
    if described is not None and described.image is not None and "scsi0" in kept:
        vm.booted = node.world.lab.images[described.image].sha256 or ""
    _seed_sizes(node, kept)
    vm.running = row.get("status") == "running"
    if not vm.running:
        return
    vm.started = dict(kept)
    vm.guest = Guest(node, vm.vmid)
    node.world.machines[vm.guest.name] = vm.guest
    if described is None:
        vm.guest.up = True
        return
    if not _seed_guest(vm.guest, ask):
        vm.guest.instance = ""
        vm.guest.power_on()  # it is still booting


def _seed_sizes(node: ProxmoxNode, config: dict[str, str]) -> None:
    """Disks that no listing showed, by what the configuration says of them."""
    for value in config.values():
        volid, _, rest = value.partition(",")
        store, colon, volume = volid.partition(":")
        size = split_properties(rest).get("size") if "size=" in rest else None
        if colon and size and store in node.stores and volume.startswith("vm-"):
            node.stores[store].volumes.setdefault(volume, parse_size(size))


def _seed_guest(guest: Guest, ask: Ask) -> bool:
    """A VM that runs already and lets us in."""
    guest.instance = guest.node.instance_id(guest.vmid)
    guest.sees()
    if not seed_machine(guest, ask):
        return False
    guest.up = guest.vouched = True
    guest.boots = 1
    # The real one's private host key stays where it is; the twin answers with a key of its own.
    guest.files.put("/etc/ssh/ssh_host_ed25519_key.pub", f"{guest.host_key_public}\n")
    status = json_of(ask, guest.name, "cloud-init", "status", "--format", "json") or {}
    guest.cloud_init = (status.get("status", "done"), status.get("errors", []))
    return True
