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
    up
        Whether it is switched on.
    kind
        ``bridge`` or ``vlan``; empty for a card.
    master
        The bridge that it is a port of; empty for none.
    parent
        PCI address of the card; empty where that is not known.
    vlan_filtering
        Of a bridge: it knows VLANs.
    carrier
        Whether there is a link on its wire.
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
    kind: str = ""
    master: str = ""
    parent: str = ""
    vlan_filtering: bool = False
    carrier: bool = True

    @property
    def address(self) -> str:
        return self.cidr.partition("/")[0]
