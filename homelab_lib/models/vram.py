"""What a model takes on a graphics card: weights, KV cache, compute buffer; what fits, how fast.

Measured against llama.cpp: weights exact, KV cache exact on 155 allocations, the compute buffer
within 2 % on its CPU backend. GPU backends differ somewhat, and a runtime's own overhead comes
on top: give it as a number, and let a measurement replace it.

References
----------
llama.cpp, `llama_kv_cache` and `ggml_gallocr` (autumn 2026); block sizes from the `gguf`
package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from homelab_lib.models.quantisation import quantised_types, tensor_shapes, weight_bytes

__all__ = [
    "Fit",
    "compute_buffer_bytes",
    "decode_tokens_per_second",
    "kv_cache_bytes",
    "largest_context",
    "output_buffer_bytes",
    "quantised_types",
    "split_layers",
    "tensor_shapes",
    "weight_bytes",
]

Int = Any
"""An int, or an integer array where a sweep needs it."""

_CONTEXT_STEP = 256


def _positive(**values: Int) -> None:
    for name, value in values.items():
        if not np.all(np.asarray(value) > 0):
            raise ValueError(f"{name} is {value}; it has to be above 0")


def _cache_row_bytes(type_name: str, elements: Int) -> Int:
    """Bytes of so many elements of a cache type."""
    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType[type_name.upper()]]
    except KeyError:
        raise ValueError(f"there is no cache type {type_name!r}; f16, q8_0, q4_0 …") from None
    if np.any(np.asarray(elements) % block):
        raise ValueError(f"a row of {elements} elements does not divide into {type_name} blocks")
    return elements // block * size


def kv_cache_bytes(
    *,
    n_layer: int,
    n_ctx: Int,
    n_head_kv: int | Sequence[int],
    key_length: int,
    value_length: int,
    type_k: str = "f16",
    type_v: str = "f16",
    n_window_layer: int = 0,
    window: int = 0,
    n_ubatch: int = 512,
) -> Int:
    """The cache of keys and values.

    Parameters
    ----------
    n_layer
        Layers.
    n_ctx
        Context over all parallel sequences together [tokens]; rounded up to 256. Ollama
        multiplies its own by OLLAMA_NUM_PARALLEL. An array for a sweep.
    n_head_kv
        Heads of keys and values, for all layers or layer by layer.
    key_length, value_length
        Width of a key and of a value head. For MLA, with one "head": the latent rank plus the
        rotary part, and 0 for the value that is never stored.
    type_k, type_v
        Cache types; a quantised V needs flash attention.
    n_window_layer
        How many of the layers attend to a sliding window only.
    window
        That window [tokens].
    n_ubatch
        Tokens computed at a time; a window is kept that much longer.

    Returns
    -------
    int or ndarray
        Size [bytes]; exact for llama.cpp.

    References
    ----------
    `llama_kv_cache`, `llama_kv_cache_iswa`.
    """
    _positive(n_layer=n_layer, n_ctx=n_ctx, key_length=key_length)
    heads = [n_head_kv] * n_layer if isinstance(n_head_kv, int) else list(n_head_kv)
    if len(heads) != n_layer or min(heads) < 0:
        raise ValueError(f"n_head_kv has {len(heads)} entries for n_layer {n_layer}")
    if not 0 <= n_window_layer <= n_layer:
        raise ValueError(f"n_window_layer is {n_window_layer}; it goes from 0 to n_layer {n_layer}")
    context = _round_up(n_ctx)
    short = np.minimum(context, _round_up(window + n_ubatch)) if n_window_layer else context
    total: Int = 0
    for layer, count in enumerate(heads):
        row = _cache_row_bytes(type_k, count * key_length)
        if value_length:
            row += _cache_row_bytes(type_v, count * value_length)
        total = total + row * (short if layer < n_window_layer else context)
    return int(total) if np.ndim(total) == 0 else total


def _round_up(tokens: Int) -> Int:
    return -(-np.asarray(tokens, dtype=np.int64) // _CONTEXT_STEP) * _CONTEXT_STEP


def compute_buffer_bytes(
    *,
    n_embd: int,
    n_ff: int,
    n_head: int,
    n_vocab: int,
    n_ctx: Int,
    n_ubatch: int = 512,
    flash_attention: bool = True,
    n_head_kv: int | None = None,
    head_dim: int | None = None,
) -> Int:
    """The buffer for one micro-batch: as large as the largest stage of the graph.

    The stages, each in 4-byte floats per token: the logits; the feed-forward layer; and,
    without flash attention, the scores of every head against the whole context.

    Parameters
    ----------
    n_embd, n_ff, n_head, n_vocab
        The model.
    n_ctx
        Context [tokens]; an array for a sweep.
    n_ubatch
        Tokens computed at a time.
    flash_attention
        Whether it is on.
    n_head_kv, head_dim
        For a closer figure without flash attention; default: as many as heads, n_embd / n_head.

    Returns
    -------
    int or ndarray
        Size [bytes]. Within 2 % of what llama.cpp's CPU backend reported on 155 allocations
        with all parameters given; other backends differ somewhat.

    References
    ----------
    Fitted to no case: the tensors alive in each stage of `llm_build_llama`, counted.
    """
    _positive(
        n_embd=n_embd, n_ff=n_ff, n_head=n_head, n_vocab=n_vocab, n_ctx=n_ctx, n_ubatch=n_ubatch
    )
    head_dim = head_dim or n_embd // n_head
    floats = 4 * n_ubatch
    context = _round_up(n_ctx)
    query, key = n_head * head_dim, (n_head_kv or n_head) * head_dim
    mask = context * n_ubatch * (2 if flash_attention else 4)
    logits = floats * (n_vocab + 2 * n_embd)
    feed_forward = floats * (3 * n_ff + 4 * n_embd) + mask
    attention = floats * (2 * query + 2 * key + 3 * n_embd) + mask
    if not flash_attention:
        attention = attention + floats * n_head * context
    largest = np.maximum(np.maximum(logits, feed_forward), attention)
    return int(largest) if np.ndim(largest) == 0 else largest


def output_buffer_bytes(*, n_vocab: int, n_seq: int = 1) -> int:
    """Where the logits of each parallel sequence land, in host memory [bytes]."""
    _positive(n_vocab=n_vocab, n_seq=n_seq)
    return 4 * n_vocab * n_seq


# Fit ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """Whether a model fits a card, and where its memory goes.

    Parameters
    ----------
    weights_bytes, cache_bytes, compute_bytes, overhead_bytes
        What each part takes [bytes].
    available_bytes
        What the card has to give [bytes].
    """

    weights_bytes: int
    cache_bytes: int
    compute_bytes: int
    overhead_bytes: int
    available_bytes: int

    @property
    def needed_bytes(self) -> int:
        """All parts together [bytes]."""
        return self.weights_bytes + self.cache_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def left_bytes(self) -> int:
        """What stays free; negative where it does not fit [bytes]."""
        return self.available_bytes - self.needed_bytes

    @property
    def fits(self) -> bool:
        return self.left_bytes >= 0


def largest_context(
    available_bytes: int,
    *,
    fixed_bytes: int,
    cache_bytes_per_token: float,
    buffer_bytes_per_token: float = 0.0,
    limit: int = 131072,
) -> int:
    """The largest context that fits beside the weights.

    Parameters
    ----------
    available_bytes
        What the card has to give [bytes].
    fixed_bytes
        Weights, overhead and the part of the compute buffer that does not grow [bytes].
    cache_bytes_per_token
        KV cache a token of context takes [bytes].
    buffer_bytes_per_token
        What the compute buffer grows by a token (scores without flash attention) [bytes].
    limit
        The model's own limit [tokens].

    Returns
    -------
    int
        Tokens, a multiple of 256; 0 where not even those fit.
    """
    _positive(cache_bytes_per_token=cache_bytes_per_token, limit=limit)
    left = available_bytes - fixed_bytes
    tokens = int(left / (cache_bytes_per_token + buffer_bytes_per_token)) if left > 0 else 0
    return min(tokens, limit) // _CONTEXT_STEP * _CONTEXT_STEP


def split_layers(
    layer_bytes: Sequence[int],
    available_bytes: Sequence[int],
    *,
    reserve_bytes: Sequence[int],
    output_bytes: int = 0,
) -> tuple[int, ...]:
    """How many layers go to each card, filling one card after the other.

    Each card holds its layers' weights and cache beside what it reserves for its own compute
    buffer and overhead; the output sits on the last card that has layers. Layers that find no
    room stay in main memory: the counts then sum to fewer than the layers.

    Parameters
    ----------
    layer_bytes
        Weights and cache of each layer, in order [bytes].
    available_bytes, reserve_bytes
        By card [bytes].
    output_bytes
        The output matrix [bytes].

    References
    ----------
    llama.cpp ``--split-mode layer``.
    """
    counts = []
    waiting = list(layer_bytes)
    for available, reserve in zip(available_bytes, reserve_bytes, strict=True):
        left, count = available - reserve, 0
        while waiting:
            last = output_bytes if len(waiting) == 1 else 0
            if waiting[0] + last > left:
                break
            left -= waiting.pop(0)
            count += 1
        counts.append(count)
    return tuple(counts)


def decode_tokens_per_second(
    bytes_per_token: Sequence[float], bandwidth_bps: Sequence[float], *, efficiency: float = 1.0
) -> float:
    """How fast tokens can come at most: every active byte is read once for each.

    With several cards (or main memory, for layers that did not fit) a token passes them in turn,
    so the times add up.

    Parameters
    ----------
    bytes_per_token
        Active weights and cache read for a token, by device [bytes]; of a mixture of experts
        only those that are used.
    bandwidth_bps
        Memory bandwidth by device [bytes/s].
    efficiency
        What is reached of it. 1 is the roof; 0.5 to 0.75 is usual on GPUs (unverified). One
        published run from main memory reached 0.88 to 0.95.

    Returns
    -------
    float
        Tokens per second. Says nothing of the prompt: that is bound by arithmetic.

    References
    ----------
    S. Williams, A. Waterman, D. Patterson, "Roofline", CACM 52(4), 2009.
    """
    if not 0 < efficiency <= 1:
        raise ValueError(f"efficiency is {efficiency}; it goes from above 0 to 1")
    times = []
    for size, bandwidth in zip(bytes_per_token, bandwidth_bps, strict=True):
        if size < 0 or bandwidth <= 0:
            raise ValueError("bytes_per_token can't be negative, bandwidth_bps has to be above 0")
        times.append(size / (bandwidth * efficiency))
    if sum(times) <= 0:
        raise ValueError("bytes_per_token is nothing at all")
    return 1.0 / sum(times)
