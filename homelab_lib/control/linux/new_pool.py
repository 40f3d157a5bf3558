"""A ZFS pool of a plain Linux machine, made of the disks of these serial numbers and never by
force.

`zpool create` refuses a disk on which it finds a file system or the label of a pool that may be in
use, and takes one with partitions of another kind, or with the label of a pool that was destroyed:
all of that is looked at here, right before it is sent, and nothing is wiped.

Source: zpool-create(8); OpenZFS, cmd/zpool/zpool_vdev.c, `get_replication`; what OpenZFS 2.3 did on
a machine that was tried (tests/machine).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, ClassVar

from homelab_lib.control.linux.disks import Drive, drives, label_of, labels, lasting_paths
from homelab_lib.control.linux.looking import ENGLISH
from homelab_lib.control.linux.pools import pool_state, serials_by_device
from homelab_lib.control.vdevs import Vdev, another, in_words, settled, unclear
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change
from homelab_lib.units import format_bytes

_SAME_SIZE = 0.01  # disks that are sold as the same differ by less
_FUZZ_BYTES = 2**24  # by how much the disks of a vdev may differ (ZPOOL_FUZZ)
_ALIKE = ({"STRIPE"}, {"MIRROR", "RAIDZ"}, {"RAIDZ", "DRAID"})
"""What `zpool` takes side by side where each survives losing as many disks."""
_REDUNDANT = ("data", "special", "dedup")
_ORDER = ("data", "special", "dedup", "log", "cache", "spare")


@dataclass(frozen=True)
class LinuxPool:
    """A pool.

    Parameters
    ----------
    host, pool
        Where it is, and what it is called.
    vdevs
        What it is made of.
    sizes
        What each disk should hold [bytes], by its serial number.
    ashift
        Sector size as a power of two.
    """

    host: str
    pool: str
    vdevs: tuple[Vdev, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)
    ashift: int = 12
    timeout_s: float = 300.0
    looks_at: ClassVar[str] = "runs"

    @property
    def name(self) -> str:
        return f"pool {self.pool}"

    @property
    def serials(self) -> tuple[str, ...]:
        """Of all its disks."""
        return tuple(serial for vdev in self.vdevs for serial in vdev.serials)

    # ------------------------------------------------------------------ looking

    def observe(self, host: Host) -> dict[str, Any]:
        """The pool with the disks that it stands on; where there is none, its disks as they are."""
        found = pool_state(host, self.pool)
        if found is not None:
            known = serials_by_device(host)
            vdevs = [
                [role, kind, sorted(known.get(path, "?") for path in disks)]
                for role, kind, disks in found.vdevs
            ]
            return {"pool": {"status": found.state, "vdevs": settled(vdevs)}}
        there = drives(host)
        mine = [drive for drive in there if drive.serial in self.serials]
        paths = lasting_paths(host, [drive.name for drive in mine])
        return {
            "pool": None,
            "there": sorted(drive.told for drive in there),
            "namesakes": [
                drive.told
                for drive in there
                if drive not in mine and label_of(self.pool) in drive.holds
            ],
            "disks": [self._looked_at(host, drive, paths.get(drive.name, "")) for drive in mine],
        }

    def _looked_at(self, host: Host, drive: Drive, path: str) -> dict[str, Any]:
        found = labels(host, drive.name)
        # Where there are partitions it goes without saying that there is a table of them.
        more = [each for each in found if not (drive.holds and each.endswith(" table"))]
        holds = dict.fromkeys([*drive.holds, *more])
        facts = {"name": drive.name, "serial": drive.serial, "size_bytes": drive.size_bytes}
        return facts | {"path": path, "told": drive.told, "holds": list(holds)}

    # ------------------------------------------------------------------- saying

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["pool"] is not None:
            return Diff(conflict=another(self.pool, observed["pool"], self.vdevs))
        if namesakes := observed["namesakes"]:
            return Diff(
                conflict=f"a pool {self.pool} lies on {', '.join(namesakes)} and is not imported: "
                f"`zpool import {self.pool}`, if it is yours, or take its disks out"
            )
        disks = observed["disks"]
        if problems := list(self._problems(disks, observed["there"])):
            return Diff(conflict="; ".join(problems))
        by_serial = {disk["serial"]: disk for disk in disks}
        if uneven := "; ".join(self._uneven(by_serial)):
            return Diff(
                conflict=f"{uneven}: zpool refuses to make such a pool unless it is forced, and "
                "nothing is forced here; make it by hand if it is meant, and say exists: true of it"
            )
        return Diff((self._create(by_serial),))

    def _uneven(self, disks: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        """Why `zpool create` would ask for force: vdevs that don't match, and disks that don't."""
        for vdev in self.vdevs:
            sizes = [disks[serial]["size_bytes"] for serial in vdev.serials]
            if vdev.kind != "STRIPE" and max(sizes) - min(sizes) > _FUZZ_BYTES:
                told = ", ".join(disks[serial]["told"] for serial in vdev.serials)
                yield f"a {vdev.kind.lower()} would be of disks of different sizes ({told})"
        counted = [vdev for vdev in self.vdevs if vdev.role in _REDUNDANT]
        for one, other in pairwise(counted):
            families = {one.kind.rstrip("123"), other.kind.rstrip("123")}
            if one.failures != other.failures or not any(families <= each for each in _ALIKE):
                told = (f"{vdev.kind.lower()} of {len(vdev.serials)}" for vdev in (one, other))
                yield f"a {' beside a '.join(told)} don't survive the same"

    def _problems(self, disks: Sequence[Mapping[str, Any]], there: Sequence[str]) -> Iterator[str]:
        """Why these disks make no pool; each in words for the person who put them in."""
        for serial in self.serials:
            mine = [disk for disk in disks if disk["serial"] == serial]
            if says := unclear(self.host, serial, [disk["name"] for disk in mine], there):
                yield says
            else:
                yield from self._problem(mine[0])

    def _problem(self, disk: Mapping[str, Any]) -> Iterator[str]:
        wanted = self.sizes.get(disk["serial"], disk["size_bytes"])
        if disk["holds"]:
            yield (
                f"{disk['told']} has something on it: {', '.join(disk['holds'])}; nothing is wiped "
                "here: look whose it is (`zpool import` shows pools that are not imported), and "
                f"clear it by hand (wipefs -a /dev/{disk['name']}) if nobody needs it"
            )
        elif not disk["path"]:
            yield f"{disk['told']} has no name under /dev/disk/by-id that stays its own"
        elif abs(disk["size_bytes"] - wanted) > _SAME_SIZE * wanted:
            yield f"{disk['told']} should hold {format_bytes(wanted)} by the lab: it is another one"

    def _create(self, disks: Mapping[str, Mapping[str, Any]]) -> Change:
        words = ["zpool", "create", "-o", f"ashift={self.ashift}", self.pool]
        for role, vdevs in groupby(sorted(self.vdevs, key=_turn), key=lambda each: each.role):
            words += [] if role == "data" else [role]  # which zpool takes once
            for vdev in vdevs:
                words += [*_layout(vdev), *(disks[serial]["path"] for serial in vdev.serials)]
        told = [(v.role, v.kind, [disks[each]["told"] for each in v.serials]) for v in self.vdevs]
        return Change(
            f"make pool {self.pool}, {in_words(told)}",
            change(*ENGLISH, *words, sudo=True, timeout_s=self.timeout_s),
            undo=f"zpool export {self.pool}; what was put there since stays on its disks",
            detached=True,
        )


def _turn(vdev: Vdev) -> tuple[int, bool]:
    """When a vdev is named; a disk that stands alone before the others of its role, or `zpool`
    would take it into the one before it."""
    return _ORDER.index(vdev.role), vdev.kind != "STRIPE"


def _layout(vdev: Vdev) -> list[str]:
    """`zpool`'s word for a vdev; a disk that stands alone needs none."""
    kind, disks = vdev.shape
    if kind == "STRIPE":
        return []
    if not kind.startswith("DRAID"):
        return [kind.lower()]
    parity, data, spares = kind.lower().split(":")
    return [f"{parity}:{data}:{len(disks)}c:{spares}"]
