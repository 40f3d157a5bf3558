"""What one top-level vdev of a ZFS pool gives: its metaslabs, in SIZE and as space.

Every vdev is reckoned by itself: from its own smallest disk, with the metaslab size and the ratio
that it got when it was made. A pool is the sum; see `homelab_lib.models.zfs`.

References
----------
OpenZFS source, tags zfs-0.6.3 to zfs-2.4: `vdev_open`, `vdev_metaslab_set_size`,
`vdev_set_deflate_ratio` (module/zfs/vdev.c), `vdev_raidz_open` (vdev_raidz.c), `vdev_draid_open`,
`vdev_draid_metaslab_init` (vdev_draid.c).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from homelab_lib.models.bounds import ASHIFT, COUNT, WHOLE, WIDTH, takes
from homelab_lib.models.zfs_layout import (
    KIB,
    MIB,
    Int,
    Layout,
    deflate_ratio,
    first_width_of,
    parse_layout,
)

Version = tuple[int, ...]
Role = Literal["data", "special", "dedup", "log", "cache", "spare"]

_LABELS_START = 4 * MIB  # two labels and the boot block: VDEV_LABEL_START_SIZE
_LABELS_END = 512 * KIB  # two labels: VDEV_LABEL_END_SIZE
_ALIGN = 256 * KIB
_METASLAB_SHIFT, _METASLAB_SHIFT_MIN, _METASLAB_SHIFT_MAX = 29, 24, 34
_METASLAB_COUNT, _METASLAB_COUNT_MIN, _METASLAB_COUNT_MAX = 200, 16, 2**17
_EMBEDDED_SLOG_MIN_MS = 64


@dataclass(frozen=True)
class VdevSpace:
    """What a top-level vdev adds to its pool.

    Parameters
    ----------
    size_bytes
        To SIZE of ``zpool list -p``: raw for raidz, parity included [bytes].
    space_bytes
        To the space of files, after parity and padding [bytes].
    embedded_bytes
        The log inside it, deflated: part of SIZE and not of the space; it lowers the slop [bytes].
    """

    size_bytes: Int
    space_bytes: Int
    embedded_bytes: Int


def _highbit(value: Int) -> Int:
    """`highbit64`: the number of the highest set bit, counted from 1."""
    if isinstance(value, int):
        return value.bit_length()
    # frexp's exponent is exact below 2^53; every count here is
    return np.frexp(np.asarray(value, dtype=np.float64))[1]


@takes(asize_bytes=COUNT, openzfs=WHOLE)
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


@takes(partition_bytes=COUNT, width=WIDTH)
def asize_bytes(partition_bytes: Int, layout: Layout, width: int) -> Int:
    """What ZFS can allocate on a top-level vdev [bytes].

    Parameters
    ----------
    partition_bytes
        The smallest of its partitions [bytes].
    layout, width
        The vdev.

    References
    ----------
    `vdev_open`: whole 256 KiB, less labels and boot block; `vdev_raidz_open`, `vdev_draid_open`.
    """
    child = partition_bytes // _ALIGN * _ALIGN - _LABELS_START - _LABELS_END
    if layout.kind == "raidz":
        child = child * width
    elif layout.kind == "draid":
        child = (child - 32 * MIB) // (16 * MIB) * (16 * MIB)
        row = (layout.data + layout.parity) * 16 * MIB
        child = child * (width - layout.spares) // row * row
    return child // _ALIGN * _ALIGN


def _metaslabs_bytes(count: Int, shift: Int, layout: Layout, ashift: int) -> tuple[Int, Int]:
    """All metaslabs of a vdev together, and its first [bytes].

    Those of a dRAID begin and end on whole groups: with g a group and S a metaslab, metaslab i
    has down((i + 1) S, g) - up(i S, g). Summed over all that is the whole, less a group wherever
    a border between two is not one of groups.
    """
    size = np.left_shift(np.int64(1), shift)
    if layout.kind != "draid":
        return size * count, size
    group = (layout.data + layout.parity) << ashift
    every = group // np.gcd(size, group)  # each so many borders one falls between groups
    borders = np.maximum(count - 1, 0)
    return size * count // group * group - group * (
        borders - borders // every
    ), size // group * group


@takes(
    width=WIDTH,
    partition_bytes=COUNT,
    ashift=ASHIFT,
    openzfs=WHOLE,
    first_width=WIDTH,
    first_bytes=COUNT,
)
def vdev_space(
    layout: str,
    width: int,
    partition_bytes: Int,
    *,
    role: Role = "data",
    ashift: int = 12,
    openzfs: Version = (2, 3, 0),
    first_width: int | None = None,
    first_bytes: Int | None = None,
) -> VdevSpace:
    """What one top-level vdev adds to its pool.

    Parameters
    ----------
    layout
        ``stripe`` (a single disk), ``mirror``, ``raidz1`` … ``raidz3``, ``draid2:4d:1s``.
    width
        Its disks.
    partition_bytes
        The smallest of its partitions [bytes]; an array for a sweep.
    role
        What it is for; a log, a cache and a spare add nothing.
    ashift
        Binary logarithm of its sector size.
    openzfs
        Version that makes and imports the pool.
    first_width, first_bytes
        Its disks, and the smallest partition [bytes], when it was made, where it has grown since:
        its metaslabs keep that size, and its space that ratio.

    Raises
    ------
    ValueError
        A layout, width or growth that no vdev can have.

    References
    ----------
    The module's. Checked to the byte against pools of OpenZFS 2.0 to 2.4.
    """
    shape = parse_layout(layout, width)
    first = first_width_of(first_width, layout, width)
    if first != width and openzfs < (2, 3):
        raise ValueError(f"first_width is {first}; a raidz grows, from OpenZFS 2.3 on")
    if role in ("log", "cache", "spare"):
        return VdevSpace(0, 0, 0)
    asize = asize_bytes(partition_bytes, shape, width)
    made = asize
    if first != width or first_bytes is not None:
        begun = partition_bytes if first_bytes is None else first_bytes
        made = asize_bytes(begun, parse_layout(layout, first), first)
    shift = metaslab_shift(made, openzfs=openzfs)
    count = asize >> shift
    size, one = _metaslabs_bytes(count, shift, shape, ashift)
    ratio = deflate_ratio(shape, first, ashift=ashift)
    has_log = openzfs >= ((2, 1) if role == "data" else (2, 4)) and role != "dedup"
    embedded = np.where(has_log & (count > _EMBEDDED_SLOG_MIN_MS), one, 0)
    space = ((size - embedded) >> 9) * ratio if role == "data" else 0 * size
    return VdevSpace(size, space, (embedded >> 9) * ratio)
