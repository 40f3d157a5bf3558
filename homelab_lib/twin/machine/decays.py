"""What decays of any Linux machine: its graphics driver, and the copies that it makes.

Sources: NVIDIA's `nvidia-smi` (a library that is newer than the loaded module); restic's
doc/design.rst (locks) and 047_tuning_backup_parameters.rst: a lock that is not exclusive lets
copies go on, and whoever forgets old ones is refused.
"""

import hashlib
from collections.abc import Iterator

from homelab_lib.twin.decays import decay
from homelab_lib.twin.machine.graphics_drivers import upgrade_at_night
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.restic_store import Lock, Repository
from homelab_lib.twin.machine.zfs import Dataset, datasets

_SSH = 22


def _drives_nvidia(machine: Machine) -> bool:
    return "nvidia" in machine.modules and "nvidia" in machine.kept


@decay("nvidia-driver-split", r"Driver/library version mismatch", fits=_drives_nvidia)
def driver_split(machine: Machine) -> Iterator[None]:
    """A night's upgrade brought a newer library than the NVIDIA module that is loaded."""
    held, machine.kept["held"] = machine.kept.get("held", []), []  # --allow-change-held-packages
    upgrade_at_night(machine)
    machine.kept["held"] = held
    yield
    machine.reboot()


def _served(machine: Machine) -> list[int]:
    """The ports of what stands on a machine that is kept apart."""
    host = machine.world.lab.hosts.get(machine.name)
    apart = host is not None and host.standalone
    return [port for port in machine.listeners if port != _SSH] if apart else []


@decay(
    "apart-service-ends",
    r"answers on \S+: asked from .+ no runbook mends it",
    fits=lambda machine: bool(_served(machine)),
)
def apart_ends(machine: Machine) -> Iterator[None]:
    """What runs on a machine that is kept apart did not come back after its own update."""
    port = _served(machine)[0]
    listens, machine.listeners[port] = machine.listeners[port], lambda: False
    yield
    machine.listeners[port] = listens


def _pool_of(machine: Machine) -> Dataset | None:
    """The first pool that a machine of the lab has."""
    there = datasets(machine) if machine.name in machine.world.lab.pools else {}
    return next((there[name] for name in there if "/" not in name), None)


@decay(
    "zpool-degraded",
    r"pool \S+ is whole: it is DEGRADED; `zpool status` names the disk, `zpool replace`",
    fits=lambda machine: _pool_of(machine) is not None,
)
def pool_degraded(machine: Machine) -> Iterator[None]:
    """A pool of a Linux machine goes on with a disk less."""
    pool = _pool_of(machine)
    assert pool is not None
    pool.state = "DEGRADED"
    yield
    pool.state = "ONLINE"


def _copied_by(machine: Machine) -> list[Repository]:
    """The repositories that a machine has copies of its own in."""
    known = machine.world.repositories.repositories.values()
    return [each for each in known if any(s.host == machine.name for s in each.snapshots)]


@decay(
    "restic-half-locked",
    r"no lock was left behind|take away locks that nobody holds",
    r"ended well on",
    fits=lambda machine: bool(_copied_by(machine)),
)
def half_locked(machine: Machine) -> Iterator[None]:
    """A copy was cut off and left its lock: copies go on, and nothing old is forgotten."""
    held = _copied_by(machine)[0]
    drawn = hashlib.sha256(f"{machine.world.seed}/{machine.name}/cut off".encode()).hexdigest()
    lock = Lock(drawn, machine.now_s(), machine.name, 4711)
    held.locks.append(lock)
    yield
    held.locks = [each for each in held.locks if each is not lock]  # restic unlock
