"""A packet on its way, as far as a filter looks at it."""

from dataclasses import dataclass

OUTSIDE = "198.51.100.7"
"""An address that stands for the internet: of a network for documentation."""


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection.

    Parameters
    ----------
    source, destination
        Addresses.
    protocol
        ``tcp``, ``udp``, ``icmp`` or ``ipv6-icmp``.
    port
        The destination's; 0 for none.
    """

    source: str
    destination: str
    protocol: str = "tcp"
    port: int = 0
