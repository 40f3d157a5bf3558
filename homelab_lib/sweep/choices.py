"""What may differ between the variants of a lab, as plain values that travel to any worker."""

from dataclasses import dataclass, field
from itertools import combinations

from homelab_lib.units import format_bytes, format_ibytes


def drive_bytes(gigabytes: int) -> int:
    """The exact size of a drive that is sold as so many GB [bytes].

    References
    ----------
    IDEMA LBA1-03 to 8 TB: 97,696,368 + 1,953,504 × (GB − 50) sectors of 512 bytes. SFF-8447
    above: the next multiple of 2^21 sectors.
    """
    if gigabytes < 50:
        raise ValueError(f"gigabytes is {gigabytes}; the formula begins at 50")
    if gigabytes > 8000:
        return -(-gigabytes * 10**9 // 2**30) * 2**30
    return 512 * (97_696_368 + 1_953_504 * (gigabytes - 50))


@dataclass(frozen=True)
class PoolChoice:
    """A pool of equal vdevs.

    Parameters
    ----------
    layout
        As `models.zfs.parse_layout` has it: ``mirror``, ``raidz2``.
    width
        Disks per vdev.
    vdevs
        Vdevs.
    disk_bytes
        Size of a disk [bytes].
    """

    layout: str
    width: int
    vdevs: int
    disk_bytes: int

    @property
    def disks(self) -> int:
        return self.width * self.vdevs

    def __str__(self) -> str:
        times = f"{self.vdevs} × " if self.vdevs > 1 else ""
        return f"{times}{self.layout} of {self.width} × {format_bytes(self.disk_bytes, digits=0)}"


@dataclass(frozen=True)
class LinkChoice:
    """The way from the storage to those who use it.

    Parameters
    ----------
    name
        What joins the two.
    speed_bps
        What the wire carries [bit/s].
    bus_bps
        What the slower end's slot carries; infinite where nothing is known [bit/s].
    usd
        What has to be bought for it.
    power_w
        What its modules draw [W].
    fault
        Why it can't be plugged in; empty where it can.
    mtu
        Largest packet on the way [bytes].
    """

    name: str
    speed_bps: float
    bus_bps: float = float("inf")
    usd: float = 0.0
    power_w: float = 0.0
    fault: str = ""
    mtu: int = 1500

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class CardsChoice:
    """Graphics cards in the hypervisor, and the VMs they are passed to.

    Parameters
    ----------
    cards
        Names of parts in the catalog, one for each card.
    together
        All cards in one VM; otherwise each has its own.
    vm_bytes
        Memory of a VM for each of its cards [bytes].
    called
        What a person calls each of them.
    """

    cards: tuple[str, ...] = ()
    together: bool = False
    vm_bytes: int = 0
    called: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        if not self.cards:
            return "no card"
        place = "one VM" if self.together else "a VM each"
        place = place if len(self.cards) > 1 else "a VM"
        names = " + ".join(self.called or self.cards)
        return f"{names}: {place}, {format_ibytes(self.vm_bytes)} a card"


@dataclass(frozen=True)
class ServingChoice:
    """Which of the lab's models are to run at the same time.

    Parameters
    ----------
    name
        What the choice is called.
    models
        Names under the lab's `models`.
    """

    name: str
    models: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def pools(
    layouts: tuple[str, ...], disks: tuple[int, ...], disk_bytes: tuple[int, ...]
) -> tuple[PoolChoice, ...]:
    """Every layout with every number of disks of every size, in one vdev or in several.

    Mirrors are pairs; a raidz is also split in two where that leaves enough disks for each.
    """
    found = []
    for layout in layouts:
        for count in disks:
            if layout == "mirror":
                shapes = [(2, count // 2)] if count % 2 == 0 else []
            elif layout == "stripe":
                shapes = [(count, 1)]
            else:
                least = int(layout[-1]) + 2
                shapes = [(count, 1)] if count >= least else []
                shapes += [(count // 2, 2)] if count % 2 == 0 and count // 2 >= least else []
            found += [
                PoolChoice(layout, width, vdevs, size)
                for width, vdevs in shapes
                for size in disk_bytes
            ]
    return tuple(found)


def cards(
    installed: tuple[str, ...], vm_bytes: tuple[int, ...], *, every_selection: bool = True
) -> tuple[CardsChoice, ...]:
    """Selections of the cards, in VMs of each size, apart and together.

    Parameters
    ----------
    installed
        The cards, in the order of the slots.
    vm_bytes
        Memory of a VM for each card it has [bytes].
    every_selection
        Every selection of them; otherwise the first, the first two, and so on.
    """
    counts = range(1, len(installed) + 1)
    if every_selection:
        picks = {pick for count in counts for pick in combinations(installed, count)}
    else:
        picks = {installed[:count] for count in counts}
    found = [CardsChoice()]
    for pick in sorted(picks, key=lambda each: (len(each), each)):
        ways = (False, True) if len(pick) > 1 else (False,)
        found += [CardsChoice(pick, together, size) for together in ways for size in vm_bytes]
    return tuple(found)
