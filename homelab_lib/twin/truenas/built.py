"""A TrueNAS as the lab describes it, and as earlier phases have left it."""

import hashlib
from collections import Counter

from homelab_lib.lab.host import Disk, Host
from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.machine.built import full_version, furnish, made
from homelab_lib.twin.machine.devices import letters
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.machine.web import serves
from homelab_lib.twin.truenas.containers import containers
from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.truenas.download import serve_downloads
from homelab_lib.twin.truenas.exportfs import server
from homelab_lib.twin.truenas.graphics import render_nodes
from homelab_lib.twin.truenas.grounds import GROUNDS
from homelab_lib.twin.truenas.in_vm import NasInVm
from homelab_lib.twin.truenas.midclt import truenas
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.pool import SUNDAYS
from homelab_lib.twin.truenas.power import power
from homelab_lib.twin.truenas.python import python
from homelab_lib.twin.truenas.rpc import call
from homelab_lib.twin.truenas.seeding import seed_truenas
from homelab_lib.twin.truenas.smartctl import disk_health
from homelab_lib.twin.truenas.tables import Row
from homelab_lib.twin.truenas.zfs import NasDisk, Vdev, ZPool, zpool_sizes
from homelab_lib.twin.truenas.zfs_dataset import nicenum, root_dataset
from homelab_lib.twin.world import Kind, World

_VERSION = "25.10.1"
_BUSES = {"SATA": "ATA", "SAS": "SCSI", "USB": "USB"}
"""What udev says a disk is on, by the slot that it fits."""
_KERNELS = {(25, 4): "6.12.15", (25, 10): "6.12.33", (26, 0): "6.18.9"}
"""By the first release that has it; the releases before these had 6.6."""
_OLD_KERNEL = "6.6.44"
_PROTOCOLS = {
    "lacp": "LACP",
    "active-backup": "FAILOVER",
    "balance-xor": "LOADBALANCE",
    "balance-rr": "ROUNDROBIN",
}


def register(world: World) -> None:
    """Tell the world how a TrueNAS is made and seeded."""
    world.kinds["truenas"] = Kind(_make, seed_truenas, in_vms=True)
    world.shelves.append(Shelf("truenas", GROUNDS, _version))


def _version(machine: Machine) -> str:
    return machine.version if isinstance(machine, TrueNas) else ""


def _make(world: World, name: str, host: Host, before_phase: int) -> TrueNas:
    nas = (NasInVm if name in world.lab.vms else TrueNas)(
        name,
        world,
        user=host.ssh.user if host.ssh else "root",
        version=full_version(host.os.version, _VERSION),
        commands=(truenas, containers, power, server, disk_health, python, *UNIX),
    )
    kernel = max(
        ((since, k) for since, k in _KERNELS.items() if since <= nas.release), default=None
    )
    nas.kernel = f"{kernel[1] if kernel else _OLD_KERNEL}-production+truenas"
    furnish(nas, host, before_phase)
    render_nodes(nas, host)
    serve_downloads(nas)
    serves(nas, 443, days=397.0)
    there = made(host.phase, before_phase)
    nas.connect(configured=there, built=_built_interfaces(nas, host, there))
    if not made(host.phase, before_phase):
        nas.config["network.configuration"]["hostname"] = "truenas"  # the installer asks for none
    _disks(nas, host)
    _pools(nas, before_phase)
    nas.blocks = blocks_of(nas)
    _datasets(nas, before_phase)
    _shares(nas, before_phase)
    return nas


def _built_interfaces(nas: TrueNas, host: Host, there: bool) -> dict[str, Row]:
    """Bonds and VLANs under TrueNAS's names, with what is configured of them; a new system has
    ports alone."""
    built: dict[str, Row] = {}
    for one in [each for each in nas.interfaces if each.tag is not None]:
        parent = one.name.rpartition(".")[0]
        one.name, one.kind = f"vlan{one.tag}", "vlan"
        built[one.name] = {"type": "VLAN", "vlan_parent_interface": parent, "vlan_tag": one.tag}
    for name, bond in host.bonds.items():
        one = next(each for each in nas.interfaces if each.name == (bond.bridge or name))
        ports = [host.ports[member].interface or member for member in bond.members]
        if there:
            one.kind = "bond"
            policy = bond.hash_policy.upper()
            row: Row = {"type": "LINK_AGGREGATION", "lag_protocol": _PROTOCOLS[bond.kind]}
            built[one.name] = row | {"lag_ports": ports, "xmit_hash_policy": policy}
        else:
            nas.interfaces.remove(one)
            first = next(each for each in nas.interfaces if each.name == ports[0])
            first.cidr, first.gateway = one.cidr, one.gateway
    return dict(sorted(built.items()))


def _disks(nas: TrueNas, host: Host) -> None:
    counts: Counter[str] = Counter()
    for disk in host.disks.values():
        kind = "nvme" if disk.part.pcie else "sd"
        number, counts[kind] = counts[kind], counts[kind] + 1
        name = f"nvme{number}n1" if disk.part.pcie else f"sd{letters(number)}"
        nas.disks[name] = NasDisk(
            name,
            disk.serial or f"{nas.name}-{disk.name}".upper(),
            disk.capacity_bytes,
            model=disk.part.title,
            lunid=_wide_name(disk),
            bus=_BUSES.get(disk.part.fits.partition("-")[0], "UNKNOWN") if kind == "sd" else "NVME",
            rotates=disk.part.media == "HDD",
            boot=disk.role == "boot",
        )


def _wide_name(disk: Disk) -> str | None:
    """A disk's world-wide name, the same for the same disk: of an NVMe drive its EUI-64, without
    the ``eui.`` that udev writes before it; a stick has none."""
    serial = hashlib.sha256(f"{disk.serial}/{disk.name}".encode()).hexdigest()[:8]
    if disk.part.pcie:
        return f"00253851{serial}"
    return f"5000c500{serial}" if disk.part.fits in ("SATA", "SAS") else None


def _pools(nas: TrueNas, before_phase: int) -> None:
    lab = nas.world.lab
    by_serial = {disk.serial: disk.name for disk in nas.disks.values()}
    described = lab.hardware(nas.name).disks
    for name, pool in lab.pools.get(nas.name, {}).items():
        if not made(pool.phase, before_phase):
            continue
        vdevs = []
        for group in pool.groups:
            disks = [described[disk] for disk in group.disks]
            names = [by_serial[d.serial or f"{nas.name}-{d.name}".upper()] for d in disks]
            kind = group.layout.partition(":")[0].upper()
            vdevs.append(Vdev(kind, names, group.role, group.layout))
        size, usable = zpool_sizes(vdevs, nas.disks, nas.release)
        number = len(nas.pools) + 1
        nas.pools[name] = ZPool(number, name, nas.guid(f"pool {name}"), vdevs, size, usable, 0.0)
        for each in nas.pools[name].disks:
            nas.disks[each].format()
        root = root_dataset(name, 0.0)
        root.key_format = "hex" if pool.encryption == "key" else ""
        nas.add_dataset(root)
        scrub = {"pool": number, "threshold": 35, "description": "", "enabled": True}
        nas.tables["pool.scrub"].insert(scrub | {"schedule": dict(SUNDAYS)})
        nas.config["systemdataset"] |= {"pool": name, "basename": f"{name}/.system"}


def _datasets(nas: TrueNas, before_phase: int) -> None:
    for name, dataset in sorted(nas.world.lab.datasets.get(nas.name, {}).items()):
        if dataset.pool not in nas.pools or not made(dataset.phase, before_phase):
            continue
        data: Row = {"name": name, "share_type": dataset.share_type, "create_ancestors": True}
        if dataset.recordsize_bytes:
            data["recordsize"] = nicenum(dataset.recordsize_bytes)
        if dataset.quota_bytes:
            data["quota"] = dataset.quota_bytes
        call(nas, "pool.dataset.create", data)


def _shares(nas: TrueNas, before_phase: int) -> None:
    lab = nas.world.lab
    for share in lab.nfs_shares.get(nas.name, {}).values():
        there = (share.dataset or "").partition("/")[0] in nas.pools
        if not there or not made(share.phase, before_phase):
            continue
        row: Row = {"path": share.path, "networks": list(share.networks)}
        row |= {"maproot_user": share.maproot_user, "maproot_group": share.maproot_group}
        call(nas, "sharing.nfs.create", row)
        nas.services["nfs"].enable = nas.services["nfs"].running = True
    for name, share in lab.smb_shares.get(nas.name, {}).items():
        there = (share.dataset or "").partition("/")[0] in nas.pools
        if not there or not made(share.phase, before_phase):
            continue
        call(nas, "sharing.smb.create", {"name": name, "path": share.path})
        nas.services["cifs"].enable = nas.services["cifs"].running = True
