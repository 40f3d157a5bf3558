"""What Ollama's own log says of the card: the one place where it tells what it computes with, and
what of a model it has put where.

Source: ollama/ollama discover/types.go (``inference compute``), discover/runner.go (``dropping``);
llama.cpp src/llama-model.cpp (``offloaded N/M layers to GPU``, model buffers), llama-kv-cache.cpp
and llama-context.cpp (the others). A buffer's device is ``CUDA0``, ``ROCm0``, ``Vulkan0``, or the
processor's: ``CPU``, ``CPU_Mapped``, ``CUDA_Host``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_COMPUTE = re.compile(r'msg="inference compute".* library=(\S+)')
_DROPPED = re.compile(r'msg="(dropping[^"]*)"')
_LAYERS = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")
_BUFFER = re.compile(r"(\w+) +(model|KV|RS|compute) buffer size = *(\d+(?:\.\d+)?) MiB")
_CACHE = re.compile(r"size += .*\bK \((\w+)\): .*\bV \((\w+)\): ")
_PARTS = {"model": "weights", "KV": "cache", "RS": "cache"}
_HOST = re.compile(r"CPU|.*_Host$")


@dataclass(frozen=True)
class Told:
    """What a server's log tells.

    Parameters
    ----------
    libraries
        What it found to compute with: ``CUDA``, ``ROCm``, ``Vulkan``, ``cpu``.
    dropped
        What it says of a card that it leaves out; empty for none.
    layers, of_layers
        The layers of the model that it loaded last that are on the card, of how many; None where
        the log does not say.
    card_bytes
        What that model has on the card: ``weights``, ``cache``, ``buffer``, as far as the log says
        [bytes].
    cache_types
        In which types it keeps keys and values.
    """

    libraries: tuple[str, ...]
    dropped: str = ""
    layers: int | None = None
    of_layers: int | None = None
    card_bytes: Mapping[str, int] = field(default_factory=dict)
    cache_types: tuple[str, ...] = ()


def read_log(text: str) -> Told:
    """What the lines of a log tell."""
    dropped = _DROPPED.findall(text)
    layers = list(_LAYERS.finditer(text))
    last = layers[-1].groups() if layers else (None, None)
    of_last = text[layers[-1].end() :] if layers else text
    return Told(
        tuple(dict.fromkeys(_COMPUTE.findall(text))),
        dropped[-1] if dropped else "",
        int(last[0]) if last[0] else None,
        int(last[1]) if last[1] else None,
        _on_card(of_last),
        tuple(dict.fromkeys(kind for pair in _CACHE.findall(of_last) for kind in pair)),
    )


def _on_card(text: str) -> dict[str, int]:
    """A model with windows has two caches; a compute buffer that is told again is made anew."""
    sums: dict[str, float] = {}
    anew: dict[str, float] = {}
    for device, kind, mib in _BUFFER.findall(text):
        if _HOST.match(device):
            continue
        if kind == "compute":
            anew[device] = float(mib)
        else:
            sums[_PARTS[kind]] = sums.get(_PARTS[kind], 0.0) + float(mib)
    if anew:
        sums["buffer"] = sum(anew.values())
    return {part: round(mib * 2**20) for part, mib in sums.items()}
