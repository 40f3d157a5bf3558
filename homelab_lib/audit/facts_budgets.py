"""Budgets of a lab, as facts: watts against supplies, memory against promises, money."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.called import short
from homelab_lib.lab.devices import AdapterPart, GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.lab.part import Part
from homelab_lib.lab.platforms import SystemPart
from homelab_lib.lab.project import PriceRange, Purchase
from homelab_lib.models import compute, cost, power
from homelab_lib.wiring.memory import promises

GIB = 2**30
_OLD_SUPPLY = 1.3  # excursion that a supply bears that is not known to be ATX 3

# Power -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PowerFacts:
    """What hangs on one supply.

    Parameters
    ----------
    supply
        Whose: a host, or ``host.device`` of a card with its own supply.
    draws
        What each part takes.
    needs
        All together [W].
    least_w
        The least rating that bears it [W].
    rated_w
        Ratings that the lab names, the smallest first; empty where it names none [W].
    asked_w
        What the maker of a whole system asks for [W].
    guessed
        What parts are called whose draw the catalog doesn't have.
    """

    supply: str
    draws: tuple[power.Draw, ...]
    needs: power.Budget
    least_w: float
    rated_w: tuple[int, ...]
    asked_w: float | None
    guessed: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Whether the supply bears it, in a few words."""
        if not self.rated_w:
            return f"the maker asks for {self.asked_w:.0f} W" if self.asked_w else "none is named"
        if self.rated_w[0] >= self.least_w:
            return "enough"
        return "enough with the larger one" if self.rated_w[-1] >= self.least_w else "too small"


def power_facts(lab: Lab) -> list[PowerFacts]:
    """One entry for each supply: every host's, and those of cards that have their own.

    A host of which neither board nor processor is described has none. A part without figures gets
    a guess, named under `guessed`: a hard disk 5 W idle and 8 W at
    work, an SSD 1 W and 5 W, a network card its typical power or 5 W.
    """
    found = []
    for name, host in lab.hosts.items():
        if host.board is None and host.cpu is None:
            continue
        guessed: list[str] = []
        draws = [_machine(host, guessed), *_disks(host, guessed)]
        for device_name, device in host.devices.items():
            draw = _device(device_name, device.part, guessed)
            if draw is None:
                continue
            if device.psu is not None:
                own = (device.psu.power_w,)
                found.append(_supply(f"{name}.{device_name}", [draw], own, None, ()))
            else:
                draws.append(draw)
        rated = tuple(sorted(psu.power_w for psu in host.psus))
        asked = host.board.needs_supply_w if host.board else None
        found.append(_supply(name, draws, rated, asked, tuple(guessed)))
    return found


def _supply(
    name: str,
    draws: list[power.Draw],
    rated: tuple[int, ...],
    asked: float | None,
    guessed: tuple[str, ...],
) -> PowerFacts:
    needs = power.budget(draws)
    return PowerFacts(name, tuple(draws), needs, _least_w(needs), rated, asked, guessed)


def card_supply_w(card: GpuPart) -> float:
    """The least rating of a supply that feeds a graphics card and nothing else [W]."""
    return _least_w(power.budget([_card(card)]))


def _least_w(needs: power.Budget) -> float:
    return power.supply_w(needs, excursion=_OLD_SUPPLY)


def _machine(host: Host, guessed: list[str]) -> power.Draw:
    board, cpu = host.board, host.cpu
    idle = board.idle_power_w if board else None
    load = board.load_power_w if board else None
    if idle is None:
        guessed.append(short(board.title) if board else "board")
        idle = 20.0
    if load is None:
        each = (cpu.max_power_w or cpu.base_power_w if cpu else None) or 65.0
        load = idle + each * host.cpu_count
    return power.Draw("board and processor", idle, load, load)


def _disks(host: Host, guessed: list[str]) -> list[power.Draw]:
    """All of a host's disks as one draw: they spin up together."""
    parts = [disk.part for disk in host.disks.values()]
    if not parts:
        return []
    idle = load = peak = 0.0
    for part in parts:
        spins = part.media == "HDD"
        if part.active_power_w is None:
            guessed.append(short(part.title))
        works = part.active_power_w or (8.0 if spins else 5.0)
        idle += part.idle_power_w or (5.0 if spins else 1.0)
        load += works
        peak += part.spin_up_power_w or works
    return [power.Draw("disks", idle, load, peak)]


def _card(part: GpuPart) -> power.Draw:
    board = part.board_power_w or 150.0
    peak = part.transient_power_w or power.gpu_peak_w(board)
    return power.Draw(short(part.title), part.idle_power_w or 15.0, board, peak)


def _device(name: str, part: Part, guessed: list[str]) -> power.Draw | None:
    if isinstance(part, GpuPart):
        return _card(part)
    watts = getattr(part, "power_w", None)
    if watts is None:
        if isinstance(part, AdapterPart):
            return None  # passive
        guessed.append(short(part.title))
        watts = 5.0
    return power.Draw(name, watts, watts, watts)


def wall_w(facts: Sequence[PowerFacts]) -> tuple[float, float]:
    """What several supplies draw from the socket together, idle and at full load [W]."""
    return (
        sum(power.wall_w(each.needs.idle_w) for each in facts),
        sum(power.wall_w(each.needs.load_w) for each in facts),
    )


@dataclass(frozen=True)
class UpsFacts:
    """What hangs on a UPS.

    Parameters
    ----------
    name
        Which.
    feeds
        Machines on it of which it is known what they draw.
    idle_w, load_w
        What they take of it together [W].
    rated_w
        What it gives [W].
    evidence
        What each takes.
    """

    name: str
    feeds: tuple[str, ...]
    idle_w: float
    load_w: float
    rated_w: float
    evidence: tuple[str, ...]


def ups_facts(lab: Lab) -> list[UpsFacts]:
    """One entry for each UPS that feeds hosts: what their supplies, and those of their cards, draw
    from the socket. Switches, some watts each, are not counted."""
    found, known = [], power_facts(lab)
    for name, ups in lab.upses.items():
        fed = [each for each in known if each.supply.partition(".")[0] in ups.feeds]
        if not fed:
            continue
        drawn = [(each.supply, *wall_w([each])) for each in fed]
        said = [f"{supply}: {idle:.0f} to {load:.0f} W" for supply, idle, load in drawn]
        idle_w, load_w = wall_w(fed)
        feeds = tuple(each.supply for each in fed)
        found.append(UpsFacts(name, feeds, idle_w, load_w, float(ups.part.rated_w), tuple(said)))
    return found


# Memory ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MemoryFacts:
    """A hypervisor's memory and threads.

    Parameters
    ----------
    host
        The hypervisor.
    installed_bytes
        Its modules [bytes].
    shares
        What takes how much, in order: title, bytes.
    arc_bytes
        What the ZFS cache may take of the host's own share [bytes].
    room
        The sum.
    """

    host: str
    installed_bytes: int
    shares: tuple[tuple[str, int], ...]
    arc_bytes: int
    room: compute.Room


def memory_facts(lab: Lab) -> list[MemoryFacts]:
    """One entry for each Proxmox host whose memory and processor are described."""
    found = []
    for name, host in lab.hosts.items():
        given = promises(lab, host) if host.os.kind == "proxmox" else None
        if given is None:
            continue
        promised = sum(size for _, size in given.guests)
        shares = [("firmware and page tables", given.installed_bytes - given.room.memory_bytes)]
        shares += [*given.guests, *given.containers]
        shares.append(("QEMU itself", given.room.guests_bytes - promised))
        shares.append(("host and ZFS cache", given.kept_bytes))
        found.append(
            MemoryFacts(name, given.installed_bytes, tuple(shares), given.arc_bytes, given.room)
        )
    return found


# Money -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CostFacts:
    """The shopping list.

    Parameters
    ----------
    items
        What is bought, as written.
    needed, everything
        Without and with what is optional [US dollars].
    earned
        What the sales bring [US dollars].
    claimed
        The sum as written; None where there is none [US dollars].
    lacking
        What hosts need and neither they nor the list have.
    """

    items: tuple[Purchase, ...]
    needed: cost.Range
    everything: cost.Range
    earned: cost.Range
    claimed: cost.Range | None
    lacking: tuple[str, ...]


def cost_facts(lab: Lab) -> CostFacts:
    """What is to be bought, what it comes to, and what it leaves out."""
    lacking = []
    for name, host in lab.hosts.items():
        built = host.board is not None and not isinstance(host.board, SystemPart)
        if built and not host.psus:
            lacking.append(f"{name}: a power supply")
        bought = {purchase.name for purchase in lab.purchases if name in purchase.used_in}
        if built and host.case is None and "case" not in bought:
            lacking.append(f"{name}: a case")
        if built and host.cooler is None:
            lacking.append(f"{name}: a processor cooler")
        if built and host.purchase_pending and not any("memory" in each for each in bought):
            lacking.append(f"{name}: {len(host.memory)} kind of memory, unless it is there already")
        if host.board and host.board.needs_supply_w and not host.psus:
            lacking.append(f"{name}: a supply of {host.board.needs_supply_w:.0f} W")
    return CostFacts(
        items=lab.purchases,
        needed=cost.total(_range(p.price) for p in lab.purchases if not p.optional),
        everything=cost.total(_range(p.price) for p in lab.purchases),
        earned=cost.total(_range(sale.price) for sale in lab.sales),
        claimed=_range(lab.claimed_total) if lab.claimed_total else None,
        lacking=tuple(lacking),
    )


def _range(price: PriceRange) -> cost.Range:
    return cost.Range.of(price.low_usd, price.high_usd)
