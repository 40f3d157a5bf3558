"""The locks that calls of a Proxmox node take while they change something.

Source: `PVE::Tools::lock_file_full` (pve-common 9.2), `PVE::QemuConfig`, `PVE::Storage::Plugin`: a
call waits for a while, and then says that it did not get the lock; it has changed nothing then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.proxmox.tasks import Tasks

_GUEST_S, _STORAGE_S = 10.0, 60.0


@dataclass
class _Hold:
    """Somebody's hold on a lock, which begins when the first call meets it."""

    for_s: float
    kind: str
    subject: str
    until_s: float | None = None


class Locks:
    """Those of a node.

    Parameters
    ----------
    world, tasks
        Where the time goes by, and who is at work.
    """

    def __init__(self, world: Surroundings, tasks: Tasks) -> None:
        self._world = world
        self._tasks = tasks
        self._held: dict[str, _Hold] = {}

    def hold(self, lock: str, for_s: float, kind: str, subject: str = "") -> None:
        """Have a task hold a lock, from when the first call meets it.

        Parameters
        ----------
        lock
            `guest_lock` or `storage_lock`.
        for_s
            How long [s].
        kind, subject
            Of the task: ``vzdump``, and the VM's number.
        """
        self._held[lock] = _Hold(for_s, kind, subject)

    def remaining_s(self, lock: str) -> float:
        """How long a lock is held from now on [s]."""
        held = self._held.get(lock)
        if held is None:
            return 0.0
        now = self._world.clock.now()
        if held.until_s is None:
            held.until_s = now + held.for_s
            upid = self._tasks.begin(held.kind, held.subject)
            self._world.after(held.for_s, lambda: self._tasks.end(upid), label=held.kind)
        return max(held.until_s - now, 0.0)


def guest_lock(vmid: int | str) -> str:
    """The file that is locked while a VM's configuration is changed."""
    return f"/var/lock/qemu-server/lock-{vmid}.conf"


def storage_lock(name: str) -> str:
    """The file that is locked while a volume is made on a storage of this node."""
    return f"/var/lock/pve-manager/pve-storage-{name}"


def taken_by(given: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """The locks that a call takes by what it is given, and how long it waits for each [s]."""
    if "vmid" in given:
        yield guest_lock(given["vmid"]), _GUEST_S
    stores = {value.partition(":")[0] for value in given.values() if ":" in value}
    for name in sorted(stores):
        yield storage_lock(name), _STORAGE_S
