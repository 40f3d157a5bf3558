"""Network interfaces."""

from dataclasses import dataclass


@dataclass
class Interface:
    """A network interface.

    Parameters
    ----------
    name
        ``enp12s0``, ``vmbr0``, ``eth0``.
    mac
        Hardware address.
    cidr
        Address with prefix length; empty for none.
    host, segment
        The physical host whose wire it hangs on, and that host's bridge or port.
    tag
        VLAN tag of its frames; None for untagged ones.
    gateway
        Its default route; empty for none.
    mtu
        Largest packet [bytes].
    """

    name: str
    mac: str
    cidr: str
    host: str
    segment: str
    tag: int | None = None
    gateway: str = ""
    mtu: int = 1500
    up: bool = True

    @property
    def address(self) -> str:
        return self.cidr.partition("/")[0]
