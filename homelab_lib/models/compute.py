"""Memory and threads of a hypervisor: what is there, what is promised, what is really left.

References
----------
Proxmox VE Administration Guide 9.1: "ZFS on Linux" (ARC limit), "PCI(e) Passthrough".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab_lib.models.bounds import BELOW_ONE, COUNT, NOT_NEGATIVE, POSITIVE, WHOLE, holds, takes

GIB = 2**30


@takes(installed_bytes=POSITIVE, firmware_share=BELOW_ONE)
def visible_memory_bytes(installed_bytes: int, *, firmware_share: float = 0.025) -> int:
    """What the operating system sees of the installed memory [bytes].

    Parameters
    ----------
    installed_bytes
        The modules together [bytes].
    firmware_share
        What firmware, an integrated GPU and page tables keep. 128 GiB showed as 124.8 GiB on an
        X870 board: 2.5 %.

    References
    ----------
    One board's `inxi` output; measure your own with `free -b`.
    """
    return round(installed_bytes * (1 - firmware_share))


@takes(channels=COUNT, mtps=POSITIVE)
def memory_bytes_per_s(channels: int, mtps: float) -> float:
    """What main memory carries at most [bytes/s].

    Parameters
    ----------
    channels
        Channels of 64 bits that have a module.
    mtps
        Transfers a second [10^6/s].

    References
    ----------
    JEDEC JESD79-5, §2: 64 data lines a channel, one transfer each.
    """
    return channels * 8 * mtps * 1e6


@takes(memory_bytes=POSITIVE)
def default_arc_bytes(memory_bytes: int, *, fresh_install: bool = True) -> int:
    """How large Proxmox lets the ZFS cache grow [bytes].

    Parameters
    ----------
    memory_bytes
        What the host sees [bytes].
    fresh_install
        Installed with 8.1 or later: a tenth, at most 16 GiB. An upgraded host keeps one half.

    References
    ----------
    Administration Guide, "Limit ZFS Memory Usage".
    """
    return min(memory_bytes // 10, 16 * GIB) if fresh_install else memory_bytes // 2


@dataclass(frozen=True)
@holds(vcpu=COUNT, memory_bytes=POSITIVE)
class Guest:
    """What a VM is promised.

    Parameters
    ----------
    name
        The VM.
    vcpu
        Virtual CPUs.
    memory_bytes
        Memory [bytes].
    passthrough
        It has a PCI device: its memory is pinned whole, and ballooning is no use.
    """

    name: str
    vcpu: int
    memory_bytes: int
    passthrough: bool = False


@dataclass(frozen=True)
class Room:
    """A host's memory and threads against what its guests are promised.

    Parameters
    ----------
    memory_bytes
        What the host sees [bytes].
    guests_bytes
        Promised to guests, with QEMU's own share [bytes].
    pinned_bytes
        Of it, what can never be taken back [bytes].
    host_bytes
        For the host itself and its ZFS cache [bytes].
    threads
        Hardware threads.
    vcpu
        Promised to guests and kept for the host.
    """

    memory_bytes: int
    guests_bytes: int
    pinned_bytes: int
    host_bytes: int
    threads: int
    vcpu: int

    @property
    def left_bytes(self) -> int:
        """Memory that nobody was promised; negative where it was sold twice [bytes]."""
        return self.memory_bytes - self.guests_bytes - self.host_bytes

    @property
    def vcpu_ratio(self) -> float:
        """Promised virtual CPUs per thread; above 1 they take turns."""
        return self.vcpu / self.threads


@takes(
    memory_bytes=POSITIVE,
    threads=COUNT,
    arc_bytes=NOT_NEGATIVE,
    host_bytes=NOT_NEGATIVE,
    host_vcpu=WHOLE,
    qemu_share=NOT_NEGATIVE,
)
def room(
    guests: Sequence[Guest],
    *,
    memory_bytes: int,
    threads: int,
    arc_bytes: int = 0,
    host_bytes: int = 4 * GIB,
    host_vcpu: int = 0,
    qemu_share: float = 0.05,
) -> Room:
    """What is left on a hypervisor once every guest has what it was promised.

    Parameters
    ----------
    guests
        All that may run at the same time.
    memory_bytes
        What the host sees [bytes].
    threads
        Hardware threads.
    arc_bytes
        What the ZFS cache may grow to [bytes].
    host_bytes, host_vcpu
        What the host keeps for itself [bytes, threads].
    qemu_share
        QEMU's own memory over a guest's.

    References
    ----------
    Σ guests × (1 + share) + cache + host ≤ memory; pinned because VFIO maps all of a guest's
    memory for the device (Linux, Documentation/driver-api/vfio.rst).
    """
    names = [g.name for g in guests]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"guests has two of the name {twice!r}; each counts once")
    promised = {g.name: round(g.memory_bytes * (1 + qemu_share)) for g in guests}
    return Room(
        memory_bytes=memory_bytes,
        guests_bytes=sum(promised.values()),
        pinned_bytes=sum(promised[g.name] for g in guests if g.passthrough),
        host_bytes=host_bytes + arc_bytes,
        threads=threads,
        vcpu=sum(g.vcpu for g in guests) + host_vcpu,
    )
