"""A small TrueNAS of a release: what realistic calls need is there, and nothing else."""

from functools import cache
from typing import Any

from homelab_lib.lab import load_lab
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.truenas.download import serve_downloads
from homelab_lib.twin.truenas.exportfs import server
from homelab_lib.twin.truenas.midclt import truenas
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.python import python
from homelab_lib.twin.truenas.query import MatchNotFound
from homelab_lib.twin.truenas.rpc import find
from homelab_lib.twin.truenas.smartctl import disk_health
from homelab_lib.twin.truenas.tables import user_row
from homelab_lib.twin.truenas.zfs import NasDisk
from homelab_lib.twin.world import World

DISK_BYTES = 4 * 10**12


@cache
def _world() -> World:
    world = World(load_lab())
    world.internet = lambda source: ""
    return world


def small_nas(release: str, *, pool: bool = True) -> TrueNas:
    """Eight disks, one network, and a pool with a few datasets and one export."""
    nas = TrueNas(
        "nas",
        _world(),
        user="root",
        version=release,
        commands=(truenas, server, disk_health, python, *UNIX),
    )
    for letter in "abcdefgh":
        nas.disks[f"sd{letter}"] = NasDisk(f"sd{letter}", f"SERIAL-{letter}", DISK_BYTES)
    nas.blocks = blocks_of(nas)
    nas.interfaces += [
        Interface(
            "enp1s0", "52:54:00:00:00:01", "10.0.30.2/24", "nas", "enp1s0", None, "10.0.30.1"
        ),
        Interface("enp2s0", "52:54:00:00:00:02", "", "nas", "enp2s0"),
    ]
    nas.connect(configured=True)
    serve_downloads(nas)
    nas.packages["curl"] = "8.14.1"
    if pool:
        _fill(nas)
    return nas


def _fill(nas: TrueNas) -> None:
    disks = [f"sd{letter}" for letter in "efgh"]
    made(nas, "pool.create", {"name": "tank", "topology": {"data": [_vdev("RAIDZ1", disks)]}})
    for row in nas.tables["pool.scrub"].rows():
        nas.tables["pool.scrub"].delete(row["id"])
    for name in ("tank/a", "tank/m", "tank/t", "tank/k3s"):
        made(nas, "pool.dataset.create", {"name": name})
    nas.tables["nfs"].insert(
        find("sharing.nfs.create", nas.release).bind([{"path": "/mnt/tank/k3s"}])[0] | {"id": 3}
    )
    nas.config["docker"]["pool"] = "tank"
    group = nas.tables["group"].rows()[0]
    nas.tables["user"].insert(user_row(3100, "admin", group))


def _vdev(kind: str, disks: list[str]) -> dict[str, Any]:
    return {"type": kind, "disks": disks}


def made(nas: TrueNas, name: str, *arguments: Any) -> Any:
    """What a call answers; of a job, what it ends with.

    Raises
    ------
    ApiError
        It is refused.
    """
    method = find(name, nas.release)
    bound = method.bind(list(arguments))
    if not method.job:
        try:
            return method.body(nas, *bound)
        except MatchNotFound:
            return None
    job = nas.jobs.start(name, list(arguments), method.body(nas, *bound))
    nas.jobs.run_through(job)
    if job.failure is not None:
        raise job.failure
    return job.result
