"""A world as the lab describes it: machines, what is on them, and what earlier phases have made."""

from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.twin.clock import Clock
from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.kubernetes import built as kubernetes
from homelab_lib.twin.kubernetes import decays as kubernetes_decays
from homelab_lib.twin.kubernetes import surprises as kubernetes_surprises
from homelab_lib.twin.machine import decays as machine_decays
from homelab_lib.twin.machine import surprises as machine_surprises
from homelab_lib.twin.machine.built import furnish, made
from homelab_lib.twin.machine.disks import seed_disk_links
from homelab_lib.twin.machine.freebsd import freebsd
from homelab_lib.twin.machine.graphics_drivers import booted, seed_graphics
from homelab_lib.twin.machine.grounds import FREEBSD, GROUNDS
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.making_pools import stand_up
from homelab_lib.twin.machine.nfs import NfsShare
from homelab_lib.twin.machine.services import SERVICES
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.machine.zfs import has_zfs, stand_up_datasets
from homelab_lib.twin.opnsense import built as opnsense
from homelab_lib.twin.opnsense import decays as opnsense_decays
from homelab_lib.twin.opnsense import surprises as opnsense_surprises
from homelab_lib.twin.proxmox import built as proxmox
from homelab_lib.twin.proxmox import decays as proxmox_decays
from homelab_lib.twin.proxmox import surprises as proxmox_surprises
from homelab_lib.twin.proxmox.backup_server import built as backup_server
from homelab_lib.twin.proxmox.backup_server import decays as backup_server_decays
from homelab_lib.twin.proxmox.backup_server import surprises as backup_server_surprises
from homelab_lib.twin.truenas import built as truenas
from homelab_lib.twin.truenas import decays as truenas_decays
from homelab_lib.twin.truenas import surprises as truenas_surprises
from homelab_lib.twin.world import World

_ROOMS = (truenas, proxmox, opnsense, kubernetes, backup_server)
SURPRISES = (
    backup_server_surprises,
    kubernetes_surprises,
    machine_surprises,
    opnsense_surprises,
    proxmox_surprises,
    truenas_surprises,
)
"""Modules of the rooms that register surprises; importing them does it."""
DECAYS = (
    backup_server_decays,
    kubernetes_decays,
    machine_decays,
    opnsense_decays,
    proxmox_decays,
    truenas_decays,
)
"""The same for what decays."""
_FREEBSD = ("pfsense",)


def built(lab: Lab, *, before_phase: int, seed: int = 0, clock: Clock | None = None) -> World:
    """The lab as it stands when the phases before `before_phase` are done.

    Parameters
    ----------
    lab
        What is in it.
    before_phase
        The phase that comes next; what carries no phase or an earlier one is there.
    seed
        Of host keys, MAC addresses and all else that is drawn.
    clock
        Its time; simulated for None.
    """
    world = World(lab, clock=clock, seed=seed)
    world.services |= SERVICES
    world.up_hooks.append(booted)
    world.seeds += [seed_graphics, seed_disk_links]
    world.shelves.append(Shelf("", (*GROUNDS, *FREEBSD)))
    for room in _ROOMS:
        room.register(world)
    for name, host in lab.hosts.items():
        kind = world.kinds.get(host.os.kind)
        machine = (
            kind.make(world, name, host, before_phase)
            if kind
            else _other(world, name, host, before_phase)
        )
        world.machines[name] = machine
        _exports(machine, before_phase)
    for founder in world.founders:
        founder(world, before_phase)
    return world


def _exports(machine: Machine, before_phase: int) -> None:
    """The NFS shares of a machine whose own room knows none."""
    lab = machine.world.lab
    if lab.hosts[machine.name].os.kind == "truenas":
        return
    for share in lab.nfs_shares.get(machine.name, {}).values():
        if made(share.phase, before_phase):
            as_root = share.maproot_user == "root"
            machine.nfs_shares.append(NfsShare(share.path, share.networks, as_root))
            machine.listeners[2049] = lambda: True


def _other(world: World, name: str, host: Host, before_phase: int) -> Machine:
    """A machine of a kind that has no room of its own: some Unix."""
    user = host.ssh.user if host.ssh else "root"
    own = (freebsd,) if host.os.kind in _FREEBSD else ()
    machine = Machine(name, world, user=user, commands=(*own, *UNIX, *world.programs))
    furnish(machine, host, before_phase)
    _pools(machine, before_phase)
    if host.standalone:
        _serves_by_itself(machine)
    return machine


def _serves_by_itself(machine: Machine) -> None:
    """What stands already on a machine that is kept apart answers, as it did before."""
    for service in machine.world.lab.services.values():
        if service.runs_on == machine.name and service.port:
            machine.listeners[service.port] = lambda: True
            machine.http[service.port] = lambda path, headers: (200, b"<html></html>")


def _pools(machine: Machine, before_phase: int) -> None:
    """ZFS on a machine that has pools or is to have some, and what lies on those that are there."""
    pools = machine.world.lab.pools.get(machine.name, {}).values()
    if pools:
        has_zfs(machine)
    for pool in pools:
        if pool.exists or made(pool.phase, before_phase):
            stand_up(machine, pool)
    stand_up_datasets(machine, before_phase)
