"""Makes a twin's Proxmox node what a real one says it is."""

from collections.abc import Callable
from typing import Any

from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.errors import HomelabError
from homelab_lib.twin.machine.seeding import json_of, seed_machine, seed_unit
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.proxmox.container import Container
from homelab_lib.twin.proxmox.guest import Guest
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.pools import ZPool
from homelab_lib.twin.proxmox.schema import split_properties
from homelab_lib.twin.proxmox.seeding_backups import seed_backups
from homelab_lib.twin.proxmox.seeding_network import seed_network
from homelab_lib.twin.proxmox.seeding_pci import asked_later
from homelab_lib.twin.proxmox.storage import FOLDERS, Store, mounted_at, parse_size
from homelab_lib.twin.proxmox.vm import VirtualMachine

_NOT_CONFIGURATION = ("digest",)
_RAW = "lxc"  # a container's lines for LXC itself, by which nothing here goes
_HEAD = ("storage", "type", "content", "digest")
_PLACES = {"zfspool": "pool", "dir": "path", "btrfs": "path"}  # the key that says where it is

Get = Callable[..., Any]

# What is read of the answers.
_FIRST_BOOT: Shape = {"status?": str, "errors?": [str]}
_MEMBERS: Shape = [{"type": str, "name": str, "local?": whole, "online?": whole}]
_VERSION: Shape = {"version": str, "repoid?": str}
_STATUS: Shape = {
    "memory": {"total": whole},
    "cpuinfo": {"cpus": whole},
    "boot-info?": {"secureboot?": (int, bool)},
    "rootfs": {"total": whole, "used": whole},
}
_RESOURCES: Shape = [{"type": str, "node?": str, "vmid?": whole, "name?": str}]
_STORES: Shape = [{"storage": str, "type": str, "content?": str, "path?": str, "pool?": str}]
_ROOM: Shape = [
    {
        "storage": str,
        "total?": whole,
        "used?": whole,
        "avail?": whole,
        "active?": whole,
        "enabled?": whole,
    }
]
_CONTENT: Shape = [{"volid": str, "size": whole, "content?": str}]
_GUESTS: Shape = [{"vmid": whole, "status": str, "uptime?": whole}]
_DISKS: Shape = [{"devpath": str, "size": whole, "serial?": str, "used?": str}]
_POOLS: Shape = [{"name": str, "size?": whole, "health?": str}]
_POOL: Shape = {"name": str, "state?": str, "children?": [dict]}
_REPOSITORIES: Shape = {"files": [{"path": str, "file-type": str, "repositories": [dict]}]}
_SUBSCRIPTION: Shape = {"status": str}
_TASKS: Shape = [{"upid": str, "type": str, "id": str, "endtime?": whole, "status?": str}]


def seed_proxmox(node: ProxmoxNode, ask: Ask) -> None:
    """Version, memory, storages with what is on them, guests of all nodes.

    Raises
    ------
    HomelabError
        Proxmox calls itself otherwise than the lab, or says nothing of what it has.
    """

    def get(path: str, *more: str, shape: Shape) -> Any:
        words = ("pvesh", "get", path, *more, "--output-format", "json")
        said = json_of(ask, node.name, *words, shape=shape)
        if said is None:
            raise HomelabError(f"{node.name} could not be asked: {' '.join(words)}")
        return said

    _assert_called(node, get)
    _seed_host(node, ask, get)
    version = get("/version", shape=_VERSION)
    node.version, node.commit = version["version"], version.get("repoid", "")
    status = get(f"/nodes/{node.node}/status", shape=_STATUS)
    node.memory_bytes = status["memory"]["total"]
    node.threads = status["cpuinfo"]["cpus"]
    node.secure_boot = bool(status.get("boot-info", {}).get("secureboot"))
    node.rootfs_bytes = (status["rootfs"]["total"], status["rootfs"]["used"])
    for vm in node.vms.values():  # as the lab has them; now as they are
        if vm.guest is not None:
            node.leave(vm.guest)
    node.vms, node.containers, node.others, node.peers = {}, {}, {}, []
    node.stores.clear()
    _seed_cluster(node, get("/cluster/resources", shape=_RESOURCES))
    room = {row["storage"]: row for row in get(f"/nodes/{node.node}/storage", shape=_ROOM)}
    for row in get("/storage", shape=_STORES):
        _seed_store(node, row, room.get(row["storage"], {}), get)
    for row in get(f"/nodes/{node.node}/qemu", shape=_GUESTS):
        path = f"/nodes/{node.node}/qemu/{row['vmid']}/config"
        _seed_vm(node, row, get(path, shape={str: SCALAR}), ask)
    for row in get(f"/nodes/{node.node}/lxc", shape=_GUESTS):
        path = f"/nodes/{node.node}/lxc/{row['vmid']}/config"
        config = get(path, shape={str: (*SCALAR, [[str]])})
        _seed_container(node, row, config)
        if any(row["vmid"] == each.vmid for each in node.world.lab.containers.values()):
            _seed_making(node, row["vmid"], get)
    for name, row in room.items():
        if (
            row.get("active") and name in node.stores
        ):  # what its disks take is told better than it is reckoned
            node.stores[name].now(row["total"], row["used"], row["avail"])
    _seed_tasks(node, get(f"/nodes/{node.node}/tasks", "--source", "active", shape=_TASKS))


def _seed_host(node: ProxmoxNode, ask: Ask, get: Get) -> None:
    """Its links as they are now, and how the rest is to be asked for, by whoever wants to know."""
    seed_network(node, ask)
    node.units.pop("chrony", None)
    seed_unit(node, "chrony", ask)
    node.unlearnt = {
        "disks": lambda: _seed_disks(node, get),
        "sources": lambda: _sources(node, get),
        "backups": lambda: seed_backups(node, get),
    } | asked_later(node, ask, get)


def _seed_disks(node: ProxmoxNode, get: Get) -> None:
    """Its disks, and its pools with the disks that they stand on."""
    where = f"/nodes/{node.node}/disks"
    node.disk_rows = get(f"{where}/list", shape=_DISKS)
    node.zpools = {}
    for row in get(f"{where}/zfs", shape=_POOLS):
        detail = get(f"{where}/zfs/{row['name']}", shape=_POOL)
        node.zpools[row["name"]] = ZPool.told(row, detail)


def _sources(node: ProxmoxNode, get: Get) -> None:
    """Where its packages come from, and whether it has a subscription."""
    found = get(f"/nodes/{node.node}/apt/repositories", shape=_REPOSITORIES)
    node.sources = found["files"]
    status = get(f"/nodes/{node.node}/subscription", shape=_SUBSCRIPTION)["status"]
    node.subscribed = status == "active"


def _assert_called(node: ProxmoxNode, get: Get) -> None:
    told = get("/cluster/status", shape=_MEMBERS)
    rows = [row for row in told if row["type"] == "node"]
    node.cluster_name = next((r["name"] for r in told if r["type"] == "cluster"), "cluster")
    node.away = {row["name"] for row in rows if not row.get("online", 1)}
    called = next((row["name"] for row in rows if row.get("local")), "")
    if not called:
        raise HomelabError(
            f"{node.name} does not say which node of its cluster it is",
            where=node.name,
            fix="look at `pvesh get /cluster/status` there: one node has to be local",
        )
    if called != node.node:
        raise HomelabError(
            f"{node.name} is called {called!r} by Proxmox, and {node.node!r} in the lab",
            where=f"hosts.{node.name}.os.node",
            fix=f"write  os: {{node: {called}}}",
        )


def _seed_cluster(node: ProxmoxNode, rows: list[dict[str, Any]]) -> None:
    """The guests of other nodes, and those nodes with what they have."""
    for row in rows:
        here = row.get("node") == node.node
        if "vmid" in row:
            if not here:
                node.others[row["vmid"]] = row
        elif not here:
            node.peers.append(row)


def _seed_store(node: ProxmoxNode, row: dict[str, Any], room: dict[str, Any], get: Get) -> None:
    name, kind = row["storage"], row["type"]
    content = [each for each in row.get("content", "").split(",") if each]
    where = _PLACES.get(kind, "")
    options = {key: value for key, value in row.items() if key not in (*_HEAD, where)}
    place = row.get(where) or row.get("path") or row.get("mountpoint") or ""
    store = Store(
        name, kind, content, place or mounted_at(name, kind), room.get("total", 0), options=options
    )
    store.active = bool(room.get("active"))
    store.enabled = bool(room.get("enabled", room.get("active")))
    node.stores[name] = store
    if not store.active:
        return  # a server that is away would have us wait for it
    if {"images", "rootdir"} & set(content):
        for item in get(f"/nodes/{node.node}/storage/{name}/content", shape=_CONTENT):
            if item.get("content") in ("images", "rootdir"):
                store.volumes[item["volid"].partition(":")[2]] = item["size"]
    if kind in ("dir", "btrfs"):
        for folder in FOLDERS.values():
            node.files.exists(f"{place}/{folder}")  # asks the host for it


def _seed_tasks(node: ProxmoxNode, rows: list[dict[str, Any]]) -> None:
    """What is at work there just now."""
    for row in rows:
        if "endtime" not in row:
            node.tasks.take_over(row)


def _seed_making(node: ProxmoxNode, vmid: int, get: Get) -> None:
    """The tasks of a container, among them the one that made it: a list has the newest first."""
    words = ("--source", "all", "--vmid", str(vmid))
    for row in reversed(get(f"/nodes/{node.node}/tasks", *words, shape=_TASKS)):
        node.tasks.take_over(row)


def _seed_vm(node: ProxmoxNode, row: dict[str, Any], config: dict[str, Any], ask: Ask) -> None:
    kept = {key: str(value) for key, value in config.items() if key not in _NOT_CONFIGURATION}
    vm = VirtualMachine(row["vmid"], kept)
    node.vms[vm.vmid] = vm
    described = next(
        (
            each
            for each in node.world.lab.vms.values()
            if (each.host, each.vmid) == (node.name, vm.vmid) and each.name == kept.get("name")
        ),
        None,
    )
    if described is not None and described.image is not None and "scsi0" in kept:
        vm.booted = node.world.lab.images[described.image].sha256 or ""
    _seed_sizes(node, kept)
    vm.running = row.get("status") == "running"
    if not vm.running:
        vm.unseen = True
        return
    vm.started = dict(kept)
    vm.since_s = node.world.clock.now() - row.get("uptime", 0)
    vm.guest = Guest(node, vm.vmid)
    vm.guest.system = node.appliance_in(vm.guest)
    node.enter(vm.guest)
    if vm.guest.system is not None:
        vm.guest.vouched = True  # it is asked itself, as every machine of its kind
        return
    if described is None:
        vm.guest.up = True
        return
    if _seed_guest(vm.guest, ask):
        return
    if vm.guest.name in node.world.fresh:
        vm.guest.instance = ""
        vm.guest.power_on()  # it is still booting
    else:
        vm.guest.run_unseen()


def _seed_container(node: ProxmoxNode, row: dict[str, Any], config: dict[str, Any]) -> None:
    ours = (key for key in config if key not in (*_NOT_CONFIGURATION, _RAW))
    kept = {key: str(config[key]) for key in ours}
    since_s = node.world.clock.now() - row.get("uptime", 0)
    running = row["status"] == "running"
    node.containers[row["vmid"]] = Container(row["vmid"], kept, running, since_s)
    _seed_sizes(node, kept)


def _seed_sizes(node: ProxmoxNode, config: dict[str, str]) -> None:
    """Disks that no listing showed, by what the configuration says of them."""
    for value in config.values():
        volid, _, rest = value.partition(",")
        store, colon, volume = volid.partition(":")
        size = split_properties(rest).get("size") if "size=" in rest else None
        if colon and size and store in node.stores and "media=cdrom" not in rest:
            node.stores[store].volumes.setdefault(volume, parse_size(size))


def _seed_guest(guest: Guest, ask: Ask) -> bool:
    """A VM that runs already and lets us in."""
    guest.instance = guest.node.instance_id(guest.vmid)
    if "ciuser" not in guest.config and guest.described is not None:
        guest.user = guest.described.user  # as a person has set it up
    guest.sees()
    if not seed_machine(guest, ask):
        return False
    guest.up = guest.vouched = True
    guest.boots = 1
    # The real one's private host key stays where it is; the twin answers with a key of its own.
    guest.files.put("/etc/ssh/ssh_host_ed25519_key.pub", f"{guest.host_key_public}\n")
    # It ends with 1 where it failed, with 2 where it went on all the same.
    words = ("cloud-init", "status", "--format", "json")
    status = json_of(ask, guest.name, *words, shape=_FIRST_BOOT, ok=(0, 1, 2)) or {}
    guest.cloud_init = (status.get("status", "done"), status.get("errors", []))
    return True
