"""Datasets, shares, Proxmox storages and tiers; pools have a module of their own."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from homelab_lib.lab.checks.addresses import fixed
from homelab_lib.lab.checks.fault import Fault, each_known, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.lab.storage import STORAGE_KINDS, NfsShare, Share, VmStorage

_ROOMS = ("pools", "datasets", "nfs_shares", "smb_shares", "storages")
_OWN_FIELDS = {field for needs, _ in STORAGE_KINDS.values() for field in needs}


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _machines(lab)
    for host, datasets in lab.datasets.items():
        for name, dataset in datasets.items():
            pools = lab.pools.get(host, {})
            if dataset.pool not in pools:
                yield unknown(("datasets", host, name), dataset.pool, pools, f"pool of {host}")
            elif dataset.phase is not None and (pools[dataset.pool].phase or 0) > dataset.phase:
                what = f"its pool is made in phase {pools[dataset.pool].phase} only"
                yield Fault(("datasets", host, name, "phase"), what)
    for room in ("nfs_shares", "smb_shares"):
        for share in every(getattr(lab, room)):
            yield from _share((room, share.host, share.name), share, lab)
    for share in every(lab.nfs_shares):
        yield from _exported(("nfs_shares", share.host, share.name), share, lab)
        if share.maproot_group is not None and share.maproot_user is None:
            path = ("nfs_shares", share.host, share.name, "maproot_group")
            yield Fault(path, "it needs maproot_user, too")
    for storage in every(lab.storages):
        yield from _storage(("storages", storage.host, storage.name), storage, lab)
    pools = [pool.id for pool in every(lab.pools)]
    for name, tier in lab.tiers.items():
        yield from each_known(("tiers", name, "pools"), tier.pools, pools, "pool")


def _machines(lab: Lab) -> Iterator[Fault]:
    """What stands under a machine stands under one that there is."""
    machines = [*lab.hosts, *lab.vms]
    for room in _ROOMS:
        under: Mapping[str, Mapping[str, Any]] = getattr(lab, room)
        for host in under:
            if host not in machines:
                yield unknown((room, host), host, machines, "host or VM")


def _share(path: Steps, share: Share, lab: Lab) -> Iterator[Fault]:
    system = lab.system(share.host)
    if system is None:
        return  # reported already
    if share.dataset is None:
        if system.kind == "truenas":
            yield Fault(path, "'dataset' is missing: a share of a TrueNAS has one")
        return
    known = [*lab.datasets.get(share.host, {}), *lab.pools.get(share.host, {})]
    if share.dataset not in known:
        yield unknown((*path, "dataset"), share.dataset, known, f"dataset of {share.host}")
        return
    root = f"{'/mnt' if system.kind == 'truenas' else ''}/{share.dataset}"
    if share.path != root and not share.path.startswith(f"{root}/"):
        what = f"{share.path} isn't in dataset {share.dataset!r}, which is at {root}"
        yield Fault((*path, "path"), what)


def _exported(path: Steps, share: NfsShare, lab: Lab) -> Iterator[Fault]:
    """A share is exported to networks in which the lab has anything."""
    if share.phase is None:
        return
    known = [ipaddress.ip_network(net) for vlan in lab.vlans.values() for net in vlan.subnets]
    known += [ipaddress.ip_interface(cidr).network for _, cidr in fixed(lab) if "/" in cidr]
    for index, network in enumerate(share.networks):
        found = ipaddress.ip_network(network)
        if not any(found.version == each.version and found.overlaps(each) for each in known):
            there = ", ".join(sorted({str(each) for each in known}))
            what = f"nothing of the lab is in {network}; its networks are {there}"
            yield Fault((*path, "networks", index), what)


def _storage(path: Steps, storage: VmStorage, lab: Lab) -> Iterator[Fault]:
    host = lab.hosts.get(storage.host)
    if host is None:
        return  # reported already
    if host.os.kind != "proxmox":
        yield Fault(path, f"{storage.host} runs {host.os.kind}, not proxmox")
        return
    needs, holds = STORAGE_KINDS[storage.kind]
    for field in needs:
        if getattr(storage, field) is None:
            yield Fault(path, f"a storage of kind {storage.kind} needs {field!r}")
    for field in sorted(_OWN_FIELDS - set(needs)):
        if getattr(storage, field) is not None:
            yield Fault((*path, field), f"a storage of kind {storage.kind} has no {field!r}")
    for index, content in enumerate(storage.content):
        if content not in holds:
            what = f"a {storage.kind} can't hold {content}; it can hold: {', '.join(holds)}"
            yield Fault((*path, "content", index), what)
    if storage.kind == "zfspool" and storage.pool is not None:
        pools, pool = lab.pools.get(storage.host, {}), storage.pool.partition("/")[0]
        if pool not in pools:
            yield unknown((*path, "pool"), pool, pools, f"pool of {storage.host}")
