"""What a ZFS pool holds, as OpenZFS itself computes it: in integers, rounding as it rounds.

Assumes an empty pool with default settings: no dedup, no checkpoint, one kind of vdev, all
disks of a vdev alike. Checked to the byte against pools measured on OpenZFS 2.1 and 2.3.

References
----------
OpenZFS source, tags zfs-0.6.3 to zfs-2.4: `zpool_label_disk` (lib/libzfs/os/linux/
libzfs_pool_os.c), `efi_alloc_and_init` (lib/libefi/rdwr_efi.c), `vdev_open`,
`vdev_metaslab_set_size`, `vdev_set_deflate_ratio` (module/zfs/vdev.c), `vdev_raidz_asize`
(vdev_raidz.c), `vdev_draid_asize` (vdev_draid.c), `spa_get_slop_space` (spa_misc.c),
`dsl_dir_space_available` (dsl_dir.c).
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

KIB, MIB, GIB = 2**10, 2**20, 2**30
SECTOR_BYTES = 512

Version = tuple[int, ...]
Int = Any
"""An int, or an integer array of any shape where a sweep needs it."""

_LABELS_START = 4 * MIB  # two labels and the boot block: VDEV_LABEL_START_SIZE
_LABELS_END = 512 * KIB  # two labels: VDEV_LABEL_END_SIZE
_ALIGN = 256 * KIB
_DEFLATE_BLOCK = 128 * KIB  # the ratio is always taken from this size, whatever recordsize is
_METASLAB_SHIFT, _METASLAB_SHIFT_MIN, _METASLAB_SHIFT_MAX = 29, 24, 34
_METASLAB_COUNT, _METASLAB_COUNT_MIN, _METASLAB_COUNT_MAX = 200, 16, 2**17
_EMBEDDED_SLOG_MIN_MS = 64


_LAYOUT = re.compile(r"(stripe|mirror|raidz([123])?|draid([123])?(?::(\d+)d)?(?::(\d+)s)?)")


@dataclass(frozen=True)
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


def parse_layout(text: str, width: int) -> Layout:
    """The layout called ``stripe``, ``mirror``, ``raidz1`` … ``raidz3`` or ``draid2:4d:1s``.

    Parameters
    ----------
    text
        As `zpool create` has it; dRAID without the number of children, which is `width`.
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
    match = re.fullmatch(
        r"(stripe|mirror|raidz([123])?|draid([123])?(?::(\d+)d)?(?::(\d+)s)?)", text
    )
    if match is None:
        raise ValueError(
            f"layout is {text!r}; it has to be stripe, mirror, raidz1-3 or draid1-3[:Nd][:Ns]"
        )
    if text == "stripe":
        layout, least = Layout("stripe"), 1
    elif text == "mirror":
        layout, least = Layout("mirror", parity=width - 1), 2
    elif text.startswith("raidz"):
        parity = int(match[2] or 1)
        layout, least = Layout("raidz", parity=parity), parity + 1
    else:
        parity, spares = int(match[3] or 1), int(match[5] or 0)
        data = int(match[4] or min(8, max(width - spares - parity, 1)))
        layout, least = Layout("draid", parity, data, spares), parity + data + spares
    if not least <= width <= 255:
        raise ValueError(f"width is {width}; a {text} vdev has {least} to 255 disks")
    return layout


def _first_width(first_width: int | None, layout: str, width: int) -> int:
    """Disks per vdev when the pool was made: `width` unless it was expanded since."""
    if first_width is None or first_width == width:
        return width
    if parse_layout(layout, first_width).kind != "raidz" or first_width > width:
        raise ValueError(f"first_width is {first_width}; a raidz grows, from OpenZFS 2.3 on")
    return first_width


def partition_bytes(disk_bytes: Int, *, logical_block: int = 512) -> Int:
    """The data partition that `zpool` makes when it is given a whole disk on Linux.

    Parameters
    ----------
    disk_bytes
        The disk's exact size [bytes].
    logical_block
        The sector size it reports [bytes]: 512 (also for 512e) or 4096 (4Kn).

    Returns
    -------
    int
        The partition's size [bytes].

    References
    ----------
    `zpool_label_disk` and `efi_alloc_and_init`: 16384 sectors are kept at the end, the start is
    at sector 2048, and the end is aligned to 2048 sectors, whatever a sector is.
    """
    table = 33 if logical_block == SECTOR_BYTES else 5  # the GPT's second copy, in sectors
    sectors = disk_bytes // logical_block - table - 16384 - 2048
    return (sectors - sectors % 2048) * logical_block


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


def deflate_ratio(layout: Layout, width: int, *, ashift: int = 12) -> int:
    """By how much raw space is shown smaller, in 512ths; truncated, as ZFS does.

    References
    ----------
    `vdev_set_deflate_ratio`. It is taken from a 128 KiB block and never again: an expanded
    raidz keeps the ratio of its first width.
    """
    return _DEFLATE_BLOCK // (allocated_bytes(_DEFLATE_BLOCK, layout, width, ashift=ashift) >> 9)


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
    ratio = deflate_ratio(shape, _first_width(first_width, layout, width), ashift=ashift)
    shown = (allocated_bytes(block_bytes, shape, width, ashift=ashift) >> 9) * ratio
    return block_bytes / shown


def _highbit(value: Int) -> Int:
    """`highbit64`: the number of the highest set bit, counted from 1."""
    if isinstance(value, int):
        return value.bit_length()
    # frexp's exponent is exact below 2^53; every count here is
    return np.frexp(np.asarray(value, dtype=np.float64))[1]


def metaslab_shift(asize_bytes: Int, *, openzfs: Version = (2, 3, 0)) -> Int:
    """Binary logarithm of the metaslab size of a top-level vdev.

    Parameters
    ----------
    asize_bytes
        The vdev's allocatable size [bytes].
    openzfs
        The version that made the pool.

    References
    ----------
    `vdev_metaslab_set_size`: 512 MiB metaslabs while there are at least 16 of them, about 200
    beyond that, none larger than 16 GiB. Before 0.8: about 200, at least 16 MiB each.
    """
    if openzfs < (0, 8):
        least = 17 if openzfs < (0, 6, 5) else _METASLAB_SHIFT_MIN
        return np.maximum(_highbit(asize_bytes // _METASLAB_COUNT), least)
    count = asize_bytes >> _METASLAB_SHIFT
    shift = np.where(
        count < _METASLAB_COUNT_MIN,
        _highbit(asize_bytes // _METASLAB_COUNT_MIN),
        np.where(
            count > _METASLAB_COUNT, _highbit(asize_bytes // _METASLAB_COUNT), _METASLAB_SHIFT
        ),
    )
    shift = np.clip(shift, _METASLAB_SHIFT_MIN, _METASLAB_SHIFT_MAX)
    too_many = (asize_bytes >> _METASLAB_SHIFT_MAX) > _METASLAB_COUNT_MAX
    return np.where(too_many, _highbit(asize_bytes // _METASLAB_COUNT_MAX), shift)


def slop_bytes(space_bytes: Int, *, openzfs: Version = (2, 3, 0), embedded_bytes: Int = 0) -> Int:
    """What ZFS keeps back so that a full pool can still be cleared out.

    Parameters
    ----------
    space_bytes
        The normal class's space, deflated [bytes].
    openzfs
        The version that has the pool imported.
    embedded_bytes
        The embedded log's space, deflated [bytes].

    References
    ----------
    `spa_get_slop_space`: a 32nd, from 2.0.6 at most 128 GiB, less the embedded log from 2.1 on;
    at least 128 MiB or half the pool. `dsl_pool_adjustedsize` before 0.7.
    """
    if openzfs < (0, 6, 5):
        return np.maximum(space_bytes >> 6, 32 * MIB)
    if openzfs < (0, 7):
        return np.maximum(space_bytes >> 5, 32 * MIB)
    slop = space_bytes >> 5
    if openzfs >= (2, 0, 6):
        slop = np.minimum(slop, 128 * GIB)
    if openzfs >= (2, 1):
        slop = slop - np.minimum(embedded_bytes, slop >> 1)
    return np.maximum(slop, np.minimum(space_bytes >> 1, 128 * MIB))


@dataclass(frozen=True)
class PoolCapacity:
    """A pool's sizes on the way from the label on the box to what can be stored.

    Parameters
    ----------
    raw_bytes
        All disks together [bytes].
    size_bytes
        SIZE of ``zpool list -p``: raw for raidz, parity included [bytes].
    deflated_bytes
        After parity and padding, as 128 KiB blocks have it [bytes].
    slop_bytes
        What ZFS keeps back [bytes].
    usable_bytes
        USED + AVAIL of ``zfs list -p`` on the empty pool [bytes].
    """

    raw_bytes: Int
    size_bytes: Int
    deflated_bytes: Int
    slop_bytes: Int
    usable_bytes: Int

    @property
    def comfortable_bytes(self) -> Int:
        """80 % of what is usable: beyond that allocation slows down [bytes]."""
        return self.usable_bytes * 4 // 5


def pool_capacity(
    layout: str,
    width: int,
    disk_bytes: Int,
    *,
    vdevs: int = 1,
    ashift: int = 12,
    openzfs: Version = (2, 3, 0),
    whole_disk: bool = True,
    logical_block: int = 512,
    first_width: int | None = None,
) -> PoolCapacity:
    """What a pool of `vdevs` equal vdevs shows and holds.

    Parameters
    ----------
    layout
        ``stripe`` (each disk a vdev of its own), ``mirror``, ``raidz1`` … ``raidz3``,
        ``draid2:4d:1s``.
    width
        Disks per vdev.
    disk_bytes
        Exact size of the smallest disk [bytes]; an array for a sweep.
    vdevs
        Vdevs in the pool.
    ashift
        Binary logarithm of the sector size, 9 to 16.
    openzfs
        Version that makes and imports the pool.
    whole_disk
        ZFS partitions the disk itself; False for a file or a ready partition.
    logical_block
        Sector size that the disk reports [bytes]: 512 or 4096.
    first_width
        Disks per vdev when a raidz was made, where it was expanded since: its metaslabs and the
        ratio by which space is shown stay those of that width.

    Returns
    -------
    PoolCapacity
        Exact to the byte on 53 layouts measured on OpenZFS 2.1.11 and 29 on 2.3.2. Versions
        before 2.1 and 2.4 are from the source and were not measured.

    Raises
    ------
    ValueError
        A layout, width, size or ashift that no pool can have.

    References
    ----------
    The module's, in the order of the module's functions.
    """
    if vdevs < 1:
        raise ValueError(f"vdevs is {vdevs}; a pool has at least one")
    if not 9 <= ashift <= 16:
        raise ValueError(f"ashift is {ashift}; it goes from 9 to 16")
    if logical_block not in (512, 4096):
        raise ValueError(f"logical_block is {logical_block}; it has to be 512 or 4096")
    shape = parse_layout(layout, width)
    first = _first_width(first_width, layout, width)
    grown = first != width
    if grown and openzfs < (2, 3):
        raise ValueError(f"first_width is {first}; a raidz grows, from OpenZFS 2.3 on")
    disk_bytes = disk_bytes if isinstance(disk_bytes, int) else np.asarray(disk_bytes, np.int64)
    if np.any(np.less(disk_bytes, 64 * MIB)):
        raise ValueError(f"disk_bytes is {disk_bytes}; ZFS takes no disk below 64 MiB")
    partition = disk_bytes
    if whole_disk:
        partition = partition_bytes(disk_bytes, logical_block=logical_block)
    child = partition // _ALIGN * _ALIGN - _LABELS_START - _LABELS_END
    tops = vdevs * width if shape.kind == "stripe" else vdevs
    if shape.kind == "raidz":
        top = child * width // _ALIGN * _ALIGN
    elif shape.kind == "draid":
        child = (child - 32 * MIB) // (16 * MIB) * (16 * MIB)
        row = (shape.data + shape.parity) * 16 * MIB
        top = child * (width - shape.spares) // row * row // _ALIGN * _ALIGN
    else:
        top = child // _ALIGN * _ALIGN
    begun = child * first // _ALIGN * _ALIGN if grown else top
    shift = metaslab_shift(begun, openzfs=openzfs)
    metaslab = np.left_shift(np.int64(1), shift)
    if shape.kind == "draid":
        group = (shape.data + shape.parity) << ashift
        metaslab = metaslab // group * group  # `vdev_draid_metaslab_init`
    count = top >> shift
    ratio = deflate_ratio(shape, first, ashift=ashift)
    has_log = (openzfs >= (2, 1)) & ((begun >> shift) > _EMBEDDED_SLOG_MIN_MS)
    embedded = np.where(has_log, (metaslab >> 9) * ratio, 0) * tops
    normal = ((metaslab * (count - has_log)) >> 9) * ratio * tops
    slop = slop_bytes(normal, openzfs=openzfs, embedded_bytes=embedded)
    return PoolCapacity(
        raw_bytes=disk_bytes * (width * vdevs),
        size_bytes=_plain(metaslab * count * tops),
        deflated_bytes=_plain(normal),
        slop_bytes=_plain(slop),
        usable_bytes=_plain(normal - slop),
    )


def _plain(value: Int) -> Int:
    """An int where one number was asked for, the array where many were."""
    return int(value) if np.ndim(value) == 0 else value


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
