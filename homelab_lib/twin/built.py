"""A world as the lab describes it: machines, what is on them, and what earlier phases have made."""

from typing import TYPE_CHECKING

from homelab_lib.lab.host import Host
from homelab_lib.twin.fileutils import fileutils
from homelab_lib.twin.linux import linux
from homelab_lib.twin.machine import Interface, Machine
from homelab_lib.twin.proxmox import ProxmoxNode, Store
from homelab_lib.twin.systemd import systemd
from homelab_lib.twin.textutils import textutils
from homelab_lib.twin.truenas import TrueNas
from homelab_lib.twin.truenas_zfs import Dataset, NasDisk, Vdev, ZPool, root_dataset, zpool_sizes

if TYPE_CHECKING:
    from homelab_lib.twin.world import World

_FIRMWARE_SHARE = 0.0248  # of 128 GiB a kernel sees 124.82 on the board we know (hardware.md, 5)
_STOCK_CONTENT = ["backup", "iso", "vztmpl"]
"""What Proxmox lets its `local` storage hold until somebody changes it."""

_KERNELS = {
    "proxmox": "6.17.2-2-pve",
    "truenas": "6.12.33-production+truenas",
    "opnsense": "14.3-RELEASE-p4",
}
_VERSIONS = {"proxmox": "9.1.4", "truenas": "25.10.1"}
_LAYOUTS = {
    "stripe": "STRIPE",
    "mirror": "MIRROR",
    "raidz1": "RAIDZ1",
    "raidz2": "RAIDZ2",
    "raidz3": "RAIDZ3",
}


def build(world: "World", before_phase: int) -> None:
    """Stand up every host, with what the phases before `before_phase` have made."""
    for name, host in world.lab.hosts.items():
        world.machines[name] = machine = _machine(world, name, host)
        furnish(machine, host)
        if isinstance(machine, ProxmoxNode):
            # The installer's choice since Proxmox VE 8.1: a tenth of the memory, 16 GiB at most.
            cache = min(host.memory_bytes // 10, 16 * 2**30)
            machine.files.put("/sys/module/zfs/parameters/zfs_arc_max", f"{cache}\n")
            _storages(machine, before_phase)
        elif isinstance(machine, TrueNas):
            _disks(machine, host)
            _pools(machine, before_phase)
            _shares(machine, before_phase)


def _machine(world: "World", name: str, host: Host) -> Machine:
    user = host.ssh.user if host.ssh else "root"
    version = _full(host.os.version, _VERSIONS.get(host.os.kind, ""))
    if host.os.kind == "proxmox":
        return ProxmoxNode(name, world, node=host.os.node or name, version=version)
    if host.os.kind == "truenas":
        return TrueNas(name, world, user=user, version=version)
    sets = (textutils, fileutils, systemd, linux, *world.programs)
    return Machine(name, world, user=user, commands=sets)


def _full(version: str, default: str) -> str:
    """A release with all its parts: ``9.1`` becomes ``9.1.4``."""
    if not version:
        return default
    return (
        version if version.count(".") > 1 or not default else f"{version}.{default.split('.')[2]}"
    )


def furnish(machine: Machine, host: Host) -> None:
    """What every machine has: memory, processors, interfaces, the first files."""
    lab = machine.world.lab
    machine.kernel = _KERNELS.get(host.os.kind, machine.kernel)
    machine.cpu_model = host.cpu.title
    machine.threads = host.threads
    machine.memory_bytes = int(host.memory_bytes * (1 - _FIRMWARE_SHARE))
    for name, port in host.ports.items():
        for tag, cidr in {None: port.address, **port.addresses}.items():
            if not cidr and tag is None and not port.bridge:
                continue
            vlan = lab.vlans.get(tag or port.vlan or 0)
            gateway = vlan.gateway if vlan and vlan.gateway else ""
            base = port.bridge or port.interface or name
            machine.interfaces.append(
                Interface(
                    name=base if tag is None else f"{base}.{tag}",
                    mac=port.mac or f"02:00:00:00:00:{len(machine.interfaces):02x}",
                    cidr=cidr or "",
                    host=machine.name,
                    segment=port.bridge or name,
                    tag=tag,
                    gateway="" if (cidr or "").partition("/")[0] == gateway else gateway,
                    mtu=port.mtu,
                )
            )
    machine.files.put("/etc/hostname", f"{machine.name}\n")
    machine.files.put("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {machine.name}\n")
    machine.files.put("/etc/os-release", 'ID=debian\nVERSION_ID="13"\n')
    for folder in (machine.home, "/tmp", "/usr/local/bin", "/var/lib"):
        machine.files.mkdir(folder, parents=True)
    machine.packages |= {"openssh-server": "1:10.0p1-7", "sudo": "1.9.16p2-3", "curl": "8.14.1-2"}
    if isinstance(machine, TrueNas):
        gateway = next((i.gateway for i in machine.interfaces if i.gateway), "")
        machine.connect(gateway)


def _made(phase: int | None, before_phase: int) -> bool:
    return phase is None or phase < before_phase


def _storages(node: ProxmoxNode, before_phase: int) -> None:
    lab = node.world.lab
    for name, storage in lab.storages.items():
        if storage.host != node.name or not _made(storage.phase, before_phase):
            continue
        pool = lab.pools.get((storage.pool or "rpool").partition("/")[0])
        host = lab.hosts[node.name]
        disks = [host.disks[d].capacity_bytes for d in pool.disks] if pool else [10**12]
        shared = pool is not None and pool.layout == "mirror"
        size = min(disks) if shared else sum(disks)
        place = storage.path or storage.pool or ""
        content = list(_STOCK_CONTENT) if storage.kind == "dir" else list(storage.content)
        node.stores[name] = Store(name, storage.kind, content, place, int(size * 0.96))
        if storage.path:
            node.files.mkdir(storage.path, parents=True)
            for folder in (
                "template/iso",
                "template/cache",
                "dump",
                "snippets",
                "import",
                "images",
            ):
                node.files.mkdir(f"{storage.path}/{folder}", parents=True)


def _disks(nas: TrueNas, host: Host) -> None:
    letters = iter("abcdefghijklmnop")
    for disk in host.disks.values():
        name = f"sd{next(letters)}" if disk.part.fits != "M.2" else f"nvme{len(nas.disks)}n1"
        nas.disks[name] = NasDisk(
            name,
            disk.serial or f"{nas.name}-{disk.name}".upper(),
            disk.capacity_bytes,
            model=disk.part.title,
            rotates=disk.part.media == "HDD",
            boot=disk.role == "boot",
        )


def _pools(nas: TrueNas, before_phase: int) -> None:
    lab = nas.world.lab
    by_serial = {disk.serial: disk.name for disk in nas.disks.values()}
    for name, pool in lab.pools.items():
        if pool.host != nas.name or not _made(pool.phase, before_phase):
            continue
        described = [lab.hosts[nas.name].disks[disk] for disk in pool.disks]
        names = [by_serial[d.serial or f"{nas.name}-{d.name}".upper()] for d in described]
        kind, width = _LAYOUTS[pool.layout], len(names) // pool.vdevs
        vdevs = [Vdev(kind, names[i * width : (i + 1) * width]) for i in range(pool.vdevs)]
        smallest = min(disk.capacity_bytes for disk in described)
        size, usable = zpool_sizes(kind, width, pool.vdevs, smallest)
        number = len(nas.pools) + 1
        nas.pools[name] = ZPool(number, name, nas.guid(f"pool {name}"), vdevs, size, usable, 0.0)
        nas.add_dataset(root_dataset(name, 0.0))
        nas.config["systemdataset"] |= {"pool": name, "basename": f"{name}/.system"}
    for name, dataset in lab.datasets.items():
        if (
            dataset.host == nas.name
            and dataset.pool in nas.pools
            and _made(dataset.phase, before_phase)
        ):
            nas.add_dataset(Dataset(name, {"acltype": "nfsv4", "aclmode": "passthrough"}))


def _shares(nas: TrueNas, before_phase: int) -> None:
    lab = nas.world.lab
    for share in lab.nfs_shares.values():
        if share.host != nas.name or not _made(share.phase, before_phase):
            continue
        nas.tables["nfs"].insert(
            {
                "path": share.path,
                "aliases": [],
                "comment": "",
                "networks": list(share.networks),
                "hosts": [],
                "ro": False,
                "maproot_user": share.maproot_user,
                "maproot_group": share.maproot_group,
                "mapall_user": None,
                "mapall_group": None,
                "security": [],
                "enabled": True,
                "expose_snapshots": False,
            }
        )
        nas.services["nfs"].enable = nas.services["nfs"].running = True
