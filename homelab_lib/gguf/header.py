"""What a GGUF file says of itself before its tensors: the model's shape, and what it weighs.

Only the header is read, in pieces, and the long lists of the tokenizer are stepped over: a file
of 40 GB takes as long as one of 400 MB. The file is a stranger's: every length in it is held
against what is left of the file before anything is read or kept.

References
----------
ggml, `docs/gguf.md` (the format, versions 2 and 3) and `src/gguf.cpp` (what its own reader
refuses). llama.cpp, `llama_model::load_hparams` (which value stands in for a key that is not
there). Block sizes from the `gguf` package.
"""

import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from homelab_lib.errors import BadParameter
from homelab_lib.gguf.bytes import Reader, Skipped, Value, bad, value

_MAX_KEY_BYTES = 2**16 - 1  # as the specification has it
_MAX_NAME_BYTES = 1024  # 63 in llama.cpp, more in its offspring
_MAX_AXES = 4
_MAX_LAYERS = 4096
_MAX_COUNT = 2**31 - 1

PerLayer = int | tuple[int, ...]
"""One number for all layers, or one for each."""
_EMBEDDING = "token_embd.weight"


@dataclass(frozen=True)
class Tensor:
    """What the header says of one tensor.

    Parameters
    ----------
    shape
        Elements along each axis, the one that is contiguous first.
    quant
        GGML type, such as ``Q4_K``.
    nbytes
        Size [bytes], without padding.
    offset
        Where it begins in the file [bytes].
    """

    shape: tuple[int, ...]
    quant: str
    nbytes: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """A language model by its header.

    Parameters
    ----------
    architecture
        As llama.cpp calls it: ``llama``, ``qwen2``, ``deepseek2`` …
    parameters
        Elements over all tensors of this file.
    n_layer, n_embd, n_head, n_head_kv, key_length, value_length, n_ff, n_vocab, context_length
        As `homelab_lib.models.vram` calls them; per layer where the file has it so. What an
        architecture does not have is 0.
    n_expert
        Experts of a layer; 0 for a dense model.
    weight_bytes
        Size of the tensors of this file [bytes], without padding.
    header_bytes
        Where the tensors begin [bytes].
    n_split
        Files the model is split into. Of several, this one's tensors alone are counted.
    metadata
        Every key with its value; long arrays and arrays of strings as `Skipped`.
    tensors
        By name, in the order of the file.
    """

    architecture: str
    parameters: int
    n_layer: int
    n_embd: int
    n_head: PerLayer
    n_head_kv: PerLayer
    key_length: int
    value_length: int
    n_ff: PerLayer
    n_vocab: int
    context_length: int
    n_expert: int
    weight_bytes: int
    header_bytes: int
    n_split: int
    metadata: Mapping[str, Value]
    tensors: Mapping[str, Tensor]

    @property
    def quant(self) -> dict[str, str]:
        """The GGML type of each tensor, as `vram.weight_bytes` takes it."""
        return {name: tensor.quant for name, tensor in self.tensors.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Elements of each tensor along its axes, as `vram.weight_bytes` takes them."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}


def read_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Read the header of a GGUF file: little-endian, version 2 or 3.

    Parameters
    ----------
    path
        The file; of a split model, the first one.

    Returns
    -------
    GgufHeader
        Exact: sizes are those of the file's tensors.

    Raises
    ------
    BadParameter
        There is no such file; it is no GGUF, truncated, or says of itself what can't be; it is no
        language model. Names the file and the byte at which reading ended.

    References
    ----------
    ggml, `docs/gguf.md`.
    """
    path = Path(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):  # a FIFO would keep us waiting
        raise bad(path, 0, "it is not a regular file", "give the path of a .gguf file")
    try:
        with open(path, "rb", buffering=0) as file:
            return _header(Reader(file, path, found.st_size))
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> BadParameter:
    reason = getattr(error, "strerror", None) or error
    return bad(path, 0, f"it can't be read: {reason}", "check the path and its permissions")


class _Metadata:
    """Keys with their values, and where the file has each."""

    def __init__(self, reader: Reader, count: int) -> None:
        self._reader = reader
        self._places: dict[str, int] = {}
        self.values: dict[str, Value] = {}
        for number in range(count):
            at = reader.offset
            key = reader.string(f"key {number + 1} of {count}", _MAX_KEY_BYTES)
            if key in self.values:
                reader.fail(f"the key {key!r} is there twice", at=at)
            self.values[key], self._places[key] = value(reader, key), at

    def fail(self, key: str, wanted: str) -> NoReturn:
        """A value that can't be, or one that is missing."""
        if key in self.values:
            what = f"{key!r} is {self.values[key]!r}; it has to be {wanted}"
            self._reader.fail(what, at=self._places[key])
        fix = "give the file of a language model; of a split one, the first file"
        self._reader.fail(f"the key {key!r} is missing; it has to be {wanted}", fix=fix)

    def text(self, key: str) -> str:
        """A text, which has to be there."""
        found = self.values.get(key)
        if not isinstance(found, str) or not found:
            self.fail(key, "a text")
        return found

    def count(
        self, key: str, default: int | None = None, *, least: int = 1, most: int = _MAX_COUNT
    ) -> int:
        """A whole number; without a default it has to be there."""
        found = self.values.get(key, default)
        if type(found) is not int or (key in self.values and not least <= found <= most):
            self.fail(key, f"a whole number from {least} to {most}")
        return found

    def per_layer(self, key: str, n_layer: int, default: PerLayer = 0) -> PerLayer:
        """A number, or one for each layer."""
        found = self.values.get(key, default)
        if not isinstance(found, tuple):
            return self.count(key, default if isinstance(default, int) else None, least=0)
        layers = [n for n in found[:n_layer] if type(n) is int and 0 <= n <= _MAX_COUNT]
        if len(layers) < n_layer:
            self.fail(key, f"a whole number from 0 to {_MAX_COUNT} for each of {n_layer} layers")
        return tuple(layers) if len(set(layers)) > 1 else layers[0]


def _tensors(reader: Reader, count: int) -> dict[str, tuple[Tensor, int]]:
    """Tensors with offsets from the beginning of the data, and where the header has each."""
    tensors: dict[str, tuple[Tensor, int]] = {}
    for number in range(count):
        at = reader.offset
        name = reader.string(f"the name of tensor {number + 1} of {count}", _MAX_NAME_BYTES)
        if name in tensors:
            reader.fail(f"the tensor {name!r} is there twice", at=at)
        axes = reader.u32(f"the axes of {name!r}")
        if axes > _MAX_AXES:
            reader.fail(f"{name!r} is said to have {axes} axes; at most {_MAX_AXES}", at=at)
        layout = struct.Struct(f"<{axes}QIQ")
        *shape, type_, offset = layout.unpack(reader.take(layout.size, f"the tensor {name!r}"))
        try:
            quant = GGMLQuantizationType(type_)
            block, size = GGML_QUANT_SIZES[quant]
        except (ValueError, KeyError):
            fix = "a newer gguf package may know it: pip install -U gguf"
            reader.fail(f"{name!r} has GGML type {type_}, which is not known", at=at, fix=fix)
        elements = math.prod(shape)
        if not 0 < elements < 2**63:
            reader.fail(f"{name!r} is said to have {tuple(shape)} elements", at=at)
        if (shape[0] if shape else 1) % block:
            reader.fail(
                f"a row of {name!r} has {shape[0] if shape else 1} elements, which is no whole "
                f"number of {quant.name} blocks of {block}",
                at=at,
            )
        tensors[name] = Tensor(tuple(shape), quant.name, elements // block * size, offset), at
    return tensors


def _header(reader: Reader) -> GgufHeader:
    if reader.size < 4 or (magic := reader.take(4, "the magic")) != b"GGUF":
        found = "is empty" if not reader.size else "is too short"
        found = found if reader.size < 4 else f"begins with {magic!r}"
        reader.fail(f"it is no GGUF file: it {found}", at=0, fix="give a .gguf file")
    version = reader.u32("the version")
    if version not in (2, 3):
        said = "it is big-endian" if version in (2 << 24, 3 << 24) else f"GGUF version {version}"
        reader.fail(f"{said}; little-endian versions 2 and 3 are read", at=4, fix="convert it")
    n_tensors = reader.count("tensors", 24)
    metadata = _Metadata(reader, reader.count("keys", 13))
    raw = _tensors(reader, n_tensors)
    alignment = metadata.count("general.alignment", 32)
    if alignment & (alignment - 1):
        metadata.fail("general.alignment", "a power of two")
    begin = -(-reader.offset // alignment) * alignment
    tensors = _placed(reader, raw, begin, alignment)
    return GgufHeader(
        **_shape(metadata, tensors),
        parameters=sum(math.prod(tensor.shape) for tensor in tensors.values()),
        weight_bytes=sum(tensor.nbytes for tensor in tensors.values()),
        header_bytes=begin,
        metadata=MappingProxyType(metadata.values),
        tensors=MappingProxyType(tensors),
    )


def _placed(
    reader: Reader, raw: dict[str, tuple[Tensor, int]], begin: int, alignment: int
) -> dict[str, Tensor]:
    """The same with offsets in the file; they have to lie there without gap, one after another."""
    tensors, free = {}, 0
    for name, (tensor, at) in raw.items():
        if tensor.offset != free:
            reader.fail(f"{name!r} begins {tensor.offset} bytes into the data, not {free}", at=at)
        end = begin + free + tensor.nbytes
        if end > reader.size:
            reader.fail(
                f"{name!r} ends at byte {end}, and the file has {reader.size}: it is truncated",
                at=at,
            )
        tensors[name] = replace(tensor, offset=begin + free)
        free += -(-tensor.nbytes // alignment) * alignment
    return tensors


def _shape(metadata: _Metadata, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The model's shape, with what llama.cpp takes for a key that is not there."""
    arch = metadata.text("general.architecture")
    n_layer = metadata.count(f"{arch}.block_count", most=_MAX_LAYERS)
    n_embd = metadata.count(f"{arch}.embedding_length")
    n_head = metadata.per_layer(f"{arch}.attention.head_count", n_layer)
    heads = n_head if isinstance(n_head, int) else n_head[0]
    width = n_embd // heads if heads else 0
    tokens = metadata.values.get("tokenizer.ggml.tokens")
    n_vocab = tokens.count if isinstance(tokens, Skipped) else None
    embedding = tensors.get(_EMBEDDING)
    if n_vocab is None and embedding is not None and len(embedding.shape) == 2:
        n_vocab = embedding.shape[1]
    return {
        "architecture": arch,
        "n_layer": n_layer,
        "n_embd": n_embd,
        "n_head": n_head,
        "n_head_kv": metadata.per_layer(f"{arch}.attention.head_count_kv", n_layer, n_head),
        "key_length": metadata.count(f"{arch}.attention.key_length", width, least=0),
        "value_length": metadata.count(f"{arch}.attention.value_length", width, least=0),
        "n_ff": metadata.per_layer(f"{arch}.feed_forward_length", n_layer),
        "n_vocab": metadata.count(f"{arch}.vocab_size", n_vocab),
        "context_length": metadata.count(f"{arch}.context_length"),
        "n_expert": metadata.count(f"{arch}.expert_count", 0, least=0),
        "n_split": metadata.count("split.count", 0, least=0) or 1,
    }
