"""VMs, containers, what they start from, and what a Proxmox cluster shares."""

from collections.abc import Iterator

from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.checks.pools import hardware
from homelab_lib.lab.document import Steps
from homelab_lib.lab.guests import Container, Guest, Vm
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every


def faults(lab: Lab) -> Iterator[Fault]:
    for name, image in lab.images.items():
        for field in ("url", "sha256"):
            if getattr(image, field) is None and not image.exists:
                yield Fault(("images", name), f"{field!r} is missing: it is to be fetched")
    for name, vm in lab.vms.items():
        yield from _starts_from(("vms", name, "image"), vm, vm.image, lab)
        for index, image in enumerate(vm.cdroms):
            yield from _image(("vms", name, "cdroms", index), image, ("iso",), lab)
        if (host := lab.hosts.get(vm.host)) and host.os.kind == "proxmox":
            yield from _vm(("vms", name), vm, host, lab)
    for name, container in lab.containers.items():
        here = ("containers", name, "template")
        yield from _starts_from(here, container, container.template, lab)
        if (host := lab.hosts.get(container.host)) and host.os.kind == "proxmox":
            yield from _container(("containers", name), container, host, lab)
    for path, guest in _guests(lab):
        yield from _place(path, guest, lab)
        yield from _served_by_itself(path, guest, lab)
    ids = [((*path, "vmid"), (lab.proxmox_nodes(g.host), g.vmid)) for path, g in _guests(lab)]
    for nodes in {scope: None for _, (scope, _) in ids}:
        here = ((path, vmid) for path, (scope, vmid) in ids if scope == nodes)
        yield from twice(here, "the VMID")
    yield from _shared_storages(lab)
    yield from _given_away(lab)


def _guests(lab: Lab) -> Iterator[tuple[Steps, Guest]]:
    yield from ((("vms", name), vm) for name, vm in lab.vms.items())
    yield from ((("containers", name), each) for name, each in lab.containers.items())


def _starts_from(path: Steps, guest: Guest, image: str | None, lab: Lab) -> Iterator[Fault]:
    if image is not None:
        kinds = ("template",) if isinstance(guest, Container) else ("cloud", "disk", "iso")
        yield from _image(path, image, kinds, lab)
    elif not guest.exists:
        what = f"{path[-1]!r} is missing: what it starts from; or exists: true"
        yield Fault(path[:-1], what)


def _image(path: Steps, name: str, kinds: tuple[str, ...], lab: Lab) -> Iterator[Fault]:
    if name not in lab.images:
        yield unknown(path, name, lab.images, "image")
    elif lab.images[name].kind not in kinds:
        what = f"image {name!r} is of kind {lab.images[name].kind}, not {' or '.join(kinds)}"
        yield Fault(path, what)


def _place(path: Steps, guest: Guest, lab: Lab) -> Iterator[Fault]:
    """Host, first disk, bridges."""
    host = lab.hosts.get(guest.host)
    if host is None:
        yield unknown((*path, "host"), guest.host, lab.hosts, "host")
        return
    if host.os.kind != "proxmox":
        if not guest.exists:
            yield Fault((*path, "host"), f"{guest.host} runs {host.os.kind}, not proxmox")
        return
    holds = "rootdir" if isinstance(guest, Container) else "images"
    yield from _storage((*path, "storage"), guest.storage, holds, host, lab)
    bridges = {each.bridge for each in host.attached.values() if each.bridge}
    cards = [((*path, "bridge"), guest.bridge)]
    cards += [((*path, "nics", n, "bridge"), each.bridge) for n, each in guest.nics.items()]
    for here, bridge in cards:
        if bridge not in bridges:
            yield unknown(here, bridge, bridges, f"bridge of {guest.host}")
    if "net0" in guest.nics:
        yield Fault((*path, "nics", "net0"), "net0 is the first card: bridge, vlan and address")


def _served_by_itself(path: Steps, guest: Guest, lab: Lab) -> Iterator[Fault]:
    """A guest whose disk is on a share that it exports itself, be it by way of others, does not
    start any more once all of them were off."""
    seen = [path[-1]]
    found: Guest | None = guest
    while found is not None:
        storage = lab.storages.get(found.host, {}).get(found.storage)
        server = storage.server if storage is not None else None
        machines = lab.vms.values() if server else ()
        found = next((vm for vm in machines if server in (vm.name, vm.ip)), None)
        if found is not None and found.name == path[-1]:
            way = " → ".join(map(str, (*seen, found.name)))
            what = f"it is on a share of its own ({way}): once all are off, nothing starts again"
            yield Fault((*path, "storage"), what)
            return
        if found is None or found.name in seen:
            return
        seen.append(found.name)


def _storage(path: Steps, name: str, holds: str, host: Host, lab: Lab) -> Iterator[Fault]:
    storages = lab.storages.get(host.name, {})
    if name not in storages:
        yield unknown(path, name, storages, f"storage of {host.name}")
    elif holds not in storages[name].content:
        kind = "VM disks" if holds == "images" else "containers"
        yield Fault(path, f"storage {name!r} may not hold {kind}")


def _vm(path: Steps, vm: Vm, host: Host, lab: Lab) -> Iterator[Fault]:
    yield from each_known((*path, "gpus"), vm.gpus, host.devices, f"device of {vm.host}")
    known = f"device of {vm.host}"
    yield from each_known((*path, "passthrough"), vm.passthrough, host.passable, known)
    if "scsi0" in vm.disks:
        yield Fault((*path, "disks", "scsi0"), "scsi0 is the first disk: storage and disk_bytes")
    for drive, disk in vm.disks.items():
        here = (*path, "disks", drive)
        if disk.disk is not None:
            if disk.storage is not None or disk.size_bytes is not None:
                yield Fault(here, "a disk of the host has no storage and no size_bytes")
            if disk.disk not in host.disks:
                yield unknown((*here, "disk"), disk.disk, host.disks, f"disk of {vm.host}")
        elif disk.storage is None or disk.size_bytes is None:
            yield Fault(here, "write storage and size_bytes, or the host's disk")
        else:
            yield from _storage((*here, "storage"), disk.storage, "images", host, lab)


def _container(path: Steps, container: Container, host: Host, lab: Lab) -> Iterator[Fault]:
    for name, mount in container.mounts.items():
        here = (*path, "mounts", name)
        if mount.folder is not None:
            if mount.storage is not None or mount.size_bytes is not None:
                yield Fault(here, "a folder of the host has no storage and no size_bytes")
        elif mount.storage is None or mount.size_bytes is None:
            yield Fault(here, "write storage and size_bytes, or the host's folder")
        else:
            yield from _storage((*here, "storage"), mount.storage, "rootdir", host, lab)


def _shared_storages(lab: Lab) -> Iterator[Fault]:
    """In a cluster, one storage id is one definition: storage.cfg is the same for all nodes."""
    for cluster in lab.proxmox_clusters.values():
        first: dict[str, str] = {}
        for node in cluster.nodes:
            for name, storage in lab.storages.get(node, {}).items():
                other = lab.storages[first.setdefault(name, node)][name]
                told = {"host", "phase", "exists", "notes", "assumed", "size_bytes"}
                mine, theirs = (each.model_dump(exclude=told) for each in (storage, other))
                differ = [field for field in mine if mine[field] != theirs[field]]
                if differ:
                    path = ("storages", node, name)
                    what = f"{', '.join(differ)}: a storage id is one definition in a cluster"
                    yield Fault(path, what, first=("storages", other.host, name))


def _given_away(lab: Lab) -> Iterator[Fault]:
    """A VM's pool is made of disks that the VM gets, and a host's pool of those that it keeps."""
    given = {
        f"{vm.host}.{each.disk}": name
        for name, vm in lab.vms.items()
        for each in vm.disks.values()
        if each.disk is not None
    }
    for name, vm in lab.vms.items():
        if (host := lab.hosts.get(vm.host)) is not None:
            given |= {f"{vm.host}.{d}": name for each in vm.passthrough for d in host.below(each)}
    for pool in every(lab.pools):
        host, vm = hardware(lab, pool.host), lab.vms.get(pool.host)
        if host is None:
            continue  # reported already
        for disk in pool.disks_for():
            has = given.get(f"{host.name}.{disk}")
            if has not in (None, pool.host):
                what = f"disk {disk!r} is passed through to {has}"
                yield Fault(("pools", pool.host, pool.name), what)
            elif has is None and vm is not None and not vm.exists and _placed(host, vm, disk):
                what = f"disk {disk!r} of {host.name} isn't passed through to {pool.host}"
                yield Fault(("pools", pool.host, pool.name), what)


def _placed(host: Host, vm: Vm, disk: str) -> bool:
    """Whether it is known where a disk hangs, or the VM has nothing on which it could."""
    found = host.disks.get(disk)
    return not vm.passthrough or (found is not None and found.slot is not None)
