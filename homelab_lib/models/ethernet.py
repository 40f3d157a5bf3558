"""What of an Ethernet line is left for the data of a TCP connection.

References
----------
IEEE 802.3-2022, §3.1.1 and §4A.4.2 (preamble, header, frame check, gap), IEEE 802.1Q (tag);
RFC 791, 8200 and 9293 (headers), RFC 7323 (timestamps, which Linux and FreeBSD use by default).
"""

from typing import Literal

from homelab_lib.models.bounds import POSITIVE, Span, takes

_PREAMBLE_BYTES, _HEADER_BYTES, _CHECK_BYTES, _GAP_BYTES, _TAG_BYTES = 8, 14, 4, 12, 4
_IP_BYTES = {4: 20, 6: 40}
_TCP_BYTES, _TIMESTAMPS_BYTES = 20, 12
_MTU = Span("has to be a whole number from 576 to 65535", low=576.0, high=65535.0, whole=True)


@takes(mtu=_MTU)
def tcp_share(
    mtu: int = 1500, *, timestamps: bool = True, ip: Literal[4, 6] = 4, tagged: bool = False
) -> float:
    """Which share of a line's rate is a TCP connection's data, in segments of full size.

    Parameters
    ----------
    mtu
        Largest packet, of both ends and all between them [bytes].
    timestamps
        Whether segments carry them.
    ip
        Version of the Internet Protocol.
    tagged
        Whether frames carry a VLAN tag.

    Returns
    -------
    float
        0.941 at 1500 and 0.990 at 9000; without timestamps 0.949 and 0.991. Acknowledgements go
        the other way.

    References
    ----------
    The module's.
    """
    if ip not in _IP_BYTES:
        raise ValueError(f"ip is {ip}; it has to be 4 or 6")
    data = mtu - _IP_BYTES[ip] - _TCP_BYTES - (_TIMESTAMPS_BYTES if timestamps else 0)
    frame = _HEADER_BYTES + mtu + _CHECK_BYTES + (_TAG_BYTES if tagged else 0)
    return data / (_PREAMBLE_BYTES + frame + _GAP_BYTES)


@takes(line_bps=POSITIVE)
def tcp_bytes_per_s(line_bps: float, mtu: int = 1500, *, timestamps: bool = True) -> float:
    """What one or many TCP connections carry over a line that they have for themselves [bytes/s].

    Parameters
    ----------
    line_bps
        The line's rate [bit/s].
    mtu, timestamps
        As for `tcp_share`.
    """
    return line_bps * tcp_share(mtu, timestamps=timestamps) / 8.0
