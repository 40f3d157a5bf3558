"""What `zpool status` says of a pool: its state, its disks, and when all of it was read last.

Sources: zpool-status(8); OpenZFS, cmd/zpool/zpool_main.c, `print_scan_scrub_resilver_status`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from homelab_lib import answers
from homelab_lib.control.linux.disks import drives
from homelab_lib.control.linux.looking import ENGLISH
from homelab_lib.control.vdevs import kind_of
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

_STATE = re.compile(r"^\s*state: (\S+)$", re.MULTILINE)
_SCAN = re.compile(r"^\s*scan: (.+)$", re.MULTILINE)
_ENDED = re.compile(r"(scrub repaired|resilvered) .* with (\d+) errors on (.+)")
_NO_PROGRAM = 127
_PATHS = ("-P", "-L")  # with the names that the kernel has for them
_STAND_INS = ("replacing-", "spare-")
_HEADS = {"logs": "log", "spares": "spare"}  # the others are called as what is under them
_FORM = "%a %b %d %H:%M:%S %Y"  # ctime(3), by the machine's own clock


@dataclass(frozen=True)
class Scan:
    """The last time that all of a pool was read.

    Parameters
    ----------
    scrub
        Whether that was a scrub; a resilver reads only what a new disk needs.
    ended_s
        When it ended [s since 1970], as the machine's clock has it; None where none has.
    errors
        What could not be mended.
    says
        The line itself; empty for none.
    """

    scrub: bool = False
    ended_s: float | None = None
    errors: int = 0
    says: str = ""

    @property
    def at_work(self) -> bool:
        """Whether one is under way."""
        return " in progress " in self.says


@dataclass(frozen=True)
class PoolState:
    """What a pool says of itself.

    Parameters
    ----------
    state
        ``ONLINE``, or what is wrong.
    scan
        The last time that it was read.
    vdevs
        Role, kind, and the paths of the disks of each vdev, as `zpool` has them.
    """

    state: str
    scan: Scan
    vdevs: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def pool_state(host: Host, pool: str) -> PoolState | None:
    """What a pool says of itself; None where there is none, or it is not imported.

    Raises
    ------
    StepFailed
        The machine knows no ZFS.
    NotUnderstood
        It says something else.
    """
    words = (*ENGLISH, "zpool", "status", *_PATHS, pool)
    said = host.read(*words, ok=None, sudo=True)
    if said.exit_status and "no such pool" in said.stderr:
        return None
    if said.exit_status == _NO_PROGRAM:
        raise StepFailed(
            f"{host.name} has no zpool: ZFS is not installed there",
            where=host.name,
            fix="on Ubuntu: apt install zfsutils-linux; on Debian first add contrib to its package "
            "sources, then: apt install linux-headers-amd64 zfs-dkms zfsutils-linux",
        )
    found = read_status(said.stdout)
    if said.exit_status or found is None:
        text = (said.stderr or said.stdout).strip() or "no answer"
        raise answers.not_understood(host.name, read(*words).line, host.cut(text, 200))
    return found


def read_status(text: str) -> PoolState | None:
    """A pool out of what `zpool status` prints of it; None where there is no state in it."""
    state, scan = _STATE.search(text), _SCAN.search(text)
    if state is None:
        return None
    return PoolState(state[1], read_scan(scan[1] if scan else ""), tuple(_vdevs(text)))


def _vdevs(text: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The vdevs of the table after ``config:``; the row of its heads and that of the pool come
    first."""
    _, _, table = text.partition("\nconfig:\n")
    rows = [line for line in table.partition("\nerrors:")[0].splitlines() if line.startswith("\t")]
    role, kind, disks = "data", "", list[str]()
    for depth, name in _without_stand_ins(rows[2:]):
        if depth < 2 and kind:
            yield role, kind, tuple(disks)
            kind, disks = "", []
        if depth == 0:
            role = _HEADS.get(name, name)
        elif depth == 1 and not _is_disk(name):
            # A distributed spare is none of the disks.
            kind = "" if role == "spare" else kind_of(name)
        else:
            kind = kind or "STRIPE"
            disks += [name] if _is_disk(name) else []
    if kind:
        yield role, kind, tuple(disks)


def _without_stand_ins(rows: Sequence[str]) -> list[tuple[int, str]]:
    """How deep each row stands, and its name. Where a disk is being replaced, the one that comes is
    there alone; where a spare stands in, the disk whose place it is."""
    found: list[tuple[int, str]] = []
    place = (len(rows), "")
    for row in rows:
        name = row.split(maxsplit=1)[0]
        depth = (len(row) - len(row[1:].lstrip(" ")) - 1) // 2
        if depth <= place[0]:
            place = (depth, name) if name.startswith(_STAND_INS) else (len(rows), "")
            found.append((depth, name))
        elif place[1].startswith("replacing-") or found[-1] == place:
            found[-1] = (place[0], name)
    return found


def _is_disk(name: str) -> bool:
    """Whether a row is of a disk, by its path or, where it is gone, by its number; and not of what
    disks make up."""
    return name.startswith("/") or name.isdecimal()


def lies_on(host: Host, pool: PoolState) -> list[str]:
    """The serial numbers of the disks that a pool lies on, one for each that is missing left out.

    Parameters
    ----------
    host, pool
        The machine, and what the pool says of itself.
    """
    known = serials_by_device(host)
    return sorted({known[path] for _, _, disks in pool.vdevs for path in disks if path in known})


def serials_by_device(host: Host) -> Mapping[str, str]:
    """The serial number of the disk that a device lies on, by the device's path; the disk's own
    path for one that has none."""
    return {
        f"/dev/{device}": drive.serial or f"/dev/{drive.name}"
        for drive in drives(host)
        for device in drive.devices
    }


def read_scan(line: str) -> Scan:
    """What stands after ``scan:``."""
    ended = _ENDED.match(line)
    if ended is None:
        return Scan(says=line)
    when = datetime.strptime(" ".join(ended[3].split()), _FORM).replace(tzinfo=UTC)
    return Scan(ended[1].startswith("scrub"), when.timestamp(), int(ended[2]), line)
