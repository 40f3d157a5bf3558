"""Pools of a TrueNAS, made of disks that are named by their serial numbers.

`pool.create` looks at nothing but disks in use and equal serial numbers: a disk with partitions, or
with the label of a pool that is not imported, it wipes. So all of that is looked at here, right
before it is sent.

Source: TrueNAS middleware 25.04 to 26: `pool.create`, `disk.details`, `disk.wipe`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from homelab_lib.answers import Shape, fitted
from homelab_lib.control.truenas.disks import Disk, importable, look_at_disks, serials, told
from homelab_lib.control.truenas.midclt import call, changing, follow_job
from homelab_lib.control.vdevs import Vdev, another, in_words, kind_of, settled, unclear
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.units import format_bytes


def _vdev(value: Any) -> Any:
    """A vdev of `pool.query`, with those in it."""
    known = {"type": str, "name?": str, "disk?": str, "children?": [_vdev]}
    return fitted(value, known)


_POOLS: Shape = [{"status": str, "healthy?": bool, "topology?": {str: [_vdev]}}]
_ROOT: Shape = [{"encrypted?": bool}]
_JOBS: Shape = [{"state": str}]
_ROLES = ("data", "special", "dedup", "log", "cache", "spare")
_SAME_SIZE = 0.01  # disks that are sold as the same differ by less


def lies_on(host: Host, pool: str) -> list[str] | None:
    """The serial numbers of the disks that a pool lies on, one for each that is missing left out.

    Parameters
    ----------
    host, pool
        The NAS, and the pool's name.

    Returns
    -------
    list of str or None
        None where there is no such pool, or where it is not imported.
    """
    rows = call(host, "pool.query", [["name", "=", pool]], shape=_POOLS)
    topology = rows[0].get("topology") if rows else None
    if topology is None:
        return None
    known = serials(host)
    disks = [disk for role in _ROLES for row in topology.get(role, ()) for disk in _leaves(row)]
    return sorted({known[disk] for disk in disks if disk in known})


@dataclass(frozen=True)
class Pool:
    """A pool.

    Parameters
    ----------
    host, pool
        Where it is, and what it is called.
    vdevs
        What it is made of.
    sizes
        What each disk should hold [bytes], by its serial number.
    encrypted
        Whether it is encrypted by a key that the NAS makes.
    """

    host: str
    pool: str
    vdevs: tuple[Vdev, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)
    encrypted: bool = False
    timeout_s: float = 900.0
    looks_at: ClassVar[str] = "runs"

    @property
    def name(self) -> str:
        return f"pool {self.pool}"

    @property
    def serials(self) -> tuple[str, ...]:
        """Of all its disks."""
        return tuple(serial for vdev in self.vdevs for serial in vdev.serials)

    def observe(self, host: Host) -> dict[str, Any]:
        rows = call(host, "pool.query", [["name", "=", self.pool]], shape=_POOLS)
        if rows:
            return {"pool": self._as_found(host, rows[0])}
        running = [["method", "=", "pool.create"], ["state", "in", ["RUNNING", "WAITING"]]]
        return {
            "pool": None,
            "making": bool(call(host, "core.get_jobs", running, shape=_JOBS)),
            "importable": importable(host),
            "disks": look_at_disks(host),
        }

    def _as_found(self, host: Host, row: Mapping[str, Any]) -> dict[str, Any]:
        topology = row.get("topology")
        found = {"status": row["status"], "vdevs": None, "encrypted": False}
        if topology is None:
            return found
        known = serials(host)
        asked = ([["id", "=", self.pool]], {"extra": {"retrieve_children": False}})
        roots = call(host, "pool.dataset.query", *asked, shape=_ROOT)
        vdevs = [
            [role, *_shape_of(each, known)] for role in _ROLES for each in topology.get(role, ())
        ]
        encrypted = any(root.get("encrypted") for root in roots)
        return found | {"vdevs": settled(vdevs), "encrypted": encrypted}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["pool"] is not None:
            return self._as_wanted(observed["pool"])
        if observed["making"]:
            return Diff(waiting=f"TrueNAS is making a pool: {self.pool}, as it seems")
        if self.pool in observed["importable"]:
            return Diff(
                conflict=f"a pool {self.pool} lies on disks of {self.host} and is not imported; "
                "import it in TrueNAS, if it is yours, or take its disks out"
            )
        by_serial = self._by_serial(observed["disks"])
        if problems := list(self._problems(by_serial, observed["disks"])):
            return Diff(conflict="; ".join(problems))
        return Diff((self._create({s: found[0] for s, found in by_serial.items()}),))

    def _by_serial(self, disks: Sequence[Disk]) -> dict[str, list[Disk]]:
        return {serial: [d for d in disks if d["serial"] == serial] for serial in self.serials}

    def _problems(
        self, by_serial: Mapping[str, list[Disk]], disks: Sequence[Disk]
    ) -> Iterator[str]:
        """Why these disks make no pool; each in words for the person who put them in."""
        for serial, found in by_serial.items():
            names = [disk["name"] for disk in found]
            if says := unclear(self.host, serial, names, [told(disk) for disk in disks]):
                yield says
            else:
                yield from self._problem(found[0])

    def _problem(self, disk: Disk) -> Iterator[str]:
        wanted = self.sizes.get(disk["serial"], disk["size"])
        if disk["boot"]:
            yield f"TrueNAS starts from {told(disk)}"
        elif disk["imported"]:
            yield f"{told(disk)} is in pool {disk['pool']}"
        elif disk["pool"]:
            yield (
                f"{told(disk)} carries the label of pool {disk['pool']}, which is not imported and "
                "would be lost; if nobody needs it, wipe the disk in TrueNAS (Storage, Disks, Wipe)"
            )
        elif abs(disk["size"] - wanted) > _SAME_SIZE * wanted:
            yield f"{told(disk)} should hold {format_bytes(wanted)} by the lab: it is another one"

    def _create(self, disks: Mapping[str, Disk]) -> Change:
        used = {serial: disk for serial, disk in disks.items() if disk["holds"]}
        wiped = [f"{told(disk)} with {', '.join(disk['holds'])}" for disk in used.values()]
        document: dict[str, Any] = {"name": self.pool, "topology": self._topology(disks)}
        if self.encrypted:
            document |= {"encryption": True, "encryption_options": {"generate_key": True}}
        vdevs = [
            (v.role, v.kind, [told(disks[serial]) for serial in v.serials]) for v in self.vdevs
        ]
        return Change(
            f"make pool {self.pool}, {in_words(vdevs)}",
            changing("pool.create", document),
            destroys=tuple(f"disk {serial}" for serial in used),
            replaces="; ".join(wiped),
            undo=f"{NOT_UNDONE}: what is on these disks is lost"
            if used
            else "export it in TrueNAS (Storage), which may destroy what was put there since",
            follow=follow_job,
        )

    def _topology(self, disks: Mapping[str, Disk]) -> dict[str, Any]:
        """As the middleware wants it; disks that stand alone go into one row of their role."""
        found: dict[str, Any] = {}
        for vdev in self.vdevs:
            names = [disks[serial]["name"] for serial in vdev.serials]
            if vdev.role == "spare":
                found.setdefault("spares", []).extend(names)
                continue
            rows = found.setdefault(vdev.role, [])
            alone = next((row for row in rows if row["type"] == "STRIPE"), None)
            if vdev.kind == "STRIPE" and alone is not None:
                alone["disks"] += names
                continue
            row: dict[str, Any] = {"type": vdev.kind, "disks": names}
            if vdev.kind.startswith("DRAID"):
                row |= {"draid_data_disks": vdev.data, "draid_spare_disks": vdev.spares}
            rows.append(row)
        return found

    def _as_wanted(self, found: Mapping[str, Any]) -> Diff:
        """A pool that is there is left as it is: nothing of it can be changed without a risk."""
        if conflict := another(self.pool, found, self.vdevs):
            return Diff(conflict=conflict)
        if found["encrypted"] != self.encrypted:
            states = {True: "encrypted", False: "not encrypted"}
            return Diff(
                conflict=f"pool {self.pool} is {states[found['encrypted']]}, and the lab wants it "
                f"{states[self.encrypted]}: that is chosen when a pool is made, and never changed"
            )
        return Diff()


def _shape_of(row: Mapping[str, Any], known: Mapping[str, str]) -> tuple[str, list[str]]:
    """Kind and serial numbers of a vdev of `pool.query`; a disk that is missing has none."""
    leaves = sorted(known.get(str(disk), "?") for disk in _leaves(row))
    kind = "STRIPE" if row["type"] == "DISK" else str(row["type"])
    return (kind_of(str(row.get("name", ""))) if kind == "DRAID" else kind), leaves


def _leaves(row: Mapping[str, Any]) -> Iterator[str | None]:
    below = row.get("children") or ()
    for child in below:
        yield from _leaves(child)
    if not below:
        yield row.get("disk")
