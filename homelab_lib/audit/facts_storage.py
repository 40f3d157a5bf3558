"""What the models of storage need to know of a lab's pools, as plain numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from homelab_lib.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.lab.pools import Pool
from homelab_lib.models.durability import any_of, loss_probability, rebuild_seconds, ure_probability
from homelab_lib.models.zfs import PoolCapacity, Vdev, capacity
from homelab_lib.models.zfs_layout import parse_layout
from homelab_lib.wiring.capacity import made_of, openzfs, steps
from homelab_lib.wiring.pcie_tree import common_uplink


@dataclass(frozen=True)
class PoolFacts:
    """A pool as the models see it.

    Parameters
    ----------
    name, host
        The pool, and the machine it is in.
    layout
        Layout of a vdev: ``raidz2``.
    width, vdevs
        Disks per vdev, and vdevs.
    disk_bytes, logical_block
        What counts of a disk, and the sector it reports [bytes]; of unlike vdevs, of the largest.
    ashift
        Binary logarithm of the sector size.
    made_of
        Its vdevs one by one; empty for a layout that is only thought of.
    openzfs
        The version that its machine has.
    afr
        Annual failure rate, the worst of the disks; None where the catalog has none.
    ure_per_bit
        Unreadable sectors per bit by the maker; None where the catalog has none.
    outer_bps, inner_bps
        Sequential rates of the slowest disk [bytes/s]; None where the catalog has none.
    uplink
        The link that all of its disks share; empty where they share none.
    uplink_bps
        What that link is sure to carry [bytes/s].
    """

    name: str
    host: str
    layout: str
    width: int
    vdevs: int
    disk_bytes: int
    logical_block: int = 512
    ashift: int = 12
    made_of: tuple[Vdev, ...] = ()
    openzfs: tuple[int, ...] = (2, 3)
    afr: float | None = None
    ure_per_bit: float | None = None
    outer_bps: float | None = None
    inner_bps: float | None = None
    uplink: str = ""
    uplink_bps: float = float("inf")

    @property
    def id(self) -> str:
        """Host and name: ``nas.tank``."""
        return f"{self.host}.{self.name}"

    @property
    def disks(self) -> int:
        """Disks in the pool."""
        return self.width * self.vdevs

    @property
    def title(self) -> str:
        """The layout in words: ``raidz2 of 4``, ``2 × mirror of 2``."""
        if self.layout == "stripe":
            return f"stripe of {self.disks}" if self.disks > 1 else "one disk"
        times = f"{self.vdevs} × " if self.vdevs > 1 else ""
        return f"{times}{self.layout} of {self.width}"

    @property
    def parity(self) -> int:
        """How many disks of a vdev may fail."""
        return parse_layout(self.layout, self.width).parity

    @property
    def rated(self) -> bool:
        """Whether the catalog says enough for rebuild time and chance of loss."""
        return None not in (self.afr, self.ure_per_bit, self.outer_bps, self.inner_bps)

    @property
    def vdev_list(self) -> tuple[Vdev, ...]:
        """Its vdevs as they are; of a layout that is only thought of, so many alike."""
        if self.made_of:
            return self.made_of
        one = Vdev(
            self.layout,
            (self.disk_bytes,) * self.width,
            ashift=self.ashift,
            logical_block=self.logical_block,
        )
        return (one,) * self.vdevs

    def laid_out(self, layout: str, width: int, vdevs: int) -> "PoolFacts":
        """The same disks in another layout, all vdevs alike."""
        return replace(self, layout=layout, width=width, vdevs=vdevs, made_of=())

    def capacity(self) -> PoolCapacity:
        """The pool's sizes, by `homelab_lib.models.zfs.capacity`."""
        return capacity(self.vdev_list, openzfs=self.openzfs)

    def steps(self) -> dict[str, int]:
        """Where the bytes between labels and files go [bytes], as `wiring.capacity` has it."""
        return steps(self.vdev_list, self.capacity())

    def readers(self, failed: int = 1) -> int:
        """Disks that are read while `failed` of a vdev are rebuilt."""
        return 1 if self.layout == "mirror" else max(self.width - failed, 1)

    def rebuild(self, fill: float, efficiency: float = 0.6, *, shared: bool = True) -> float:
        """How long a resilver takes once it runs [s].

        Parameters
        ----------
        fill
            Share of each disk that is allocated.
        efficiency
            What is left of the disks' sequential rate.
        shared
            Whether the disks' common uplink counts.
        """
        return rebuild_seconds(
            float(self.disk_bytes),
            fill,
            outer_bps=float(self.outer_bps or 0),
            inner_bps=float(self.inner_bps or 0),
            efficiency=efficiency,
            uplink_bps=self.uplink_bps if shared else float("inf"),
            readers=self.readers(),
        )

    def unreadable(self, fill: float) -> float:
        """That a read of the last survivors meets an unreadable sector, at the maker's rate."""
        last = max(self.width - self.parity, 1) * self.disk_bytes * fill
        return ure_probability(last, self.ure_per_bit or 0.0)

    def loss(self, mttr_hours: float, years: float, *, p_unreadable: float = 0.0) -> float:
        """That the pool loses data within `years`, by the Markov chain.

        Parameters
        ----------
        mttr_hours
            From a disk's failure to full redundancy [h].
        years
            Mission time [years].
        p_unreadable
            As for `homelab_lib.models.durability.loss_probability`.
        """
        afr = float(self.afr or 0)
        if self.parity == 0:
            return any_of(1 - (1 - afr) ** years, self.disks)
        one = loss_probability(
            self.width,
            self.parity,
            afr=afr,
            mttr_hours=mttr_hours,
            years=years,
            p_unreadable=p_unreadable,
        )
        return any_of(one, self.vdevs)


def not_computed(lab: Lab, pool: Pool) -> str:
    """Why the models say nothing of how a pool is lost and rebuilt; empty where they do.

    Parameters
    ----------
    lab, pool
        The lab, and one of its pools. What it holds is computed of each.
    """
    if any(group.layout.startswith("draid") for group in pool.groups):
        return "how a dRAID rebuilds is not computed yet"
    if pool.disks_for("special", "dedup"):
        return "the chance to lose special and dedup vdevs is not computed yet"
    if pool.shape is None:
        return "its vdevs are of different layout or width, and for these it is not computed yet"
    return ""


def pool_facts(lab: Lab) -> dict[str, PoolFacts]:
    """The pools of a lab that the models can compute, by host and name: ``nas.tank``.

    Parameters
    ----------
    lab
        The lab. Of its other pools `not_computed` says why.
    """
    return {
        pool.id: facts_of(lab, pool) for pool in every(lab.pools) if not not_computed(lab, pool)
    }


def facts_of(lab: Lab, pool: Pool) -> PoolFacts:
    """The same of one pool.

    Parameters
    ----------
    lab, pool
        The lab, and one of its pools.

    Raises
    ------
    ValueError
        The models say nothing of it: `not_computed` says why.
    """
    why = not_computed(lab, pool)
    if why or pool.shape is None:
        raise ValueError(f"{pool.id}: {why}")
    host = lab.hardware(pool.host)
    disks = [host.disks[disk] for disk in pool.disks_for("data")]
    uplink, carries = common_uplink(lab, host.name, pool.disks_for("data"))
    parts = [disk.part for disk in disks]
    layout, width, vdevs = pool.shape
    vdev_list = made_of(lab, pool)
    return PoolFacts(
        name=pool.name,
        host=pool.host,
        layout=layout,
        width=width,
        vdevs=vdevs,
        disk_bytes=max(min(vdev.disk_bytes) for vdev in vdev_list if vdev.role == "data"),
        logical_block=max(part.logical_sector_bytes for part in parts),
        ashift=pool.ashift,
        made_of=vdev_list,
        openzfs=openzfs(lab, pool),
        afr=_worst([part.annual_failure_rate for part in parts], max),
        ure_per_bit=_worst([part.unreadable_per_bit for part in parts], max),
        outer_bps=_worst([part.outer_bytes_per_s for part in parts], min),
        inner_bps=_worst([part.inner_bytes_per_s for part in parts], min),
        uplink=uplink,
        uplink_bps=carries,
    )


def _worst(values: list[float | None], choose: Callable[[list[float]], float]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if len(known) == len(values) else None


def rated_pools(lab: Lab) -> dict[str, PoolFacts]:
    """The pools of more than one disk of which the catalog says how they fail and how fast."""
    return {name: pool for name, pool in pool_facts(lab).items() if pool.rated and pool.disks > 1}


def other_layouts(pool: PoolFacts) -> list[PoolFacts]:
    """What else the same disks could be, from the most room to the most safety."""
    count = pool.disks
    found = [pool.laid_out("stripe", 1, count)]
    for parity in (1, 2, 3):
        if count >= parity + 2:
            found.append(pool.laid_out(f"raidz{parity}", count, 1))
    if count % 2 == 0:
        found.append(pool.laid_out("mirror", 2, count // 2))
    titles = [other.title for other in found]
    if pool.title not in titles:
        return [*found, pool]
    found[titles.index(pool.title)] = pool  # with the disks as they are
    return found


def main_pool(lab: Lab) -> PoolFacts:
    """The largest pool of which failures are known; else the largest.

    Raises
    ------
    ValueError
        The lab has no pool that can be computed.
    """
    found = rated_pools(lab) or pool_facts(lab)
    if not found:
        why = [f"{pool.id}: {not_computed(lab, pool)}" for pool in every(lab.pools)]
        raise ValueError("; ".join(why) or f"lab {lab.name!r} has no pool")
    return max(found.values(), key=lambda pool: pool.disks * pool.disk_bytes)
