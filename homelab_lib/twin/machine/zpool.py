"""`zpool`: the state of a Linux machine's pools, and how they are read once a month.

Source: zpool-status(8); OpenZFS, cmd/zpool/zpool_main.c; Debian's zfsutils-linux,
``/etc/cron.d/zfsutils-linux`` (24 minutes past midnight, on the second Sunday of each month).
"""

from datetime import UTC, datetime, timedelta

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.machine.zfs import PACKAGE, SCRUBS, datasets, zfs_programs

_TOOK_S = 4 * 3600.0
_SUNDAY = 6


@zfs_programs("zpool")
def zpool(machine: Machine, call: Call) -> Reply:
    """``zpool status [POOL]…``."""
    if PACKAGE not in machine.packages:
        return Reply(127, stderr=f"sh: 1: {call.argv[0]}: not found\n")
    verb, *names = call.argv[1:] or ("",)
    if verb != "status" or any(name.startswith("-") for name in names):
        return Reply(2, stderr=f"unrecognized command '{verb}'\n")
    there = [name for name in datasets(machine) if "/" not in name]
    for name in names:
        if name not in there:
            return Reply(1, stderr=f"cannot open '{name}': no such pool\n")
    if (said := machine.said("zpool", "status", *names)) is not None:
        return said
    return Reply(0, "\n".join(_told(machine, name) for name in names or there) or "no pools\n")


def _told(machine: Machine, name: str) -> str:
    pool = datasets(machine)[name]
    ended_s = last_scrub_s(machine, name)
    scan = ""
    if ended_s is not None:
        when = datetime.fromtimestamp(ended_s, UTC).strftime("%a %b %e %H:%M:%S %Y")
        scan = f"  scan: scrub repaired 0B in 04:00:00 with 0 errors on {when}\n"
    rows = f"\tNAME  STATE     READ WRITE CKSUM\n\t{name}  {pool.state}     0     0     0\n"
    head = f"  pool: {name}\n state: {pool.state}\n{scan}"
    return f"{head}config:\n\n{rows}\nerrors: No known data errors\n"


def last_scrub_s(machine: Machine, name: str) -> float | None:
    """When the distribution's job read a pool last [s since 1970]; None for never."""
    pool = datasets(machine)[name]
    off = pool.own.get("org.debian:periodic-scrub") == "disable"
    if off or not machine.files.exists(SCRUBS) or "scrub" not in machine.files.text(SCRUBS):
        return pool.scrubbed_s
    now = datetime.fromtimestamp(machine.now_s() - _TOOK_S, UTC)
    turn = _second_sunday(now.year, now.month)
    if turn > now:
        before = now.replace(day=1) - timedelta(days=1)
        turn = _second_sunday(before.year, before.month)
    return turn.timestamp() + _TOOK_S if turn.timestamp() > pool.made_s else pool.scrubbed_s


def _second_sunday(year: int, month: int) -> datetime:
    first = datetime(year, month, 1, 0, 24, tzinfo=UTC)
    return first + timedelta(days=(_SUNDAY - first.weekday()) % 7 + 7)
