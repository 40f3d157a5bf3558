"""Pools: their disks, and the shapes that zpool makes."""

from collections.abc import Iterator

from homelab_lib.lab.checks.fault import Fault, each_known, twice
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.lab.pools import HOLDS_DATA, Pool, Vdev, draid
from homelab_lib.lab.schedule import how_often

FEWEST = {"stripe": 1, "mirror": 2, "raidz1": 2, "raidz2": 3, "raidz3": 4}
"""Disks that a vdev of each layout needs at least, by ``is_grouping`` in zpool_vdev.c."""
_MOST = 255  # disks of a raidz or dRAID vdev, by the same
_LAYOUTS = {"log": ("stripe", "mirror"), "cache": ("stripe",), "spare": ("stripe",)}
"""Layouts of the roles that don't take all of them, by ``construct_spec``."""


def faults(lab: Lab) -> Iterator[Fault]:
    disks: list[tuple[Steps, str]] = []
    for pool in every(lab.pools):
        path = ("pools", pool.host, pool.name)
        host = hardware(lab, pool.host)
        if host is None:
            continue  # reported already
        yield from _written(path, pool)
        yield from _scrub(path, pool, lab)
        for where, group in written(path, pool):
            here = (*where, "disks")
            yield from _boots(here, pool, group, host)
            yield from each_known(here, group.disks, host.disks, f"disk of {host.name}")
            disks += [((*here, i), f"{host.name}.{d}") for i, d in enumerate(group.disks)]
            if not isinstance(pool.vdevs, int):
                yield from _vdev(where, group)
    yield from twice(disks, "the disk")


def hardware(lab: Lab, machine: str) -> Host | None:
    """The host that a machine is or runs on; None where there is none, which is said elsewhere."""
    vm = lab.vms.get(machine)
    return lab.hosts.get(machine if vm is None else vm.host)


def written(path: Steps, pool: Pool) -> Iterator[tuple[Steps, Vdev]]:
    """Each list of disks as it is written, with its place."""
    if not isinstance(pool.vdevs, int):
        yield from (((*path, "vdevs", i), group) for i, group in enumerate(pool.vdevs))
    elif pool.disks:
        yield path, Vdev(layout=pool.layout or "stripe", disks=pool.disks)


def _written(path: Steps, pool: Pool) -> Iterator[Fault]:
    """One of the two ways, whole, and with something that holds data."""
    if not isinstance(pool.vdevs, int):
        for field in ("layout", "disks"):
            if getattr(pool, field):
                yield Fault((*path, field), "each vdev of the list has its own: leave it out here")
        if not any(group.role == "data" for group in pool.vdevs):
            yield Fault((*path, "vdevs"), "a pool needs a vdev with the role 'data'")
        return
    for field in ("layout", "disks"):
        if not getattr(pool, field):
            yield Fault(path, f"{field!r} is missing: a pool has layout and disks, or vdevs")
    if pool.layout is None or not pool.disks:
        return
    width, rest = divmod(len(pool.disks), pool.vdevs)
    if rest or not width:
        what = f"{len(pool.disks)} disks don't divide into {pool.vdevs} equal vdevs"
        yield Fault((*path, "vdevs"), what)
    else:
        yield from _vdev(path, pool.groups[0])


def _boots(path: Steps, pool: Pool, group: Vdev, host: Host) -> Iterator[Fault]:
    """No runbook makes a pool of the disk on which the system lies."""
    if pool.phase is None:
        return
    for index, name in enumerate(group.disks):
        if name in host.disks and host.disks[name].role == "boot":
            what = f"{host.name} boots from {name}, and no runbook makes a pool of that: take "
            what += "another disk, or leave the pool's phase out where the installer has made it"
            yield Fault((*path, index), what)


def _scrub(path: Steps, pool: Pool, lab: Lab) -> Iterator[Fault]:
    """What is said of its scrub in two places is the same, and is made."""
    nas = lab.nas.get(pool.host)
    task = nas.scrubs.get(pool.name) if nas is not None else None
    system = lab.system(pool.host)
    if pool.scrub is None:
        return
    if task is not None and how_often(task.schedule) != pool.scrub:
        what = f"it is scrubbed {task.schedule!r} by nas.{pool.host}.scrubs.{pool.name}, which is "
        what += f"not {pool.scrub}: write the one that holds in both, or leave this one out"
        yield Fault((*path, "scrub"), what, first=("nas", pool.host, "scrubs", pool.name))
    kind = system.kind if system else "nothing"
    if pool.phase is not None and kind != "truenas" and pool.scrub != "monthly":
        what = f"{kind} scrubs its pools once a month by itself, and {pool.scrub} is not made: "
        yield Fault((*path, "scrub"), what + "write monthly, or say exists: true of the pool")


def _vdev(path: Steps, vdev: Vdev) -> Iterator[Fault]:
    """What `zpool create` says of one vdev."""
    width, layout = len(vdev.disks), vdev.layout
    allowed = _LAYOUTS.get(vdev.role)
    if allowed and layout not in allowed:
        what = f"zpool takes no {layout} as {vdev.role}; only {' or '.join(allowed)}"
        yield Fault((*path, "layout"), what)
    elif layout.startswith("draid") and vdev.role not in HOLDS_DATA:
        yield Fault((*path, "layout"), f"zpool takes no dRAID as {vdev.role}")
    elif wrong := _draid(layout, width) if draid(layout) else "":
        yield Fault((*path, "layout"), wrong)
    elif width < FEWEST.get(layout, 1):
        what = f"a {layout} vdev needs {FEWEST[layout]} disks or more; here it has {width}"
        yield Fault((*path, "disks"), what)
    elif layout.startswith("raidz") and width > _MOST:
        yield Fault((*path, "disks"), f"a {layout} vdev has {_MOST} disks at most")


def _draid(layout: str, width: int) -> str:
    """Why zpool refuses a dRAID of so many disks; empty where it takes it."""
    asked = draid(layout)
    if asked is None:
        return ""
    if asked.children is not None and asked.children != width:
        return f"{layout} says {asked.children} disks, and {width} are listed"
    if width > _MOST:
        return f"dRAID has {_MOST} disks at most"
    left = width - asked.parity - asked.spares
    if asked.spares > 100:
        return "dRAID has 100 distributed spares at most"
    if asked.data == 0 or left < (asked.data or 1):
        needs = asked.parity + asked.spares + (asked.data or 1)
        return (
            f"{layout} needs {needs} disks or more ({asked.data or 1} data, {asked.parity} parity, "
            f"{asked.spares} spare); here it has {width}"
        )
    return ""
