"""What `health` looks at in pools, wherever they are: their state, their room, and when all that
lies on them was read last."""

from collections.abc import Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.clock import clock_s
from homelab_lib.control.linux.disks import drives
from homelab_lib.control.linux.pools import Scan, pool_state
from homelab_lib.control.linux.zfs import is_scrubbed
from homelab_lib.control.truenas.midclt import call
from homelab_lib.control.truenas.smart import can_be_asked, look_at_health
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_FULL = 0.8  # from here on ZFS looks long for free space
_DAY_S = 86_400.0
_SCRUB_DAYS = 70.0  # twice what TrueNAS waits between two
_POOLS: Shape = [
    {
        "name": str,
        "status": str,
        "healthy": bool,
        "size?": int,
        "allocated?": int,
        "scan?": {
            "function?": str,
            "state?": str,
            "errors?": int,
            "end_time?": {"$date": int},
        },
    }
]
_TASKS: Shape = [{"pool_name": str, "enabled": bool}]


def of_truenas(host: Host) -> Iterator[Check]:
    """All pools of a TrueNAS."""
    now_s = clock_s(host)
    tasks = {
        row["pool_name"] for row in call(host, "pool.scrub.query", shape=_TASKS) if row["enabled"]
    }
    for pool in call(host, "pool.query", shape=_POOLS):
        title = f"pool {pool['name']}"
        well = pool["status"] == "ONLINE" and pool["healthy"]
        mends = "" if well else "; `zpool status` names the disk, replace it under Storage"
        yield Check(f"{title} is whole", well, f"it is {pool['status']}{mends}")
        if pool.get("size"):
            used = pool.get("allocated", 0) / pool["size"]
            well = used < _FULL
            mends = "" if well else "; delete old snapshots or data, or add a vdev"
            yield Check(f"{title} has room", well, f"{used:.0%} are taken{mends}")
        row = pool.get("scan", {})
        ended = row.get("end_time", {}).get("$date")
        ended_s = None if ended is None or row.get("state") == "CANCELED" else ended / 1000
        says = " in progress " if row.get("state") == "SCANNING" else ""
        scan = Scan(row.get("function") == "SCRUB", ended_s, row.get("errors") or 0, says)
        nobody = "" if pool["name"] in tasks else "no scrub task of it is on"
        start = "start one under Storage, and see whether its scrub task is on"
        yield _scrubbed(title, scan, now_s, nobody, start)


def of_linux(host: Host, pool: str) -> Iterator[Check]:
    """A pool of a Proxmox host or a plain Linux machine."""
    found = pool_state(host, pool)
    title = f"pool {pool} is whole"
    if found is None:
        yield Check(title, False, f"there is no such pool; `zpool import` shows whether {pool} can "
                    "be had back")  # fmt: skip
        return
    well = found.state == "ONLINE"
    mends = "" if well else "; `zpool status` names the disk, `zpool replace` its successor"
    yield Check(title, well, f"it is {found.state}{mends}")
    nobody = is_scrubbed(host, pool)
    yield _scrubbed(f"pool {pool}", found.scan, clock_s(host), nobody, f"`zpool scrub {pool}`")


def _scrubbed(title: str, scan: Scan, now_s: float, nobody: str, start: str) -> Check:
    """Whether a pool was read through lately.

    Parameters
    ----------
    title, scan, now_s
        The pool, what it says of its last scan, and the time there.
    nobody
        Why nothing has it scrubbed by itself; empty where something does.
    start
        How one is started.
    """
    title = f"{title} was scrubbed"
    if scan.at_work:
        return Check(title, True, "it is being read just now")
    if scan.ended_s is None:
        return Check(title, not nobody, f"never, and {nobody}; {start}" if nobody else "not yet")
    days = (now_s - scan.ended_s) / _DAY_S
    if not scan.scrub:  # which has written itself over what there was of a scrub
        says = f"a disk was replaced {days:.0f} days ago, and not since"
        return Check(title, days < _SCRUB_DAYS, says + f"; {start}" * (days >= _SCRUB_DAYS))
    says = f"{days:.0f} days ago, with {scan.errors} errors"
    if days >= _SCRUB_DAYS:
        says += f"; {nobody}" * bool(nobody) + f"; {start}"
    elif scan.errors:
        says += "; `zpool status -v` names what is lost: bring it back from a copy"
    return Check(title, days < _SCRUB_DAYS and not scan.errors, says)


def disks_of_linux(host: Host) -> Iterator[Check]:
    """What the disks of a plain Linux machine say of themselves, where it can ask them."""
    names = {drive.name: drive.serial or "?" for drive in drives(host)}
    if not all(can_be_asked(host, disk) for disk in list(names)[:1]):
        says = "not looked at: it has no smartctl (package smartmontools)"
        yield Check(f"the disks of {host.name} call themselves well", True, says)
        return
    for disk, serial in names.items():
        found = look_at_health(host, disk)
        bad = found.passed is False or found.long_test is False
        mends = "; replace it while its pool is whole" if bad else ""
        title = f"disk {disk} ({serial}) calls itself well"
        yield Check(title, not bad, f"{found.says}{mends}")
