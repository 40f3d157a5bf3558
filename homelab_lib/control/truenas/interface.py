"""What one interface of a TrueNAS is to have, and what it is made of where it is no port.

Sources: TrueNAS middleware 25.04 to 26, `interface.create` and `interface.update`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STANDARD_MTU = 1500
MADE_OF = (
    *("lag_ports", "lag_protocol", "xmit_hash_policy", "lacpdu_rate"),
    *("vlan_parent_interface", "vlan_tag"),
)


@dataclass(frozen=True)
class Bonded:
    """Several ports as one.

    Parameters
    ----------
    ports
        As TrueNAS calls them; of FAILOVER the first is used as long as it can be.
    protocol
        ``LACP``, ``FAILOVER`` or ``LOADBALANCE``.
    hash_policy
        By what a flow's port is chosen, but with FAILOVER: ``LAYER2+3``.
    rate
        How often LACP speaks: ``SLOW`` or ``FAST``.
    """

    ports: tuple[str, ...]
    protocol: str
    hash_policy: str = "LAYER2+3"
    rate: str = "SLOW"

    @property
    def below(self) -> tuple[str, ...]:
        """What it stands on."""
        return self.ports

    @property
    def document(self) -> dict[str, Any]:
        """What the middleware is told."""
        told: dict[str, Any] = {"lag_protocol": self.protocol, "lag_ports": list(self.ports)}
        if self.protocol != "FAILOVER":
            told["xmit_hash_policy"] = self.hash_policy
        if self.protocol == "LACP":
            told["lacpdu_rate"] = self.rate
        return told

    def __str__(self) -> str:
        return f"{' and '.join(self.ports)} as one ({self.protocol})"


@dataclass(frozen=True)
class Tagged:
    """A VLAN on another interface.

    Parameters
    ----------
    parent, tag
        The interface that carries it, and its number.
    """

    parent: str
    tag: int

    @property
    def below(self) -> tuple[str, ...]:
        """What it stands on."""
        return (self.parent,)

    @property
    def document(self) -> dict[str, Any]:
        """What the middleware is told."""
        return {"vlan_parent_interface": self.parent, "vlan_tag": self.tag}

    def __str__(self) -> str:
        return f"VLAN {self.tag} on {self.parent}"


KINDS = {Bonded: "LINK_AGGREGATION", Tagged: "VLAN"}


@dataclass(frozen=True)
class NasInterface:
    """What one interface is to have.

    Parameters
    ----------
    name
        As TrueNAS calls it: ``enp1s0``.
    addresses
        With their prefix lengths: ``10.0.30.5/24``.
    ipv4_dhcp, ipv6_auto
        Whether it gets addresses from others.
    mtu
        Largest packet [bytes].
    made_of
        What it is made of; None for a port.
    """

    name: str
    addresses: tuple[str, ...] = ()
    ipv4_dhcp: bool = False
    ipv6_auto: bool = False
    mtu: int = STANDARD_MTU
    made_of: Bonded | Tagged | None = None

    @property
    def below(self) -> tuple[str, ...]:
        """What it stands on; a port on nothing."""
        return self.made_of.below if self.made_of else ()

    @property
    def _row(self) -> dict[str, Any]:
        """The same as it is told when it is observed."""
        return {
            "ipv4_dhcp": self.ipv4_dhcp,
            "ipv6_auto": self.ipv6_auto,
            "addresses": sorted(self.addresses),
            "mtu": self.mtu,
        } | (self.made_of.document if self.made_of else {})

    def differing(self, found: Mapping[str, Any]) -> list[str]:
        """What of its settings is not as wanted."""
        return [key for key, value in self._row.items() if found.get(key) != value]

    def runs(self, found: Mapping[str, Any]) -> bool:
        """Whether it runs as wanted; what others give it may take its time."""
        given = set(found["runs"])
        return set(self.addresses) <= given and (found["runs_mtu"] in (None, self.mtu))

    @property
    def document(self) -> dict[str, Any]:
        """What the middleware is told: all of it, since that is what is pinned."""
        return {
            "ipv4_dhcp": self.ipv4_dhcp,
            "ipv6_auto": self.ipv6_auto,
            "aliases": [_alias(cidr) for cidr in self.addresses],
            "mtu": None if self.mtu == STANDARD_MTU else self.mtu,
        } | (self.made_of.document if self.made_of else {})


def _alias(cidr: str) -> dict[str, Any]:
    at = ipaddress.ip_interface(cidr)
    kind = "INET" if at.version == 4 else "INET6"
    return {"type": kind, "address": str(at.ip), "netmask": at.network.prefixlen}
