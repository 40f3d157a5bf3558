"""A language model over the cards of several machines, by llama.cpp's RPC: which layers lie where,
how fast tokens can come, and how long the weights are under way.

A token passes the cards one after the other. Between two of them what leaves a layer crosses the
network, and small as that is, each message waits for its answer: the latency counts, and the width
of the network when the weights go over.
"""

from collections.abc import Sequence

from homelab_lib.models.bounds import NOT_NEGATIVE, POSITIVE, takes
from homelab_lib.models.vram import decode_tokens_per_second, split_layers

_STEPS = 1000


@takes(
    layer_bytes=NOT_NEGATIVE,
    available_bytes=NOT_NEGATIVE,
    reserve_bytes=NOT_NEGATIVE,
    output_bytes=NOT_NEGATIVE,
)
def spread_layers(
    layer_bytes: Sequence[int],
    available_bytes: Sequence[int],
    *,
    reserve_bytes: Sequence[int],
    output_bytes: int = 0,
) -> tuple[int, ...]:
    """How many layers go to each card, so that all are filled alike: to the smallest share of
    their memory, in thousandths, with which all layers find room.

    None is filled to the brim while another has room: what drivers and buffers take is known to
    some per cent only.

    Parameters
    ----------
    layer_bytes
        Weights and cache of each layer, in order [bytes].
    available_bytes, reserve_bytes
        By card: its memory, and what of it no layer gets [bytes].
    output_bytes
        The output matrix, on the last card that has layers [bytes].

    Returns
    -------
    tuple
        Layers by card; fewer than there are where even whole cards have no room for all.
    """

    def filled(share: int) -> tuple[int, ...]:
        room = [int(each * share / _STEPS) for each in available_bytes]
        return split_layers(
            layer_bytes, room, reserve_bytes=reserve_bytes, output_bytes=output_bytes
        )

    low, high = 0, _STEPS
    while low < high:
        middle = (low + high) // 2
        enough = sum(filled(middle)) == len(layer_bytes)
        low, high = (low, middle) if enough else (middle + 1, high)
    return filled(low)


@takes(
    bytes_per_token=NOT_NEGATIVE,
    bandwidth_bps=POSITIVE,
    answers_s=NOT_NEGATIVE,
    crossing_bytes=NOT_NEGATIVE,
    crossings=NOT_NEGATIVE,
    network_bps=POSITIVE,
)
def spread_tokens_per_second(
    bytes_per_token: Sequence[float],
    bandwidth_bps: Sequence[float],
    *,
    answers_s: Sequence[float],
    crossing_bytes: float,
    crossings: int,
    network_bps: float,
) -> float:
    """How fast tokens can come at most over cards of several machines [1/s].

    Parameters
    ----------
    bytes_per_token, bandwidth_bps
        By card: what is read of its memory for a token [bytes], and how fast [bytes/s].
    answers_s
        The answers that are waited for with each token, each with its round trip [s]: one for each
        card of another machine, when what it has computed is asked for. All else is sent without
        waiting.
    crossing_bytes, crossings
        What leaves a layer for one token [bytes], and how often that goes over the network: to
        each of these cards and back.
    network_bps
        What the network carries [bit/s].

    References
    ----------
    As `homelab_lib.models.vram.decode_tokens_per_second`; llama.cpp ggml/src/ggml-rpc, whose
    messages were counted where two RPC servers ran (``GGML_RPC_DEBUG``): one ``get_tensor`` a
    token and server.
    """
    cards_s = 1.0 / decode_tokens_per_second(bytes_per_token, bandwidth_bps)
    network_s = sum(answers_s) + crossings * crossing_bytes * 8 / network_bps
    return 1.0 / (cards_s + network_s)


@takes(sent_bytes=NOT_NEGATIVE, network_bps=POSITIVE)
def sending_s(sent_bytes: float, network_bps: float) -> float:
    """How long the weights of other machines' cards are under way at least [s].

    Parameters
    ----------
    sent_bytes
        What is put on cards of other machines [bytes].
    network_bps
        What the network carries [bit/s].
    """
    return sent_bytes * 8 / network_bps
