"""What a GGUF file takes when it is run, by its own header and no guess."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from homelab_lib.gguf.header import GgufHeader, PerLayer
from homelab_lib.models.context import (
    Serving,
    Transformer,
    compute_buffer_bytes,
    kv_cache_bytes,
)
from homelab_lib.units import format_ibytes

_EMBEDDING = "token_embd.weight"
_WINDOW_PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2, "cohere2": 4, "llama4": 4}
"""Of how many layers one sees all, where the header does not say it; llama.cpp, `load_hparams`."""
_NO_WINDOW = ("phi3",)  # its header has one, and llama.cpp switches it off
_BUILT_IN_WINDOW = {"llama4": 8192}


def transformer(header: GgufHeader) -> Transformer:
    """The model's shape, as the models of memory take it.

    Parameters
    ----------
    header
        Of the file.

    Raises
    ------
    ValueError
        The header has numbers that no model can have.
    """
    arch, said = header.architecture, header.metadata

    def number(key: str, default: int = 0) -> int:
        found = said.get(f"{arch}.{key}", default)
        return found if isinstance(found, int) else default

    latent = number("attention.kv_lora_rank") if number("attention.key_length_mla") else 0
    window = 0 if arch in _NO_WINDOW else number("attention.sliding_window")
    window = window or _BUILT_IN_WINDOW.get(arch, 0)
    pattern = number("attention.sliding_window_pattern") or _WINDOW_PATTERNS.get(arch, 1)
    return Transformer(
        arch,
        n_layer=header.n_layer,
        n_embd=header.n_embd,
        n_ff=_most(header.n_ff) or number("expert_feed_forward_length"),
        n_vocab=header.n_vocab,
        n_head=_most(header.n_head),
        n_head_kv=header.n_head_kv,
        key_length=number("attention.key_length_mla") or header.key_length,
        value_length=number("attention.value_length_mla") or header.value_length,
        n_expert_used=number("expert_used_count"),
        n_ff_expert=number("expert_feed_forward_length") or _most(header.n_ff),
        window=window,
        window_pattern=pattern if window else 0,
        window_head_length=number("attention.key_length_swa"),
        n_cache_layer=header.n_layer - number("attention.shared_kv_layers"),
        kv_latent_length=latent + number("rope.dimension_count", 64) if latent else 0,
        per_layer_length=number("embedding_length_per_layer_input"),
    )


def _most(value: PerLayer) -> int:
    return value if isinstance(value, int) else max(value)


def told(header: GgufHeader, *, tokens: int, slots: int = 1) -> Iterator[str]:
    """What the file is, and what it takes, in lines.

    Parameters
    ----------
    header
        Of the file.
    tokens
        Context of one request [tokens].
    slots
        Requests at once.
    """
    shape = transformer(header)
    types = Counter(tensor.quant for tensor in header.tensors.values())
    embedding = header.tensors.get(_EMBEDDING)
    tied = "output.weight" not in header.tensors
    stays = embedding.nbytes if embedding and not tied else 0
    yield (
        f"{header.architecture}, {header.parameters / 1e9:.2f} billion weights in "
        f"{header.n_layer} layers, trained for {header.context_length:,} tokens"
    )
    yield f"tensors: {', '.join(f'{count} {quant}' for quant, count in types.most_common())}"
    yield f"weights: {format_ibytes(header.weight_bytes)}, of it on the card " + format_ibytes(
        header.weight_bytes - stays
    )
    if header.n_split > 1:
        yield f"this is one file of {header.n_split}; the others' tensors come on top"
    if tokens > header.context_length:
        yield f"{tokens:,} tokens are more than it was trained for"
    run = Serving(tokens * slots, n_seq=slots, n_outputs=slots)
    many = f"{slots} × {tokens:,}" if slots > 1 else f"{tokens:,}"
    for kind in ("f16", "q8_0"):
        cache = kv_cache_bytes(shape, replace(run, type_k=kind, type_v=kind))
        yield f"cache of {many} tokens, {kind}: {format_ibytes(cache)}"
    flash = compute_buffer_bytes(shape, run)
    without = compute_buffer_bytes(shape, replace(run, flash_attention=False))
    yield (
        f"compute buffer: {format_ibytes(flash)} with flash attention, "
        f"{format_ibytes(without)} without"
    )
