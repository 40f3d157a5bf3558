"""The declared space of variants: every choice along every axis, counted and never written out."""

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.called import short
from homelab_lib.models import power
from homelab_lib.sweep import choices
from homelab_lib.sweep.choices import CardsChoice, LinkChoice, PoolChoice, ServingChoice
from homelab_lib.sweep.facts import GIB, Assumptions, Facts, facts, largest_pool
from homelab_lib.sweep.links import links

MEANING = 1
"""Goes up whenever the same variant would come out otherwise: old files are then refused."""


@dataclass(frozen=True)
class Wants:
    """What a variant must reach, or is ruled out.

    Parameters
    ----------
    usable_bytes
        At least [bytes].
    loss_probability
        At most, over the mission time.
    storage_path_bps
        At least [bit/s].
    """

    usable_bytes: float = 0.0
    loss_probability: float = 1.0
    storage_path_bps: float = 0.0


@dataclass(frozen=True)
class Variant:
    """One design.

    Parameters
    ----------
    number
        Its place in the space.
    pool, link, cards, supply_w, serving
        What was chosen; `supply_w` is the hypervisor's supply [W].
    """

    number: int
    pool: PoolChoice
    link: LinkChoice
    cards: CardsChoice
    supply_w: int
    serving: ServingChoice


@dataclass(frozen=True)
class Space:
    """Axes, and what all variants have in common. Each variant has a number.

    Parameters
    ----------
    facts
        The lab.
    pools, links, cards, supplies_w, servings
        The axes.
    guesses, wants
        What was assumed, and what is asked for.
    has_own
        Whether the first choice of each axis is the lab's own.
    """

    facts: Facts
    pools: tuple[PoolChoice, ...]
    links: tuple[LinkChoice, ...]
    cards: tuple[CardsChoice, ...] = (CardsChoice(),)
    supplies_w: tuple[int, ...] = (750,)
    servings: tuple[ServingChoice, ...] = (ServingChoice("no model"),)
    guesses: Assumptions = field(default_factory=Assumptions)
    wants: Wants = field(default_factory=Wants)
    has_own: bool = False

    @property
    def own(self) -> int | None:
        """The number of the lab's own design; None where no choice here can express it."""
        return 0 if self.has_own else None

    def __post_init__(self) -> None:
        for axis in ("pools", "links", "cards", "supplies_w", "servings"):
            if not getattr(self, axis):
                raise BadParameter(f"axis {axis!r} of the sweep is empty", fix="give one choice")
        unknown = {c for choice in self.cards for c in choice.cards} - set(self.facts.cards)
        unknown |= {m for choice in self.servings for m in choice.models} - set(self.facts.models)
        if unknown:
            raise BadParameter(f"neither catalog nor lab knows {sorted(unknown)[0]!r}")

    def __len__(self) -> int:
        return prod(map(len, self._axes()))

    def __getitem__(self, number: int) -> Variant:
        if not 0 <= number < len(self):
            raise IndexError(f"variant {number} of {len(self)}")
        rest, chosen = number, []
        for axis in reversed(self._axes()):
            rest, place = divmod(rest, len(axis))
            chosen.append(axis[place])
        return Variant(number, *reversed(chosen))

    def _axes(self) -> tuple[tuple[Any, ...], ...]:
        return self.pools, self.links, self.cards, self.supplies_w, self.servings

    def grid(self) -> range:
        """The numbers of all variants."""
        return range(len(self))

    def sample(self, count: int, *, seed: int = 0) -> list[int]:
        """The numbers of so many variants, drawn without repetition; the same for one seed.

        The lab's own design is always among them.
        """
        if count >= len(self):
            return list(self.grid())
        own = [] if self.own is None else [self.own]
        others = range(len(own), len(self))
        return sorted(own + random.Random(seed).sample(others, max(count - len(own), 0)))

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what comes out."""
        plain = json.dumps([MEANING, asdict(self)], sort_keys=True, default=sorted)
        return hashlib.sha256(plain.encode()).hexdigest()


def space_of(
    lab: Lab,
    *versions: Lab,
    layouts: Sequence[str] = ("mirror", "raidz1", "raidz2", "raidz3"),
    disks: Sequence[int] = (2, 4, 6),
    disk_gigabytes: Sequence[int] = (),
    card_vm_gib: Sequence[int] = (16, 24, 32),
    every_selection: bool = True,
    supplies_w: Sequence[int] = (),
    extra_links: Sequence[LinkChoice] = (),
    guesses: Assumptions | None = None,
    wants: Wants | None = None,
) -> Space:
    """The space around a lab: what it has, and the neighbours of it.

    Parameters
    ----------
    lab
        The lab.
    *versions
        Other versions of it whose cables count, too: the design as written.
    layouts, disks
        Layouts of the largest pool, and numbers of its disks.
    disk_gigabytes
        Sizes of its disks, as sold [GB]; empty: the lab's own.
    card_vm_gib
        Memory of a VM for each card it has [GiB].
    every_selection
        Every selection of the hypervisor's cards; otherwise the first, the first two, and so on.
    supplies_w
        Ratings of the hypervisor's supply [W]; empty: its own, or a large one where it has none.
    extra_links
        Ways to the storage that the lab does not have.
    guesses, wants
        What is assumed, and what is asked for.
    """
    guesses = guesses or Assumptions()
    known = facts(lab, guesses)
    pool = largest_pool(lab)
    size = lab.hardware(pool.host).disks[pool.disks_for("data")[0]].capacity_bytes
    sizes = tuple(choices.drive_bytes(gb) for gb in disk_gigabytes) or (size,)
    own = [PoolChoice(*pool.shape, size)] if pool.shape else []
    layouts = (*layouts, *(each.layout for each in own if ":" not in each.layout))
    disks = (*disks, *(each.disks for each in own))
    host = lab.hosts.get(known.hypervisor)
    parts = tuple(card.id for card in host.gpus.values()) if host else ()
    rated = tuple(psu.power_w for psu in host.psus) if host else ()
    varied = choices.cards(
        parts, tuple(gib * GIB for gib in card_vm_gib), every_selection=every_selection
    )
    own_cards = _own_cards(lab, known.hypervisor)
    return Space(
        facts=known,
        pools=_once(own, choices.pools(_once(layouts), _once(sorted(disks)), sizes)),
        links=links(lab, *versions) + tuple(extra_links) or (_WITHIN,),
        cards=tuple(_called(lab, each) for each in _once(own_cards, varied)),
        supplies_w=_once(rated, supplies_w) or (_supply_w(lab, known, parts),),
        servings=_servings(lab, known.hypervisor),
        guesses=guesses,
        wants=wants or Wants(),
        has_own=bool(own),
    )


_WITHIN = LinkChoice("within one machine", float("inf"))
"""The way to a pool that no cable leads to: those who use it are on its own host."""


def _once(*several: Iterable[Any]) -> tuple[Any, ...]:
    """All of them in order, each once."""
    return tuple(dict.fromkeys(each for some in several for each in some))


def _own_cards(lab: Lab, host: str) -> list[CardsChoice]:
    """The cards as the lab hands them out, in the order of the slots: in one VM, or in VMs with as
    much memory together as its own have."""
    cards = lab.hosts[host].gpus if host else {}
    holders = [vm for vm in lab.vms.values() if vm.host == host and vm.gpus]
    given = tuple(cards[name].id for name in cards if any(name in vm.gpus for vm in holders))
    if not given:
        return []
    memory = sum(vm.memory_bytes for vm in holders)
    together = len(holders) == 1 and len(given) > 1
    return [CardsChoice(given, together, memory // len(given))]


def _called(lab: Lab, choice: CardsChoice) -> CardsChoice:
    """The same, by the names that people use."""
    return replace(choice, called=tuple(short(lab.catalog.gpus[id].title) for id in choice.cards))


def _supply_w(lab: Lab, known: Facts, parts: Sequence[str]) -> int:
    """The rating of a supply where the lab names none: what its board asks for, or what the machine
    needs with all of its cards and disks, in steps of 50 W."""
    host = lab.hosts.get(known.hypervisor)
    if host and host.board and host.board.needs_supply_w and not parts:
        return int(host.board.needs_supply_w)
    draws = [known.machine, *(known.cards[part].draw for part in parts)]
    if known.storage is None:
        draws.append(known.disk.draw(known.bays))
    return int(-(-power.supply_w(power.budget(draws)) // 50) * 50)


def _servings(lab: Lab, host: str) -> tuple[ServingChoice, ...]:
    """No model; all that have a card of the hypervisor to themselves; each that needs several."""
    here = {
        name: served
        for name, served in lab.models.items()
        if served.devices and all(d.partition(".")[0] == host for d in served.devices)
    }
    apart = tuple(name for name, served in here.items() if len(served.devices) == 1)
    own = [ServingChoice(" + ".join(apart), apart)] if apart else []
    several = [ServingChoice(name, (name,)) for name in here if name not in apart]
    return (*own, ServingChoice("no model"), *several)
