"""Whether there is room: data against pools, volumes against storages, disks against each other."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import DiskPart
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.models.durability import ure_probability
from homelab_lib.units import format_bytes, format_ibytes
from homelab_lib.wiring.capacity import usable_of

FULL = 0.8
"""Share of a pool above which ZFS slows down, by its makers' advice."""
_MAY_MEET = 0.05  # chance of an unreadable sector in a rebuild that is worth a word
_USUAL_RATE = 1e-15  # of a NAS drive; drives for desktops are given ten times as many
_SPREAD = 0.02  # by which makers' disks "of one size" differ


@rule("data-exceeds-pool")
def data_fits(lab: Lab) -> Iterator[Finding]:
    """More data expected in a pool than it holds, or than it holds well."""
    for pool in every(lab.pools):
        sets = [each for each in lab.datasets.get(pool.host, {}).values() if each.pool == pool.name]
        wanted = sum(each.expected_bytes or 0 for each in sets)
        usable = usable_of(lab, pool)
        if not wanted or usable is None or wanted <= FULL * usable:
            continue
        yield Finding(
            "data-exceeds-pool",
            "stops" if wanted > usable else "costs",
            f"pools.{pool.id}",
            f"{format_bytes(wanted)} are expected in {pool.name}, which holds "
            f"{format_bytes(usable)}, and {format_bytes(FULL * usable)} before it slows down.",
            wanted,
            "B",
            tuple(f"{e.name}: {format_bytes(e.expected_bytes)}" for e in sets if e.expected_bytes),
            Fix("more or larger disks, or less data"),
        )


@rule("quota-beyond-pool")
def quotas_bind(lab: Lab) -> Iterator[Finding]:
    """A quota that its pool is full before."""
    for each in every(lab.datasets):
        pool = lab.pools.get(each.host, {}).get(each.pool)
        usable = usable_of(lab, pool) if pool else None
        if not each.quota_bytes or usable is None or each.quota_bytes <= usable:
            continue
        yield Finding(
            "quota-beyond-pool",
            "note",
            f"datasets.{each.id}.quota_bytes",
            f"{each.name} may hold {format_bytes(each.quota_bytes)}, and its pool is full at "
            f"{format_bytes(usable)}: the quota holds nothing back.",
            each.quota_bytes,
            "B",
        )


def _asked(lab: Lab, host: str) -> dict[str, int]:
    """What the guests of a host take of each of its storages [bytes]."""
    asked: dict[str, int] = {}
    for guest in lab.guests(host):
        more = guest.disks.values() if isinstance(guest, Vm) else guest.mounts.values()
        volumes = [(guest.storage, guest.disk_bytes)]
        volumes += [(v.storage, v.size_bytes) for v in more if v.storage and v.size_bytes]
        for storage, size in volumes:
            asked[storage] = asked.get(storage, 0) + size
    return asked


@rule("volumes-exceed-storage")
def volumes_fit(lab: Lab) -> Iterator[Finding]:
    """Disks of guests that are together larger than what they are on: it fills up one day, and
    all guests on it stop."""
    for host in lab.hosts.values():
        for name, asked in _asked(lab, host.name).items():
            storage = lab.storages.get(host.name, {}).get(name)
            if storage is None:
                continue
            pool = lab.pools.get(host.name, {}).get((storage.pool or "").partition("/")[0])
            holds = storage.size_bytes or (usable_of(lab, pool) if pool else None)
            if holds is None or asked <= holds:
                continue
            largest = max(
                guest.disk_bytes for guest in lab.guests(host.name) if guest.storage == name
            )
            yield Finding(
                "volumes-exceed-storage",
                "stops" if largest > holds else "risks",
                f"storages.{host.name}.{name}",
                f"Guests of {host.name} have {format_ibytes(asked)} of disks on {name}, which "
                f"holds {format_ibytes(holds)}.",
                asked,
                "B",
                fix=Fix("smaller disks, or another storage for some of them"),
            )


# Disks -------------------------------------------------------------------------------------------


@rule("disks-of-unlike-size")
def sizes_alike(lab: Lab) -> Iterator[Finding]:
    """Disks of different size in one vdev: of each counts what the smallest has."""
    for pool in every(lab.pools):
        disks = lab.hardware(pool.host).disks
        for group in pool.groups:
            sizes = [disks[name].capacity_bytes for name in group.disks]
            wasted = sum(sizes) - len(sizes) * min(sizes)
            if group.layout == "stripe" or wasted <= _SPREAD * sum(sizes):
                continue
            yield Finding(
                "disks-of-unlike-size",
                "costs",
                f"pools.{pool.id}",
                f"{', '.join(group.disks)} are of different size: {format_bytes(wasted)} of them "
                "are not used.",
                wasted,
                "B",
                tuple(
                    f"{name}: {format_bytes(disks[name].capacity_bytes)}" for name in group.disks
                ),
                Fix("disks of one size in a vdev, and the others in one of their own"),
            )


@rule("sectors-too-small")
def sectors_match(lab: Lab) -> Iterator[Finding]:
    """A pool that writes smaller pieces than its disks: each write is a read and a write."""
    for pool in every(lab.pools):
        disks = lab.hardware(pool.host).disks
        parts = [disks[name].part for name in pool.disks_for()]
        large = [part for part in parts if part.physical_sector_bytes > 1 << pool.ashift]
        if not large:
            continue
        needed = max(part.physical_sector_bytes for part in large).bit_length() - 1
        yield Finding(
            "sectors-too-small",
            "costs",
            f"pools.{pool.id}.ashift",
            f"{pool.name} is to have sectors of {1 << pool.ashift} bytes (ashift {pool.ashift}), "
            f"and {len(large)} of its disks have {1 << needed}. It can't be changed later.",
            1 << pool.ashift,
            "B",
            (fact(large[0], f"{large[0].physical_sector_bytes} bytes"),),
            Fix(f"ashift {needed}", changes=((f"pools.{pool.id}.ashift", needed),)),
        )


@rule("redundancy-too-thin")
def survives_a_rebuild(lab: Lab) -> Iterator[Finding]:
    """A layout that one lost disk leaves with nothing to spare while terabytes are read, or
    several disks of which each takes the pool with it."""
    for pool in every(lab.pools):
        disks = lab.hardware(pool.host).disks
        data = [group for group in pool.groups if group.role == "data"]
        bare = sum(len(group.disks) for group in data if not group.failures)
        if bare > 1:
            yield Finding(
                "redundancy-too-thin",
                "risks",
                f"pools.{pool.id}.layout",
                f"{pool.name} has no redundancy over {bare} disks: each of them takes the whole "
                "pool with it.",
                bare,
                "disks",
                fix=Fix("mirrors, or raidz"),
            )
            continue
        chance, usual = max(
            (
                _unreadable([disks[name].part for name in group.disks])
                for group in data
                if group.failures == 1 and group.layout.startswith("raidz")
            ),
            default=(0.0, False),
        )
        if chance < _MAY_MEET:
            continue
        rate = (
            "at one sector in 10^15 bits, the better of the rates that makers give (the catalog "
            "has none for these disks),"
            if usual
            else "at the makers' rate"
        )
        yield Finding(
            "redundancy-too-thin",
            "risks",
            f"pools.{pool.id}.layout",
            f"When a disk of {pool.name} fails, the others are read to the end with nothing to "
            f"spare: {rate} {chance:.0%} of such rebuilds meet a sector that can't "
            "be read, and lose what is in it.",
            chance,
            "probability",
            fix=Fix("raidz2, or mirrors"),
        )


def _unreadable(parts: list[DiskPart]) -> tuple[float, bool]:
    """That reading all but one of a vdev's disks meets an unreadable sector, and whether that rests
    on what is usual of turning disks and not on their catalog's facts."""
    rates = [part.unreadable_per_bit for part in parts]
    usual = [
        _USUAL_RATE
        for part, rate in zip(parts, rates, strict=True)
        if rate is None and part.media == "HDD"
    ]
    read = (len(parts) - 1) * min(part.capacity_bytes for part in parts) * FULL
    return ure_probability(read, max([0.0, *usual, *filter(None, rates)])), bool(usual)
