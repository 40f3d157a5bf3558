"""What the models of memory need to know of a lab's cards and language models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from homelab_lib.lab import Lab
from homelab_lib.lab.llm import ModelPart
from homelab_lib.models.placement import Card, Model
from homelab_lib.models.vram import Fit, decode_tokens_per_second, split_layers
from homelab_lib.wiring.serving import (
    OTHER_OVERHEAD_BYTES,
    OVERHEAD_BYTES,
    Run,
    Weights,
    buffer_bytes,
    cache_bytes,
    caches,
    to_place,
    weights,
)

_STEP = 256
_ONE = Run(_STEP)
LEAST_BITS = 4.5
"""Per weight: Q4_0, the smallest of the common four-bit quantisations."""
USEFUL_TOKENS = 4096
"""A context with which one can still work: some pages of text."""


@dataclass(frozen=True)
class CardFacts:
    """A graphics card as a place for models.

    Parameters
    ----------
    name, title
        ``host.device``, and its product.
    vram_bytes
        Memory, less what the driver keeps where the catalog knows it [bytes].
    overhead_bytes
        What the runtime takes of it [bytes].
    bandwidth_bps
        Memory bandwidth [bytes/s]; 0 where the catalog has none.
    runtimes
        What drives it, its maker's own first.
    group
        The VM that has it, else its host: models are split within a group.
    """

    name: str
    title: str
    vram_bytes: int
    overhead_bytes: int
    bandwidth_bps: float
    runtimes: tuple[str, ...]
    group: str

    @property
    def free_bytes(self) -> int:
        """What is left for models and their buffers [bytes]."""
        return self.vram_bytes - self.overhead_bytes


@dataclass(frozen=True)
class ModelFacts:
    """A language model at one quantisation.

    Parameters
    ----------
    name, quant
        The catalog's name, and the quantisation.
    part
        The catalog's entry.
    weights
        What it weighs.
    """

    name: str
    quant: str
    part: ModelPart
    weights: Weights

    @property
    def title(self) -> str:
        return f"{self.name} {self.quant}"

    @property
    def weights_bytes(self) -> int:
        """What of it is put on cards: all but the token embedding [bytes]."""
        return self.weights.card_bytes

    @property
    def caches(self) -> bool:
        """Whether it keeps keys and values between tokens; an encoder does not."""
        return caches(self.part)

    def fit(self, card: CardFacts, run: Run) -> Fit:
        """Where the card's memory goes when the model is run like that."""
        return Fit(
            weights_bytes=self.weights_bytes,
            cache_bytes=int(cache_bytes(self.part, run)),
            compute_bytes=int(buffer_bytes(self.part, run)),
            overhead_bytes=card.overhead_bytes,
            available_bytes=card.vram_bytes,
        )

    def largest_context(self, card: CardFacts, run: Run = _ONE) -> int:
        """The longest context the card holds, to the model's own limit; 0 for none [tokens].

        Parameters
        ----------
        card
            The card.
        run
            How it is to be run; its tokens do not count.
        """
        return self.largest_context_over([card], run)

    def largest_context_over(self, cards: Sequence[CardFacts], run: Run = _ONE) -> int:
        """The same over several cards that share its layers; each has its own buffer."""
        tokens = np.arange(_STEP, self.part.context_length * run.slots + 1, _STEP)
        if len(cards) == 1:
            many = replace(run, tokens=tokens)
            needed = self.weights_bytes + cache_bytes(self.part, many)
            held = tokens[needed + buffer_bytes(self.part, many) <= cards[0].free_bytes]
            return int(held[-1]) if len(held) else 0
        low, high = 0, len(tokens)  # more context never takes less: halve until it is found
        while low < high:
            middle = (low + high + 1) // 2
            counts = self.split(cards, replace(run, tokens=int(tokens[middle - 1])))
            low, high = (middle, high) if sum(counts) == self.part.n_layer else (low, middle - 1)
        return int(tokens[low - 1]) if low else 0

    def cache_per_layer(self, run: Run) -> int:
        """What a layer's part of the cache takes, all layers alike [bytes]."""
        return int(cache_bytes(self.part, run)) // self.part.n_layer

    def split(self, cards: Sequence[CardFacts], run: Run) -> tuple[int, ...]:
        """Layers by card, one card filled after the other; fewer than all where they don't fit."""
        cache = self.cache_per_layer(run)
        buffer = int(buffer_bytes(self.part, run))
        return split_layers(
            [size + cache for size in self.weights.layer_bytes],
            [card.vram_bytes for card in cards],
            reserve_bytes=[card.overhead_bytes + buffer for card in cards],
            output_bytes=self.weights.output_bytes,
        )

    def tokens_per_second(
        self, cards: Sequence[CardFacts], layers: Sequence[int], run: Run
    ) -> float:
        """The roof: what a token reads is read once, card after card.

        That is the weights in use (of a mixture only the experts that see the token), the output
        matrix, and the whole cache of the context.
        """
        part = self.part
        cache = int(cache_bytes(part, run)) / part.n_layer
        sizes, first = [], 0
        for count in layers:
            active = self.weights.active_bytes[first : first + count]
            sizes.append(sum(active) + count * cache)
            first += count
        sizes[max(i for i, count in enumerate(layers) if count)] += self.weights.output_bytes
        return decode_tokens_per_second(sizes, [card.bandwidth_bps for card in cards])


def card_facts(lab: Lab) -> dict[str, CardFacts]:
    """The graphics cards of a lab by ``host.device``, in the order of the lab."""
    found = {}
    for host in lab.hosts.values():
        vms = {gpu: vm.name for vm in lab.vms.values() if vm.host == host.name for gpu in vm.gpus}
        for name, part in host.gpus.items():
            first = part.runtimes[0] if part.runtimes else ""
            found[f"{host.name}.{name}"] = CardFacts(
                name=f"{host.name}.{name}",
                title=part.title,
                vram_bytes=part.vram_bytes - (part.vram_reserved_bytes or 0),
                overhead_bytes=OVERHEAD_BYTES.get(first, OTHER_OVERHEAD_BYTES),
                bandwidth_bps=float(part.memory_bytes_per_s or 0),
                runtimes=part.runtimes,
                group=vms.get(name, host.name),
            )
    return found


def model_facts(part: ModelPart, quant: str) -> ModelFacts:
    """A model of the catalog at one quantisation.

    Raises
    ------
    ValueError
        What it weighs is not known.
    """
    return ModelFacts(part.name, quant, part, weights(part, quant))


def nearest_chat(lab: Lab, parameters: float) -> ModelFacts | None:
    """The catalog's chat model nearest in size, at Q4_K_M; None where the catalog has none."""
    chats = [part for part in lab.catalog.models.values() if part.purpose == "chat"]
    if not chats:
        return None
    return model_facts(min(chats, key=lambda p: abs(log(p.parameters / parameters))), "Q4_K_M")


def class_bytes(like: ModelFacts, parameters: float, bits: float) -> int:
    """Weights, and buffers without a context, of a model of some size [bytes].

    Parameters
    ----------
    like
        A model of about that size, whose shape it has.
    parameters
        How many weights.
    bits
        Bits of one.
    """
    return round(parameters * bits / 8) + int(buffer_bytes(like.part, _ONE))


def class_context(like: ModelFacts, parameters: float, bits: float, card: CardFacts) -> int:
    """The longest context with which a card holds a model of some size; 0 for none [tokens].

    Parameters
    ----------
    like, parameters, bits
        As for `class_bytes`.
    card
        The card, with nothing else on it: no desktop either.
    """
    tokens = np.arange(_STEP, like.part.context_length + 1, _STEP)
    many = Run(tokens)
    needed = parameters * bits / 8 + cache_bytes(like.part, many) + buffer_bytes(like.part, many)
    held = tokens[needed <= card.free_bytes]
    return int(held[-1]) if len(held) else 0


def placing(
    lab: Lab, *, runtimes: frozenset[str] | None = None, one_vm: bool = False
) -> tuple[list[Model], list[Card]]:
    """The lab's served models and its cards as `homelab_lib.models.placement.place` takes them.

    Parameters
    ----------
    lab
        The lab.
    runtimes
        Which may be used; all that the cards have.
    one_vm
        All cards of a host as if one VM had them; else as in the lab.
    """
    allowed = runtimes or frozenset({"CUDA", "ROCm", "Vulkan", "SYCL"})
    cards = [
        Card(
            card.name,
            card.free_bytes,
            card.bandwidth_bps,
            frozenset(card.runtimes) & allowed,
            group=card.name.partition(".")[0] if one_vm else card.group,
        )
        for card in card_facts(lab).values()
    ]
    models = []
    for name, served in lab.models.items():
        models.append(to_place(name, served, allowed))
    return models, cards
