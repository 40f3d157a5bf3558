"""Whether what a host has promised is there: the one sum of its memory and threads."""

from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Container, Reservation, Vm
from homelab_lib.lab.host import Host
from homelab_lib.models import compute

GIB = 2**30
_HOST_BYTES = 4 * GIB  # what a hypervisor takes for itself, where the lab keeps nothing for it


@dataclass(frozen=True)
class Promises:
    """What a host has, and what it has promised.

    Parameters
    ----------
    room
        The sum.
    installed_bytes
        Its modules [bytes].
    arc_bytes
        What its ZFS cache may grow to, inside of what is kept for the host [bytes]; 0 without ZFS.
    guests
        VMs and what is kept for guests that nobody has described, by name [bytes each].
    containers
        Containers, by name [bytes each].
    kept_bytes
        Kept for the host itself and its ZFS cache [bytes].
    """

    room: compute.Room
    installed_bytes: int
    arc_bytes: int
    guests: tuple[tuple[str, int], ...]
    containers: tuple[tuple[str, int], ...]
    kept_bytes: int


def promises(lab: Lab, host: Host) -> Promises | None:
    """What a host has promised; None where its memory or its processor is not described.

    VMs have QEMU's share on top. What a reservation keeps for the host (``for_host``) holds the ZFS
    cache, too, and counts as far as it is more than the host's own needs with that cache.

    Parameters
    ----------
    lab, host
        The lab, and one of its hosts.
    """
    if host.memory_bytes is None or host.threads is None:
        return None
    visible = compute.visible_memory_bytes(host.memory_bytes)
    has_zfs = any(pool.layout for pool in lab.pools.get(host.name, {}).values())
    arc = compute.default_arc_bytes(visible) if has_zfs else 0
    promised = lab.promised(host.name)
    for_host = [each for each in promised if isinstance(each, Reservation) and each.for_host]
    containers = [each for each in promised if isinstance(each, Container)]
    guests = [
        each
        for each in promised
        if isinstance(each, Vm) or (isinstance(each, Reservation) and not each.for_host)
    ]
    needs = min(_HOST_BYTES, visible // 4) + arc
    kept = max(sum(each.memory_bytes for each in for_host), needs)
    room = compute.room(
        [
            compute.Guest(
                f"{type(each).__name__} {each.name}",
                max(each.vcpu, 1),
                each.memory_bytes,
                isinstance(each, Vm) and bool(each.gpus),
            )
            for each in guests
        ],
        memory_bytes=visible,
        threads=host.threads,
        host_bytes=kept + sum(each.memory_bytes for each in containers),
        host_vcpu=sum(r.vcpu for r in for_host) + sum(c.vcpu for c in containers),
    )
    return Promises(
        room,
        host.memory_bytes,
        arc,
        tuple((_called(each), each.memory_bytes) for each in guests),
        tuple((each.name, each.memory_bytes) for each in containers),
        kept,
    )


def _called(guest: Vm | Reservation) -> str:
    return guest.title if isinstance(guest, Reservation) else guest.name
