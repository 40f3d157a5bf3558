"""A language model of the lab as the models of memory take it: the one place where that is done.

Every page that says what a model takes asks here, so that there is one number for it.
"""

from dataclasses import dataclass
from functools import cache

from homelab_lib.lab.compute import ServedModel
from homelab_lib.lab.llm import ModelPart
from homelab_lib.models.architectures import ARCHITECTURES, Widths, tensor_shapes
from homelab_lib.models.context import (
    Int,
    Serving,
    Transformer,
    compute_buffer_bytes,
    kv_cache_bytes,
)
from homelab_lib.models.placement import Model
from homelab_lib.models.quantisation import QUANTS, quantised_types, tensor_bytes
from homelab_lib.models.vram import Fit

MIB = 2**20
OVERHEAD_BYTES = {"CUDA": 500 * MIB, "ROCm": 700 * MIB}
"""What a runtime takes beside the model: the upper end of what is reported, unverified [bytes]."""
OTHER_OVERHEAD_BYTES = 700 * MIB
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
"""Bytes of a number, where all of a model's have one width."""


@dataclass(frozen=True)
class Run:
    """How a model is to be run.

    Parameters
    ----------
    tokens
        Context over all slots together [tokens]; an array for a sweep.
    slots
        Requests at once.
    cache_type
        Type of keys and values.
    flash_attention
        Whether it is on.
    """

    tokens: Int
    slots: int = 1
    cache_type: str = "f16"
    flash_attention: bool = True


@dataclass(frozen=True)
class Weights:
    """What a model weighs at one quantisation.

    Parameters
    ----------
    layer_bytes
        By layer [bytes].
    active_bytes
        Of each layer, what a token reads: of a mixture only the experts in use [bytes].
    input_bytes
        The token embedding, which llama.cpp keeps in main memory [bytes].
    output_bytes
        The output matrix with its norm; of a tied model the embedding once more [bytes].
    file_bytes
        All of a file's tensors [bytes].
    rests_on
        ``file``: the published size of the file; ``tensors``: every tensor, counted;
        ``parameters``: as many numbers of one width.
    """

    layer_bytes: tuple[int, ...]
    active_bytes: tuple[int, ...]
    input_bytes: int
    output_bytes: int
    file_bytes: int
    rests_on: str

    @property
    def card_bytes(self) -> int:
        """What is put on a card [bytes]."""
        return sum(self.layer_bytes) + self.output_bytes


def weights(part: ModelPart, quant: str) -> Weights:
    """What a model of the catalog weighs: by its file, else by its tensors, and never by a guess.

    Parameters
    ----------
    part
        The catalog's entry.
    quant
        Quantisation, such as ``Q4_K_M``.

    Raises
    ------
    ValueError
        Neither the size of such a file nor the tensors are known.
    """
    known = part.architecture in ARCHITECTURES and quant in QUANTS
    counted = _counted(part, quant) if known else None
    size, rests_on = part.file_bytes.get(quant), "file"
    if counted is None and size is None and quant in _WIDTHS:
        size, rests_on = round(part.parameters * _WIDTHS[quant]), "parameters"
    if counted is None and size is None:
        raise ValueError(
            f"what {part.name} weighs at {quant} is not known: its architecture "
            f"{part.architecture!r} is none of {', '.join(ARCHITECTURES)}, or {quant} none of the "
            f"quantisations that can be counted; give the size of the file as file_bytes"
        )
    if size is None:
        assert counted is not None
        return counted
    if counted is None:
        layer = size // part.n_layer
        share = part.n_expert_used / part.n_expert if part.n_expert else 1.0
        active = (round(layer * share),) * part.n_layer
        return Weights((layer,) * part.n_layer, active, 0, 0, layer * part.n_layer, rests_on)
    scale = size / counted.file_bytes
    return Weights(
        tuple(round(layer * scale) for layer in counted.layer_bytes),
        tuple(round(layer * scale) for layer in counted.active_bytes),
        round(counted.input_bytes * scale),
        round(counted.output_bytes * scale),
        size,
        rests_on,
    )


def _counted(part: ModelPart, quant: str) -> Weights:
    widths = Widths(
        n_layer=part.n_layer,
        n_embd=part.n_embd,
        n_ff=part.n_ff,
        n_vocab=part.n_vocab,
        n_head=part.n_head,
        n_head_kv=part.n_head_kv,
        head_dim=part.key_length,
        tied=part.tied,
        n_expert=part.n_expert,
        n_ff_expert=part.n_ff_expert or (part.n_ff if part.n_expert else 0),
        n_expert_shared=part.n_expert_shared,
        n_layer_dense=part.n_layer_dense,
        q_latent_length=part.q_latent_length or 0,
        kv_latent_length=max((part.kv_latent_length or 0) - part.rope_length, 0),
        rope_length=part.rope_length,
        value_length=part.value_length,
    )
    used = part.n_expert_used / part.n_expert if part.n_expert else 1.0
    return _summed(part.architecture, widths, quant, used)


@cache
def _summed(architecture: str, widths: Widths, quant: str, used: float) -> Weights:
    """All tensors of a model, of whose experts a share is in use; an audit asks for it often."""
    shapes = tensor_shapes(architecture, widths)
    layers, active = [0] * widths.n_layer, [0.0] * widths.n_layer
    head = tail = 0
    for name, chosen in quantised_types(quant, shapes, widths).items():
        size = tensor_bytes(chosen, shapes[name])
        if name.startswith("blk."):
            layer = int(name.split(".")[1])
            layers[layer] += size
            active[layer] += size * (used if "_exps." in name else 1.0)
        elif name == "token_embd.weight":
            head += size
        else:
            tail += size
    whole = sum(layers) + head + tail
    read = tuple(map(round, active))
    out = tail + (head if widths.tied else 0)
    return Weights(tuple(layers), read, head, out, whole, "tensors")


def transformer(part: ModelPart) -> Transformer:
    """The shape of a model of the catalog."""
    return Transformer(
        part.architecture,
        n_layer=part.n_layer,
        n_embd=part.n_embd,
        n_ff=part.n_ff,
        n_vocab=part.n_vocab,
        n_head=part.n_head,
        n_head_kv=part.n_head_kv,
        key_length=part.key_length,
        value_length=part.value_length,
        n_expert_used=part.n_expert_used if part.n_expert else 0,
        n_ff_expert=part.n_ff_expert or (part.n_ff if part.n_expert else 0),
        window=part.sliding_window or 0,
        window_pattern=part.sliding_window_pattern or (1 if part.sliding_window else 0),
        kv_latent_length=part.kv_latent_length or 0,
    )


def _serving(run: Run) -> Serving:
    return Serving(
        run.tokens,
        n_seq=run.slots,
        n_outputs=run.slots,
        type_k=run.cache_type,
        type_v=run.cache_type,
        flash_attention=run.flash_attention,
    )


def caches(part: ModelPart) -> bool:
    """Whether a model keeps keys and values between tokens; an encoder does not."""
    return part.purpose != "embedding"


def cache_bytes(part: ModelPart, run: Run) -> Int:
    """The cache of keys and values [bytes]; see `homelab_lib.models.context`."""
    return kv_cache_bytes(transformer(part), _serving(run)) if caches(part) else run.tokens * 0


def buffer_bytes(part: ModelPart, run: Run) -> Int:
    """The compute buffer on each card [bytes]; see `homelab_lib.models.context`."""
    return compute_buffer_bytes(transformer(part), _serving(run))


def fit(served: ServedModel, runtime: str, available_bytes: int) -> Fit:
    """Where a card's memory goes that serves a model of the lab by itself.

    Parameters
    ----------
    served
        The model, and how it is to be run.
    runtime
        By what the card computes, such as ``CUDA``.
    available_bytes
        What the card has [bytes].

    Raises
    ------
    ValueError
        What the model weighs is not known.
    """
    run = run_of(served)
    return Fit(
        weights_bytes=weights(served.part, served.quant).card_bytes,
        cache_bytes=int(cache_bytes(served.part, run)),
        compute_bytes=int(buffer_bytes(served.part, run)),
        overhead_bytes=OVERHEAD_BYTES.get(runtime, OTHER_OVERHEAD_BYTES),
        available_bytes=available_bytes,
    )


def run_of(served: ServedModel) -> Run:
    """How the lab wants a model to be run."""
    return Run(
        served.context_tokens * served.parallel,
        slots=served.parallel,
        cache_type=served.cache_type,
        flash_attention=served.flash_attention,
    )


def to_place(name: str, served: ServedModel, runtimes: frozenset[str]) -> Model:
    """A served model as `homelab_lib.models.placement` takes it, spread evenly over its layers.

    Parameters
    ----------
    name
        What the placement calls it.
    served
        The model, and how it is to be run.
    runtimes
        Which may be used.

    Raises
    ------
    ValueError
        What it weighs is not known.
    """
    run, layers = run_of(served), served.part.n_layer
    whole = weights(served.part, served.quant).card_bytes + int(cache_bytes(served.part, run))
    buffer = float(buffer_bytes(served.part, run))
    return Model(name, layers, whole / layers, buffer, runtimes)


def read_bytes(served: ServedModel) -> float:
    """What a token reads with the whole context in the cache [bytes].

    Raises
    ------
    ValueError
        What the model weighs is not known.
    """
    found = weights(served.part, served.quant)
    cache = int(cache_bytes(served.part, run_of(served)))
    return float(sum(found.active_bytes) + found.output_bytes + cache)
