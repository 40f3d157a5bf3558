"""A model that does not fit its cards: what of it goes to main memory, and how fast it is then."""

from dataclasses import dataclass

from homelab_lib.audit.facts_gpu import CardFacts, ModelFacts, card_facts, model_facts
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import ServedModel
from homelab_lib.lab.host import Host
from homelab_lib.models.compute import memory_bytes_per_s, visible_memory_bytes
from homelab_lib.models.vram import decode_tokens_per_second
from homelab_lib.wiring.serving import Run, run_of

SPLITS = ("Ollama", "llama.cpp", "llama-server")
"""Servers that leave the layers that find no room on a card to the processor."""

REACHED = {"CUDA": (0.58, 0.75), "ROCm": (0.43, 0.49)}
"""Share of its memory's bandwidth that a card reaches when it decodes, by runtime: published runs
of llama.cpp on GeForce 30 and 40, and on RDNA 3."""
_OTHER_REACHED = (0.4, 0.75)  # of a runtime that is not listed: unverified
_PROCESSOR_REACHES = (0.6, 0.95)  # one published run has 0.88 to 0.95; with fewer threads less
_SYSTEM_BYTES = 2 * 2**30  # what the system of a VM or a host wants for itself


@dataclass(frozen=True)
class Offload:
    """How a model runs that is partly in main memory.

    Parameters
    ----------
    on_cards
        Layers by card.
    in_memory
        Layers in main memory.
    memory_bytes
        What these take there [bytes].
    tokens_per_second
        When it decodes with a full context, from the least to the most that is likely [1/s].
    """

    on_cards: tuple[int, ...]
    in_memory: int
    memory_bytes: int
    tokens_per_second: tuple[float, float]


def memory_rate(host: Host) -> float | None:
    """What a host's memory carries at most [bytes/s]; None where that is not known."""
    board, cpu = host.board, host.cpu
    rated = [each.part.speed_mtps for each in host.memory]
    if cpu is None or cpu.memory_channels is None or not rated or None in rated:
        return None
    count = sum(each.count for each in host.memory)
    by_board = [e.speed_mtps for e in (board.memory_speeds if board else ()) if e.modules == count]
    mtps = min([each for each in rated if each is not None] + by_board)
    channels = min(cpu.memory_channels * host.cpu_count, count)
    return memory_bytes_per_s(channels, float(mtps))


def offload(lab: Lab, served: ServedModel) -> Offload | None:
    """How a served model runs when what finds no room on its cards stays in main memory.

    Parameters
    ----------
    lab, served
        The lab, and the model as it is to be served.

    Returns
    -------
    Offload or None
        None where it can't: its server does not split, its cards are not in one machine, or main
        memory has no room for the rest either, or nothing says how fast that is.

    Raises
    ------
    ValueError
        What the model weighs is not known.
    """
    known = card_facts(lab)
    cards = [known[name] for name in served.devices if name in known]
    if served.server not in SPLITS or not cards or len({card.group for card in cards}) > 1:
        return None
    facts, run = model_facts(served.part, served.quant), run_of(served)
    counts = facts.split(cards, run)
    rest = served.part.n_layer - sum(counts)
    host = lab.hosts[cards[0].name.partition(".")[0]]
    vm = lab.vms.get(cards[0].group)
    installed = vm.memory_bytes if vm else visible_memory_bytes(host.memory_bytes or 0)
    rate = memory_rate(host)
    each = _layers(facts, run)
    taken = sum(each[served.part.n_layer - rest :]) + facts.weights.output_bytes
    if rate is None or taken > installed - _SYSTEM_BYTES or not all(c.bandwidth_bps for c in cards):
        return None
    speeds = [_speed(facts, run, cards, counts, rate, end) for end in (0, 1)]
    return Offload(counts, rest, taken, (speeds[0], speeds[1]))


def over_network(lab: Lab, served: ServedModel) -> Offload | None:
    """How a model runs over cards of several machines, by llama.cpp's RPC: layer by layer, each
    token through all of them in turn.

    Parameters
    ----------
    lab, served
        The lab, and the model as it is to be served.

    Returns
    -------
    Offload or None
        With no layer in main memory; None where the cards have no room for all of it, or nothing
        says how fast they are or what the model weighs. What the network takes is not in it: a
        state of `n_embd` numbers for each token at each seam.
    """
    known = card_facts(lab)
    cards = [known[name] for name in served.devices if name in known]
    try:
        facts, run = model_facts(served.part, served.quant), run_of(served)
    except ValueError:
        return None
    counts = facts.split(cards, run)
    if sum(counts) < served.part.n_layer or not all(card.bandwidth_bps for card in cards):
        return None
    low, high = (_speed(facts, run, cards, counts, None, end) for end in (0, 1))
    return Offload(counts, 0, 0, (low, high))


def on_processor(lab: Lab, host: Host, served: ServedModel) -> tuple[float, float] | None:
    """How fast a host's processor alone decodes a model with a full context.

    Parameters
    ----------
    lab, host, served
        The lab, one of its hosts, and the model as it is to be served.

    Returns
    -------
    tuple or None
        From the least to the most that is likely [1/s]; None where it has no room in the host's
        memory, or nothing says how fast that is.
    """
    rate = memory_rate(host)
    try:
        facts, run = model_facts(served.part, served.quant), run_of(served)
    except ValueError:
        return None
    whole = sum(_layers(facts, run)) + facts.weights.output_bytes
    if rate is None or whole > visible_memory_bytes(host.memory_bytes or 0) - _SYSTEM_BYTES:
        return None
    low, high = (_speed(facts, run, [], (), rate, end) for end in (0, 1))
    return low, high


def _layers(facts: ModelFacts, run: Run) -> list[int]:
    """Weights and cache of each layer [bytes]."""
    cache = facts.cache_per_layer(run)
    return [size + cache for size in facts.weights.layer_bytes]


def _speed(
    facts: ModelFacts,
    run: Run,
    cards: list[CardFacts],
    counts: tuple[int, ...],
    rate: float | None,
    end: int,
) -> float:
    """Tokens per second, every device at one end of what it reaches; `rate` is main memory's, None
    where nothing is there: the output is with the last layer."""
    cache = facts.cache_per_layer(run)
    active = [size + cache for size in facts.weights.active_bytes]
    sizes, first = [], 0
    rest = () if rate is None else (len(active) - sum(counts),)
    for count in (*counts, *rest):
        sizes.append(float(sum(active[first : first + count])))
        first += count
    sizes[-1] += facts.weights.output_bytes
    reached = [
        card.bandwidth_bps * REACHED.get((*card.runtimes, "")[0], _OTHER_REACHED)[end]
        for card in cards
    ]
    memory = [] if rate is None else [rate * _PROCESSOR_REACHES[end]]
    return decode_tokens_per_second(sizes, [*reached, *memory])
