"""Which GGML type llama.cpp's quantiser gives each tensor, and what the tensors weigh.

A "Q4_K_M" is a mixture: which tensor gets which type depends on the tensor, its layer, the ratio
of heads to KV heads, the experts, and on whether the output shares the embedding. Averages of
bits per weight are 3 to 8 % off; this is exact on every mix it was measured on.

References
----------
llama.cpp, `llama_tensor_get_type` (src/llama-quant.cpp), read and measured in autumn 2026.
"""

from collections.abc import Callable, Mapping

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

Types = dict[str, str]
Shapes = dict[str, tuple[int, ...]]

_BASE = {
    "F32": "F32",
    "F16": "F16",
    "BF16": "BF16",
    "Q4_0": "Q4_0",
    "Q4_1": "Q4_1",
    "Q5_0": "Q5_0",
    "Q5_1": "Q5_1",
    "Q8_0": "Q8_0",
    "Q2_K": "Q2_K",
    "Q3_K_S": "Q3_K",
    "Q3_K_M": "Q3_K",
    "Q3_K_L": "Q3_K",
    "Q4_K_S": "Q4_K",
    "Q4_K_M": "Q4_K",
    "Q5_K_S": "Q5_K",
    "Q5_K_M": "Q5_K",
    "Q6_K": "Q6_K",
}
QUANTS = tuple(_BASE)
"""The quantisations that can be modelled."""

_WHOLE = ("F32", "F16", "BF16")
_FALLBACK = {
    "Q2_K": "IQ4_NL",
    "Q3_K": "IQ4_NL",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
_NORMS = {"qwen3": ("attn_q_norm", "attn_k_norm"), "qwen3moe": ("attn_q_norm", "attn_k_norm")}
_BIASES = {"qwen2": ("attn_q.bias", "attn_k.bias", "attn_v.bias")}
ARCHITECTURES = ("llama", "qwen2", "qwen3", "qwen3moe")
"""The architectures whose tensors are known here; of another, read a real file's header."""


def _more_bits(layer: int, n_layer: int) -> bool:
    """The first eighth of the layers, the last, and every third in between."""
    eighth = n_layer // 8
    return layer < eighth or layer >= 7 * n_layer // 8 or (layer - eighth) % 3 == 2


def _attn_v(quant: str, layer: int, n_layer: int, gqa: int, n_expert: int) -> str:
    chosen = _BASE[quant]
    if quant == "Q2_K":
        chosen = "Q4_K" if gqa >= 4 else "Q3_K"
    elif quant == "Q3_K_M":
        chosen = "Q5_K" if layer < 2 else "Q4_K"
    elif quant == "Q3_K_L" or (quant == "Q4_K_S" and layer < 4):
        chosen = "Q5_K"
    elif quant in ("Q4_K_M", "Q5_K_M") and _more_bits(layer, n_layer):
        chosen = "Q6_K"
    if n_layer == 80 and chosen in ("Q3_K", "Q4_K"):
        chosen = "Q5_K"  # a "70B": eight heads share it, so it is small and worth the bits
    return "Q8_0" if n_expert == 8 else chosen


def _ffn_down(quant: str, layer: int, n_layer: int) -> str:
    if quant == "Q2_K":
        return "Q3_K"
    if quant == "Q3_K_M":
        return "Q5_K" if layer < n_layer // 16 else "Q4_K"
    if quant == "Q3_K_L" or (quant == "Q4_K_S" and layer < n_layer // 8):
        return "Q5_K"
    if quant in ("Q4_K_M", "Q5_K_M") and _more_bits(layer, n_layer):
        return "Q6_K"
    return _BASE[quant]


def _attn_output(quant: str, n_expert: int) -> str:
    if n_expert == 8:
        raised = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M")
        return "Q5_K" if quant in raised else _BASE[quant]
    return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(quant, _BASE[quant])


def quantised_types(
    arch: str,
    *,
    n_layer: int,
    n_head: int,
    n_head_kv: int,
    quant: str,
    tied: bool = False,
    n_expert: int = 0,
) -> Types:
    """The GGML type of every tensor, as llama.cpp's quantiser chooses it without an imatrix.

    Rows are taken to be multiples of a block; where they are not, `weight_bytes` falls back as
    the quantiser does.

    Parameters
    ----------
    arch
        GGUF architecture, one of `ARCHITECTURES`.
    n_layer
        Layers.
    n_head, n_head_kv
        Query heads, and the heads of keys and values.
    quant
        One of `QUANTS`, such as ``Q4_K_M``.
    tied
        The output shares the token embedding; there is no ``output.weight``.
    n_expert
        Experts per layer; 0 for a dense model.

    Returns
    -------
    dict
        Type by tensor: ``{"token_embd.weight": "Q4_K", "blk.0.attn_v.weight": "Q6_K", …}``.

    Raises
    ------
    ValueError
        Something that is not known here, or counts that can't be.

    References
    ----------
    `llama_tensor_get_type`, src/llama-quant.cpp.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"arch is {arch!r}; it has to be one of {', '.join(ARCHITECTURES)}")
    if quant not in _BASE:
        raise ValueError(f"quant is {quant!r}; it has to be one of {', '.join(QUANTS)}")
    if n_layer < 1:
        raise ValueError(f"n_layer is {n_layer}; it has to be at least 1")
    if n_head_kv < 1 or n_head % n_head_kv:
        raise ValueError(f"n_head is {n_head}; it has to be a multiple of n_head_kv {n_head_kv}")
    if n_expert < 0:
        raise ValueError(f"n_expert is {n_expert}; it can't be negative")
    base = _BASE[quant]
    output = base if base in (*_WHOLE, "Q8_0") else "Q6_K"
    types = {"token_embd.weight": output if tied else base, "output_norm.weight": "F32"}
    if not tied:
        types["output.weight"] = output
    exps = "_exps" if n_expert else ""
    wide: Callable[[str], str] = lambda chosen: base if base in _WHOLE else chosen  # noqa: E731
    for layer in range(n_layer):
        block = {
            "attn_norm.weight": "F32",
            "ffn_norm.weight": "F32",
            "attn_q.weight": base,
            "attn_k.weight": wide("Q8_0") if n_expert == 8 else base,
            "attn_v.weight": wide(_attn_v(quant, layer, n_layer, n_head // n_head_kv, n_expert)),
            "attn_output.weight": wide(_attn_output(quant, n_expert)),
            f"ffn_gate{exps}.weight": base,
            f"ffn_up{exps}.weight": base,
            f"ffn_down{exps}.weight": wide(_ffn_down(quant, layer, n_layer)),
        }
        block |= {f"{norm}.weight": "F32" for norm in _NORMS.get(arch, ())}
        block |= dict.fromkeys(_BIASES.get(arch, ()), "F32")
        if n_expert:
            block["ffn_gate_inp.weight"] = "F32" if base == "F32" else "F16"
        types |= {f"blk.{layer}.{name}": chosen for name, chosen in block.items()}
    return types


def tensor_shapes(
    arch: str,
    *,
    n_layer: int,
    n_embd: int,
    n_ff: int,
    n_head: int,
    n_head_kv: int,
    head_dim: int,
    n_vocab: int,
    tied: bool = False,
    n_expert: int = 0,
) -> Shapes:
    """The shape of every tensor, the length of a row first, as GGUF has it.

    Parameters
    ----------
    arch, n_layer, n_head, n_head_kv, tied, n_expert
        As for `quantised_types`.
    n_embd
        Width of the residual stream.
    n_ff
        Width of the feed-forward layer, of one expert where there are several.
    head_dim
        Width of a head.
    n_vocab
        Tokens in the vocabulary.
    """
    query, key = n_head * head_dim, n_head_kv * head_dim
    expert = (n_expert,) if n_expert else ()
    exps = "_exps" if n_expert else ""
    shapes: Shapes = {"token_embd.weight": (n_embd, n_vocab), "output_norm.weight": (n_embd,)}
    if not tied:
        shapes["output.weight"] = (n_embd, n_vocab)
    block: Shapes = {
        "attn_norm.weight": (n_embd,),
        "ffn_norm.weight": (n_embd,),
        "attn_q.weight": (n_embd, query),
        "attn_k.weight": (n_embd, key),
        "attn_v.weight": (n_embd, key),
        "attn_output.weight": (query, n_embd),
        f"ffn_gate{exps}.weight": (n_embd, n_ff, *expert),
        f"ffn_up{exps}.weight": (n_embd, n_ff, *expert),
        f"ffn_down{exps}.weight": (n_ff, n_embd, *expert),
    }
    block |= {f"{norm}.weight": (head_dim,) for norm in _NORMS.get(arch, ())}
    for bias in _BIASES.get(arch, ()):
        block[bias] = (query if bias == "attn_q.bias" else key,)
    if n_expert:
        block["ffn_gate_inp.weight"] = (n_embd, n_expert)
    for layer in range(n_layer):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return shapes


def tensor_bytes(type_name: str, shape: tuple[int, ...]) -> int:
    """What one tensor weighs, after the quantiser's fallback for rows that don't divide.

    Parameters
    ----------
    type_name
        GGML type: ``Q4_K``.
    shape
        The length of a row first.

    References
    ----------
    Block sizes from the `gguf` package; the fallback from `llama_tensor_get_type`.
    """
    chosen = type_name
    row, block, size = shape[0], *_block(chosen)
    if row % block:
        chosen = _FALLBACK.get(chosen, "F16")
        block, size = _block(chosen)
    if row % block:
        block, size = _block("F16")
    elements = 1
    for length in shape:
        elements *= length
    return elements // block * size


def _block(type_name: str) -> tuple[int, int]:
    """Elements and bytes of a block."""
    try:
        return GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]
    except KeyError:
        raise ValueError(f"there is no GGML type {type_name!r}") from None


def weight_bytes(types: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> int:
    """What a model's tensors weigh together [bytes].

    Parameters
    ----------
    types
        From `quantised_types`, or from a file's header.
    shapes
        From `tensor_shapes`, or from a file's header; of the same tensors.

    Returns
    -------
    int
        Exact for the tensors; a GGUF file has a few MB of vocabulary and padding besides.
    """
    if set(types) != set(shapes):
        odd = sorted(set(types) ^ set(shapes))[0]
        raise ValueError(f"types and shapes name different tensors, such as {odd!r}")
    return sum(tensor_bytes(types[name], shapes[name]) for name in types)
