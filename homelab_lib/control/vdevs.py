"""What a ZFS pool is made of, by the serial numbers of its disks: as wanted, and as found."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DRAID = re.compile(r"draid(\d):(\d+)d:\d+c:(\d+)s")
_MOST_DATA = 8  # disks in a group of a dRAID that libzfs takes of itself


@dataclass(frozen=True)
class Vdev:
    """Disks that a pool uses together.

    Parameters
    ----------
    role
        ``data``, ``special``, ``dedup``, ``log``, ``cache`` or ``spare``.
    kind
        ``STRIPE``, ``MIRROR``, ``RAIDZ1`` … ``RAIDZ3``, ``DRAID1`` … ``DRAID3``.
    serials
        Serial numbers of its disks.
    data, spares
        Of a dRAID: data disks in a group (None: as many as there are, and eight at most),
        distributed spares.
    """

    role: str
    kind: str
    serials: tuple[str, ...]
    data: int | None = None
    spares: int = 0

    @property
    def shape(self) -> tuple[str, list[str]]:
        """Its kind, of a dRAID with its parts, and its disks in order."""
        if not self.kind.startswith("DRAID"):
            return self.kind, sorted(self.serials)
        data = self.data
        if data is None:
            data = min(_MOST_DATA, len(self.serials) - self.spares - int(self.kind[-1]))
        return f"{self.kind}:{data}d:{self.spares}s", sorted(self.serials)

    @property
    def failures(self) -> int:
        """How many of its disks it survives losing, whichever they are."""
        if self.kind == "MIRROR":
            return len(self.serials) - 1
        return 0 if self.kind == "STRIPE" else int(self.kind[-1])


def kind_of(name: str) -> str:
    """The kind of a vdev by what `zpool` calls it: ``raidz2-0``, ``draid2:4d:8c:1s-0``."""
    if draid := _DRAID.match(name):
        return f"DRAID{draid[1]}:{draid[2]}d:{draid[3]}s"
    return name.rpartition("-")[0].upper()


def settled(vdevs: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Vdevs (role, kind, disks) in an order that tells equal ones; disks that stand alone are
    taken together."""
    alone: dict[str, list[str]] = {}
    others = []
    for role, kind, disks in vdevs:
        if kind == "STRIPE" or role == "spare":
            alone.setdefault(role, []).extend(disks)
        else:
            others.append([role, kind, sorted(disks)])
    # A dRAID's distributed spares are shown among the spares, as disks of no name.
    single = [[role, "STRIPE", sorted(set(disks) - {"?"})] for role, disks in alone.items()]
    return sorted([*others, *(each for each in single if each[2])])


def another(pool: str, found: Mapping[str, Any], wanted: Sequence[Vdev]) -> str:
    """What is wrong with a pool that is there already; empty for nothing.

    Parameters
    ----------
    pool
        What it is called.
    found
        Its ``status``, and its ``vdevs``; None for those of a pool that is not imported.
    wanted
        What it is to be made of.
    """
    if found["vdevs"] is None:
        return f"pool {pool} is {found['status']}: import or mend it first"
    if found["status"] != "ONLINE":
        return f"pool {pool} is {found['status']}: mend it first"
    meant = settled([[each.role, *each.shape] for each in wanted])
    if found["vdevs"] == meant:
        return ""
    return (
        f"pool {pool} is there and is another one: it is made of {in_words(found['vdevs'])}, and "
        f"the lab wants {in_words(meant)}{_exchanged(found['vdevs'], meant)}; describe it as it "
        "is, or give the lab's another name"
    )


def _exchanged(found: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> str:
    """The one disk by which they differ, in words; empty where more does."""
    there, meant = ({disk for *_, disks in each for disk in disks} for each in (found, wanted))
    (ours, theirs) = (meant - there, there - meant)
    if len(ours) == len(theirs) == 1:
        return f", so where the lab has {ours.pop()} there is {theirs.pop()}"
    return ""


def in_words(vdevs: Sequence[Sequence[Any]]) -> str:
    """Vdevs (role, kind, disks) as a person says them."""
    return "; ".join(
        f"{'' if role == 'data' else role + ' '}{kind.lower()} of {', '.join(disks)}"
        for role, kind, disks in vdevs
    )


def unclear(host: str, serial: str, found: Sequence[str], there: Sequence[str]) -> str:
    """Why nobody can tell which disk has a serial number; empty where one has it.

    Parameters
    ----------
    host, serial
        Where, and which.
    found
        Names of the disks that say that it is theirs.
    there
        What disks there are, in words.
    """
    if not found:
        has = ", ".join(there) or "none at all"
        return f"{host} has no disk with the serial number {serial}; it has {has}"
    if len(found) == 1:
        return ""
    return (
        f"{' and '.join(found)} both say that their serial number is {serial}, so nobody can tell "
        "which is meant; USB bridges do that: take one out"
    )
