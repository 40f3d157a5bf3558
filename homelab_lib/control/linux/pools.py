"""What `zpool status` says of a pool: its state, and when all of it was read last.

Sources: zpool-status(8); OpenZFS, cmd/zpool/zpool_main.c, `print_scan_scrub_resilver_status`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from homelab_lib import answers
from homelab_lib.control.linux.looking import ENGLISH
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

_STATE = re.compile(r"^\s*state: (\S+)$", re.MULTILINE)
_SCAN = re.compile(r"^\s*scan: (.+)$", re.MULTILINE)
_ENDED = re.compile(r"(scrub repaired|resilvered) .* with (\d+) errors on (.+)")
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
    """A pool's ``state`` (``ONLINE``, or what is wrong), and the last time that it was read."""

    state: str
    scan: Scan


def pool_state(host: Host, pool: str) -> PoolState | None:
    """What a pool says of itself; None where there is none, or it is not imported.

    Raises
    ------
    NotUnderstood
        The machine says something else.
    """
    words = (*ENGLISH, "zpool", "status", pool)
    said = host.read(*words, ok=None, sudo=True)
    if said.exit_status and "no such pool" in said.stderr:
        return None
    found = read_status(said.stdout)
    if said.exit_status or found is None:
        text = (said.stderr or said.stdout).strip() or "no answer"
        raise answers.not_understood(host.name, read(*words).line, host.cut(text, 200))
    return found


def read_status(text: str) -> PoolState | None:
    """A pool out of what `zpool status` prints of it; None where there is no state in it."""
    state, scan = _STATE.search(text), _SCAN.search(text)
    return PoolState(state[1], read_scan(scan[1] if scan else "")) if state else None


def read_scan(line: str) -> Scan:
    """What stands after ``scan:``."""
    ended = _ENDED.match(line)
    if ended is None:
        return Scan(says=line)
    when = datetime.strptime(" ".join(ended[3].split()), _FORM).replace(tzinfo=UTC)
    return Scan(ended[1].startswith("scrub"), when.timestamp(), int(ended[2]), line)
