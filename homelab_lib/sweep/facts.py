"""What a sweep has to know of a lab, taken out of it once: small, frozen, quick to send."""

from dataclasses import dataclass, field

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import ServedModel
from homelab_lib.lab.devices import AdapterPart, GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.lab.per_host import every
from homelab_lib.lab.pools import Pool
from homelab_lib.models.compute import Guest
from homelab_lib.models.placement import Card, Model
from homelab_lib.models.power import Draw, gpu_peak_w
from homelab_lib.models.zfs_layout import Partitioner
from homelab_lib.wiring.capacity import openzfs, partitioner
from homelab_lib.wiring.memory import promises
from homelab_lib.wiring.pcie_tree import common_uplink
from homelab_lib.wiring.serving import caches, read_bytes, to_place, weights

GIB = 2**30
RUNTIMES = frozenset({"CUDA", "ROCm", "Vulkan"})  # what llama.cpp, and so Ollama, is built for


@dataclass(frozen=True)
class Assumptions:
    """What no data sheet says. Every number is a guess to be replaced by yours.

    Parameters
    ----------
    years
        Mission time of the loss probability [years].
    fill
        Share of the pool that is written.
    spare_hours
        From a drive's failure until a new one is in [h].
    duty
        Share of the time at full load; the rest is idle.
    efficiency
        The power supplies'.
    decode_share
        What decoding reaches of a card's memory bandwidth.
    card_overhead_bytes
        What driver and runtime keep of a card, where the catalog is silent [bytes].
    vcpu_ratio
        Virtual CPUs per thread that are borne.
    annual_failure_rate
        Of drives of which the catalog has none: that of Backblaze's whole fleet in 2024 [1/year].
    disk_usd_per_tb, card_usd_per_gib, supply_usd_per_w
        Prices where the catalog has none.
    card_usd
        Prices of cards by part.
    """

    years: float = 5.0
    fill: float = 0.7
    spare_hours: float = 72.0
    duty: float = 0.2
    efficiency: float = 0.9
    decode_share: float = 0.6
    card_overhead_bytes: int = GIB // 2
    vcpu_ratio: float = 1.5
    annual_failure_rate: float = 0.0157
    disk_usd_per_tb: float = 18.0
    card_usd_per_gib: float = 30.0
    supply_usd_per_w: float = 0.15
    card_usd: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class DiskFacts:
    """A drive of the lab, whose like every pool of the sweep is made of."""

    afr: float
    ure_per_bit: float
    outer_bytes_per_s: float
    inner_bytes_per_s: float
    idle_w: float
    load_w: float
    peak_w: float
    usd_per_tb: float
    ashift: int = 12
    logical_block: int = 512
    partitioner: Partitioner = "zpool"
    openzfs: tuple[int, ...] = (2, 3)

    def draw(self, count: int) -> Draw:
        """What so many of them draw."""
        return Draw("disks", count * self.idle_w, count * self.load_w, count * self.peak_w)


@dataclass(frozen=True)
class CardFacts:
    """A graphics card, as a place for models and as a load on the supply."""

    card: Card
    draw: Draw
    usd: float


@dataclass(frozen=True)
class ModelFacts:
    """A served model: what the placement needs of it, its size for ranking, what a token reads."""

    model: Model
    weights_bytes: int
    read_bytes: float
    generates: bool


@dataclass(frozen=True)
class Facts:
    """A lab, as far as its variants share it.

    Parameters
    ----------
    lab, pool, nas, hypervisor
        Names; `hypervisor` is empty where the lab has none.
    bays
        Drives of the pool's kind that the NAS takes.
    disk
        The drive.
    uplink_bytes_per_s
        What the disks' controller carries; infinite where nothing is known.
    card_slots
        Slots of the hypervisor that a graphics card fits.
    memory_bytes, host_bytes
        What the hypervisor sees, and what it keeps for itself [bytes].
    threads, host_vcpu, card_vcpu
        Threads; of them the host's own; virtual CPUs of a VM with a card.
    guests
        What runs on the hypervisor besides the VMs with cards.
    machine, storage
        What hypervisor and NAS draw without cards and without the pool's disks; `storage` is
        None where they are one machine.
    cards, models
        By name of part, and by name of the served model.
    """

    lab: str
    pool: str
    nas: str
    hypervisor: str
    bays: int
    disk: DiskFacts
    uplink_bytes_per_s: float
    card_slots: int
    memory_bytes: int
    host_bytes: int
    threads: int
    host_vcpu: int
    card_vcpu: int
    guests: tuple[Guest, ...]
    machine: Draw
    storage: Draw | None
    cards: dict[str, CardFacts] = field(hash=False)
    models: dict[str, ModelFacts] = field(hash=False)


def facts(lab: Lab, guesses: Assumptions) -> Facts:
    """What the variants of a lab have in common.

    Raises
    ------
    BadParameter
        The lab has no pool, or the hypervisor's memory or processor is not described.
    """
    pool = largest_pool(lab)
    nas = lab.hardware(pool.host)
    host = next((h for h in lab.hosts.values() if h.os.kind == "proxmox"), nas)
    given = promises(lab, host)
    if given is None:
        raise BadParameter(
            f"memory or processor of {host.name} are not described, and nothing can be tried on it",
            fix=f"write cpu and memory under hosts.{host.name}",
        )
    own = [r for r in lab.reservations.values() if r.host == host.name and r.for_host]
    vms = [vm for vm in lab.vms.values() if vm.host == host.name]
    guests = [Guest(v.name, v.vcpu, v.memory_bytes) for v in vms if not v.gpus]
    kept_apart = [each for each in lab.promised(host.name) if each not in (*own, *vms)]
    guests += [Guest(each.name, max(each.vcpu, 1), each.memory_bytes) for each in kept_apart]
    slots = host.board.slots.values() if host.board else ()
    return Facts(
        lab=lab.name,
        pool=pool.name,
        nas=nas.name,
        hypervisor=host.name if host.os.kind == "proxmox" else "",
        bays=_bays(nas, pool),
        disk=_disk(lab, nas, pool, guesses),
        uplink_bytes_per_s=common_uplink(lab, nas.name, pool.disks_for("data"))[1],
        card_slots=sum(
            slot.form == "PCIe" and (slot.mechanical_lanes or 0) >= 16 for slot in slots
        ),
        memory_bytes=given.room.memory_bytes,
        host_bytes=given.kept_bytes,
        threads=given.room.threads,
        host_vcpu=sum(r.vcpu for r in own),
        card_vcpu=max((vm.vcpu for vm in vms if vm.gpus), default=4),
        guests=tuple(guests),
        machine=_machine(host, pool),
        storage=None if nas is host else _machine(nas, pool),
        cards={name: _card(part, guesses) for name, part in lab.catalog.gpus.items()},
        models={name: _model(served) for name, served in lab.models.items()},
    )


def largest_pool(lab: Lab) -> Pool:
    """The pool with the most raw bytes, which a sweep varies."""
    pools = every(lab.pools)
    if not pools:
        raise BadParameter(f"lab {lab.name!r} has no pool", fix="describe one under 'pools:'")

    def raw_bytes(pool: Pool) -> int:
        disks = lab.hardware(pool.host).disks
        return sum(disks[name].capacity_bytes for name in pool.disks_for("data"))

    return max(pools, key=raw_bytes)


def _bays(nas: Host, pool: Pool) -> int:
    form = nas.disks[pool.disks_for("data")[0]].part.fits
    others = sum(d.part.fits == form for n, d in nas.disks.items() if n not in pool.disks_for())
    boards = [nas.board.slots] if nas.board else []
    boards += [d.part.slots for d in nas.devices.values() if isinstance(d.part, AdapterPart)]
    slots = [slot for each in boards for slot in each.values()]
    return sum(slot.form == form for slot in slots) - others or len(pool.disks_for("data"))


def _disk(lab: Lab, nas: Host, pool: Pool, guesses: Assumptions) -> DiskFacts:
    part = nas.disks[pool.disks_for("data")[0]].part
    flash = part.media == "SSD"
    outer = part.outer_bytes_per_s or (5e8 if flash else 1.8e8)
    load = part.active_power_w or (5.0 if flash else 8.0)
    price = part.price
    return DiskFacts(
        afr=part.annual_failure_rate or guesses.annual_failure_rate,
        ure_per_bit=part.unreadable_per_bit or 0.0,
        outer_bytes_per_s=outer,
        inner_bytes_per_s=part.inner_bytes_per_s or (outer if flash else outer / 2),
        idle_w=part.idle_power_w or load / 2,
        load_w=load,
        peak_w=part.spin_up_power_w or load,
        usd_per_tb=(price.low_usd + price.high_usd) / 2e-12 / part.capacity_bytes
        if price
        else guesses.disk_usd_per_tb,
        ashift=pool.ashift,
        logical_block=part.logical_sector_bytes,
        partitioner=partitioner(lab, pool),
        openzfs=openzfs(lab, pool),
    )


def _machine(host: Host, pool: Pool) -> Draw:
    """Board, processor and the disks that stay, without cards."""
    board, cpu = host.board, host.cpu
    base = ((cpu.base_power_w if cpu else None) or 50.0) * host.cpu_count
    most = ((cpu.max_power_w if cpu else None) or 0.0) * host.cpu_count or base
    idle = (board.idle_power_w if board else None) or base / 4
    load = (board.load_power_w if board else None) or idle + most
    stays = [d.part for name, d in host.disks.items() if name not in pool.disks_for("data")]
    idle += sum(part.idle_power_w or 1.0 for part in stays)
    load += sum(part.active_power_w or 5.0 for part in stays)
    return Draw(host.name, idle, load, load)


def _card(part: GpuPart, guesses: Assumptions) -> CardFacts:
    keeps = part.vram_reserved_bytes or guesses.card_overhead_bytes
    board = part.board_power_w or 200.0
    price = dict(guesses.card_usd).get(part.id)
    if price is None and part.price:
        price = (part.price.low_usd + part.price.high_usd) / 2
    if price is None:
        price = part.vram_bytes / GIB * guesses.card_usd_per_gib
    return CardFacts(
        Card(
            name=part.id,
            vram_bytes=part.vram_bytes - keeps,
            bandwidth_bps=part.memory_bytes_per_s or 100e9,
            runtimes=RUNTIMES & frozenset(part.runtimes),
            group="",
        ),
        Draw(
            part.id, part.idle_power_w or 15.0, board, part.transient_power_w or gpu_peak_w(board)
        ),
        price,
    )


def _model(served: ServedModel) -> ModelFacts:
    """Weights and cache of a model, spread evenly over its layers."""
    try:
        model = to_place(served.name, served, RUNTIMES)
        size, reads = weights(served.part, served.quant).card_bytes, read_bytes(served)
    except ValueError as error:
        raise BadParameter(str(error), where=f"models.{served.name}") from None
    return ModelFacts(model, size, reads, caches(served.part))
