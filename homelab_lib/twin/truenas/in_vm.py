"""A TrueNAS that is a VM: its disks come and go with what is passed through to it.

Source: TrueNAS middleware, plugins/pool_/import_pool.py, `import_on_boot`: at each boot every pool
of its database is tried, and one whose disks are not there stays known, OFFLINE. That it comes back
at the boot that finds them again follows from that; how long a boot takes is guessed.
"""

from collections.abc import Sequence
from typing import Any

from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.zfs import NasDisk, Row, ZPool
from homelab_lib.twin.truenas.zfs_dataset import NasDataset

_CAN_LOSE = {"RAIDZ1": 1, "RAIDZ2": 2, "RAIDZ3": 3, "DRAID1": 1, "DRAID2": 2, "DRAID3": 3}
_GONE = dict.fromkeys(("topology", "scan", "size", "allocated", "free", "status_code"))


class NasInVm(TrueNas):
    """The NAS; see `TrueNas`."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.known: dict[str, NasDisk] = {}  # by serial number, those that it has ever seen
        self.out: dict[str, dict[str, NasDataset]] = {}  # the datasets of pools that are not there

    def plugged(self, disks: Sequence[Row]) -> None:
        """Its disks are these; its pools are there as far as theirs are.

        One that a real NAS has told of itself stays as that told.
        """
        if self.ask is not None:
            return
        before = {disk.name: serial for serial, disk in self.known.items()}
        before |= {disk.name: disk.serial for disk in self.disks.values()}
        self.known |= {disk.serial: disk for disk in self.disks.values()}
        self.disks = {}
        for row in disks:
            disk = self.known.setdefault(row["serial"], _new(row))
            disk.name = row["name"]
            self.disks[disk.name] = disk
        for pool in self.pools.values():
            for vdev in pool.vdevs:
                vdev.disks = [self._now(before[name]) for name in vdev.disks]
            self._settle(pool)
        self.blocks = blocks_of(self)

    def _now(self, serial: str) -> str:
        """What a disk is called; one that is not there has its number for a name."""
        disk = self.known[serial]
        if self.disks.get(disk.name) is not disk:
            disk.name = f"out-{serial}"
        return disk.name

    def _settle(self, pool: ZPool) -> None:
        """Import a pool, or leave it out."""
        lost = False
        for vdev in pool.vdevs:
            missing = sum(name not in self.disks for name in vdev.disks)
            spare = len(vdev.disks) - 1 if vdev.kind == "MIRROR" else _CAN_LOSE.get(vdev.kind, 0)
            lost |= vdev.role in ("data", "special", "dedup") and missing > spare
        self.alerts = [a for a in self.alerts if a.get("pool") != pool.name]
        whole = all(name in self.disks for name in pool.disks)
        state = "OFFLINE" if lost else "ONLINE" if whole else "DEGRADED"
        pool.told = {} if whole else {"status": state, "healthy": False}
        if lost:
            named: Row = {"id": pool.id, "name": pool.name, "guid": pool.guid}
            pool.told |= named | {"path": f"/mnt/{pool.name}"} | _GONE
            self._leave(pool.name)
        else:
            for dataset in self.out.pop(pool.name, {}).values():
                self.add_dataset(dataset)
        if not whole:
            says = f"Pool {pool.name} state is {state}"
            alert = {"klass": "VolumeStatus", "level": "CRITICAL", "formatted": says}
            self.alerts.append(alert | {"dismissed": False, "pool": pool.name})

    def _leave(self, pool: str) -> None:
        """Nothing of it is mounted; its shares stay as rows, and lead nowhere."""
        mine = {n: d for n, d in self.datasets.items() if n.partition("/")[0] == pool}
        for name in sorted(mine, reverse=True):
            dataset = self.datasets.pop(name)
            if dataset.kind == "FILESYSTEM" and not dataset.locked:
                self.files.umount(dataset.mountpoint)
        self.out.setdefault(pool, {}).update(sorted(mine.items()))


def _new(row: Row) -> NasDisk:
    serial, size, model = row["serial"], row["size"], str(row["model"] or "")
    return NasDisk(row["name"], serial, size, model=model, rotates=bool(row["rota"]))
