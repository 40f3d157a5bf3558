"""How much memory a service's own process holds, and how much there is.

Its cgroup's number says less: it counts the page cache of what the service has read, and of a
container runtime that is gigabytes.

Sources: ps(1); free(1); systemctl(1), MainPID.
"""

from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

_FREE = ("free", "-b")


@dataclass(frozen=True)
class Held:
    """Memory that a service holds.

    Parameters
    ----------
    held_bytes, total_bytes
        What its process has in memory, and what its machine has [bytes].
    """

    held_bytes: int
    total_bytes: int

    @property
    def share(self) -> float:
        """Of all of it."""
        return self.held_bytes / self.total_bytes


def memory_of(host: Host, unit: str) -> Held | None:
    """What a service holds; None where it does not run.

    Raises
    ------
    NotUnderstood
        The machine says something that is no number of bytes.
    """
    state = unit_properties(host, f"{unit}.service", "LoadState", "ActiveState", "MainPID")
    if state["ActiveState"] != "active" or not int(state["MainPID"] or "0"):
        return None
    words = ("ps", "-o", "rss=", "-p", state["MainPID"])
    said = host.read(*words, ok=(0, 1))
    if said.exit_status:
        return None  # it was started anew meanwhile
    held = said.stdout.strip()
    if not held.isdecimal():
        raise answers.not_understood(
            host.name, read(*words).line, f"no number: {host.cut(held, 60)!r}"
        )
    return Held(int(held) * 1024, _total_bytes(host))


def _total_bytes(host: Host) -> int:
    """All memory of a machine [bytes]."""
    for line in host.read(*_FREE).stdout.splitlines():
        name, _, rest = line.partition(":")
        total = rest.split()[:1]
        if name == "Mem" and total and total[0].isdecimal() and int(total[0]):
            return int(total[0])
    raise answers.not_understood(host.name, read(*_FREE).line, "there is no line of memory")
