"""Proxmox Backup Servers as the lab describes them, and as earlier phases have left them.

What a person does at one is done: it is installed, an NFS share is mounted where a datastore is to
lie on it, and the tokens that the lab's nodes come by are made.
"""

from collections.abc import Iterator

from homelab_lib.lab.backup_server import BackupServer, Datastore
from homelab_lib.lab.per_host import every
from homelab_lib.lab.storage import VmStorage
from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.machine.built import made
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.backup_server.grounds import GROUNDS
from homelab_lib.twin.proxmox.backup_server.manager import enter_token, programs, stands_on
from homelab_lib.twin.proxmox.backup_server.seeding import seed_backup_server
from homelab_lib.twin.proxmox.backup_server.server import Manager
from homelab_lib.twin.world import World


def register(world: World) -> None:
    """Tell the world of its backup servers' programs, and how they are made and seeded."""
    world.programs.append(programs)
    world.founders.append(_found)
    world.installers.append(_install)
    world.seeds.append(seed_backup_server)
    world.shelves.append(Shelf("", GROUNDS))


def _found(world: World, before_phase: int) -> None:
    for name, described in world.lab.backup_servers.items():
        if (machine := world.machines.get(name)) is not None:
            _furnish(world, machine, described, before_phase)


def _install(world: World, machine: Machine, before_phase: int) -> None:
    if (described := world.lab.backup_servers.get(machine.name)) is not None:
        _furnish(world, machine, described, before_phase)


def _entered(world: World, server: BackupServer) -> Iterator[VmStorage]:
    """The storages of nodes that are its datastores."""
    for storage in every(world.lab.storages):
        if world.lab.backup_server_of(storage) is server:
            yield storage


def _furnish(world: World, machine: Machine, described: BackupServer, before_phase: int) -> None:
    entered = list(_entered(world, described))
    known = next((each.fingerprint for each in entered if each.fingerprint), None)
    drawn = machine.host_key.public_key().public_bytes_raw().hex()
    print_ = known or ":".join(drawn[i : i + 2] for i in range(0, 64, 2))
    server = stands_on(machine, print_)
    for each in described.datastores.values():
        _mount(world, machine, each)
        if each.exists or (each.phase or 0) < before_phase:
            _stand_up(machine, server, each)
    for storage in entered:
        token = storage.username or ""
        enter_token(server, token, None)
        if storage.phase is None or made(storage.phase, before_phase):
            _enter(server, storage, world.lab.name)


def _mount(world: World, machine: Machine, each: Datastore) -> None:
    """What a person has mounted there by now."""
    if each.share is None:
        return
    nas, _, share = each.share.partition(".")
    path = world.lab.nfs_shares[nas][share].path
    for address in world.lab.addresses(nas):
        if not address.replace(".", "").isdigit():
            continue  # a name
        machine.files.mkdir(each.path, parents=True)
        if not machine.run(f"mount -t nfs4 {address}:{path} {each.path}").finished().status:
            return


def _stand_up(machine: Machine, server: Manager, each: Datastore) -> None:
    lab = machine.world.lab.name
    server.working.append(each.name)
    server.make(machine, each.name, each.path, {"comment": f"homelab: {lab}"})


def _enter(server: Manager, storage: VmStorage, lab: str) -> None:
    token = storage.username or ""
    user = token.partition("!")[0]
    server.users[user] = {"userid": user, "enable": True, "comment": f"homelab: {lab}"}
    for whom in (user, token):
        server.acl.append(
            {
                "path": f"/datastore/{storage.datastore}",
                "propagate": True,
                "roleid": "DatastoreBackup",
                "ugid": whom,
                "ugid_type": "user",
            }
        )
