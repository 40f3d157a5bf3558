"""API of pools.

Source: TrueNAS middleware 25.10 and 26, `pool`. `pool.create` looks at nothing but disks in use and
equal serial numbers, as the real one: a disk with partitions or with the label of an exported pool
is wiped.
"""

import errno
from typing import Any

from homelab_lib.models.zfs import Role
from homelab_lib.models.zfs_layout import parse_layout
from homelab_lib.twin.truenas.arguments.pools import PoolCreate, PoolCreate26
from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import HALFMOON, method
from homelab_lib.twin.truenas.zfs import Row, Vdev, ZPool, zpool_sizes
from homelab_lib.twin.truenas.zfs_dataset import root_dataset

_LEAST_DISKS = {"STRIPE": 1, "MIRROR": 2, "RAIDZ1": 3, "RAIDZ2": 4, "RAIDZ3": 5}
_LEAST_DISKS |= {"DRAID1": 2, "DRAID2": 3, "DRAID3": 4}
_MOST_DISKS = {"MIRROR": 4, "RAIDZ1": 15, "RAIDZ2": 15, "RAIDZ3": 15}
"""The widest vdevs for data since 26."""
_CLASSES: tuple[Role, ...] = ("data", "special", "dedup", "cache", "log")
_WIPE_S = 6.0
_LOCK = "pool_createupdate"
SUNDAYS = {"minute": "00", "hour": "00", "dom": "*", "month": "*", "dow": "7"}


@method("pool.query")
def pool_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Pools that the system knows, imported or not."""
    return query(nas.pool_rows(), filters, options)


@method("pool.import_find", job=True)
def import_find(nas: TrueNas) -> Work:
    """Pools on disks that are plugged in and not imported."""
    yield Progress(3.0, 0, "")
    names = sorted({disk.exported_zpool for disk in nas.disks.values() if disk.exported_zpool})
    ours = {pool.name: pool.guid for pool, _ in nas.exported.values()}
    return [
        {
            "name": name,
            "guid": ours.get(name) or nas.guid(f"exported {name}"),
            "status": "ONLINE",
            "hostname": "",
        }
        for name in names
    ]


@method("pool.create", {"data": PoolCreate26}, since=HALFMOON, job=True, lock=_LOCK)
@method("pool.create", {"data": PoolCreate}, until=HALFMOON, job=True, lock=_LOCK)
def pool_create(nas: TrueNas, data: Row) -> Work:
    """Wipe the disks and make a pool of them."""
    vdevs = _checked_vdevs(nas, data)
    disks = [disk for vdev in vdevs for disk in vdev.disks]
    for place, disk in enumerate(disks):
        nas.disks[disk].format()
        nas.blocks = blocks_of(nas)
        done = f"Formatting disks ({place + 1}/{len(disks)})"
        yield Progress(_WIPE_S, 30 * (place + 1) / len(disks), done)
    yield Progress(4.0, 90, "Creating ZFS Pool")
    size, usable = zpool_sizes(vdevs, nas.disks, nas.release)
    number = max((pool.id for pool in nas.pools.values()), default=0) + 1
    name, now_s = data["name"], nas.now_s()
    pool = ZPool(number, name, nas.guid(f"pool {name}"), vdevs, size, usable, now_s)
    first = not nas.pools
    nas.pools[name] = pool
    nas.blocks = blocks_of(nas)
    root = root_dataset(name, now_s)
    if data["encryption"]:
        root.key_format = "passphrase" if data["encryption_options"]["passphrase"] else "hex"
    if any(vdev.kind.startswith("DRAID") for vdev in vdevs):
        root.local["recordsize"] = str(2**20)
    nas.add_dataset(root)
    yield Progress(1.0, 95, "Setting pool options")
    scrub = {"pool": number, "threshold": 35, "description": "", "enabled": True}
    nas.tables["pool.scrub"].insert(scrub | {"schedule": dict(SUNDAYS)})
    if first:  # the system dataset leaves the boot pool for the first real one
        nas.config["systemdataset"] |= {"pool": name, "basename": f"{name}/.system"}
    return query(nas.pool_rows(), [["id", "=", number]], {"get": True})


def _checked_vdevs(nas: TrueNas, data: Row) -> list[Vdev]:
    errors = ValidationErrors()
    if data["name"] in nas.pools:
        errors.add("pool_create.name", "A pool with this name already exists.", errno.EEXIST)
    elif not data["name"][:1].isalpha():
        errors.add("pool_create.name", "Invalid pool name")
    if data["encryption"]:
        _check_encryption(data["encryption_options"], errors)
    errors.check()
    topology, vdevs = data["topology"], []
    for role in _CLASSES:
        for vdev in topology[role]:
            layout = _draid_layout(vdev) if vdev["type"].startswith("DRAID") else ""
            vdevs.append(Vdev(vdev["type"], list(vdev["disks"]), role, layout))
    _check_structure(vdevs, errors)
    _check_policy(vdevs, errors, since_26=nas.release >= HALFMOON, forced=_forced(data))
    errors.check()
    if spares := topology["spares"]:
        vdevs.append(Vdev("STRIPE", list(spares), "spare"))
    _check_disks(nas, [disk for vdev in vdevs for disk in vdev.disks], data, errors)
    errors.check()
    _check_spares(nas, vdevs, errors)
    errors.check()
    return vdevs


def _forced(data: Row) -> bool:
    return bool(data.get("force_topology"))


def _check_encryption(options: Row, errors: ValidationErrors) -> None:
    given = [key for key in ("generate_key", "key", "passphrase") if options[key]]
    if not given:
        text = "Key or passphrase must be provided if encryption is enabled."
        errors.add("pool_create.encryption_options.key", text)
    elif len(given) > 1:
        text = f"Only one of {', '.join(given)} must be provided."
        errors.add("pool_create.encryption_options.key", text)
    if options["key"] and set(options["key"].lower()) - set("0123456789abcdef"):
        errors.add("pool_create.encryption_options.key", "Invalid key: it must be hexadecimal")


def _draid_layout(vdev: Row) -> str:
    parity, width = int(vdev["type"][-1]), len(vdev["disks"])
    spares = vdev["draid_spare_disks"]
    data = vdev["draid_data_disks"]
    if data is None:  # as many as go, and eight at most
        data = max(min(8, width - spares - parity), 1)
    return f"draid{parity}:{data}d:{width}c:{spares}s"


def _check_structure(vdevs: list[Vdev], errors: ValidationErrors) -> None:
    """As many disks as each kind needs, and a dRAID that can be."""
    for place, vdev in _placed(vdevs):
        least = _LEAST_DISKS[vdev.kind]
        if vdev.role in ("data", "special", "dedup") and len(vdev.disks) < least:
            text = f"You need at least {least} disk(s) for this vdev type."
            errors.add(f"{place}.disks", text)
        elif vdev.layout:
            try:
                parse_layout(vdev.layout, len(vdev.disks))
            except ValueError as error:
                errors.add(f"{place}.type", f"Invalid dRAID configuration: {error}")
    for role in ("cache", "log"):
        if sum(vdev.role == role for vdev in vdevs) > 1:
            text = f"Only one row for the virtual device of type {role} is allowed."
            errors.add(f"pool_create.topology.{role}", text)


def _check_policy(
    vdevs: list[Vdev], errors: ValidationErrors, *, since_26: bool, forced: bool
) -> None:
    """What TrueNAS makes no pool of, though ZFS would; since 26 it can be forced."""
    redundant = any(vdev.role == "data" and vdev.kind != "STRIPE" for vdev in vdevs)
    before: dict[str, Vdev] = {}
    for place, vdev in _placed(vdevs):
        if since_26 and vdev.role == "special" and vdev.layout:
            errors.add(f"{place}.type", "dRAID is not supported for special vdevs.")
        if forced or vdev.role not in ("data", "special", "dedup"):
            continue
        most = _MOST_DISKS.get(vdev.kind, 255)
        if since_26 and vdev.role == "data" and len(vdev.disks) > most:
            text = f"You can have at most {most} disk(s) for this vdev type."
            errors.add(f"{place}.disks", text)
        last = before.get(vdev.role, vdev)
        if since_26 and vdev.role == "special":
            if redundant and vdev.kind == "STRIPE":
                text = "A special vdev with no redundancy is not allowed when data vdevs are "
                errors.add(f"{place}.type", f"{text}redundant.")
        elif last.kind != vdev.kind:
            text = f"You are not allowed to create a pool with different {vdev.role} vdev types "
            errors.add(f"{place}.type", f"{text}({last.kind} and {vdev.kind}).")
        elif since_26 and _other_width(last, vdev):
            text = f"You are not allowed to create a pool with {vdev.role} vdevs of different "
            text += f"widths ({len(last.disks)} and {len(vdev.disks)} disks)."
            errors.add(f"{place}.disks", text)
        before[vdev.role] = vdev


def _other_width(one: Vdev, other: Vdev) -> bool:
    data = other.role == "data" and other.kind != "STRIPE"
    return data and len(one.disks) != len(other.disks)


def _placed(vdevs: list[Vdev]) -> list[tuple[str, Vdev]]:
    """Each with its place in errors."""
    counts: dict[str, int] = {}
    found = []
    for vdev in vdevs:
        place = counts.get(vdev.role, 0)
        counts[vdev.role] = place + 1
        found.append((f"pool_create.topology.{vdev.role}.{place}", vdev))
    return found


def _check_spares(nas: TrueNas, vdevs: list[Vdev], errors: ValidationErrors) -> None:
    least = min(nas.disks[d].size_bytes for v in vdevs if v.role == "data" for d in v.disks)
    for name in (disk for vdev in vdevs if vdev.role == "spare" for disk in vdev.disks):
        if nas.disks[name].size_bytes < least:
            text = f"Spare {name} is smaller than the smallest data disk"
            errors.add("pool_create.topology", text)


def _check_disks(nas: TrueNas, names: list[str], data: Row, errors: ValidationErrors) -> None:
    place = "pool_create.topology"
    if twice := sorted({name for name in names if names.count(name) > 1}):
        errors.add(place, f"The following disks are named twice: {', '.join(twice)}.")
    if missing := [name for name in names if name not in nas.disks]:
        errors.add(place, f"The following disks were not found in system: {','.join(missing)}.")
    reserved = {name for pool in nas.pools.values() for name in pool.disks}
    reserved |= {disk.name for disk in nas.disks.values() if disk.boot}
    if used := [name for name in names if name in reserved]:
        errors.add(place, f"The following disks are already in use: {','.join(used)}.")
    if errors.errors or data["allow_duplicate_serials"]:
        return
    for name in names:
        if twins := set(nas.twins_of(name)) & (set(names) | reserved):
            both = ", ".join(sorted({name} | twins))
            text = f"Disks have duplicate serial numbers: {nas.disks[name].serial!r} ({both})."
            errors.add(place, text)
            return
