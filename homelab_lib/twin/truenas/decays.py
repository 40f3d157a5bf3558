"""What decays of a NAS."""

from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.decays import decay
from homelab_lib.twin.truenas.nas import TrueNas


def _complains(nas: TrueNas, klass: str, text: str) -> dict[str, Any]:
    row: dict[str, Any] = {"uuid": f"{klass}-{nas.name}", "klass": klass, "level": "CRITICAL"}
    row |= {"text": text, "formatted": text, "dismissed": False, "one_shot": False}
    nas.alerts.append(row)
    return row


@decay("nas-disk-fails", r"disk \w+ \(.+\) calls itself well", r"has no severe alert", on="truenas")
def disk_fails(nas: TrueNas) -> Iterator[None]:
    """A disk of a pool says that it fails."""
    name = next(d for pool in nas.pools.values() for d in pool.disks)
    nas.disks[name].healthy = False
    row = _complains(nas, "SMARTAttribute", f"Device /dev/{name}: FAILED SMART self-check")
    yield
    nas.disks[name].healthy = True  # another one in its place
    nas.alerts.remove(row)


@decay("nas-pool-degraded", r"is whole: it is DEGRADED", r"no severe alert|DEGRADED", on="truenas")
def pool_degraded(nas: TrueNas) -> Iterator[None]:
    """A pool goes on with a disk less."""
    pool = next(iter(nas.pools.values()))
    told = dict(pool.told)
    pool.told |= {"status": "DEGRADED", "healthy": False, "status_code": "FAULTED_DEV_R"}
    row = _complains(nas, "VolumeStatus", f"Pool {pool.name} state is DEGRADED")
    yield
    pool.told = told
    nas.alerts.remove(row)
