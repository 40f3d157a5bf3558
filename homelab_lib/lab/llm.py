"""Catalog parts of another sort: language models, with what decides their appetite for memory."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from homelab_lib.lab.base import Count, Form, Positive
from homelab_lib.lab.part import Part
from homelab_lib.lab.quantities import ModelSize, WeightsSize


def _upper(value: object) -> object:
    """Names of quantisations are written in any case."""
    return value.upper() if isinstance(value, str) else value


Quant = Annotated[
    str,
    Form(
        r"(UD-)?(F32|F16|BF16|Q[2-8]_[01]|Q[2-8]_K(_(XXS|XS|S|M|L|XL))?"
        r"|IQ[1-4]_(XXS|XS|S|M|NL)|TQ[12]_0|MXFP4|NVFP4)",
        "a quantisation of llama.cpp, such as Q4_K_M, Q8_0, IQ4_XS, MXFP4 or F16",
    ),
    BeforeValidator(_upper),
]


class ModelPart(Part):
    """A language or embedding model, as the header of its GGUF file describes it."""

    kind: ClassVar[str] = "models"

    purpose: Literal["chat", "code", "embedding", "vision"] = Field(description="What it is for.")
    architecture: str = Field(description="GGUF's general.architecture, such as 'llama'.")
    parameters: ModelSize = Field(description="Number of weights.")
    n_layer: Positive = Field(description="Blocks.")
    n_embd: Positive = Field(description="Width of the embedding.")
    n_ff: Positive = Field(description="Width of the feed-forward layer.")
    n_head: Positive = Field(description="Query heads.")
    n_head_kv: Positive = Field(description="Key/value heads.")
    key_length: Positive = Field(description="Length of a key per head.")
    value_length: Positive = Field(description="Length of a value per head.")
    n_vocab: Positive = Field(description="Size of the vocabulary.")
    context_length: Positive = Field(description="Longest context it was trained for [tokens].")
    n_expert: Count = Field(0, description="Experts per layer; none for a dense model.")
    n_expert_used: Count = Field(0, description="Experts that see a token.")
    n_ff_expert: Positive | None = Field(None, description="Width of one expert.")
    sliding_window: Positive | None = Field(None, description="Window of local layers [tokens].")
    sliding_window_pattern: Positive | None = Field(
        None, description="Every how many layers one sees the whole context."
    )
    kv_latent_length: Positive | None = Field(
        None, description="Latent vector a layer caches per token (MLA), rope part included."
    )
    rope_length: Count = Field(64, description="Rotary part of that vector.")
    q_latent_length: Positive | None = Field(
        None, description="Rank of the queries (MLA); none where they are not compressed."
    )
    n_expert_shared: Count = Field(0, description="Experts that see every token.")
    n_layer_dense: Count = Field(0, description="Leading layers without experts.")
    tied: bool = Field(False, description="The output layer is the embedding.")
    file_bytes: dict[Quant, WeightsSize] = Field(
        {}, description="Published file size by quant [bytes]."
    )
