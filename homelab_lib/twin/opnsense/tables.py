"""Aliases: names that stand for addresses, networks or ports.

Source: opnsense/core, scripts/filter/lib/alias; pf.conf(5), Tables.
"""

import ipaddress
from collections.abc import Iterator
from xml.etree import ElementTree as ET

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ADDRESSES = ("host", "network", "networkgroup", "url", "urltable", "external")
_SERVICES = {
    **{"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "pop3": 110},
    **{"ntp": 123, "imap": 143, "snmp": 161, "ldap": 389, "https": 443, "submission": 587},
    **{"ldaps": 636, "imaps": 993, "pop3s": 995, "openvpn": 1194, "nfsd": 2049, "nfs": 2049},
    **{"mysql": 3306, "rdp": 3389, "postgresql": 5432, "syslog": 514, "rsync": 873, "iscsi": 3260},
}


class Tables:
    """The aliases of a configuration.

    Parameters
    ----------
    config
        What the firewall has loaded.
    """

    def __init__(self, config: ET.Element) -> None:
        self._known: dict[str, tuple[str, list[str]]] = {}
        for row in config.findall("OPNsense/Firewall/Alias/aliases/alias"):
            if (row.findtext("enabled") or "1") != "0":
                entries = [line.strip() for line in (row.findtext("content") or "").split("\n")]
                name, kind = row.findtext("name", ""), row.findtext("type", "")
                self._known[name] = kind, list(filter(None, entries))

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def holds(self, name: str, address: Address) -> bool:
        """Whether an address is in a table: of its networks the narrowest decides.

        A table of names, countries or MAC addresses is taken for empty: nobody here fills it.
        """
        best, inside = -1, False
        for network, inverted in self._networks(name, set()):
            if address in network and network.prefixlen > best:
                best, inside = network.prefixlen, not inverted
        return inside

    def shown(self, name: str) -> list[str]:
        """What is in a table, as `pfctl` lists it."""
        found = self._networks(name, set())
        lines = [
            ("!" if inverted else "")
            + str(net.network_address if net.prefixlen == net.max_prefixlen else net)
            for net, inverted in found
        ]
        return sorted(lines)

    def _networks(self, name: str, passed: set[str]) -> Iterator[tuple[Network, bool]]:
        kind, entries = self._known.get(name, ("", []))
        if kind not in _ADDRESSES or name in passed:
            return
        passed = passed | {name}
        for entry in entries:
            bare = entry.removeprefix("!")
            if bare in self._known:
                yield from self._networks(bare, passed)
                continue
            for network in networks(bare):
                yield network, entry != bare

    def ports(self, text: str, passed: frozenset[str] = frozenset()) -> Iterator[tuple[int, int]]:
        """The ranges of ports that a text stands for: ``80``, ``80-90``, a service, an alias."""
        kind, entries = self._known.get(text, ("", []))
        if kind == "port" and text not in passed:
            for entry in entries:
                yield from self.ports(entry, passed | {text})
            return
        low, _, high = text.replace(":", "-").partition("-")
        first, last = _port(low), _port(high or low)
        if first is not None and last is not None:
            yield first, last


def _port(text: str) -> int | None:
    return int(text) if text.isdigit() else _SERVICES.get(text)


def networks(text: str) -> list[Network]:
    """The networks of an address, a network or a range; none of a name."""
    first, dash, last = text.partition("-")
    try:
        if dash:
            ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
            return list(ipaddress.summarize_address_range(*ends))
        return [ipaddress.ip_network(text, strict=False)]
    except (TypeError, ValueError):
        return []
