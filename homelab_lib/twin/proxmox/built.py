"""A Proxmox node as the lab describes it, and as earlier phases have left it."""

from collections.abc import Collection

from homelab_lib.lab.host import Host
from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.machine.built import full_version, furnish, made
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.packages import install
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.machine.web import serves
from homelab_lib.twin.machine.zfs import has_zfs, stand_up_datasets
from homelab_lib.twin.proxmox import boot_loader, pci
from homelab_lib.twin.proxmox.appliance import install as install_by_hand
from homelab_lib.twin.proxmox.appliance import system_of
from homelab_lib.twin.proxmox.apt_calls import sources
from homelab_lib.twin.proxmox.backup_servers import Server, served
from homelab_lib.twin.proxmox.booting import ARC_LIMIT, SETTINGS, booting, starts
from homelab_lib.twin.proxmox.card import cards_of
from homelab_lib.twin.proxmox.container import Container
from homelab_lib.twin.proxmox.described import described, installed
from homelab_lib.twin.proxmox.disk_calls import disks_of, make_pool
from homelab_lib.twin.proxmox.grounds import GROUNDS
from homelab_lib.twin.proxmox.ifupdown2 import ifupdown2, starts_network
from homelab_lib.twin.proxmox.installed import stand_up
from homelab_lib.twin.proxmox.interfaces import FILE, written
from homelab_lib.twin.proxmox.loops import loops, on_device
from homelab_lib.twin.proxmox.nics import nics, probe
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.passing import take
from homelab_lib.twin.proxmox.pct import pct
from homelab_lib.twin.proxmox.pvesh import pvesh
from homelab_lib.twin.proxmox.pvesm import pvesm
from homelab_lib.twin.proxmox.qm import qm
from homelab_lib.twin.proxmox.releases import DEFAULT, RELEASES, release
from homelab_lib.twin.proxmox.seeding import seed_proxmox
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, Store, mounted_at
from homelab_lib.twin.world import Kind, World

WEB_PORT = 8006
_STOCK_CONTENT = ["backup", "iso", "vztmpl"]
"""What Proxmox lets its `local` storage hold until somebody changes it."""
_OPTIONS = ("vgname", "thinpool", "server", "export", "share", "datastore", "username")
"""Of a storage: where it is, beside its path and pool."""


def register(world: World) -> None:
    """Tell the world how a Proxmox node is made and seeded."""
    world.kinds["proxmox"] = Kind(_make, seed_proxmox)
    world.shelves.append(Shelf("proxmox", GROUNDS, _version))


def _version(machine: Machine) -> str:
    return machine.version if isinstance(machine, ProxmoxNode) else ""


def _join(node: ProxmoxNode, world: World, name: str, before_phase: int) -> None:
    """Into the cluster that the lab has it in, where that is there by now: as it says, or since a
    person made it in an earlier phase."""
    for cluster in world.lab.proxmox_clusters.values():
        made = cluster.phase is not None and cluster.phase < before_phase
        if name not in cluster.nodes or not (cluster.exists or made):
            continue
        others = [world.lab.hosts[each].os.node or each for each in cluster.nodes if each != name]
        node.cluster_name = cluster.name
        node.peers = [
            {"id": f"node/{each}", "node": each, "status": "online", "type": "node"}
            for each in others
        ]


def _make(world: World, name: str, host: Host, before_phase: int) -> ProxmoxNode:
    known = release(host.os.version or RELEASES[DEFAULT].version)
    node = ProxmoxNode(
        name,
        world,
        node=host.os.node or name,
        version=full_version(host.os.version, known.version),
        commands=(
            *(qm, pct, pvesh, pvesm, loops, ifupdown2, nics),
            *(booting, boot_loader.boot_loader, pci.pci_programs, *UNIX),
        ),
    )
    node.kernel = known.kernel
    serves(node, WEB_PORT, days=730.0)
    node.on_device = on_device
    node.served = served
    for store in world.lab.storages.get(name, {}).values():
        if store.kind == "pbs" and store.server and store.datastore and store.fingerprint:
            server = Server(store.fingerprint, {store.datastore: {}}, {store.username or "": None})
            node.backup_servers[store.server] = server
    furnish(node, host, before_phase)
    _join(node, world, name, before_phase)
    # The installer's choice since Proxmox VE 8.1: a tenth of the memory, 16 GiB at most.
    cache = min((host.memory_bytes or node.memory_bytes) // 10, 16 * 2**30)
    for folder in ("/run", "/etc/cron.d"):
        node.files.mkdir(folder, parents=True)
    node.files.put(ARC_LIMIT, f"{cache}\n")
    node.files.put(SETTINGS, f"options zfs zfs_arc_max={cache}\n")
    node.initramfs = node.files.text(SETTINGS)
    install(node, "chrony")
    node.units["chrony"] = Unit("chrony", enabled=True, active="active", sub="running", ran=True)
    has_zfs(node)
    node.sources = sources(node.version)
    _network(node, host, before_phase)
    _pools(node, host, before_phase)
    _storages(node, before_phase)
    boot_loader.furnish(node)
    pci.furnish(node)
    node.passes = take
    node.appliance_in = lambda guest: system_of(world, guest, before_phase)
    node.installs = lambda guest: install_by_hand(world, guest, before_phase)
    for vm in world.lab.vms.values():
        earlier = vm.phase is not None and vm.phase < before_phase
        if vm.host == name and (vm.exists or earlier):
            stand_up(node, vm)
    for each in world.lab.containers.values():
        earlier = each.phase is not None and each.phase < before_phase
        if each.host == name and (each.exists or earlier):
            config = {"hostname": each.name, "memory": str(each.memory_bytes // 2**20)}
            node.containers[each.vmid] = Container(each.vmid, config, running=True)
    return node


def _network(node: ProxmoxNode, host: Host, before_phase: int) -> None:
    """Its cards, and the interfaces on them as far as a phase has set them up."""
    lab = node.world.lab
    node.cards, node.interfaces = list(cards_of(host)), []
    node.on_boot.append(starts)
    probe(node)
    bare = before_phase > 0 and not made(host.phase, before_phase)
    found = installed(lab, host, node.cards) if bare else described(lab, host)
    node.files.put(FILE, written(found))
    starts_network(node)
    node.reach.stands()


def _images(node: ProxmoxNode, content: Collection[str], place: str) -> None:
    """The images that somebody has put on a storage: those that the lab says are there."""
    for image in node.world.lab.images.values():
        kind = {"iso": "iso", "template": "vztmpl"}.get(image.kind, "import")
        if image.exists and kind in content:
            path, size = f"{place}/{FOLDERS[kind]}/{image.filename}", image.size_bytes or None
            data = image.filename.encode()  # its digest is this one's where nobody has told it
            node.files.put(path, data, digest=image.sha256 or "", size_bytes=size)


_LEVELS = {"stripe": "single", "mirror": "mirror", "raidz1": "raidz"}


def _pools(node: ProxmoxNode, host: Host, before_phase: int) -> None:
    """Its disks, and the pools on them; those on a boot disk are the installer's."""
    node.disk_rows = disks_of(node)
    rows = dict(zip(host.disks, node.disk_rows, strict=False))
    for name, pool in node.world.lab.pools.get(node.name, {}).items():
        members = [rows[each] for each in pool.disks_for("data") if each in rows]
        if members and made(pool.phase, before_phase):
            level = _LEVELS.get(pool.layout or "stripe", pool.layout or "single")
            make_pool(node, name, level, members)
    stand_up_datasets(node, before_phase)
    if "rpool" in node.zpools:
        node.root_source, node.root_fstype = "rpool/ROOT/pve-1", "zfs"


def _storages(node: ProxmoxNode, before_phase: int) -> None:
    lab = node.world.lab
    for name, storage in lab.storages.get(node.name, {}).items():
        if not made(storage.phase, before_phase):
            continue
        pool = lab.pools.get(node.name, {}).get((storage.pool or "rpool").partition("/")[0])
        host = lab.hosts[node.name]
        disks = [host.disks[d].capacity_bytes for d in pool.disks_for("data")] if pool else [10**12]
        shared = pool is not None and pool.layout == "mirror"
        size = storage.size_bytes or (min(disks) if shared else sum(disks))
        place = storage.path or storage.pool or mounted_at(name, storage.kind)
        content: list[str] = (
            list(_STOCK_CONTENT) if storage.kind == "dir" else list(storage.content)
        )
        options = {key: value for key in _OPTIONS if (value := getattr(storage, key))}
        node.stores[name] = Store(
            name, storage.kind, content, place, int(size * 0.96), options=options
        )
        if storage.kind in FILES:
            node.files.mkdir(place, parents=True)
            for folder in FOLDERS.values():
                node.files.mkdir(f"{place}/{folder}", parents=True)
            _images(node, storage.content, place)
