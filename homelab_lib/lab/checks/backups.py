"""What copies say of other things: machines, repositories, and what is brought back."""

import re
from collections.abc import Iterator

from homelab_lib.lab.archives import archives_copied, holds
from homelab_lib.lab.backups import CONFIGURATIONS, GuestBackup, GuestDrill
from homelab_lib.lab.checks.fault import Fault, twice, unknown
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.lab.storage import VmStorage

_DEBIANS = ("debian", "linux", "proxmox")
_TOKEN = re.compile(r"[^\s:/@!]+@pbs![A-Za-z0-9_][A-Za-z0-9._-]*")
_BLOCKS = ("zfspool", "lvm", "lvmthin")


def faults(lab: Lab) -> Iterator[Fault]:
    kept = lab.backups
    places = ((("backups", "repositories", n, "url"), r.url) for n, r in kept.repositories.items())
    yield from twice(places, "the repository")
    for name, each in kept.files.items():
        path = ("backups", "files", name)
        if each.machine not in lab.machines():
            yield unknown((*path, "machine"), each.machine, lab.machines(), "machine we log in on")
        if each.repository not in kept.repositories:
            here = (*path, "repository")
            yield unknown(here, each.repository, kept.repositories, "repository")
        elif (each.phase or 0) < (kept.repositories[each.repository].phase or 0):
            what = f"repository {each.repository} is made by a later phase"
            yield Fault((*path, "phase"), what)
    yield from _of_configurations(lab)
    for name, drill in kept.drills.items():
        path = ("backups", "drills", name)
        if drill.backup not in kept.files:
            yield unknown((*path, "backup"), drill.backup, kept.files, "copy of files")
            continue
        for needed in drill.needed:
            if not any(holds(folder, needed) for folder in kept.files[drill.backup].paths):
                what = f"{needed} is in none of the paths of {drill.backup}"
                yield Fault((*path, "needed"), what)
        if drill.what == "etcd" and not any(
            p.endswith("/db/snapshots") for p in kept.files[drill.backup].paths
        ):
            folder = "/var/lib/rancher/k3s/server/db/snapshots"
            what = f"etcd's snapshots are in none of its paths: {folder}"
            yield Fault((*path, "backup"), what)
        if drill.from_paper:
            yield from _on_paper(lab, drill.backup, (*path, "from_paper"))
    yield from _of_claims(lab)
    yield from _of_guests(lab)
    yield from _of_servers(lab)


def _on_paper(lab: Lab, backup: str, path: tuple[str, ...]) -> Iterator[Fault]:
    """What a copy that is brought back with a key from paper has to be."""
    place = lab.backups.repositories.get(lab.backups.files[backup].repository)
    if place is not None and not place.offsite:
        what = f"{place.name} is in the house: what is lost with it is not brought back by it"
        yield Fault(path, what)
    if place is not None and place.kind != "s3":
        what = f"{place.name} is no s3: its login does not fit on a line of paper"
        yield Fault(path, what)


def _of_claims(lab: Lab) -> Iterator[Fault]:
    kept = lab.backups
    for name, drill in kept.claim_drills.items():
        path = ("backups", "claim_drills", name)
        if drill.backup not in kept.files:
            yield unknown((*path, "backup"), drill.backup, kept.files, "copy of files")
        if drill.cluster not in lab.clusters:
            yield unknown((*path, "cluster"), drill.cluster, lab.clusters, "cluster")
        elif drill.backup in kept.files:
            cluster, machine = lab.clusters[drill.cluster], kept.files[drill.backup].machine
            nodes = (*cluster.vms, *cluster.host_agents)
            if machine not in nodes:
                what = f"{drill.backup} copies folders of {machine}, which is none of its nodes"
                yield Fault((*path, "backup"), f"{what}: {', '.join(nodes)}")
    names = ((("backups", kind, n), n) for kind in ("drills", "guest_drills", "claim_drills")
             for n in getattr(kept, kind))  # fmt: skip
    yield from twice(names, "the drill's name")


def _of_configurations(lab: Lab) -> Iterator[Fault]:
    kept = lab.backups
    firewalls = [host.name for host in lab.hosts.values() if host.os.kind == "opnsense"]
    for name, each in kept.configurations.items():
        path = ("backups", "configurations", name)
        if each.appliance not in firewalls:
            yield unknown((*path, "appliance"), each.appliance, firewalls, "OPNsense")
        if each.machine not in lab.machines():
            yield unknown((*path, "machine"), each.machine, lab.machines(), "machine we log in on")
            continue
        copied = [b for b in kept.files.values() if b.machine == each.machine]
        if not any(holds(folder, each.path) for b in copied for folder in b.paths):
            what = (
                f"nothing copies {CONFIGURATIONS} of {each.machine}: add it to the paths of a "
                "copy under backups.files"
            )
            yield Fault((*path, "machine"), what)
    places = ((("backups", "configurations", n), f"{c.machine}: {c.path}")
              for n, c in kept.configurations.items())  # fmt: skip
    yield from twice(places, "the file")


def _of_servers(lab: Lab) -> Iterator[Fault]:
    """Backup servers of the lab, and the storages of nodes that name them."""
    shares = {f"{share.host}.{share.name}" for share in every(lab.nfs_shares)}
    for name, server in lab.backup_servers.items():
        path = ("backup_servers", name)
        system = lab.system(name) if name in lab.machines() else None
        if system is None:
            yield unknown(path, name, lab.machines(), "machine we log in on")
        elif system.kind not in _DEBIANS:
            what = f"{name} runs {system.kind}: Proxmox Backup Server stands on Debian"
            yield Fault(path, what)
        stores = server.datastores.items()
        places = ((((*path, "datastores", n, "path")), s.path.rstrip("/")) for n, s in stores)
        yield from twice(places, "the folder")
        for key, store in stores:
            if store.share is not None and store.share not in shares:
                yield unknown((*path, "datastores", key, "share"), store.share, shares, "NFS share")
    for storage in every(lab.storages):
        own = lab.backup_server_of(storage)
        if own is None:
            continue
        path = ("storages", storage.host, storage.name)
        if storage.datastore not in own.datastores:
            known = own.datastores
            yield unknown(
                (*path, "datastore"), storage.datastore, known, f"datastore of {own.name}"
            )
        if not _TOKEN.fullmatch(storage.username or ""):
            what = f"{storage.username} is no token of {own.name}: write one, such as pve@pbs!node"
            yield Fault((*path, "username"), what)


def _of_guests(lab: Lab) -> Iterator[Fault]:
    kept = lab.backups
    for name, each in kept.guests.items():
        path = ("backups", "guests", name)
        host = lab.hosts.get(each.host)
        if host is None or host.os.kind != "proxmox":
            known = [h.name for h in lab.hosts.values() if h.os.kind == "proxmox"]
            yield unknown((*path, "host"), each.host, known, "Proxmox host")
            continue
        there = _guests(lab, each.host)
        for guest in each.guests:
            if guest not in there:
                yield unknown((*path, "guests"), guest, there, f"guest of {each.host}")
        stores = lab.storages.get(each.host, {})
        store = stores.get(each.storage)
        if store is None or "backup" not in store.content:
            fit = [s.name for s in stores.values() if "backup" in s.content]
            yield unknown((*path, "storage"), each.storage, fit, "storage for backups")
        elif (server := lab.own_server_of(store)) and server.name in each.guests:
            # Its disks would be frozen while it is to write what is read of them.
            what = (
                f"{each.storage} lies on {server.name} itself: it would stop while it is backed "
                "up, and nothing brings it back from there. Back it up to another storage, or make "
                "it anew from the lab"
            )
            yield Fault((*path, "guests"), what)
    taken = {vmid for host in lab.hosts for vmid in _guests(lab, host).values()}
    for name, drill in kept.guest_drills.items():
        path = ("backups", "guest_drills", name)
        backup = kept.guests.get(drill.backup)
        if backup is None:
            yield unknown((*path, "backup"), drill.backup, kept.guests, "backup of guests")
            continue
        if drill.vm not in backup.guests or drill.vm not in lab.vms:
            fit = [each for each in backup.guests if each in lab.vms]
            yield unknown((*path, "vm"), drill.vm, fit, f"VM that {drill.backup} backs up")
        elif not _of_a_cloud_image(lab, drill.vm):
            # A node's LVM takes up what it finds on a loop device: a guest's volume group would
            # become one of the node's own, by whatever name. A cloud image has none.
            what = (
                f"{drill.vm} was not made from a cloud image: its disk may hold LVM, which the "
                "node would take for its own when it looks at it. Restore it by hand"
            )
            yield Fault((*path, "vm"), what)
        if drill.vmid in taken:
            what = f"{drill.vmid} is a guest's number: a drill would be restored over it"
            yield Fault((*path, "vmid"), what)
        stores = lab.storages.get(backup.host, {})
        store = stores.get(drill.storage)
        if store is None or store.kind not in _BLOCKS:
            fit = [s.name for s in stores.values() if s.kind in _BLOCKS]
            where = "storage of block devices, whose disks can be looked at"
            yield unknown((*path, "storage"), drill.storage, fit, where)
        if drill.carried_by is not None:
            yield from _carried(lab, drill.carried_by, drill, backup)
        elif drill.from_paper and backup.storage in stores:
            yield from _entered(stores[backup.storage], backup, (*path, "from_paper"))
    numbers = ((("backups", "guest_drills", n, "vmid"), d.vmid)
               for n, d in kept.guest_drills.items())  # fmt: skip
    yield from twice(numbers, "the number")


def _carried(lab: Lab, name: str, drill: GuestDrill, backup: GuestBackup) -> Iterator[Fault]:
    """What the copy has to be that a VM is restored from."""
    path = ("backups", "guest_drills", drill.name)
    copies = {each.name: each for each in archives_copied(lab, backup.host, backup.storage)}
    if name not in copies:
        what = f"copy of files with the archives on {backup.storage} of {backup.host}"
        yield unknown((*path, "carried_by"), name, copies, what)
    elif drill.from_paper:
        yield from _on_paper(lab, name, (*path, "from_paper"))
    elif copies[name].machine != backup.host:
        what = (
            f"{name} is made by {copies[name].machine}, and {backup.host} has no key to it: say "
            "from_paper, or have it made there"
        )
        yield Fault((*path, "carried_by"), what)


def _entered(store: VmStorage, backup: GuestBackup, path: tuple[str, ...]) -> Iterator[Fault]:
    """What a backup server has to be that is entered by what stands on paper."""
    if store.kind != "pbs":
        what = (
            f"{store.name} is no backup server, and {path[2]} names no copy of what lies there: "
            "write that under carried_by"
        )
        yield Fault(path, what)
        return
    if not backup.offsite:
        what = f"{store.name} is in the house: what is lost with it is not brought back by it"
        yield Fault(path, f"{what}; if it is not, write  offsite: true  for {backup.name}")
    if not store.encrypted:
        yield Fault(path, f"{store.name} is not encrypted, and has no key that stood on paper")
    if store.fingerprint is None:
        what = "after a fire nobody asks a server of the lab by which certificate it is known"
        yield Fault(path, f"{what}: write the fingerprint of {store.name} down")


def _of_a_cloud_image(lab: Lab, vm: str) -> bool:
    image = lab.images.get(lab.vms[vm].image or "")
    return image is not None and image.kind == "cloud"


def _guests(lab: Lab, host: str) -> dict[str, int]:
    """VMs and containers of a host, and their numbers."""
    every = (*lab.vms.values(), *lab.containers.values())
    return {each.name: each.vmid for each in every if each.host == host}
