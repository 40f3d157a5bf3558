"""One variant through all models: what it costs, draws, holds, risks and serves, or why not.

Each model is asked once for each thing it depends on: ten thousand variants have a few dozen
pools and a few hundred placements among them. What is kept changes no result, only the time.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from homelab_lib.models import compute, durability, power, zfs
from homelab_lib.models.ethernet import tcp_bytes_per_s
from homelab_lib.models.placement import Card, place
from homelab_lib.models.vram import decode_tokens_per_second
from homelab_lib.models.zfs_layout import parse_layout
from homelab_lib.sweep.choices import CardsChoice, LinkChoice, PoolChoice, ServingChoice
from homelab_lib.sweep.pareto import Sense
from homelab_lib.sweep.space import Space, Variant
from homelab_lib.units import format_bps, format_bytes, format_ibytes

AIMS: dict[str, Sense] = {
    "cost_usd": "min",
    "power_w": "min",
    "usable_bytes": "max",
    "loss_probability": "min",
    "storage_path_bps": "max",
    "tokens_per_s": "max",
}
"""What a sweep weighs: the parts that vary at the prices assumed; mean power at the wall; usable
space; loss over the mission time; the storage path's slowest part; and how fast the largest model
that is served decodes."""

Row = dict[str, Any]


class Evaluator:
    """Evaluates the variants of a space by their numbers.

    Parameters
    ----------
    space
        The space.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._facts = space.facts
        self._guesses = space.guesses
        self._known: dict[tuple[object, ...], Any] = {}

    def __call__(self, number: int) -> Row:
        """The row of a variant: its choices, its values, and under ``ruled_out`` what is wrong."""
        variant = self._space[number]
        pool, pool_faults = self._once(self._pool, variant.pool)
        room_faults = self._once(self._room, variant.cards)
        tokens, serving_faults = self._once(self._serving, variant.cards, variant.serving)
        watts, power_faults = self._once(self._power, variant.pool, variant.cards, variant.supply_w)
        faults = [*pool_faults, *room_faults, *power_faults, *serving_faults]
        if variant.link.fault:
            faults.append(variant.link.fault)
        values: Row = dict.fromkeys(AIMS)
        limited = ""
        if pool is not None:
            path, limited = self._path(variant, pool["read_bytes_per_s"])
            values = {
                "cost_usd": round(self._cost(variant), 2),
                "power_w": round(watts + variant.link.power_w / self._guesses.efficiency, 2),
                "usable_bytes": pool["usable_bytes"],
                "loss_probability": pool["loss_probability"],
                "storage_path_bps": path,
                "tokens_per_s": tokens,
            }
            faults += self._short_of_wants(values)
        return {
            "variant": number,
            "pool": str(variant.pool),
            "link": str(variant.link),
            "cards": str(variant.cards),
            "supply_w": variant.supply_w,
            "serving": str(variant.serving),
            **values,
            "limited_by": limited,
            "ruled_out": faults,
        }

    def _once(self, compute_it: Callable[..., Any], *key: Any) -> Any:
        """The result of a method for its arguments, computed the first time only."""
        place_of = (compute_it.__name__, *key)
        if place_of not in self._known:
            self._known[place_of] = compute_it(*key)
        return self._known[place_of]

    def _pool(self, pool: PoolChoice) -> tuple[dict[str, float] | None, list[str]]:
        facts, guesses, disk = self._facts, self._guesses, self._facts.disk
        faults = []
        if pool.disks > facts.bays:
            faults.append(f"{facts.nas} has room for {facts.bays} disks, not for {pool.disks}")
        try:
            size = zfs.pool_capacity(
                pool.layout,
                pool.width,
                pool.disk_bytes,
                vdevs=pool.vdevs,
                ashift=disk.ashift,
                logical_block=disk.logical_block,
                openzfs=disk.openzfs,
                partitioner=disk.partitioner,
            )
            shape = parse_layout(pool.layout, pool.width)
        except ValueError as error:
            return None, [*faults, str(error)]
        if shape.parity:
            hours = guesses.spare_hours + durability.rebuild_seconds(
                pool.disk_bytes, guesses.fill, outer_bps=disk.outer_bytes_per_s,
                inner_bps=disk.inner_bytes_per_s, uplink_bps=facts.uplink_bytes_per_s,
                readers=pool.width - 1,
            ) / 3600  # fmt: skip
            read = pool.disk_bytes * guesses.fill * (pool.width - shape.parity)
            lost = durability.loss_probability(
                pool.width, shape.parity, afr=disk.afr, mttr_hours=hours, years=guesses.years,
                p_unreadable=durability.ure_probability(read, disk.ure_per_bit),
            )  # fmt: skip
        else:
            lost = durability.any_of(1 - (1 - disk.afr) ** guesses.years, pool.width)
        rate = durability.zone_average_bps(
            disk.outer_bytes_per_s, disk.inner_bytes_per_s, guesses.fill
        )
        readers = pool.disks - (shape.parity * pool.vdevs if shape.kind == "raidz" else 0)
        return {
            "usable_bytes": size.usable_bytes,
            "loss_probability": durability.any_of(lost, pool.vdevs),
            "read_bytes_per_s": readers * rate,
        }, faults

    def _path(self, variant: Variant, pool_bytes_per_s: float) -> tuple[float, str]:
        """What the way to the storage carries, and what holds it down."""
        link = variant.link
        parts = {
            "the wire": _tcp_bps(link),
            "the network card's slot": link.bus_bps,
            "the disks": 8 * pool_bytes_per_s,
            "the disks' controller": 8 * self._facts.uplink_bytes_per_s,
        }
        slowest = min(parts, key=lambda name: parts[name])
        return round(parts[slowest], 0), slowest

    def _room(self, choice: CardsChoice) -> list[str]:
        """Slots, memory and threads of the hypervisor."""
        facts, count = self._facts, len(choice.cards)
        if not count:
            return []
        faults = []
        if count > facts.card_slots:
            faults.append(f"{facts.hypervisor} has slots for {facts.card_slots} cards, not {count}")
        machines = 1 if choice.together else count
        size = choice.vm_bytes * (count if choice.together else 1)
        guests = [compute.Guest(f"cards {n}", facts.card_vcpu, size, True) for n in range(machines)]
        room = compute.room(
            [*facts.guests, *guests], memory_bytes=facts.memory_bytes, threads=facts.threads,
            host_bytes=facts.host_bytes, host_vcpu=facts.host_vcpu,
        )  # fmt: skip
        if room.left_bytes < 0:
            short = format_ibytes(-room.left_bytes, digits=1)
            faults.append(f"{facts.hypervisor} is promised {short} more memory than it has")
        if room.vcpu_ratio > self._guesses.vcpu_ratio:
            faults.append(f"{facts.hypervisor} has {room.vcpu} virtual CPUs on {room.threads}")
        return faults

    def _power(
        self, pool: PoolChoice, choice: CardsChoice, supply_w: int
    ) -> tuple[float, list[str]]:
        """Mean power at the wall [W], and whether the hypervisor's supply bears its load."""
        facts, guesses = self._facts, self._guesses
        spin = facts.disk.draw(pool.disks)
        cards = [facts.cards[name].draw for name in choice.cards]
        storage = [] if facts.storage is None else [power.budget([facts.storage, spin])]
        machine = power.budget([facts.machine, *cards, *([] if storage else [spin])])
        budgets = [machine, *storage]
        mean = sum(each.idle_w + guesses.duty * (each.load_w - each.idle_w) for each in budgets)
        needed = power.supply_w(machine)
        faults = []
        if needed > supply_w:
            where = facts.hypervisor or facts.nas
            faults.append(f"{where} needs a supply of {needed:.0f} W, not of {supply_w} W")
        return power.wall_w(mean, efficiency=guesses.efficiency), faults

    def _serving(self, choice: CardsChoice, serving: ServingChoice) -> tuple[float, list[str]]:
        """How fast the largest model decodes [1/s], and which find no place."""
        if not serving.models:
            return 0.0, []
        models = [self._facts.models[name] for name in serving.models]
        cards = [
            Card(f"{name} {n}", c.vram_bytes, c.bandwidth_bps, c.runtimes,
                 "one" if choice.together else str(n))
            for n, name in enumerate(choice.cards)
            for c in (self._facts.cards[name].card,)
        ]  # fmt: skip
        if not cards:
            return 0.0, [f"{each.model.name}: there is no card" for each in models]
        found = place([each.model for each in models], cards)
        if not found.complete:
            return 0.0, [f"{name}: {why}" for name, why in found.unplaced.items()]
        talkers = [each for each in models if each.generates]
        if not talkers:
            return 0.0, []
        largest = max(talkers, key=lambda each: each.weights_bytes)
        spread = found.layers[largest.model.name]
        bandwidth = {card.name: card.bandwidth_bps for card in cards}
        speed = decode_tokens_per_second(
            [count / largest.model.layers * largest.read_bytes for count in spread.values()],
            [bandwidth[name] for name in spread],
            efficiency=self._guesses.decode_share,
        )
        return round(speed, 3), []

    def _cost(self, variant: Variant) -> float:
        facts, guesses = self._facts, self._guesses
        disks = variant.pool.disks * variant.pool.disk_bytes / 1e12 * facts.disk.usd_per_tb
        cards = sum(facts.cards[name].usd for name in variant.cards.cards)
        return disks + cards + variant.link.usd + variant.supply_w * guesses.supply_usd_per_w

    def _short_of_wants(self, values: Row) -> list[str]:
        wants, faults = self._space.wants, []
        if values["usable_bytes"] < wants.usable_bytes:
            faults.append(f"it holds less than {format_bytes(wants.usable_bytes)}")
        if values["loss_probability"] > wants.loss_probability:
            faults.append(f"it loses data with more than {wants.loss_probability:.1e}")
        if values["storage_path_bps"] < wants.storage_path_bps:
            faults.append(f"the storage path is below {format_bps(wants.storage_path_bps)}")
        return faults


def _tcp_bps(link: LinkChoice) -> float:
    """What TCP carries of a link; of one that has no end of speed (no wire at all), the same."""
    if link.speed_bps in (0.0, math.inf):
        return link.speed_bps
    return 8 * tcp_bytes_per_s(link.speed_bps, link.mtu)


def passed(rows: Iterable[Row]) -> list[Row]:
    """Those that were not ruled out."""
    return [row for row in rows if not row["ruled_out"]]
