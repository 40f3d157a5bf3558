"""Disks and pools of the twin's NAS, and how the middleware shows them.

Source: TrueNAS 25.10 API, entries of `pool.query` and `disk.details`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.models import zfs
from homelab_lib.models.zfs_layout import parse_layout, partition_bytes
from homelab_lib.twin.truenas.rpc import HALFMOON, Release

Row = dict[str, Any]
_OPENZFS = {False: (2, 3), True: (2, 4)}
"""Before 26.0, and since."""
_ZFS_PARTITION = "6a898cc3-1dd2-11b2-99a6-080020736631"


@dataclass
class NasDisk:
    """A disk as the NAS sees it.

    Parameters
    ----------
    name, serial, size_bytes, model, lunid, rotates, boot, bus
        What it is.
    exported_zpool
        The pool that it carries the label of, and that is not imported.
    partitions
        Its partitions as the middleware tells them; `partition` makes one.
    fstype
        What lies on it as a whole, without a partition: ``ext4``; empty for nothing.
    self_tests, testing, healthy
        Its tests of itself, the newest first: (kind, whether it passed); the one it is at; and
        what it says of itself.
    past
        What `smartctl` says of what it went through, by its exit status: 32, a value was past its
        threshold once; 64, it has logged errors; 128, a test of itself failed once.
    told
        What a real one said of it, which counts.
    """

    name: str
    serial: str
    size_bytes: int
    model: str = ""
    lunid: str | None = None
    rotates: bool = True
    boot: bool = False
    bus: str = "ATA"
    exported_zpool: str | None = None
    partitions: list[Row] = field(default_factory=list)
    fstype: str = ""
    self_tests: list[tuple[str, bool]] = field(default_factory=list)
    testing: str = ""
    healthy: bool = True
    past: int = 0
    told: Row = field(default_factory=dict)

    def partition(self, number: int, size_bytes: int, kind: str = _ZFS_PARTITION) -> Row:
        """A partition's row, as `disk.list_partitions` makes it."""
        joint = "p" if self.name.startswith(("nvme", "pmem")) else ""
        name, start = f"{self.name}{joint}{number}", 2048
        return {
            "name": name,
            "partition_type": kind,
            "partition_number": number,
            "partition_uuid": f"{self.serial}-{number}",
            "disk": self.name,
            "start_sector": start,
            "start": start * 512,
            "end_sector": start + size_bytes // 512 - 1,
            "end": start * 512 + size_bytes - 512,
            "size": size_bytes,
            "id": name,
            "path": f"/dev/{name}",
            "encrypted_provider": None,
        }

    def format(self) -> None:
        """Wipe it, and give it the one partition that a pool lies on."""
        self.exported_zpool, self.fstype = None, ""
        self.partitions = [self.partition(1, self.data_bytes)]

    @property
    def data_bytes(self) -> int:
        """What the partition for a pool gets: a bit less, so that a smaller disk can replace it."""
        return int(partition_bytes(self.size_bytes, by="truenas"))

    @property
    def identifier(self) -> str:
        """By which the middleware knows it whatever its name is this time."""
        return (
            f"{{serial_lunid}}{self.serial}_{self.lunid}"
            if self.lunid
            else f"{{serial}}{self.serial}"
        )


@dataclass
class Vdev:
    """A top-level vdev, for ``data``, ``log``, ``cache``, ``special``, ``dedup`` or ``spare``."""

    kind: str
    disks: list[str]
    role: zfs.Role = "data"
    layout: str = ""  # as zpool has it, where its kind is not all of it

    @property
    def full_layout(self) -> str:
        """As `zpool status` names it: ``raidz2``, ``draid1:4d:6c:1s``."""
        if not self.kind.startswith("DRAID"):
            return self.kind.lower()
        width = len(self.disks)
        found = parse_layout(self.layout or self.kind.lower(), width)
        return f"draid{found.parity}:{found.data}d:{width}c:{found.spares}s"


@dataclass
class ZPool:
    """A pool that the system knows.

    Parameters
    ----------
    id, name, guid, vdevs, size_bytes, usable_bytes, created_s
        What it is, and how large: raw and for data [bytes].
    told
        What a real one said of it: its state, its vdevs with whatever has failed or is being
        replaced. Counts as long as nothing here changes it.
    """

    id: int
    name: str
    guid: str
    vdevs: list[Vdev]
    size_bytes: int
    usable_bytes: int
    created_s: float
    told: Row = field(default_factory=dict)

    @property
    def disks(self) -> list[str]:
        """Names of its disks."""
        return [disk for vdev in self.vdevs for disk in vdev.disks]

    @property
    def imported(self) -> bool:
        """Whether it is there: one that is not has no vdevs, and nothing of it is mounted."""
        return self.told.get("status", "ONLINE") != "OFFLINE"

    def row(self, allocated_bytes: int, guids: Mapping[str, str], release: Release) -> Row:
        """As `pool.query` shows it."""
        if not self.imported:
            return dict(self.told)
        free_bytes = self.size_bytes - allocated_bytes
        sizes = {"size": self.size_bytes, "allocated": allocated_bytes, "free": free_bytes}
        row = {
            "id": self.id,
            "name": self.name,
            "guid": self.guid,
            "path": f"/mnt/{self.name}",
            "status": "ONLINE",
            "scan": _NO_SCAN,
            "expand": _NO_EXPANSION,
            "topology": self._topology(guids),
            "is_upgraded": True,
            "healthy": True,
            "warning": False,
            "status_code": "OK",
            "status_detail": None,
            "freeing": 0,
            "fragmentation": "0",
            "freeing_str": "0",
            "dedup_table_size": 0,
            "dedup_table_quota": "auto",
            "autotrim": {"value": "off", "rawvalue": "off", "parsed": "off", "source": "DEFAULT"},
        }
        if release >= HALFMOON:
            row |= {"scan": None, "all_sed": False}
        return row | self.told | sizes | {f"{name}_str": str(n) for name, n in sizes.items()}

    def _topology(self, guids: Mapping[str, str]) -> Row:
        found: Row = {role: [] for role in ("data", "log", "cache", "spare", "special", "dedup")}
        for place, vdev in enumerate(self.vdevs):
            leaves = [_leaf(disk, guids.get(disk, "")) for disk in vdev.disks]
            if vdev.kind == "STRIPE":
                found[vdev.role] += leaves
                continue
            name = f"{vdev.full_layout}-{place}"
            kind = "DRAID" if vdev.kind.startswith("DRAID") else vdev.kind
            group = {"type": kind, "name": name, "path": None, "device": None, "disk": None}
            found[vdev.role].append(_leaf(name, "") | group | {"children": leaves})
        return found


_NO_EXPANSION: Row = dict.fromkeys(
    (
        "state",
        "expanding_vdev",
        "start_time",
        "end_time",
        "bytes_to_reflow",
        "bytes_reflowed",
        "waiting_for_resilver",
        "total_secs_left",
        "percentage",
    )
)
_NO_SCAN: Row = dict.fromkeys(
    (
        "function",
        "state",
        "start_time",
        "end_time",
        "percentage",
        "bytes_to_process",
        "bytes_processed",
        "bytes_issued",
        "pause",
        "errors",
        "total_secs_left",
    )
)


def _leaf(disk: str, guid: str) -> Row:
    return {
        "name": guid or disk,
        "type": "DISK",
        "path": f"/dev/disk/by-partuuid/{guid}",
        "guid": guid,
        "status": "ONLINE",
        "stats": {"read_errors": 0, "write_errors": 0, "checksum_errors": 0},
        "children": [],
        "device": f"{disk}1",
        "disk": disk,
        "unavail_disk": None,
    }


def zpool_sizes(
    vdevs: Iterable[Vdev], disks: Mapping[str, NasDisk], release: Release
) -> tuple[int, int]:
    """A pool's raw and usable size [bytes]: the one place where the twin gets them from.

    Parameters
    ----------
    vdevs
        The pool's.
    disks
        The machine's, by name.
    release
        The machine's.
    """
    found = []
    for vdev in vdevs:
        sizes = [disks[disk].data_bytes for disk in vdev.disks]
        layout = vdev.layout or vdev.kind.lower()
        for each in [[size] for size in sizes] if layout == "stripe" else [sizes]:
            found.append(zfs.Vdev(layout, tuple(each), role=vdev.role, whole_disk=False))
    holds = zfs.capacity(found, openzfs=_OPENZFS[release >= HALFMOON])
    return int(holds.size_bytes), int(holds.usable_bytes)
