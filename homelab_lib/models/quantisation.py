"""Which GGML type llama.cpp's quantiser gives each tensor, and what the tensors weigh.

A "Q4_K_M" is a mixture: which tensor gets which type depends on the tensor, its layer, the ratio
of heads to KV heads, the experts, and on whether the output shares the embedding. Averages of
bits per weight are 3 to 8 % off; this is exact on every mix it was measured on.

References
----------
llama.cpp, `llama_tensor_get_type_impl` and `tensor_type_fallback` (src/llama-quant.cpp), read and
measured in autumn 2026. Block sizes from the `gguf` package.
"""

import math
import re
from collections.abc import Mapping

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from homelab_lib.models.architectures import Shapes, Widths
from homelab_lib.models.bounds import COUNT, takes

Types = dict[str, str]
"""GGML type by tensor: ``{"blk.0.attn_v.weight": "Q6_K", …}``."""

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
    "IQ4_NL": "IQ4_NL",
    "IQ4_XS": "IQ4_XS",
    "MXFP4": "MXFP4",
}
QUANTS = tuple(_BASE)
"""The quantisations that can be modelled; those called IQ as they are made with an imatrix."""

_WHOLE = ("F32", "F16", "BF16")
_FALLBACK = {
    "Q2_K": "IQ4_NL",
    "Q3_K": "IQ4_NL",
    "IQ4_XS": "IQ4_NL",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
_KEPT = re.compile(r"_norm\.weight$|\.bias$|attn_sinks")
_LAYER = re.compile(r"blk\.(\d+)\.(.+)")


def _more_bits(layer: int, n_layer: int) -> bool:
    """The first eighth of the layers, the last, and every third in between."""
    eighth = n_layer // 8
    return layer < eighth or layer >= 7 * n_layer // 8 or (layer - eighth) % 3 == 2


def _attn_v(quant: str, layer: int, widths: Widths) -> str:
    chosen, gqa = _BASE[quant], widths.n_head // widths.n_head_kv
    if quant == "Q2_K":
        chosen = "Q4_K" if gqa >= 4 else "Q3_K"
    elif quant == "Q3_K_M":
        chosen = "Q5_K" if layer < 2 else "Q4_K"
    elif (
        quant == "Q3_K_L"
        or (quant == "Q4_K_S" and layer < 4)
        or (quant in ("IQ4_NL", "IQ4_XS") and gqa >= 4)
    ):
        chosen = "Q5_K"
    elif quant in ("Q4_K_M", "Q5_K_M") and _more_bits(layer, widths.n_layer):
        chosen = "Q6_K"
    if widths.n_layer == 80 and chosen in ("Q3_K", "Q4_K"):
        chosen = "Q5_K"  # a "70B": eight heads share it, so it is small and worth the bits
    return "Q8_0" if widths.n_expert == 8 else chosen


def _ffn_down(quant: str, layer: int, widths: Widths) -> str:
    n_layer = widths.n_layer
    if quant == "Q2_K":
        return "Q3_K"
    if quant == "Q3_K_M":
        return "Q5_K" if layer < n_layer // 16 else "Q4_K"
    if quant == "Q3_K_L" or (quant == "Q4_K_S" and layer < n_layer // 8):
        return "Q5_K"
    if quant in ("Q4_K_M", "Q5_K_M") and _more_bits(layer, n_layer):
        return "Q6_K"
    return _BASE[quant]


def _attn_output(quant: str, widths: Widths) -> str:
    if widths.n_expert == 8:
        raised = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS")
        return "Q5_K" if quant in raised else _BASE[quant]
    return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(quant, _BASE[quant])


def _of_output(base: str, row: int) -> str:
    """Of the output, and of an embedding that is the output too."""
    if base == "MXFP4" or row % _block(base)[0]:
        return "Q8_0"
    return base if base == "Q8_0" else "Q6_K"


def _in_block(name: str, layer: int, quant: str, widths: Widths) -> str:
    """The type of a tensor of a layer, whose weights are to be quantised."""
    if name.startswith("ffn_gate_inp"):
        return "F16"
    if quant == "MXFP4":
        return "MXFP4" if name.endswith("_exps.weight") else "Q8_0"
    if name in ("attn_v.weight", "attn_qkv.weight"):
        return _attn_v(quant, layer, widths)
    if name == "attn_k.weight" and widths.n_expert == 8:
        return "Q8_0"
    if name == "attn_output.weight":
        return _attn_output(quant, widths)
    if name.startswith("ffn_down"):
        return _ffn_down(quant, layer, widths)
    return _BASE[quant]


def quantised_types(quant: str, shapes: Shapes, widths: Widths) -> Types:
    """The GGML type of every tensor, as llama.cpp's quantiser chooses it.

    Rows are taken to be multiples of a block; where they are not, `weight_bytes` falls back as
    the quantiser does.

    Parameters
    ----------
    quant
        One of `QUANTS`, such as ``Q4_K_M``.
    shapes
        Of every tensor, by `architectures.tensor_shapes`.
    widths
        The model.

    Returns
    -------
    dict
        Type by tensor: ``{"token_embd.weight": "Q4_K", "blk.0.attn_v.weight": "Q6_K", …}``.

    Raises
    ------
    ValueError
        A quantisation that is not known here.

    References
    ----------
    `llama_tensor_get_type_impl`, `tensor_allows_quantization`, src/llama-quant.cpp.
    """
    if quant not in _BASE:
        raise ValueError(f"quant is {quant!r}; it has to be one of {', '.join(QUANTS)}")
    for name, shape in shapes.items():
        COUNT.check(f"shapes of {name}", shape)
    base = _BASE[quant]
    types: Types = {}
    for name, shape in shapes.items():
        if _KEPT.search(name):
            types[name] = "F32"
        elif base in _WHOLE:
            types[name] = base
        elif name == "output.weight" or (name == "token_embd.weight" and widths.tied):
            types[name] = _of_output(base, shape[0])
        elif found := _LAYER.fullmatch(name):
            types[name] = _in_block(found[2], int(found[1]), quant, widths)
        else:
            types[name] = "Q8_0" if quant == "MXFP4" else base
    return types


@takes(shape=COUNT)
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
    Block sizes from the `gguf` package; `tensor_type_fallback`.
    """
    chosen = type_name
    row, block, size = shape[0], *_block(chosen)
    if row % block:
        chosen = _FALLBACK.get(chosen, "F16")
        block, size = _block(chosen)
    if row % block:
        block, size = _block("F16")
    return math.prod(shape) // block * size


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
        From `architectures.tensor_shapes`, or from a file's header; of the same tensors.

    Returns
    -------
    int
        Exact for the tensors; a GGUF file has a few MB of vocabulary and padding besides.
    """
    if set(types) != set(shapes):
        odd = sorted(set(types) ^ set(shapes))[0]
        raise ValueError(f"types and shapes name different tensors, such as {odd!r}")
    return sum(tensor_bytes(types[name], shapes[name]) for name in types)
