"""`zpool`: the state of a Linux machine's pools, what they lie on, and how they are read once a
month.

Source: zpool-status(8); OpenZFS, cmd/zpool/zpool_main.c; Debian's zfsutils-linux,
``/etc/cron.d/zfsutils-linux`` (24 minutes past midnight, on the second Sunday of each month).
"""

from collections import Counter
from collections.abc import Iterator, Set
from datetime import UTC, datetime, timedelta

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.making_pools import ROLES, create, shown
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.machine.zfs import PACKAGE, SCRUBS, datasets, zfs_programs

_TOOK_S = 4 * 3600.0
_SUNDAY = 6
_HEADS = {"log": "logs", "spare": "spares"}


@zfs_programs("zpool")
def zpool(machine: Machine, call: Call) -> Reply:
    """``zpool status [-P] [-L] [POOL]…``, ``zpool version``, ``zpool create``."""
    if PACKAGE not in machine.packages:
        return Reply(127, stderr=f"sh: 1: {call.argv[0]}: not found\n")
    verb, *words = call.argv[1:] or ("",)
    if verb == "create":
        return create(machine, call)
    if verb == "version":
        release = machine.packages[PACKAGE]
        return Reply(0, f"zfs-{release}\nzfs-kmod-{release}\n")
    given = {word for word in words if word.startswith("-")}
    if verb != "status" or given - {"-P", "-L"}:
        return Reply(2, stderr=f"unrecognized command '{verb}'\n")
    names = [word for word in words if word not in given]
    there = [name for name in datasets(machine) if "/" not in name]
    for name in names:
        if name not in there:
            return Reply(1, stderr=f"cannot open '{name}': no such pool\n")
    own = any(datasets(machine)[name].vdevs for name in names)
    if not own and (said := machine.said("zpool", "status", *sorted(given), *names)) is not None:
        return said
    told = "\n".join(_told(machine, name, given) for name in names or there)
    return Reply(0, told or "no pools\n")


def _told(machine: Machine, name: str, given: Set[str]) -> str:
    pool = datasets(machine)[name]
    ended_s = last_scrub_s(machine, name)
    scan = ""
    if ended_s is not None:
        when = datetime.fromtimestamp(ended_s, UTC).strftime("%a %b %e %H:%M:%S %Y")
        scan = f"  scan: scrub repaired 0B in 04:00:00 with 0 errors on {when}\n"
    rows = list(_rows(machine, name, given))
    wide = max(len(row) for row, _ in rows)
    table = "".join(
        f"\t{row:<{wide}}  {state:<8}" + ("     0     0     0\n" if state != "AVAIL" else "\n")
        if state
        else f"\t{row}\n"
        for row, state in rows
    )
    head = f"  pool: {name}\n state: {pool.state}\n{scan}"
    heads = f"\t{'NAME':<{wide}}  STATE     READ WRITE CKSUM\n"
    return f"{head}config:\n\n{heads}{table}\nerrors: No known data errors\n"


def _rows(machine: Machine, name: str, given: Set[str]) -> Iterator[tuple[str, str]]:
    """Each row's name, set in as deep as it lies, and its state; a heading has none."""
    pool = datasets(machine)[name]
    yield name, pool.state
    role, numbers = "data", Counter[str]()
    for group in sorted(pool.vdevs, key=lambda each: ROLES.index(each.role)):
        if group.role != role:
            role = group.role
            yield _HEADS.get(role, role), ""
        alone = group.layout == "stripe"
        if not alone:
            yield f"  {group.layout}-{numbers['']}", pool.state
            numbers[""] += 1
        for member in group.members:
            state = "AVAIL" if role == "spare" else "ONLINE"
            yield f"  {'' if alone else '  '}{shown(machine, member, given)}", state


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
