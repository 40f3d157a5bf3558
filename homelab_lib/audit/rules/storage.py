"""Capacity before overhead, redundancy that is not there, backups that go down with the rest."""

import re
from collections.abc import Iterator

from homelab_lib.audit.facts_storage import not_computed
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.lab.pools import Pool
from homelab_lib.units import format_bytes, format_ibytes
from homelab_lib.wiring.capacity import usable_of

_TOLERANCE = 0.01
_COPY = re.compile(r"back-?\s?up|archiv|snapshot|replica", re.IGNORECASE)
_AWAY = re.compile(r"off-?\s?site|cloud|second location|another place", re.IGNORECASE)
_SAFE = re.compile(r"redundan|mirror|raid", re.IGNORECASE)


def _disk_bytes(lab: Lab, pool: Pool) -> list[int]:
    disks = lab.hardware(pool.host).disks
    return [disks[name].capacity_bytes for name in pool.disks_for("data")]


@rule("capacity-before-overhead")
def capacity_right(lab: Lab) -> Iterator[Finding]:
    """A usable size that is not what ZFS leaves of the disks."""
    for pool in every(lab.pools):
        usable = usable_of(lab, pool)
        claimed = pool.claimed_usable_bytes
        if not claimed or usable is None or abs(claimed - usable) <= _TOLERANCE * usable:
            continue
        wrong = next(
            (f"; {said} in place of {meant} would be it" for said, meant, factor in (
                ("TiB", "TB", 1e12 / 2**40), ("TB", "TiB", 2**40 / 1e12))
             if abs(claimed * factor - usable) <= _TOLERANCE * usable), ""
        )  # fmt: skip
        path = f"pools.{pool.id}.claimed_usable_bytes"
        disks = pool.disks_for("data")
        part = lab.hardware(pool.host).disks[disks[0]].part
        yield Finding(
            "capacity-before-overhead",
            "costs",
            path,
            f"{pool.name} is said to hold {format_bytes(claimed)}; ZFS leaves "
            f"{format_bytes(usable)} ({format_ibytes(usable)}) of {len(disks)} disks in "
            f"{pool.shape[0] if pool.shape else pool.title}{wrong}. At 80 %, where it slows "
            f"down, that is {format_bytes(usable * 0.8)}.",
            usable,
            "B",
            (fact(part, f"{part.capacity_bytes} bytes"), "OpenZFS's own arithmetic, 128 KiB"),
            Fix("write what is left", changes=((path, usable),)),
        )


@rule("pool-not-computed")
def pool_computed(lab: Lab) -> Iterator[Finding]:
    """A pool of which no chance of loss is computed, and why."""
    for pool in every(lab.pools):
        if why := not_computed(lab, pool):
            yield Finding(
                "pool-not-computed",
                "note",
                f"pools.{pool.id}",
                f"How likely {pool.name} ({pool.title}) is lost is not computed: {why}.",
            )


@rule("size-in-wrong-unit")
def sizes_right(lab: Lab) -> Iterator[Finding]:
    """A disk or a pool's raw size that is written otherwise than the disks have it."""
    rows: list[tuple[str, int | None, int]] = []
    for host in lab.hosts.values():
        for disk in host.disks.values():
            path = f"hosts.{host.name}.disks.{disk.name}.claimed_capacity_bytes"
            rows.append((path, disk.claimed_capacity_bytes, disk.capacity_bytes))
    for pool in every(lab.pools):
        path = f"pools.{pool.id}.claimed_raw_bytes"
        rows.append((path, pool.claimed_raw_bytes, sum(_disk_bytes(lab, pool))))
    for path, claimed, real in rows:
        if claimed and abs(claimed - real) > _TOLERANCE * real:
            yield Finding(
                "size-in-wrong-unit",
                "costs",
                path,
                f"{format_bytes(claimed)} are written, and it is {format_bytes(real)}, or "
                f"{format_ibytes(real)}.",
                real,
                "B",
                fix=Fix("write what it is", changes=((path, real),)),
            )


@rule("redundancy-not-there")
def redundancy_real(lab: Lab) -> Iterator[Finding]:
    """A pool said to survive more lost disks than it does, or a disk said to be redundant."""
    for pool in every(lab.pools):
        borne = pool.failures
        if (pool.claimed_failures or 0) > borne:
            path = f"pools.{pool.id}.claimed_failures"
            yield Finding(
                "redundancy-not-there",
                "risks",
                path,
                f"{pool.name} is said to survive {pool.claimed_failures} lost disks; "
                f"{pool.title} survives {borne}.",
                borne,
                "disks",
                fix=Fix(f"promise {borne}", changes=((path, borne),)),
            )
    for host in lab.hosts.values():
        safe = {
            name
            for pool in every(lab.pools)
            if lab.hardware(pool.host) is host and pool.failures > 0
            for name in pool.disks_for("data", "special", "dedup")
        }
        for disk in host.disks.values():
            if _SAFE.search(disk.purpose) and disk.name not in safe:
                yield Finding(
                    "redundancy-not-there",
                    "risks",
                    f"hosts.{host.name}.disks.{disk.name}",
                    f'{disk.name} of {host.name} is called "{disk.purpose}", and is in no pool '
                    "that survives its loss.",
                    0,
                    "disks",
                )


@rule("vms-without-redundancy")
def vms_safe(lab: Lab) -> Iterator[Finding]:
    """VM disks on a pool that survives nothing, while the host has one that does, with room."""
    for host in lab.hosts.values():
        kept = {n: s for n, s in lab.storages.get(host.name, {}).items() if s.pool}
        here = lab.pools.get(host.name, {})
        pools = {n: here.get((s.pool or "").partition("/")[0]) for n, s in kept.items()}
        safe = [
            name
            for name, pool in pools.items()
            if pool and pool.failures and "images" in kept[name].content
        ]
        vms = [vm for vm in lab.vms.values() if vm.host == host.name]
        bare = [vm for vm in vms if (pool := pools.get(vm.storage)) and not pool.failures]
        if not bare or not safe:
            continue
        size = sum(vm.disk_bytes for vm in bare)
        there = {n: (usable_of(lab, pool) or 0) * 0.8 for n in safe if (pool := pools[n])}
        guests = lab.guests(host.name)
        used = {n: sum(each.disk_bytes for each in guests if each.storage == n) for n in safe}
        roomy = [name for name in safe if used[name] + size <= there[name]]
        if roomy:
            changes = tuple((f"vms.{vm.name}.storage", roomy[0]) for vm in bare)
            yield Finding(
                "vms-without-redundancy",
                "risks",
                f"storages.{host.name}.{bare[0].storage}",
                f"{len(bare)} VMs with {size / 2**30:g} GiB are on {bare[0].storage}, which "
                f"survives no lost disk; {', '.join(roomy)} of the same host does and has room.",
                len(bare),
                "VMs",
                tuple(vm.name for vm in bare),
                Fix(f"their disks on {roomy[0]}", changes=changes),
            )


# Backups -----------------------------------------------------------------------------------------


def _is_copy(*texts: str) -> bool:
    return any(_COPY.search(text) for text in texts)


@rule("backup-in-same-pool")
def backups_elsewhere(lab: Lab) -> Iterator[Finding]:
    """Data whose only backup is in the pool, or the machine, that holds the data itself."""
    away = [
        s
        for s in lab.services.values()
        if any(_AWAY.search(text) for text in (s.name, s.title, s.purpose))
    ]
    covered = {name for service in away for name in service.datasets}
    copies = [d for d in every(lab.datasets) if _is_copy(d.name, d.purpose)]
    for host, pool in {(d.host, d.pool): None for d in copies}:
        here = [d for d in lab.datasets[host].values() if d.pool == pool]
        bare = [d for d in here if d not in copies and d.id not in covered]
        if not bare:
            continue
        fix = Fix("a copy outside the house, or on another machine")
        if away:
            path = f"services.{away[0].name}.datasets"
            whole = [*away[0].datasets, *(d.id for d in bare)]
            fix = Fix(f"{away[0].title} takes them, too", changes=((path, whole),))
        yield Finding(
            "backup-in-same-pool",
            "risks",
            f"pools.{host}.{pool}",
            f"{', '.join(d.name for d in bare)} are in the pool that keeps the backups, and "
            "nothing takes them elsewhere: what takes the pool takes both.",
            len(bare),
            "datasets",
            tuple(f"{d.name}: {d.purpose}" for d in here),
            fix,
        )


@rule("backup-falls-with-host")
def backup_server_elsewhere(lab: Lab) -> Iterator[Finding]:
    """A backup service on the machine whose VMs it is to bring back; a tier nothing fills."""
    for service in lab.services.values():
        if service.runs_on is None or not _is_copy(service.name, service.title, service.purpose):
            continue
        vm = lab.vms.get(service.runs_on)
        host = vm.host if vm else service.runs_on
        guests = [each.name for each in lab.vms.values() if each.host == host]
        if guests and re.search(r"\bVMs?\b", service.purpose):
            yield _falls(service.name, service.title, host, guests, "VMs")
    for tier in lab.tiers.values():
        if not tier.pools and tier.offsite and not any(
            _AWAY.search(f"{s.title} {s.purpose}") for s in lab.services.values()
        ):  # fmt: skip
            yield Finding(
                "backup-falls-with-host",
                "risks",
                f"tiers.{tier.name}",
                f"The tier {tier.title} is outside the house, and no service brings anything there "
                f"({' or '.join(tier.offsite)}).",
            )


def _falls(name: str, title: str, host: str, lost: list[str], kind: str) -> Finding:
    return Finding(
        "backup-falls-with-host",
        "risks",
        f"services.{name}",
        f"{title} runs on {host}, and so do the {kind} it is to bring back: {', '.join(lost)}.",
        len(lost),
        kind,
        fix=Fix("on another machine", changes=((f"services.{name}.runs_on", None),)),
    )


@rule("system-on-usb-stick")
def boots_well(lab: Lab) -> Iterator[Finding]:
    """A storage system that boots from a USB drive, which its makers advise against."""
    for host in lab.hosts.values():
        for disk in host.disks.values():
            usb = disk.part.fits.startswith("USB")
            if host.os.kind == "truenas" and disk.role == "boot" and usb:
                yield Finding(
                    "system-on-usb-stick",
                    "risks",
                    f"hosts.{host.name}.disks.{disk.name}",
                    f"{host.title} boots from a {disk.part.title}: TrueNAS writes to its boot pool "
                    "all the time, and its makers discourage USB sticks.",
                    evidence=(
                        "TrueNAS documentation, hardware guide",
                        fact(disk.part, f"fits {disk.part.fits}"),
                    ),
                    fix=Fix("an SSD on a SATA, eMMC or M.2 place, or in a good USB case"),
                )
