"""Pools, datasets, shares and Proxmox storages."""

from collections.abc import Iterator

from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.storage import Pool

FEWEST = {
    "stripe": 1,
    "mirror": 2,
    "raidz1": 2,
    "raidz2": 3,
    "raidz3": 4,
    "draid1": 2,
    "draid2": 3,
}
"""Disks that a vdev of each layout needs at least, by `zpool create`."""


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _pools(lab)
    yield from _datasets(lab)
    yield from _shares(lab)
    yield from _storages(lab)
    for name, tier in lab.tiers.items():
        if tier.host is not None and tier.host not in lab.hosts:
            yield unknown(("tiers", name, "host"), tier.host, lab.hosts, "host")
        yield from each_known(("tiers", name, "pools"), tier.pools, lab.pools, "pool")


def _pools(lab: Lab) -> Iterator[Fault]:
    disks = []
    for name, pool in lab.pools.items():
        path = ("pools", name)
        if pool.host not in lab.hosts:
            yield unknown((*path, "host"), pool.host, lab.hosts, "host")
            continue
        own = lab.hosts[pool.host].disks
        yield from each_known((*path, "disks"), pool.disks, own, f"disk of {pool.host}")
        disks += [((*path, "disks", i), f"{pool.host}.{d}") for i, d in enumerate(pool.disks)]
        yield from _shape(path, pool)
    yield from twice(disks, "the disk")


def _shape(path: tuple[str, ...], pool: Pool) -> Iterator[Fault]:
    width, rest = divmod(len(pool.disks), pool.vdevs)
    if rest:
        what = f"{len(pool.disks)} disks don't divide into {pool.vdevs} equal vdevs"
        yield Fault((*path, "vdevs"), what)
    elif width < FEWEST[pool.layout]:
        what = (
            f"a {pool.layout} vdev needs {FEWEST[pool.layout]} disks or more; here it has {width}"
        )
        yield Fault((*path, "disks"), what)


def _datasets(lab: Lab) -> Iterator[Fault]:
    for name, dataset in lab.datasets.items():
        path = ("datasets", name)
        if dataset.host not in lab.hosts:
            yield unknown((*path, "host"), dataset.host, lab.hosts, "host")
        elif dataset.pool not in lab.pools:
            yield unknown(path, dataset.pool, lab.pools, "pool")
        elif lab.pools[dataset.pool].host != dataset.host:
            there = lab.pools[dataset.pool].host
            yield Fault((*path, "host"), f"pool {dataset.pool!r} is on {there}")


def _shares(lab: Lab) -> Iterator[Fault]:
    for room in ("nfs_shares", "smb_shares"):
        for name, share in getattr(lab, room).items():
            path = (room, name)
            if share.host not in lab.hosts:
                yield unknown((*path, "host"), share.host, lab.hosts, "host")
            elif share.dataset not in lab.datasets:
                yield unknown((*path, "dataset"), share.dataset, lab.datasets, "dataset")
            elif (there := lab.datasets[share.dataset].host) != share.host:
                yield Fault((*path, "host"), f"dataset {share.dataset!r} is on {there}")
            else:
                top = "/mnt" if lab.hosts[share.host].os.kind == "truenas" else ""
                root = f"{top}/{share.dataset}"
                if share.path != root and not share.path.startswith(f"{root}/"):
                    what = f"{share.path} isn't in dataset {share.dataset!r}, which is at {root}"
                    yield Fault((*path, "path"), what)
    for name, share in lab.nfs_shares.items():
        if share.maproot_group is not None and share.maproot_user is None:
            yield Fault(("nfs_shares", name, "maproot_group"), "it needs maproot_user, too")


def _storages(lab: Lab) -> Iterator[Fault]:
    for name, storage in lab.storages.items():
        path = ("storages", name)
        host = lab.hosts.get(storage.host)
        if host is None:
            yield unknown((*path, "host"), storage.host, lab.hosts, "host")
        elif host.os.kind != "proxmox":
            yield Fault((*path, "host"), f"{storage.host} runs {host.os.kind}, not proxmox")
        elif storage.kind == "zfspool":
            pools = [pool for pool, each in lab.pools.items() if each.host == storage.host]
            if storage.pool is None:
                yield Fault(path, "a zfspool names its pool")
            elif storage.pool.partition("/")[0] not in pools:
                yield unknown((*path, "pool"), storage.pool, pools, f"pool of {storage.host}")
        elif storage.path is None:
            yield Fault(path, "a dir names its path")
