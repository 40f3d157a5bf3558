"""ZFS pools, as zpool has them: a list of vdevs, each with its layout, its disks and its role."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from homelab_lib.lab.base import Count, DiskName, Form, Positive, Record
from homelab_lib.lab.per_host import OnHost
from homelab_lib.lab.quantities import PoolSize

Role = Literal["data", "special", "dedup", "log", "cache", "spare"]
Layout = Annotated[
    str,
    Form(
        r"stripe|mirror|raidz[123]|draid[123]?(:\d{1,3}[dcs])*",
        "stripe, mirror, raidz1, raidz2, raidz3, or draid as zpool has it, such as "
        "draid2:8d:24c:2s",
    ),
]
HOLDS_DATA = ("data", "special", "dedup")
"""Roles of the vdevs with which a pool is lost."""


@dataclass(frozen=True)
class Draid:
    """What a dRAID layout asks for; None where it leaves the choice to zpool.

    Parameters
    ----------
    parity
        Disks' worth of parity in each redundancy group.
    data
        Data disks in each redundancy group.
    children
        Disks in all.
    spares
        Distributed spares.
    """

    parity: int
    data: int | None = None
    children: int | None = None
    spares: int = 0


def draid(layout: str) -> Draid | None:
    """A dRAID layout taken apart; None for another one.

    Parameters
    ----------
    layout
        As `zpool create` has it: ``draid2:8d:24c:2s``, the parts after the parity in any order.

    References
    ----------
    zpoolconcepts(7), "dRAID"; ``draid_config_by_type`` in OpenZFS's zpool_vdev.c.
    """
    if not layout.startswith("draid"):
        return None
    given = {unit: int(number) for number, unit in re.findall(r":(\d+)([dcs])", layout)}
    parity = re.match(r"draid([123]?)", layout)
    return Draid(
        int(parity[1] or 1) if parity else 1, given.get("d"), given.get("c"), given.get("s", 0)
    )


class Vdev(Record):
    """Disks that a pool uses together."""

    role: Role = Field("data", description="What the pool uses it for: zpool's allocation class.")
    layout: Layout = Field("stripe", description="How it spreads data over its disks.")
    disks: tuple[DiskName, ...] = Field(min_length=1, description="The machine's disks in it.")

    @property
    def failures(self) -> int:
        """How many of its disks it survives losing, whichever they are."""
        if self.layout == "mirror":
            return len(self.disks) - 1
        if self.layout == "stripe":
            return 0
        found = draid(self.layout)
        return found.parity if found else int(self.layout.removeprefix("raidz"))


def _is_list(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "number"


class Pool(OnHost):
    """A ZFS pool: equal vdevs in short, or each of them in a list."""

    layout: Layout | None = Field(
        None, description="Layout of each vdev, where all are equal; else vdevs has it."
    )
    disks: tuple[DiskName, ...] = Field(
        (), description="The machine's disks it is made of, where all vdevs are equal."
    )
    vdevs: Annotated[
        Annotated[Positive, Tag("number")] | Annotated[tuple[Vdev, ...], Tag("list")],
        Discriminator(_is_list),
    ] = Field(
        1,
        description="Number of equal vdevs that the disks are divided into; or a list of vdevs, "
        "each with its own layout, disks and role.",
    )
    ashift: Annotated[int, Field(strict=True, ge=9, le=16)] = Field(
        12, description="Sector size as a power of two."
    )
    encryption: Literal["none", "key"] = Field(
        "none",
        description="'key': what is written is encrypted with a key that the NAS makes. It is "
        "chosen when the pool is made, and never changed.",
    )
    purpose: str = Field("", description="What it is for.")
    scrub: Literal["weekly", "monthly"] | None = Field(
        None,
        description="How often all of it is read and mended; none: nothing is said of that. A "
        "TrueNAS gets a task for it, at night, where nas.HOST.scrubs does not say when; Linux has "
        "a monthly one of its own.",
    )
    reasons: tuple[str, ...] = Field((), description="Why this layout, in the document's words.")
    claimed_raw_bytes: PoolSize | None = Field(None, description="Raw size as written [bytes].")
    claimed_usable_bytes: PoolSize | None = Field(
        None, description="Usable size as written [bytes]."
    )
    claimed_failures: Count | None = Field(None, description="Disks it is said to survive losing.")

    @property
    def groups(self) -> tuple[Vdev, ...]:
        """All of its vdevs, whichever way it is written."""
        if not isinstance(self.vdevs, int):
            return self.vdevs
        width = max(len(self.disks) // self.vdevs, 1)
        return tuple(
            Vdev(layout=self.layout or "stripe", disks=self.disks[i : i + width])
            for i in range(0, len(self.disks), width)
        )

    def disks_for(self, *roles: Role) -> tuple[str, ...]:
        """Disks of its vdevs of these roles, in order; without roles, all of them."""
        return tuple(d for g in self.groups if not roles or g.role in roles for d in g.disks)

    @property
    def failures(self) -> int:
        """How many disks it survives losing, whichever they are."""
        return min((g.failures for g in self.groups if g.role in HOLDS_DATA), default=0)

    @property
    def shape(self) -> tuple[str, int, int] | None:
        """Layout, disks per vdev and vdevs of the data, where all of these vdevs are alike.

        Each disk of a stripe is a vdev of its own.
        """
        data = [group for group in self.groups if group.role == "data"]
        if {group.layout for group in data} == {"stripe"}:
            return "stripe", 1, sum(len(group.disks) for group in data)
        shapes = {(group.layout, len(group.disks)) for group in data}
        return (*shapes.pop(), len(data)) if len(shapes) == 1 else None

    @property
    def title(self) -> str:
        """Its vdevs in words: ``raidz2 of 4``, ``2 × mirror of 2, special: mirror of 2``."""
        counts: dict[str, int] = {}
        for group in self.groups:
            role = "" if group.role == "data" else f"{group.role}: "
            many = len(group.disks)
            one = "one disk" if group.layout == "stripe" and many == 1 else ""
            named = role + (one or f"{group.layout} of {many}")
            counts[named] = counts.get(named, 0) + 1
        return ", ".join(f"{n} × {name}" if n > 1 else name for name, n in counts.items())
