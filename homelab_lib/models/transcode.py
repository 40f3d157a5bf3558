"""How many streams a media engine turns over, and what they need of link and network.

An engine's rate for a codec is a measurement, given in pixels per second: nobody publishes
stream counts for most cards, and a count without its resolution and its frame rate says little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from homelab_lib.models.bounds import COUNT, NOT_NEGATIVE, POSITIVE, holds, takes

PIXELS = {"720p": 1280 * 720, "1080p": 1920 * 1080, "4K": 3840 * 2160}


@dataclass(frozen=True)
@holds(
    source_pixels=COUNT,
    target_pixels=COUNT,
    frames_per_second=POSITIVE,
    source_bps=NOT_NEGATIVE,
    target_bps=NOT_NEGATIVE,
)
class Stream:
    """One video that is turned into another.

    Parameters
    ----------
    decode, encode
        Codecs: ``h264``, ``hevc``, ``av1``, ``vp9``; empty for no work of that kind.
    source_pixels, target_pixels
        Pixels of a frame before and after.
    frames_per_second
        Frame rate [1/s].
    source_bps, target_bps
        Bit rates of the file and of what is sent [bit/s].
    """

    decode: str
    encode: str
    source_pixels: int
    target_pixels: int
    frames_per_second: float = 24.0
    source_bps: float = 0.0
    target_bps: float = 0.0


@dataclass(frozen=True)
@holds(units=COUNT, sessions=COUNT)
class Engine:
    """What a card's media units do.

    Parameters
    ----------
    units
        Independent engines; each takes whole streams.
    decode_pps, encode_pps
        Pixels per second of one unit by codec; a codec that is missing can't be done.
    sessions
        The driver's limit of concurrent encodes; None for no limit.
    """

    units: int
    decode_pps: Mapping[str, float]
    encode_pps: Mapping[str, float]
    sessions: int | None = None

    def __post_init__(self) -> None:
        for name, rates in (("decode_pps", self.decode_pps), ("encode_pps", self.encode_pps)):
            for codec, rate in rates.items():
                NOT_NEGATIVE.check(f"{name} of {codec}", rate)


def share_of_unit(stream: Stream, engine: Engine) -> float:
    """Which part of a unit's time one stream takes; infinite where it can't be done.

    Decoder and encoder of a unit work side by side, so the busier of the two counts.
    """
    shares = [0.0]
    for codec, pixels, rates in (
        (stream.decode, stream.source_pixels, engine.decode_pps),
        (stream.encode, stream.target_pixels, engine.encode_pps),
    ):
        if codec:
            rate = rates.get(codec, 0.0)
            work = pixels * stream.frames_per_second
            shares.append(work / rate if rate > 0 else float("inf"))
    return max(shares)


def streams_that_fit(stream: Stream, engine: Engine) -> int:
    """How many such streams run at once in real time; 0 where the codec can't be done."""
    share = share_of_unit(stream, engine)
    if share == 0:
        raise ValueError("a stream that neither decodes nor encodes is no transcode")
    per_unit = int(1.0 / share + 1e-9) if share != float("inf") else 0
    count = per_unit * engine.units
    return count if engine.sessions is None else min(count, engine.sessions)


def bus_need_bps(stream: Stream, *, frames_on_card: bool = True) -> float:
    """What one stream moves over the card's link in its busier direction [bit/s].

    Parameters
    ----------
    stream
        The stream.
    frames_on_card
        Decoding, scaling and encoding all happen on the card, so that only compressed video
        crosses the link. Otherwise every raw frame does, 12 bits a pixel (8-bit 4:2:0).
    """
    if frames_on_card:
        return max(stream.source_bps, stream.target_bps)
    frames = max(stream.source_pixels, stream.target_pixels) * stream.frames_per_second
    return 12.0 * frames + max(stream.source_bps, stream.target_bps)


@takes(link_bps=POSITIVE)
def streams_over(link_bps: float, stream: Stream, *, frames_on_card: bool = True) -> int:
    """How many such streams a card's link carries."""
    need = bus_need_bps(stream, frames_on_card=frames_on_card)
    if need <= 0:
        raise ValueError("the stream has no bit rate, so it says nothing about a link")
    return int(link_bps / need)
