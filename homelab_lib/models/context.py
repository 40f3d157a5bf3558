"""What a language model's context takes: the KV cache, exactly, and the compute buffer.

As llama.cpp allocates them: by layer, with windows, latent vectors, several sequences in one cache
or each in its own. The cache is exact on every allocation measured; the compute buffer, which is
as large as the largest stage of the graph, is within 5 % on nine of ten with the CPU backend.
Other backends differ somewhat.

References
----------
llama.cpp of 2026-10-01: `llama_kv_cache`, `llama_kv_cache_iswa` and the graphs of its models;
block sizes from the `gguf` package.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from homelab_lib.models.bounds import COUNT, WHOLE, holds, takes

Int = Any
"""An int, or an integer array where a sweep needs it."""

_CELLS = 256
_FLOAT = 4
_ROPE_LENGTH = 64
"""Rotary part of DeepSeek's latent vector."""


@dataclass(frozen=True)
@holds(
    n_layer=COUNT,
    n_embd=COUNT,
    n_ff=COUNT,
    n_vocab=COUNT,
    n_head=COUNT,
    n_head_kv=WHOLE,
    key_length=COUNT,
    value_length=COUNT,
    n_expert_used=WHOLE,
    n_ff_expert=WHOLE,
    window=WHOLE,
    window_pattern=WHOLE,
    window_head_length=WHOLE,
    n_cache_layer=WHOLE,
    kv_latent_length=WHOLE,
    per_layer_length=WHOLE,
)
class Transformer:
    """A model's shape, as the header of its GGUF file has it.

    Parameters
    ----------
    architecture
        ``llama``, ``qwen3moe``, ``gemma3``, ``gpt-oss`` …
    n_layer
        Blocks.
    n_embd, n_ff, n_vocab
        Width of the residual stream and of the (dense) feed-forward layer; tokens.
    n_head, n_head_kv
        Query heads; heads of keys and values, for all layers or layer by layer.
    key_length, value_length
        Width of a key and of a value head.
    n_expert_used, n_ff_expert
        Experts that see a token, and the width of one; 0 for a dense model.
    window, window_pattern
        Tokens that a windowed layer sees, and of how many layers one sees all: layer i is windowed
        where i mod pattern < pattern - 1. 0 where all see all.
    window_head_length
        Width of a head in windowed layers, where it is another one.
    n_cache_layer
        The first so many layers have a cache of their own; None for all.
    kv_latent_length
        Length of the vector that a layer caches in place of keys and values (MLA), its rotary
        part included; 0 without.
    per_layer_length
        Width of the embedding that each layer gets besides (Gemma 3n, Gemma 4 E4B); 0 without.
    """

    architecture: str
    n_layer: int
    n_embd: int
    n_ff: int
    n_vocab: int
    n_head: int
    n_head_kv: int | Sequence[int]
    key_length: int
    value_length: int
    n_expert_used: int = 0
    n_ff_expert: int = 0
    window: int = 0
    window_pattern: int = 0
    window_head_length: int = 0
    n_cache_layer: int | None = None
    kv_latent_length: int = 0
    per_layer_length: int = 0

    def __post_init__(self) -> None:
        heads = self.heads_kv
        if len(heads) != self.n_layer:
            raise ValueError(f"n_head_kv has {len(heads)} entries for n_layer {self.n_layer}")
        if self.window and self.window_pattern < 1:
            raise ValueError("window_pattern has to be at least 1 where there is a window")
        if self.n_cache_layer is not None and self.n_cache_layer > self.n_layer:
            raise ValueError(
                f"n_cache_layer is {self.n_cache_layer}; there are {self.n_layer} layers"
            )

    @property
    def heads_kv(self) -> tuple[int, ...]:
        """Heads of keys and values, layer by layer."""
        heads = self.n_head_kv
        return (heads,) * self.n_layer if isinstance(heads, int) else tuple(heads)

    def is_windowed(self, layer: int) -> bool:
        """Whether a layer sees the latest tokens only."""
        return self.window > 0 and layer % self.window_pattern < self.window_pattern - 1

    @property
    def cache_layers(self) -> range:
        """The layers with a cache of their own."""
        return range(self.n_layer if self.n_cache_layer is None else self.n_cache_layer)


@dataclass(frozen=True)
@holds(n_ctx=COUNT, n_seq=COUNT, n_batch=COUNT, n_ubatch=COUNT, n_outputs=COUNT)
class Serving:
    """How a model is run.

    Parameters
    ----------
    n_ctx
        Context over all sequences together [tokens]; an array for a sweep. Ollama multiplies its
        own by OLLAMA_NUM_PARALLEL.
    n_seq
        Sequences at once: llama-server's slots, of which it makes 4 unless told otherwise.
    unified
        They share one cache, as llama-server has them; else each has its own.
    window_full
        Windowed layers keep everything: ``--swa-full``.
    n_batch, n_ubatch
        Tokens taken and computed at a time.
    n_outputs
        Tokens whose logits are kept: a server's sequences; None for all of a batch.
    type_k, type_v
        Cache types; a quantised V needs flash attention.
    flash_attention
        Whether it is on.
    """

    n_ctx: Int
    n_seq: int = 1
    unified: bool = True
    window_full: bool = False
    n_batch: int = 2048
    n_ubatch: int = 512
    n_outputs: int | None = None
    type_k: str = "f16"
    type_v: str = "f16"
    flash_attention: bool = True

    def __post_init__(self) -> None:
        if not self.flash_attention and row_bytes(self.type_v, 256) != 512:
            raise ValueError(f"type_v is {self.type_v!r}; a quantised V needs flash attention")

    @property
    def tokens(self) -> Int:
        """Computed at a time [tokens]."""
        return np.minimum(min(self.n_ubatch, self.n_batch), self.n_ctx)

    @property
    def streams(self) -> int:
        """Caches beside each other."""
        return 1 if self.unified else self.n_seq

    @property
    def cells(self) -> Int:
        """Of a layer that sees all, in each stream [tokens]."""
        return _padded(_padded(self.n_ctx) // self.streams)

    def window_cells(self, window: int) -> Int:
        """Of a windowed layer, in each stream [tokens]."""
        if self.window_full:
            return self.cells
        kept = window * (self.n_seq if self.unified else 1) + self.tokens
        return _padded(np.minimum(self.cells, kept))


def _padded(tokens: Int) -> Int:
    return -(-np.asarray(tokens, dtype=np.int64) // _CELLS) * _CELLS


@takes(elements=WHOLE)
def row_bytes(type_name: str, elements: int) -> int:
    """What so many elements of a cache type take [bytes].

    Raises
    ------
    ValueError
        There is no such type, or its blocks do not fill the row.
    """
    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType[type_name.upper()]]
    except KeyError:
        raise ValueError(f"there is no cache type {type_name!r}; f16, q8_0, q4_0 …") from None
    if elements % block:
        raise ValueError(f"a row of {elements} elements does not divide into {type_name} blocks")
    return int(elements // block * size)


def kv_cache_bytes(model: Transformer, serving: Serving) -> Int:
    """The cache of keys and values over all sequences.

    Parameters
    ----------
    model, serving
        The model, and how it is run.

    Returns
    -------
    int or ndarray
        Size [bytes]; exact for llama.cpp. What linear-attention layers keep for each sequence is
        not in it.

    References
    ----------
    `llama_kv_cache`, `llama_kv_cache_iswa`.
    """
    full, windowed = serving.cells, serving.window_cells(model.window)
    heads_kv = model.heads_kv
    widest = max(heads_kv) * (model.window_head_length or model.value_length)
    widest = max(widest, *(heads * model.value_length for heads in _full_heads(model)), 1)
    total: Int = 0
    kinds = Counter((model.is_windowed(i), heads_kv[i]) for i in model.cache_layers)
    for (local, heads), layers in kinds.items():
        if model.kv_latent_length:
            row = row_bytes(serving.type_k, model.kv_latent_length)
        else:
            length = model.window_head_length if local else 0
            values = heads * (length or model.value_length)
            if model.architecture == "gemma4" and not serving.flash_attention:
                values = widest  # it is padded to the widest layer's, to be transposed
            row = row_bytes(serving.type_k, heads * (length or model.key_length))
            row += row_bytes(serving.type_v, values)
        total = total + layers * row * (windowed if local else full)
    total = total * serving.streams
    return int(total) if np.ndim(total) == 0 else total


def _full_heads(model: Transformer) -> list[int]:
    heads_kv = model.heads_kv
    return [heads_kv[i] for i in model.cache_layers if not model.is_windowed(i)]


@dataclass(frozen=True)
class _Graph:
    """What an architecture's graph keeps alive besides what all of them do, in widths.

    Parameters
    ----------
    logits, feed_forward
        More widths of the residual stream alive in that stage.
    narrow_logits, narrow_feed_forward
        The same, where the mask is narrower than the stream: its room, once free, is then too
        small for another tensor of that width.
    hidden
        ``stream``, ``query`` or ``none``: what the feed-forward layer waits for.
    weighs_experts
        The experts' outputs stand side by side before they are added.
    scales_query
        A second copy of the queries.
    """

    logits: float = 0.0
    feed_forward: float = 0.0
    narrow_logits: float = 0.0
    narrow_feed_forward: float = 0.0
    hidden: str = "stream"
    weighs_experts: bool = False
    scales_query: bool = False


_PLAIN = _Graph()
_GRAPHS = {
    "gemma2": _Graph(hidden="query", scales_query=True),
    "gemma3": _Graph(logits=0.5, narrow_feed_forward=1.2, hidden="query", scales_query=True),
    "gemma3n": _Graph(feed_forward=4.5, hidden="query", scales_query=True),
    "gemma4": _Graph(logits=2.0, narrow_logits=3.0, hidden="query", scales_query=True),
    "gpt-oss": _Graph(logits=2.0, hidden="query"),
    "phi3": _Graph(narrow_logits=2.6, hidden="none"),
    "cohere2": _Graph(logits=1.0, feed_forward=1.0),
    "qwen3moe": _Graph(weighs_experts=True),
    "glm4moe": _Graph(logits=1.0, narrow_logits=1.5, weighs_experts=True),
    "qwen3next": _Graph(logits=1.0, narrow_logits=1.0, weighs_experts=True),
    "llama4": _Graph(logits=2.0, feed_forward=1.0),
    "deepseek2": _Graph(logits=2.6),
}
"""Read from the graphs of llama.cpp where a tensor explains it. What a graph's allocator adds by
chance (the logits of phi3, gemma4, llama4, deepseek2) is set between what was measured."""


def compute_buffer_bytes(model: Transformer, serving: Serving) -> Int:
    """The buffer for one micro-batch: as large as the largest stage of the graph.

    Parameters
    ----------
    model, serving
        The model, and how it is run.

    Returns
    -------
    int or ndarray
        Size [bytes].

    References
    ----------
    The tensors alive in each stage of llama.cpp's graphs, counted: the logits, the feed-forward
    layer, its experts, and the attention, with scores against the whole context where there is no
    flash attention.
    """
    tokens, cells = serving.tokens, serving.cells
    mask_cells = cells
    if any(model.is_windowed(layer) for layer in model.cache_layers):
        mask_cells = cells + serving.window_cells(model.window)
    mask = tokens * mask_cells * (2 if serving.flash_attention else 4)
    floats = _FLOAT * tokens
    graph = _GRAPHS.get(model.architecture, _PLAIN)
    outputs = np.minimum(
        tokens, serving.n_batch if serving.n_outputs is None else serving.n_outputs
    )
    widths = 2 + (8 if model.kv_latent_length else graph.logits)
    narrow = mask < floats * model.n_embd
    widths = widths + np.where(narrow, graph.narrow_logits, 0)
    more = np.where(narrow, graph.narrow_feed_forward, 0) * model.n_embd
    logits = _FLOAT * outputs * model.n_vocab + floats * widths * model.n_embd
    if model.per_layer_length:
        logits = logits + mask
    stages = [
        logits,
        floats * (_feed_forward(model, graph) + more) + mask,
        floats * _attention(model, graph, serving) + mask + _scores(model, serving),
    ]
    largest = np.maximum.reduce(np.broadcast_arrays(*stages))
    return int(largest) if np.ndim(largest) == 0 else largest.astype(np.int64)


def _feed_forward(model: Transformer, graph: _Graph) -> float:
    """Elements alive for a token in the feed-forward layer."""
    local = model.window_head_length or model.key_length
    hidden = {"stream": model.n_embd, "query": model.n_head * local, "none": 0}[graph.hidden]
    stream = (3 + graph.feed_forward) * model.n_embd + hidden
    stream += model.n_layer * model.per_layer_length
    if model.per_layer_length and model.window_head_length:
        stream += 3 * hidden
    dense = 3 * model.n_ff + stream
    used = model.n_expert_used
    if not used:
        return dense
    experts = 3 * used * model.n_ff_expert + stream
    if graph.weighs_experts and model.n_embd > model.n_ff_expert:
        experts += (used + 1) * model.n_embd
    if model.architecture == "gemma4":  # a dense layer beside the experts
        experts += 7 * model.n_embd
    if model.architecture == "deepseek2":  # its first layers are dense
        experts = max(experts, dense)
    return experts


def _attention(model: Transformer, graph: _Graph, serving: Serving) -> float:
    """Elements alive for a token while attention is computed, without the scores."""
    stream = model.n_layer * model.per_layer_length + graph.feed_forward * model.n_embd
    if model.kv_latent_length:
        rank = model.kv_latent_length - _ROPE_LENGTH
        heads = model.kv_latent_length + rank + model.key_length + model.value_length
        flash = (model.n_head * rank + 3 * model.n_embd) if serving.flash_attention else 0
        return model.n_head * heads + 4 * model.n_embd + flash
    query = model.n_head * model.key_length
    key = max(_full_heads(model), default=0) * model.key_length
    return (2 + graph.scales_query) * query + 2 * key + 3 * model.n_embd + stream


def _scores(model: Transformer, serving: Serving) -> Int:
    if serving.flash_attention:
        return 0
    return _FLOAT * serving.tokens * model.n_head * serving.cells
