"""What a lab's pools hold: any vdevs, each by itself, by OpenZFS's own arithmetic."""

from collections.abc import Sequence

from homelab_lib.lab.lab import Lab
from homelab_lib.lab.pools import Pool
from homelab_lib.lab.releases import series_of
from homelab_lib.models.zfs import PoolCapacity, Vdev, capacity
from homelab_lib.models.zfs_layout import Partitioner, parse_layout

_OPENZFS = {
    "truenas 26.0": (2, 4),
    "proxmox 8.4": (2, 2),
    "proxmox 9.2": (2, 4),
}
"""OpenZFS of a release; any other is taken for the one before. From 2.1 on they differ only in
pools with special vdevs."""
_BEFORE = (2, 3)


def made_of(lab: Lab, pool: Pool) -> tuple[Vdev, ...]:
    """A pool's vdevs as the model takes them; each disk of a stripe is one.

    Parameters
    ----------
    lab, pool
        The lab, and one of its pools.
    """
    disks = lab.hardware(pool.host).disks
    by = partitioner(lab, pool)
    found = []
    for group in pool.groups:
        parts = [disks[name].part for name in group.disks]
        alone = group.layout == "stripe"
        for each in [[part] for part in parts] if alone else [parts]:
            found.append(
                Vdev(
                    group.layout,
                    tuple(part.capacity_bytes for part in each),
                    role=group.role,
                    ashift=pool.ashift,
                    logical_block=tuple(part.logical_sector_bytes for part in each),
                    partitioner=by,
                )
            )
    return tuple(found)


def partitioner(lab: Lab, pool: Pool) -> Partitioner:
    """Who partitions the disks of a pool."""
    system = lab.system(pool.host)
    return "truenas" if system and system.kind == "truenas" else "zpool"


def openzfs(lab: Lab, pool: Pool) -> tuple[int, ...]:
    """The version of OpenZFS that the pool's machine has, by its release."""
    system = lab.system(pool.host)
    if system is None:
        return _BEFORE
    return _OPENZFS.get(str(series_of(system.kind, system.version)), _BEFORE)


def pool_capacity_of(lab: Lab, pool: Pool) -> PoolCapacity:
    """What a pool of the lab shows and holds; see `homelab_lib.models.zfs.capacity`.

    Raises
    ------
    ValueError
        It is a pool that can't be.
    """
    return capacity(made_of(lab, pool), openzfs=openzfs(lab, pool))


def usable_of(lab: Lab, pool: Pool) -> int | None:
    """What a pool holds [bytes]; None where it is one that can't be."""
    try:
        return int(pool_capacity_of(lab, pool).usable_bytes)
    except ValueError:
        return None


def steps(vdevs: Sequence[Vdev], found: PoolCapacity) -> dict[str, int]:
    """Where the bytes between the labels of the data's disks and the files go.

    Parameters
    ----------
    vdevs
        The pool's.
    found
        What it holds.

    Returns
    -------
    dict
        What each step takes [bytes]; together with ``usable`` they are the disks' sum.
    """
    taken = dict.fromkeys(
        (
            "partition table and reserve",
            "what is larger than the smallest",
            "distributed spares",
            "ZFS labels, rest of a metaslab",
            "the other copies",
            "parity",
            "padding, log inside the pool",
        ),
        0,
    )
    for vdev in vdevs:
        if vdev.role != "data":
            continue
        many, parts = len(vdev.disk_bytes), vdev.partitions
        shape = parse_layout(vdev.layout, many)
        size, least = int(vdev.space().size_bytes), min(parts)
        copies = many if shape.kind == "mirror" else 1
        parity = 0
        if shape.kind == "raidz":
            parity = size * shape.parity // many
        elif shape.kind == "draid":
            parity = size * shape.parity // (shape.data + shape.parity)
        taken["partition table and reserve"] += sum(vdev.disk_bytes) - sum(parts)
        taken["what is larger than the smallest"] += sum(parts) - many * least
        taken["distributed spares"] += shape.spares * least
        taken["ZFS labels, rest of a metaslab"] += (many - shape.spares) * least - copies * size
        taken["the other copies"] += (copies - 1) * size
        taken["parity"] += parity
        taken["padding, log inside the pool"] += size - parity
    taken["padding, log inside the pool"] -= found.deflated_bytes
    shown = {name: size for name, size in taken.items() if size}
    return shown | {"slop: kept back by ZFS": found.slop_bytes, "usable": found.usable_bytes}
