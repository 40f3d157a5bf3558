"""What a TrueNAS refuses to make, or makes otherwise than one means: of things that are to be made.

Source: TrueNAS middleware 25.04 to 26: `pool.create`, `pool.dataset.create`, `pool.snapshottask`,
`pool.scrub`, `filesystem.setacl`, `interface.create`.
"""

import re
from collections.abc import Iterator, Mapping

from homelab_lib.lab.accounts import Acl
from homelab_lib.lab.checks.fault import Fault
from homelab_lib.lab.checks.pools import written
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.nas import Nas
from homelab_lib.lab.pools import HOLDS_DATA, Pool
from homelab_lib.lab.storage import Dataset, SmbShare

_BONDS = ("lacp", "active-backup", "balance-xor")
_FEWEST = {"raidz1": 3, "raidz2": 4, "raidz3": 5}
_MOST_SINCE_26 = {"mirror": 4, "raidz1": 15, "raidz2": 15, "raidz3": 15}
_ASHIFT = 12
_LONGEST_NAME = 50
_TELLS_CAPITALS_APART = ("NFS", "GENERIC", "APPS")
_LEAST_QUOTA_BYTES = 2**30
_RECORD_BYTES = tuple(2**n for n in range(9, 25))
_IN_NAMES = ("%Y", "%m", "%d", "%H", "%M")
_SHORTEST_MONTH_DAYS = 28


def faults(lab: Lab) -> Iterator[Fault]:
    for name, host in lab.hosts.items():
        if host.os.kind != "truenas":
            continue
        if host.phase is not None:
            yield from _interfaces(("hosts", name), host)
        for pool in lab.pools.get(name, {}).values():
            if pool.phase is not None:
                yield from _pool(("pools", name, pool.name), pool, host.os.version)
        for dataset in lab.datasets.get(name, {}).values():
            if dataset.phase is not None:
                yield from _dataset(("datasets", name, dataset.name), dataset, lab)
        for share in lab.smb_shares.get(name, {}).values():
            if share.phase is not None:
                yield from _capitals(("smb_shares", name, share.name), share, lab)
        if name in lab.nas:
            yield from _tasks(("nas", name), lab.nas[name])
            yield from _lists(("nas", name, "acls"), lab.nas[name], lab)


def _interfaces(path: Steps, host: Host) -> Iterator[Fault]:
    """By ``_common_validation`` of its interface.create."""
    for name, bond in host.bonds.items():
        if not re.fullmatch(r"bond\d+", name):
            what = f"TrueNAS calls bonds bond0, bond1 and so on, and none {name}"
            yield Fault((*path, "bonds", name), what)
        if bond.kind not in _BONDS:
            what = f"TrueNAS makes no {bond.kind} of several ports; it has {', '.join(_BONDS)}"
            yield Fault((*path, "bonds", name, "kind"), what)
    carriers: dict[int, str] = {}
    for room, attached in (("ports", host.ports), ("bonds", host.bonds)):
        for name, port in attached.items():
            for tag in port.on_tagged:
                if carriers.setdefault(tag, name) != name:
                    what = f"TrueNAS has VLAN {tag} once, as vlan{tag}; {carriers[tag]} carries it"
                    yield Fault((*path, room, name, "addresses", tag), what)


def _pool(path: Steps, pool: Pool, version: str) -> Iterator[Fault]:
    """What zpool makes, and TrueNAS doesn't: by ``_validate_topology`` of its pool.create."""
    newer = version.startswith("26")
    if any(letter.isspace() for letter in pool.name):
        yield Fault(path, "TrueNAS makes no pool with a space in its name; its datasets may have")
    if len(pool.name) > _LONGEST_NAME and not newer:
        yield Fault(path, f"TrueNAS takes {_LONGEST_NAME} letters at most as a pool's name")
    if pool.ashift != _ASHIFT:
        yield Fault((*path, "ashift"), f"TrueNAS makes pools with ashift {_ASHIFT} only")
    kinds: dict[str, str] = {}
    for where, group in written(path, pool):
        kind = group.layout.partition(":")[0]
        least, width = _FEWEST.get(kind, 1), len(group.disks)
        if isinstance(pool.vdevs, int):
            width //= pool.vdevs
        if width < least:
            what = f"TrueNAS makes a {kind} vdev of {least} disks or more; here it has {width}"
            yield Fault((*where, "disks"), what)
        elif newer and group.role == "data" and width > (most := _MOST_SINCE_26.get(kind, width)):
            what = f"TrueNAS makes a {kind} vdev of {most} disks at most; here it has {width}"
            yield Fault((*where, "disks"), what)
        if group.role in ("special", "dedup") and kind not in ("mirror", "stripe") and not newer:
            what = f"TrueNAS takes no {kind} as {group.role}; only a mirror or a stripe"
            yield Fault((*where, "layout"), what)
        if group.role in HOLDS_DATA and kinds.setdefault(group.role, kind) != kind:
            what = f"TrueNAS makes no pool of a {kinds[group.role]} and a {kind} as {group.role}"
            yield Fault((*where, "layout"), what)
    logs = [where for where, g in written(path, pool) if g.role == "log" and g.layout == "mirror"]
    for where in logs[1:]:
        yield Fault(where, "TrueNAS makes a pool with one vdev as log only")


def _dataset(path: Steps, dataset: Dataset, lab: Lab) -> Iterator[Fault]:
    pool = lab.pools.get(dataset.host, {}).get(dataset.pool)
    later = pool.phase if pool is not None else None
    if later is not None and dataset.phase is not None and later > dataset.phase:
        yield Fault((*path, "phase"), f"its pool is made in phase {later} only")
    quota, record = dataset.quota_bytes, dataset.recordsize_bytes
    if quota is not None and 0 < quota < _LEAST_QUOTA_BYTES:
        yield Fault((*path, "quota_bytes"), "TrueNAS takes 1 GiB or more, or 0 for none")
    if record is not None and record not in _RECORD_BYTES:
        what = "a record has a power of two of bytes, from 512 to 16 MiB"
        yield Fault((*path, "recordsize_bytes"), what)


def _capitals(path: Steps, share: SmbShare, lab: Lab) -> Iterator[Fault]:
    """A share that is to be made lies on a dataset whose names Windows understands."""
    dataset = lab.datasets.get(share.host, {}).get(share.dataset or "")
    if dataset is None:
        return
    if dataset.share_type in _TELLS_CAPITALS_APART:
        what = f"dataset {dataset.name!r} is made with share_type {dataset.share_type}, which tells"
        what += " capitals apart; Windows doesn't: make it SMB, or MULTIPROTOCOL where NFS has it"
        yield Fault((*path, "dataset"), f"{what}, too")


def _tasks(path: Steps, nas: Nas) -> Iterator[Fault]:
    for name, task in nas.snapshot_tasks.items():
        missing = [mark for mark in _IN_NAMES if mark not in task.naming_schema]
        if task.phase is not None and missing:
            what = f"TrueNAS wants {', '.join(missing)} in it, too, to tell one from the next"
            yield Fault((*path, "snapshot_tasks", name, "naming_schema"), what)
    for name, scrub in nas.scrubs.items():
        monthly = scrub.schedule.split()[2] != "*"
        if monthly and scrub.threshold_days >= _SHORTEST_MONTH_DAYS:
            what = f"a scrub less than {scrub.threshold_days} days after the last is left out, so "
            what += "that one each month runs every second month: write 20"
            yield Fault((*path, "scrubs", name, "threshold_days"), what)


def _lists(path: Steps, nas: Nas, lab: Lab) -> Iterator[Fault]:
    """Each list is of its dataset's kind, which its share_type chooses."""
    for name, acl in nas.acls.items():
        dataset = lab.datasets.get(nas.name, {}).get(name)
        if dataset is None or acl.phase is None or dataset.phase is None:
            continue
        if dataset.phase > acl.phase:
            what = f"its dataset is made in phase {dataset.phase} only"
            yield Fault((*path, name, "phase"), what)
        yield from _kind((*path, name), acl, dataset, lab.datasets[nas.name])


def _kind(
    path: Steps, acl: Acl, dataset: Dataset, all_of_them: Mapping[str, Dataset]
) -> Iterator[Fault]:
    # One without a kind of its own has that of the dataset above, and a pool has POSIX's.
    place: Dataset | None = dataset
    while place is not None and place.share_type == "GENERIC":
        place = all_of_them.get(place.name.rpartition("/")[0])
    has = "POSIX" if place is None else "NFS4"
    if acl.preset is None and not acl.entries:
        return  # owner and group only
    wants = (acl.preset or "NFS4").partition("_")[0]
    if wants != has:
        what = f"dataset {dataset.name!r} has lists of the other kind (share_type "
        what += f"{dataset.share_type}): take a preset that begins with {has}"
        yield Fault((*path, "preset") if acl.preset else path, what)
    elif has == "POSIX" and not all(entry.allow for entry in acl.entries):
        yield Fault((*path, "entries"), "a POSIX list refuses nobody by name")
