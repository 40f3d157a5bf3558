"""The declared space of variants: every choice along every axis, counted and never written out."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
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
    """

    facts: Facts
    pools: tuple[PoolChoice, ...]
    links: tuple[LinkChoice, ...]
    cards: tuple[CardsChoice, ...] = (CardsChoice(),)
    supplies_w: tuple[int, ...] = (750,)
    servings: tuple[ServingChoice, ...] = (ServingChoice("no model"),)
    guesses: Assumptions = field(default_factory=Assumptions)
    wants: Wants = field(default_factory=Wants)

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
        """The numbers of so many variants, drawn without repetition; the same for one seed."""
        if count >= len(self):
            return list(self.grid())
        return sorted(random.Random(seed).sample(self.grid(), count))

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
    own = lab.hardware(pool.host).disks[pool.disks_for("data")[0]].capacity_bytes
    sizes = tuple(choices.drive_bytes(gb) for gb in disk_gigabytes) or (own,)
    host = lab.hosts.get(known.hypervisor)
    parts = tuple(card.id for card in host.gpus.values()) if host else ()
    rated = tuple(psu.power_w for psu in host.psus) if host else ()
    return Space(
        facts=known,
        pools=choices.pools(tuple(layouts), tuple(disks), sizes),
        links=links(lab, *versions) + tuple(extra_links),
        cards=choices.cards(
            parts, tuple(gib * GIB for gib in card_vm_gib), every_selection=every_selection
        ),
        supplies_w=tuple(supplies_w) or rated or ((1500,) if parts else (120,)),
        servings=_servings(lab, known.hypervisor),
        guesses=guesses,
        wants=wants or Wants(),
    )


def _servings(lab: Lab, host: str) -> tuple[ServingChoice, ...]:
    """No model; all that have a card of the hypervisor to themselves; each that needs several."""
    here = {
        name: served
        for name, served in lab.models.items()
        if served.devices and all(d.partition(".")[0] == host for d in served.devices)
    }
    apart = tuple(name for name, served in here.items() if len(served.devices) == 1)
    found = [ServingChoice("no model")]
    if apart:
        found.append(ServingChoice(" + ".join(apart), apart))
    found += [ServingChoice(name, (name,)) for name in here if name not in apart]
    return tuple(found)
