"""What Ollama's own log says of the card: the one place where it tells what it computes with.

Source: ollama/ollama discover/types.go (``inference compute``), discover/runner.go (``dropping``);
llama.cpp src/llama-model.cpp (``offloaded N/M layers to GPU``).
"""

import re
from dataclasses import dataclass

_COMPUTE = re.compile(r'msg="inference compute".* library=(\S+)')
_DROPPED = re.compile(r'msg="(dropping[^"]*)"')
_LAYERS = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")


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
    """

    libraries: tuple[str, ...]
    dropped: str = ""
    layers: int | None = None
    of_layers: int | None = None


def read_log(text: str) -> Told:
    """What the lines of a log tell."""
    dropped = _DROPPED.findall(text)
    layers = _LAYERS.findall(text)
    last = layers[-1] if layers else (None, None)
    return Told(
        tuple(dict.fromkeys(_COMPUTE.findall(text))),
        dropped[-1] if dropped else "",
        int(last[0]) if last[0] else None,
        int(last[1]) if last[1] else None,
    )
