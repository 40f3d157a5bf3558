"""What llama.cpp logs of where a model lies: a line for each buffer, and one for the cache.

Source: llama.cpp src/llama-model.cpp, llama-kv-cache.cpp, llama-context.cpp.
"""

from collections.abc import Iterator, Mapping

_MIB = 2**20
_WHO = {"model": "load_tensors", "KV": "llama_kv_cache", "compute": "sched_reserve"}


def buffers(
    card: str, on_card_bytes: Mapping[str, int], whole_bytes: Mapping[str, int], cache_type: str
) -> Iterator[str]:
    """The lines of one model.

    Parameters
    ----------
    card
        What llama.cpp calls the card: ``CUDA0``.
    on_card_bytes, whole_bytes
        What of ``model``, ``KV`` and ``compute`` lies on it, and all of it; the rest is the
        processor's [bytes].
    cache_type
        In which type keys and values are kept.
    """
    for kind, whole in whole_bytes.items():
        mapped = "CPU_Mapped" if kind == "model" else "CPU"
        for device, size in ((mapped, whole - on_card_bytes[kind]), (card, on_card_bytes[kind])):
            if size > 0:
                yield f"{_WHO[kind]}: {device:>12} {kind} buffer size = {size / _MIB:8.2f} MiB"
        if kind == "KV" and whole:
            half = f"({cache_type}): {whole / 2 / _MIB:8.2f} MiB"
            yield f"{_WHO[kind]}: size = {whole / _MIB:8.2f} MiB, K {half}, V {half}"
