"""What the models of memory need to know of a lab's cards and language models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homelab_lib.lab import Lab
from homelab_lib.lab.llm import ModelPart
from homelab_lib.models.placement import Card, Model
from homelab_lib.models.quantisation import (
    ARCHITECTURES,
    QUANTS,
    quantised_types,
    tensor_bytes,
    tensor_shapes,
)
from homelab_lib.models.vram import (
    Fit,
    compute_buffer_bytes,
    decode_tokens_per_second,
    kv_cache_bytes,
    split_layers,
)

MIB = 2**20
OVERHEAD_BYTES = {"CUDA": 500 * MIB, "ROCm": 700 * MIB}
"""What a runtime takes beside the model: the upper end of what is reported, unverified [bytes]."""
OTHER_OVERHEAD_BYTES = 700 * MIB
_STEP = 256


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
    layer_bytes
        Weights by layer [bytes].
    input_bytes, output_bytes
        The embedding; the output matrix with its norm [bytes].
    exact
        Whether every tensor is known; else it is weights times bits.
    """

    name: str
    quant: str
    part: ModelPart
    layer_bytes: tuple[int, ...]
    input_bytes: int
    output_bytes: int
    exact: bool

    @property
    def title(self) -> str:
        return f"{self.name} {self.quant}"

    @property
    def weights_bytes(self) -> int:
        """All tensors [bytes]."""
        return sum(self.layer_bytes) + self.input_bytes + self.output_bytes

    @property
    def caches(self) -> bool:
        """Whether it keeps keys and values between tokens; an encoder does not."""
        return self.part.purpose != "embedding"

    def cache_bytes(self, tokens: int | np.ndarray, cache_type: str = "f16") -> int | np.ndarray:
        """KV cache of so many tokens, over all requests [bytes]."""
        if not self.caches:
            return tokens * 0
        part = self.part
        pattern = part.sliding_window_pattern or 1
        local = part.n_layer - part.n_layer // pattern if part.sliding_window else 0
        latent = part.kv_latent_length
        return kv_cache_bytes(
            n_layer=part.n_layer,
            n_ctx=tokens,
            n_head_kv=1 if latent else part.n_head_kv,
            key_length=latent or part.key_length,
            value_length=0 if latent else part.value_length,
            type_k=cache_type,
            type_v=cache_type,
            n_window_layer=local,
            window=part.sliding_window or 0,
        )

    def buffer_bytes(self, tokens: int | np.ndarray) -> int | np.ndarray:
        """Compute buffer for so many tokens, with flash attention [bytes]."""
        part = self.part
        return compute_buffer_bytes(
            n_embd=part.n_embd,
            n_ff=part.n_ff,
            n_head=part.n_head,
            n_vocab=part.n_vocab,
            n_ctx=tokens,
            n_head_kv=part.n_head_kv,
            head_dim=part.key_length,
        )

    def fit(self, card: CardFacts, tokens: int, cache_type: str = "f16") -> Fit:
        """Where the card's memory goes with so many tokens of context."""
        return Fit(
            weights_bytes=self.weights_bytes,
            cache_bytes=int(self.cache_bytes(tokens, cache_type)),
            compute_bytes=int(self.buffer_bytes(tokens)),
            overhead_bytes=card.overhead_bytes,
            available_bytes=card.vram_bytes,
        )

    def largest_context(self, card: CardFacts, cache_type: str = "f16") -> int:
        """The longest context the card holds, to the model's own limit; 0 for none [tokens]."""
        return self.largest_context_over([card], cache_type)

    def largest_context_over(self, cards: Sequence[CardFacts], cache_type: str = "f16") -> int:
        """The same over several cards that share its layers; each has its own buffer."""
        tokens = np.arange(_STEP, self.part.context_length + 1, _STEP)
        if len(cards) == 1:
            needed = self.weights_bytes + self.cache_bytes(tokens, cache_type)
            held = tokens[needed + self.buffer_bytes(tokens) <= cards[0].free_bytes]
            return int(held[-1]) if len(held) else 0
        low, high = 0, len(tokens)  # more context never takes less: halve until it is found
        while low < high:
            middle = (low + high + 1) // 2
            counts = self.split(cards, int(tokens[middle - 1]), cache_type)
            low, high = (middle, high) if sum(counts) == self.part.n_layer else (low, middle - 1)
        return int(tokens[low - 1]) if low else 0

    def split(
        self, cards: Sequence[CardFacts], tokens: int, cache_type: str = "f16"
    ) -> tuple[int, ...]:
        """Layers by card, one card filled after the other; fewer than all where they don't fit.

        The embedding is put on the first card, which real runtimes keep in main memory: a
        gigabyte on the safe side for the largest models.
        """
        cache = int(self.cache_bytes(tokens, cache_type)) // self.part.n_layer
        buffer = int(self.buffer_bytes(tokens))
        reserve = [card.overhead_bytes + buffer for card in cards]
        reserve[0] += self.input_bytes
        return split_layers(
            [size + cache for size in self.layer_bytes],
            [card.vram_bytes for card in cards],
            reserve_bytes=reserve,
            output_bytes=self.output_bytes,
        )

    def tokens_per_second(
        self, cards: Sequence[CardFacts], layers: Sequence[int], tokens: int
    ) -> float:
        """The roof: every active byte is read once for a token, card after card.

        A token reads the output matrix and the whole cache, and of a mixture only the experts in
        use, taken as their share of all weights.
        """
        part = self.part
        each = (sum(self.layer_bytes) + int(self.cache_bytes(tokens))) / part.n_layer
        if part.n_expert:
            each *= max(part.n_expert_used, 1) / part.n_expert
        sizes = [count * each for count in layers]
        sizes[max(i for i, count in enumerate(layers) if count)] += self.output_bytes
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
        A quantisation that cannot be modelled.
    """
    if quant not in QUANTS:
        raise ValueError(f"quant is {quant!r}; it has to be one of {', '.join(QUANTS)}")
    if part.architecture not in ARCHITECTURES:
        whole = tensor_bytes(quant.partition("_K")[0] + "_K" if "_K" in quant else quant, (256,))
        layer = int(part.parameters * whole / 256) // part.n_layer
        return ModelFacts(part.name, quant, part, (layer,) * part.n_layer, 0, 0, exact=False)
    same = ("n_layer", "n_head", "n_head_kv", "tied", "n_expert")
    shape = {field: getattr(part, field) for field in same}
    types = quantised_types(part.architecture, quant=quant, **shape)
    shapes = tensor_shapes(
        part.architecture,
        n_embd=part.n_embd,
        n_ff=part.n_ff_expert or part.n_ff,
        head_dim=part.key_length,
        n_vocab=part.n_vocab,
        **shape,
    )
    layers = [0] * part.n_layer
    head = tail = 0
    for name, chosen in types.items():
        size = tensor_bytes(chosen, shapes[name])
        if name.startswith("blk."):
            layers[int(name.split(".")[1])] += size
        elif name == "token_embd.weight":
            head += size
        else:
            tail += size
    return ModelFacts(part.name, quant, part, tuple(layers), head, tail, exact=True)


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
        facts = model_facts(served.part, served.quant)
        tokens = served.context_tokens * served.parallel
        whole = facts.weights_bytes + int(facts.cache_bytes(tokens, served.cache_type))
        layers = served.part.n_layer
        models.append(
            Model(name, layers, whole / layers, float(facts.buffer_bytes(tokens)), allowed)
        )
    return models, cards
