"""How ZFS lays a block over the disks of a vdev, and what of it is shown as space.

References
----------
OpenZFS source, tags zfs-0.6.3 to zfs-2.4: `zpool_label_disk` (lib/libzfs/os/linux/
libzfs_pool_os.c), `efi_alloc_and_init` (lib/libefi/rdwr_efi.c), `vdev_set_deflate_ratio`
(module/zfs/vdev.c), `vdev_raidz_asize` (vdev_raidz.c), `vdev_draid_asize` (vdev_draid.c).
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from homelab_lib.models.bounds import ASHIFT, COUNT, WIDTH, Span, holds, takes

KIB, MIB, GIB = 2**10, 2**20, 2**30
SECTOR_BYTES = 512

Int = Any
"""An int, or an integer array of any shape where a sweep needs it."""

Partitioner = Literal["zpool", "truenas"]
"""Who partitions a whole disk."""

_SECTORS = Span("has to be 512 or 4096", low=512, high=4096, whole=True)
_DISKS = Span("has to be a whole number from 0 to 255", high=255.0, whole=True)
_COPIES = Span("goes from 1 to 3", low=1.0, high=3.0, whole=True)
_DEFLATE_BLOCK = 128 * KIB  # the ratio is always taken from this size, whatever recordsize is
_LAYOUT = re.compile(r"stripe|mirror|raidz([123])?|draid([123])?((?::\d+[dcs])*)")


@dataclass(frozen=True)
@holds(parity=_DISKS, data=_DISKS, spares=_DISKS)
class Layout:
    """How a vdev spreads a block over its disks.

    Parameters
    ----------
    kind
        ``stripe``, ``mirror``, ``raidz`` or ``draid``.
    parity
        Disks' worth of parity; 0 for a stripe; for a mirror the copies beyond the first.
    data
        dRAID only: data disks per redundancy group.
    spares
        dRAID only: distributed spares.
    """

    kind: str
    parity: int = 0
    data: int = 0
    spares: int = 0


@takes(width=WIDTH)
def parse_layout(text: str, width: int) -> Layout:
    """The layout called ``stripe``, ``mirror``, ``raidz1`` … ``raidz3`` or ``draid2:4d:1s``.

    Parameters
    ----------
    text
        As `zpool create` has it.
    width
        Disks per vdev.

    Raises
    ------
    ValueError
        An unknown layout, or a width it can't have.

    References
    ----------
    zpoolconcepts(7), "Virtual Devices" and "dRAID".
    """
    match = _LAYOUT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"layout is {text!r}; it has to be stripe, mirror, raidz1-3 or draid1-3[:Nd][:Nc][:Ns]"
        )
    if text == "stripe":
        layout, least = Layout("stripe"), 1
    elif text == "mirror":
        layout, least = Layout("mirror", parity=width - 1), 2
    elif text.startswith("raidz"):
        parity = int(match[1] or 1)
        layout, least = Layout("raidz", parity=parity), parity + 1
    else:
        given = {unit: int(number) for number, unit in re.findall(r"(\d+)([dcs])", match[3])}
        if given.get("c", width) != width:
            raise ValueError(f"width is {width}; {text} has {given['c']} disks")
        parity, spares = int(match[2] or 1), given.get("s", 0)
        data = given.get("d") or min(8, max(width - spares - parity, 1))
        layout, least = Layout("draid", parity, data, spares), parity + data + spares
    if not least <= width <= 255:
        raise ValueError(f"width is {width}; a {text} vdev has {least} to 255 disks")
    return layout


@takes(first_width=WIDTH, width=WIDTH)
def first_width_of(first_width: int | None, layout: str, width: int) -> int:
    """Disks per vdev when the pool was made: `width` unless it was expanded since."""
    if first_width is None or first_width == width:
        return width
    if parse_layout(layout, first_width).kind != "raidz" or first_width > width:
        raise ValueError(f"first_width is {first_width}; a raidz grows, from OpenZFS 2.3 on")
    return first_width


@takes(disk_bytes=COUNT, logical_block=_SECTORS)
def partition_bytes(disk_bytes: Int, *, logical_block: int = 512, by: Partitioner = "zpool") -> Int:
    """The data partition that a whole disk gets.

    Parameters
    ----------
    disk_bytes
        The disk's exact size [bytes].
    logical_block
        The sector size it reports [bytes]: 512 (also for 512e) or 4096 (4Kn).
    by
        Who makes it: ``zpool`` on Linux, or the middleware of TrueNAS from 25.04 on.

    Returns
    -------
    int
        The partition's size [bytes].

    References
    ----------
    `zpool_label_disk` and `efi_alloc_and_init`: 16384 sectors are kept at the end, the start is
    at sector 2048, and the end is aligned to 2048 sectors, whatever a sector is. TrueNAS's
    `disk.get_data_partition_size`: 2 GiB less, but no more than a hundredth, in whole MiB.
    """
    if by == "truenas":
        kept = np.minimum(2 * GIB, disk_bytes // 100)
        return (disk_bytes - kept) // MIB * MIB
    table = 33 if logical_block == SECTOR_BYTES else 5  # the GPT's second copy, in sectors
    sectors = disk_bytes // logical_block - table - 16384 - 2048
    return (sectors - sectors % 2048) * logical_block


@takes(logical_bytes=COUNT, width=WIDTH, ashift=ASHIFT)
def allocated_bytes(logical_bytes: Int, layout: Layout, width: int, *, ashift: int = 12) -> Int:
    """What one block takes on the disks, parity and padding included.

    Parameters
    ----------
    logical_bytes
        The block's size after compression [bytes].
    layout, width
        The vdev.
    ashift
        Binary logarithm of the sector size.

    Returns
    -------
    int
        Allocated size [bytes]. A mirror counts one copy, as ZFS does.

    References
    ----------
    `vdev_raidz_asize`: parity sectors for every row of data, the sum rounded up to a multiple
    of parity + 1 so that no gap is too small to use. `vdev_draid_asize`: whole rows of a group.
    """
    sector = 1 << ashift
    sectors = -(-logical_bytes // sector)
    if layout.kind == "raidz":
        sectors = sectors + layout.parity * -(-sectors // (width - layout.parity))
        sectors = -(-sectors // (layout.parity + 1)) * (layout.parity + 1)
    elif layout.kind == "draid":
        rows = -(-logical_bytes // (layout.data * sector))
        sectors = rows * (layout.data + layout.parity)
    return sectors * sector


@takes(width=WIDTH, ashift=ASHIFT)
def deflate_ratio(layout: Layout, width: int, *, ashift: int = 12) -> int:
    """By how much raw space is shown smaller, in 512ths; truncated, as ZFS does.

    References
    ----------
    `vdev_set_deflate_ratio`. It is taken from a 128 KiB block and never again: an expanded
    raidz keeps the ratio of its first width.
    """
    return _DEFLATE_BLOCK // (allocated_bytes(_DEFLATE_BLOCK, layout, width, ashift=ashift) >> 9)


@takes(block_bytes=COUNT, ashift=ASHIFT)
def space_efficiency(
    block_bytes: Int, layout: str, width: int, *, ashift: int = 12, first_width: int | None = None
) -> Any:
    """Which share of the space that ``zfs list`` shows can be filled with blocks of one size.

    Above 1 where a block packs better than the 128 KiB block the display is based on.

    Parameters
    ----------
    block_bytes
        recordsize or volblocksize [bytes].
    layout, width
        The vdev.
    ashift
        Binary logarithm of the sector size.
    first_width
        The width at creation, where the raidz was expanded since.

    References
    ----------
    `vdev_raidz_asize`; `vdev_set_deflate_ratio`.
    """
    shape = parse_layout(layout, width)
    ratio = deflate_ratio(shape, first_width_of(first_width, layout, width), ashift=ashift)
    shown = (allocated_bytes(block_bytes, shape, width, ashift=ashift) >> 9) * ratio
    return block_bytes / shown


@takes(volume_bytes=COUNT, block_bytes=COUNT, ashift=ASHIFT, copies=_COPIES)
def zvol_refreservation_bytes(
    volume_bytes: int,
    block_bytes: int,
    layout: str,
    width: int,
    *,
    ashift: int = 12,
    copies: int = 1,
) -> int:
    """What a thick zvol reserves: its data with parity, and the metadata to find it.

    Parameters
    ----------
    volume_bytes
        volsize [bytes].
    block_bytes
        volblocksize [bytes].
    layout, width, ashift
        The vdev.
    copies
        The dataset's ``copies``.

    References
    ----------
    `zvol_volsize_to_reservation` (lib/libzfs/libzfs_dataset.c): 7 metadata blocks, and 1024
    pointers a level, each block of 128 KiB and up to three times.
    """
    shape = parse_layout(layout, width)
    blocks = -(-volume_bytes // block_bytes)
    size = allocated_bytes(block_bytes, shape, width, ashift=ashift)
    whole = allocated_bytes(_DEFLATE_BLOCK, shape, width, ashift=ashift)
    data = blocks * size * _DEFLATE_BLOCK // whole * copies
    metadata, level = 7, blocks
    while level > 1:
        level = -(-level // 1024)
        metadata += level
    return data + metadata * min(3, copies + 1) * _DEFLATE_BLOCK
