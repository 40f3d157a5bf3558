"""What llama.cpp's programs say in their logs: on which cards a model lies, what a machine offers,
and why a server ended.

A server writes `load_tensors` from verbosity 4 on. An RPC server's own words come into the journal
once somebody has connected: until then they wait in its buffer.

Sources: llama.cpp src/llama-model.cpp, src/llama-kv-cache.cpp, ggml/src/ggml-rpc; outputs of a
build that ran (tests/control/llama_cpp).
"""

import re
from dataclasses import dataclass

_MIB = 2**20
_BUFFER = re.compile(r"load_tensors: +(\S+) model buffer size = +([\d.]+) MiB")
_CACHE = re.compile(r"llama_kv_cache: +(\S+) KV buffer size = +([\d.]+) MiB")
_LAYERS = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")
_BEGINS = "load_model: loading model"
_ENDED = re.compile(
    r"Failed to connect to \S+|RPC server version mismatch: [\d.]+|RPC handshake failed for \S+"
    r"|Remote RPC server crashed or returned malformed response|unable to allocate \S+ buffer"
    r"|Failed to create server socket|unknown device: \S+|invalid device: \S+"
    r"|error loading model: .+|failed to load model, .+"
)
_VERSION = re.compile(r"Starting RPC server v([\d.]+)")
_DEVICE = re.compile(r"^  (\S+): (.+) \((\d+) MiB, (\d+) MiB free\)$", re.MULTILINE)


@dataclass(frozen=True)
class Spread:
    """Where a server has put the model that it loaded last.

    Parameters
    ----------
    weights_bytes, cache_bytes
        By the name of the memory, such as ``RPC0[10.0.30.22:50052]`` or ``Vulkan0`` [bytes].
    layers, of_layers
        The layers that are on cards, with the output as one, of how many; 0 of 0 where the log
        does not say.
    """

    weights_bytes: dict[str, int]
    cache_bytes: dict[str, int]
    layers: int = 0
    of_layers: int = 0


def read_spread(text: str) -> Spread:
    """What a server's log tells of the last model that it loaded."""
    last = text[max(text.rfind(_BEGINS), 0) :]
    layers = _LAYERS.findall(last)
    found = layers[-1] if layers else ("0", "0")
    return Spread(_sizes(_BUFFER, last), _sizes(_CACHE, last), int(found[0]), int(found[1]))


def _sizes(form: re.Pattern[str], text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, mib in form.findall(text):
        found[name] = found.get(name, 0) + round(float(mib) * _MIB)
    return found


def ended_by(text: str) -> str:
    """Why a program ended, in its own last words of that sort; empty where it says nothing."""
    said = _ENDED.findall(text)
    return str(said[-1]) if said else ""


@dataclass(frozen=True)
class Offered:
    """What an RPC server offers.

    Parameters
    ----------
    version
        Of its protocol; empty where its log does not say.
    devices
        Name, title and memory [bytes] of each device.
    """

    version: str
    devices: tuple[tuple[str, str, int], ...]


def read_offered(text: str) -> Offered:
    """What an RPC server's log says of its last start."""
    starts = list(_VERSION.finditer(text))
    if not starts:
        return Offered("", ())
    devices = _DEVICE.findall(text[starts[-1].start() :])
    return Offered(
        starts[-1][1], tuple((name, title, int(mib) * _MIB) for name, title, mib, _ in devices)
    )
