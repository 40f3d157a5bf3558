"""Which tensors a model of each architecture has, and their shapes.

References
----------
llama.cpp, `src/models/*.cpp` (what `load_tensors` asks a file for), autumn 2026.
"""

from collections.abc import Callable
from dataclasses import dataclass

from homelab_lib.models.bounds import COUNT, WHOLE, holds

Shapes = dict[str, tuple[int, ...]]
"""By tensor: the length of a row first, as GGUF has it."""


@dataclass(frozen=True)
@holds(
    n_layer=COUNT,
    n_embd=COUNT,
    n_ff=COUNT,
    n_vocab=COUNT,
    n_head=COUNT,
    n_head_kv=COUNT,
    head_dim=COUNT,
    n_expert=WHOLE,
    n_ff_expert=WHOLE,
    n_expert_shared=WHOLE,
    n_layer_dense=WHOLE,
    q_latent_length=WHOLE,
    kv_latent_length=WHOLE,
    rope_length=WHOLE,
    value_length=WHOLE,
)
class Widths:
    """The numbers that decide every tensor of a model.

    Parameters
    ----------
    n_layer, n_embd, n_ff, n_vocab
        Blocks, width of the residual stream and of the dense feed-forward layer, tokens.
    n_head, n_head_kv, head_dim
        Query heads, heads of keys and values, width of a head.
    tied
        The output shares the token embedding; there is no ``output.weight``.
    n_expert, n_ff_expert, n_expert_shared
        Experts per layer, the width of one, and how many see every token; 0 for a dense model.
    n_layer_dense
        The first so many layers are dense although others have experts.
    q_latent_length, kv_latent_length, rope_length, value_length
        MLA: ranks of the queries' (0: none) and of the cached latent vector without its rotary
        part, that part, and the width of a value head.
    """

    n_layer: int
    n_embd: int
    n_ff: int
    n_vocab: int
    n_head: int
    n_head_kv: int
    head_dim: int
    tied: bool = False
    n_expert: int = 0
    n_ff_expert: int = 0
    n_expert_shared: int = 0
    n_layer_dense: int = 0
    q_latent_length: int = 0
    kv_latent_length: int = 0
    rope_length: int = 64
    value_length: int = 0

    @property
    def query(self) -> int:
        return self.n_head * self.head_dim

    @property
    def key(self) -> int:
        return self.n_head_kv * self.head_dim


def _attention(w: Widths) -> Shapes:
    return {
        "attn_norm.weight": (w.n_embd,),
        "attn_q.weight": (w.n_embd, w.query),
        "attn_k.weight": (w.n_embd, w.key),
        "attn_v.weight": (w.n_embd, w.key),
        "attn_output.weight": (w.query, w.n_embd),
    }


def _dense(w: Widths) -> Shapes:
    return {
        "ffn_norm.weight": (w.n_embd,),
        "ffn_gate.weight": (w.n_embd, w.n_ff),
        "ffn_up.weight": (w.n_embd, w.n_ff),
        "ffn_down.weight": (w.n_ff, w.n_embd),
    }


def _experts(w: Widths) -> Shapes:
    shapes: Shapes = {
        "ffn_norm.weight": (w.n_embd,),
        "ffn_gate_inp.weight": (w.n_embd, w.n_expert),
        "ffn_gate_exps.weight": (w.n_embd, w.n_ff_expert, w.n_expert),
        "ffn_up_exps.weight": (w.n_embd, w.n_ff_expert, w.n_expert),
        "ffn_down_exps.weight": (w.n_ff_expert, w.n_embd, w.n_expert),
    }
    if w.n_expert_shared:
        shared = w.n_ff_expert * w.n_expert_shared
        shapes |= {
            "ffn_gate_shexp.weight": (w.n_embd, shared),
            "ffn_up_shexp.weight": (w.n_embd, shared),
            "ffn_down_shexp.weight": (shared, w.n_embd),
        }
    return shapes


def _llama(w: Widths, layer: int) -> Shapes:
    return _attention(w) | (_experts(w) if w.n_expert else _dense(w))


def _qwen2(w: Widths, layer: int) -> Shapes:
    biases = {"attn_q.bias": (w.query,), "attn_k.bias": (w.key,), "attn_v.bias": (w.key,)}
    return _llama(w, layer) | biases


def _qwen3(w: Widths, layer: int) -> Shapes:
    norms = {"attn_q_norm.weight": (w.head_dim,), "attn_k_norm.weight": (w.head_dim,)}
    return _llama(w, layer) | norms


def _gemma2(w: Widths, layer: int) -> Shapes:
    norms = {"post_attention_norm.weight": (w.n_embd,), "post_ffw_norm.weight": (w.n_embd,)}
    return _llama(w, layer) | norms


def _gemma3(w: Widths, layer: int) -> Shapes:
    return _gemma2(w, layer) | _qwen3(w, layer)


def _phi3(w: Widths, layer: int) -> Shapes:
    return {
        "attn_norm.weight": (w.n_embd,),
        "attn_qkv.weight": (w.n_embd, w.query + 2 * w.key),
        "attn_output.weight": (w.query, w.n_embd),
        "ffn_norm.weight": (w.n_embd,),
        "ffn_up.weight": (w.n_embd, 2 * w.n_ff),  # the gate is in it
        "ffn_down.weight": (w.n_ff, w.n_embd),
    }


def _gpt_oss(w: Widths, layer: int) -> Shapes:
    shapes = _attention(w) | _experts(w)
    del shapes["ffn_norm.weight"]
    return shapes | {
        "post_attention_norm.weight": (w.n_embd,),
        "attn_sinks.weight": (w.n_head,),
        "attn_q.bias": (w.query,),
        "attn_k.bias": (w.key,),
        "attn_v.bias": (w.key,),
        "attn_output.bias": (w.n_embd,),
        "ffn_gate_inp.bias": (w.n_expert,),
        "ffn_gate_exps.bias": (w.n_ff_expert, w.n_expert),
        "ffn_up_exps.bias": (w.n_ff_expert, w.n_expert),
        "ffn_down_exps.bias": (w.n_embd, w.n_expert),
    }


def _deepseek2(w: Widths, layer: int) -> Shapes:
    nope = w.head_dim - w.rope_length
    rank, value = w.kv_latent_length, w.value_length or nope
    shapes: Shapes = {
        "attn_norm.weight": (w.n_embd,),
        "attn_kv_a_mqa.weight": (w.n_embd, rank + w.rope_length),
        "attn_kv_a_norm.weight": (rank,),
        "attn_k_b.weight": (nope, rank, w.n_head),
        "attn_v_b.weight": (rank, value, w.n_head),
        "attn_output.weight": (w.n_head * value, w.n_embd),
    }
    if w.q_latent_length:
        shapes |= {
            "attn_q_a.weight": (w.n_embd, w.q_latent_length),
            "attn_q_a_norm.weight": (w.q_latent_length,),
            "attn_q_b.weight": (w.q_latent_length, w.query),
            "exp_probs_b.bias": (w.n_expert,),
        }
    else:
        shapes["attn_q.weight"] = (w.n_embd, w.query)
    if layer >= w.n_layer_dense:
        return shapes | _experts(w)
    shapes.pop("exp_probs_b.bias", None)
    return shapes | _dense(w)


_BLOCKS: dict[str, Callable[[Widths, int], Shapes]] = {
    "llama": _llama,  # Mistral and Mixtral too
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3moe": _qwen3,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "phi3": _phi3,
    "granite": _llama,
    "gpt-oss": _gpt_oss,
    "deepseek2": _deepseek2,
}
ARCHITECTURES = tuple(_BLOCKS)
"""The architectures whose tensors are known here; of another, read a real file's header."""


def tensor_shapes(architecture: str, widths: Widths) -> Shapes:
    """The shape of every tensor.

    Parameters
    ----------
    architecture
        GGUF's ``general.architecture``, one of `ARCHITECTURES`.
    widths
        The model.

    Raises
    ------
    ValueError
        The architecture is not known here, or a number can't be.
    """
    if architecture not in _BLOCKS:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"architecture is {architecture!r}; it has to be one of {known}")
    _possible(widths)
    shapes: Shapes = {
        "token_embd.weight": (widths.n_embd, widths.n_vocab),
        "output_norm.weight": (widths.n_embd,),
    }
    if not widths.tied:
        shapes["output.weight"] = (widths.n_embd, widths.n_vocab)
    for layer in range(widths.n_layer):
        block = _BLOCKS[architecture](widths, layer)
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return shapes


def _possible(w: Widths) -> None:
    if w.n_head % w.n_head_kv:
        raise ValueError(
            f"n_head is {w.n_head}; it has to be a multiple of n_head_kv {w.n_head_kv}"
        )
    if w.n_expert and w.n_ff_expert < 1:
        raise ValueError(f"n_ff_expert is {w.n_ff_expert}; it has to be at least 1")
