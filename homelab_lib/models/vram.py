"""Whether a language model fits the cards it is put on, and how fast its tokens can come.

What it takes is told by `homelab_lib.models.quantisation` (weights) and
`homelab_lib.models.context` (cache and buffer). A runtime's own overhead comes on top: give it as
a number, and let a measurement replace it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab_lib.models.bounds import NOT_NEGATIVE, POSITIVE, SHARE, WHOLE, holds, takes


@dataclass(frozen=True)
@holds(
    weights_bytes=WHOLE,
    cache_bytes=WHOLE,
    compute_bytes=WHOLE,
    overhead_bytes=WHOLE,
    available_bytes=WHOLE,
)
class Fit:
    """Whether a model fits a card, and where its memory goes.

    Parameters
    ----------
    weights_bytes, cache_bytes, compute_bytes, overhead_bytes
        What each part takes [bytes].
    available_bytes
        What the card has to give [bytes].
    """

    weights_bytes: int
    cache_bytes: int
    compute_bytes: int
    overhead_bytes: int
    available_bytes: int

    @property
    def needed_bytes(self) -> int:
        """All parts together [bytes]."""
        return self.weights_bytes + self.cache_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def left_bytes(self) -> int:
        """What stays free; negative where it does not fit [bytes]."""
        return self.available_bytes - self.needed_bytes

    @property
    def fits(self) -> bool:
        return self.left_bytes >= 0


@takes(
    layer_bytes=NOT_NEGATIVE,
    available_bytes=NOT_NEGATIVE,
    reserve_bytes=NOT_NEGATIVE,
    output_bytes=NOT_NEGATIVE,
)
def split_layers(
    layer_bytes: Sequence[int],
    available_bytes: Sequence[int],
    *,
    reserve_bytes: Sequence[int],
    output_bytes: int = 0,
) -> tuple[int, ...]:
    """How many layers go to each card, filling one card after the other.

    Each card holds its layers' weights and cache beside what it reserves for its own compute
    buffer and overhead; the output sits on the last card that has layers. Layers that find no
    room stay in main memory: the counts then sum to fewer than the layers.

    Parameters
    ----------
    layer_bytes
        Weights and cache of each layer, in order [bytes].
    available_bytes, reserve_bytes
        By card [bytes].
    output_bytes
        The output matrix [bytes].

    References
    ----------
    llama.cpp ``--split-mode layer``.
    """
    counts = []
    waiting = list(layer_bytes)
    for available, reserve in zip(available_bytes, reserve_bytes, strict=True):
        left, count = available - reserve, 0
        while waiting:
            last = output_bytes if len(waiting) == 1 else 0
            if waiting[0] + last > left:
                break
            left -= waiting.pop(0)
            count += 1
        counts.append(count)
    return tuple(counts)


@takes(bytes_per_token=NOT_NEGATIVE, bandwidth_bps=POSITIVE, efficiency=SHARE)
def decode_tokens_per_second(
    bytes_per_token: Sequence[float], bandwidth_bps: Sequence[float], *, efficiency: float = 1.0
) -> float:
    """How fast tokens can come at most: every active byte is read once for each.

    With several cards (or main memory, for layers that did not fit) a token passes them in turn,
    so the times add up.

    Parameters
    ----------
    bytes_per_token
        Active weights and cache read for a token, by device [bytes]; of a mixture of experts
        only those that are used.
    bandwidth_bps
        Memory bandwidth by device [bytes/s].
    efficiency
        What is reached of it. 1 is the roof; 0.5 to 0.75 is usual on GPUs (unverified). One
        published run from main memory reached 0.88 to 0.95.

    Returns
    -------
    float
        Tokens per second. Says nothing of the prompt: that is bound by arithmetic.

    References
    ----------
    S. Williams, A. Waterman, D. Patterson, "Roofline", CACM 52(4), 2009.
    """
    times = [
        size / (bandwidth * efficiency)
        for size, bandwidth in zip(bytes_per_token, bandwidth_bps, strict=True)
    ]
    if sum(times) <= 0:
        raise ValueError("bytes_per_token is nothing at all")
    return 1.0 / sum(times)
