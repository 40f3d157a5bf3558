"""What a PCI Express link carries, and what is left of it where several share it.

References
----------
PCI Express Base Specification rev. 5.0, §3.6.3.1 (acknowledge latency), §2.6.1.2 (flow control),
§4.2.7 (SKP ordered sets). Linux `PCIE_SPEED2MBS_ENC` (drivers/pci/pci.h) for rates. R. Neugebauer
et al., "Understanding PCIe performance for end host networking", SIGCOMM 2018, for how the
overheads add up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from homelab_lib.models.bounds import NOT_NEGATIVE, POSITIVE, takes

_GT_PER_S = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}
_ENCODING = {1: 8 / 10, 2: 8 / 10, 3: 128 / 130, 4: 128 / 130, 5: 128 / 130, 6: 242 / 256}
LANES = (1, 2, 4, 8, 12, 16, 32)
MPS_BYTES = (128, 256, 512, 1024, 2048, 4096)

_FRAMING_BYTES = 8  # framing, sequence number and LCRC around every TLP
_HEADER_BYTES = {"write": 16, "read": 12}  # memory write with 64-bit address; completion
_DLLP_BYTES = 8  # an acknowledgement or a flow-control update, framing included
_TLP_OVERHEAD_BYTES = 28  # as the specification's latency tables count it
_INTERNAL_DELAY_SYMBOLS = {1: 19, 2: 70}  # 115 from 8 GT/s on
_SKP_SHARE = 4 / 1538
_LEAST_COMPLETION_BYTES = 64  # the read completion boundary that a root port may split at


class Payload(NamedTuple):
    """Payload bandwidth in one direction [Gb/s]: what is sure, and what is the ceiling."""

    lower: float
    upper: float


def _among(name: str, value: int, allowed: tuple[int, ...]) -> None:
    if value not in allowed or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it has to be one of {', '.join(map(str, allowed))}")


def lane_gtps(gen: int) -> float:
    """Rate of one lane [GT/s], as `lspci` names it.

    Parameters
    ----------
    gen
        Generation, 1 to 6.
    """
    _among("gen", gen, tuple(_GT_PER_S))
    return _GT_PER_S[gen]


def raw_gbps(gen: int, lanes: int) -> float:
    """What the lanes carry after line coding: 8b/10b, 128b/130b, or 242 of a FLIT's 256 bytes.

    Parameters
    ----------
    gen
        Generation that was negotiated, 1 to 6.
    lanes
        Lanes that were negotiated.

    Returns
    -------
    float
        One direction [Gb/s]; what Linux prints as "available PCIe bandwidth".

    References
    ----------
    `PCIE_SPEED2MBS_ENC`, drivers/pci/pci.h.
    """
    _among("gen", gen, tuple(_GT_PER_S))
    _among("lanes", lanes, LANES)
    return _GT_PER_S[gen] * _ENCODING[gen] * lanes


def ack_limit_symbols(gen: int, lanes: int, *, mps: int = 256) -> int:
    """How many symbol times may pass between two acknowledgements, as recommended.

    Parameters
    ----------
    gen, lanes
        The link.
    mps
        Maximum payload size [bytes].

    References
    ----------
    PCI Express Base Specification 5.0, §3.6.3.1, equation and tables 3-7 to 3-9.
    """
    _among("gen", gen, tuple(_GT_PER_S))
    _among("lanes", lanes, LANES)
    _among("mps", mps, MPS_BYTES)
    factor = 1.0 if mps > 256 else 1.4 if lanes <= 4 else 2.5 if lanes == 8 else 3.0
    delay = _INTERNAL_DELAY_SYMBOLS.get(gen, 115)
    return int((mps + _TLP_OVERHEAD_BYTES) * factor / lanes + delay)


def link_layer_share(gen: int, lanes: int, *, mps: int = 256) -> float:
    """Which share of a link its own upkeep takes: acknowledgements, flow control, SKP.

    At the rates the specification recommends; hardware may send fewer.

    References
    ----------
    Neugebauer et al. 2018, §3; the specification's recommended rates.
    """
    return 2 * _DLLP_BYTES / ack_limit_symbols(gen, lanes, mps=mps) + _SKP_SHARE


def payload_gbps(
    gen: int, lanes: int, *, mps: int = 256, operation: Literal["write", "read"] = "write"
) -> Payload:
    """What reaches memory in one direction in packets of full size.

    The ceiling has packet headers alone, the lower figure the link layer's recommended traffic,
    too. Hosts that answer reads in smaller pieces stay below both: see `carried_gbps`.

    Parameters
    ----------
    gen, lanes
        The negotiated link.
    mps
        Maximum payload size: the smallest along the path [bytes].
    operation
        ``write``: memory writes with 64-bit addresses. ``read``: completions.

    Returns
    -------
    Payload
        ``(lower, upper)`` [Gb/s]. Measured: an Intel 82599 at Gen2 x4 moved 13.90 Gb/s, between
        13.21 and 14.63.

    Raises
    ------
    ValueError
        A generation, width or payload size that does not exist.

    References
    ----------
    Neugebauer et al. 2018, §3.
    """
    raw = raw_gbps(gen, lanes)
    _among("mps", mps, MPS_BYTES)
    if operation not in _HEADER_BYTES:
        raise ValueError(f"operation is {operation!r}; it has to be 'write' or 'read'")
    upper = raw * mps / (mps + _FRAMING_BYTES + _HEADER_BYTES[operation])
    return Payload(upper * (1 - link_layer_share(gen, lanes, mps=mps)), upper)


def carried_gbps(gen: int, lanes: int, *, mps: int = 256) -> Payload:
    """What a link carries in one direction, whichever way and whatever the host: a true band.

    Parameters
    ----------
    gen, lanes
        The negotiated link.
    mps
        Maximum payload size along the path, for the ceiling [bytes].

    Returns
    -------
    Payload
        ``lower``: reads that a host answers in pieces of 64 bytes, the least that it may, with the
        link layer's recommended traffic for small packets. ``upper``: completions of full size with
        headers alone. No published measurement of a device that keeps enough requests in flight is
        known to lie below the first; those above the second are of hosts with larger packets.

    References
    ----------
    PCI Express Base Specification 5.0, §2.3.1.1 (read completion boundary); Neugebauer et al. 2018,
    §4, where hosts answer in pieces of 64 to 256 bytes.
    """
    least = _LEAST_COMPLETION_BYTES
    pieces = least / (least + _FRAMING_BYTES + _HEADER_BYTES["read"])
    sure = raw_gbps(gen, lanes) * pieces * (1 - link_layer_share(gen, lanes, mps=128))
    return Payload(sure, payload_gbps(gen, lanes, mps=mps, operation="read").upper)


@dataclass(frozen=True)
class Hop:
    """One link of the tree: a slot, a bridge's uplink, an adapter, a card's edge.

    Parameters
    ----------
    name
        What it is called.
    gen
        The highest generation it can do.
    lanes
        The lanes it has, electrically.
    """

    name: str
    gen: int
    lanes: int

    def __post_init__(self) -> None:
        _among(f"gen of {self.name}", self.gen, tuple(_GT_PER_S))
        _among(f"lanes of {self.name}", self.lanes, LANES)


@dataclass(frozen=True)
class TrainedLink:
    """What two ends agreed on.

    Parameters
    ----------
    gen, lanes
        As negotiated.
    limited_by
        The hop that holds it down.
    """

    gen: int
    lanes: int
    limited_by: str

    @property
    def raw_gbps(self) -> float:
        """After line coding, one direction [Gb/s]."""
        return raw_gbps(self.gen, self.lanes)


def negotiate(*hops: Hop) -> TrainedLink:
    """What a chain of passive hops trains to: the least generation and the least lanes.

    A passive hop (slot, riser, splitter, cable) has no say of its own: both ends see through it.
    Behind a switch or bridge a new link begins; give each link to this function by itself.

    Parameters
    ----------
    *hops
        From the root port to the device.

    References
    ----------
    PCI Express Base Specification 5.0, §4.2.4 (link training).
    """
    if not hops:
        raise ValueError("hops is empty; a link has at least two ends")
    gen = min(hop.gen for hop in hops)
    lanes = min(hop.lanes for hop in hops)
    slowest = min(hops, key=lambda hop: raw_gbps(hop.gen, hop.lanes))
    return TrainedLink(gen, lanes, slowest.name)


@takes(capacity_gbps=NOT_NEGATIVE)
def shared_gbps(capacity_gbps: float, demands_gbps: Mapping[str, float]) -> dict[str, float]:
    """What each of several gets of a link they share: max-min fair, no one more than it asks.

    Parameters
    ----------
    capacity_gbps
        The shared link's payload bandwidth in the direction in question [Gb/s].
    demands_gbps
        What each would take if it were alone [Gb/s].

    Returns
    -------
    dict
        What each gets [Gb/s].

    Raises
    ------
    ValueError
        A negative capacity or demand.

    References
    ----------
    D. Bertsekas, R. Gallager, "Data Networks", 2nd ed., §6.5.2 (max-min fairness).
    """
    for name, demand in demands_gbps.items():
        NOT_NEGATIVE.check(f"demands_gbps of {name}", demand)
    shares: dict[str, float] = {}
    left = capacity_gbps
    for count, (name, demand) in enumerate(sorted(demands_gbps.items(), key=lambda item: item[1])):
        shares[name] = min(demand, left / (len(demands_gbps) - count))
        left -= shares[name]
    return {name: shares[name] for name in demands_gbps}


@takes(available_gbps=NOT_NEGATIVE, needed_gbps=POSITIVE)
def headroom(available_gbps: float, needed_gbps: float) -> float:
    """How many times over a link carries what a workload needs; below 1 it does not.

    Parameters
    ----------
    available_gbps, needed_gbps
        Payload bandwidths [Gb/s].
    """
    return available_gbps / needed_gbps
