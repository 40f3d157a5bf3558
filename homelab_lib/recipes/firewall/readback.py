"""The rules that a firewall says it has, as a model can judge them."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from homelab_lib.control.opnsense.interfaces import Named
from homelab_lib.control.opnsense.values import parts
from homelab_lib.models.packet_filter import (
    Action,
    Direction,
    Network,
    Networks,
    PortRanges,
    Rule,
)

Known = Mapping[str, Networks | None]
"""What a name stands for; None for what nobody can tell beforehand."""

_VERSIONS = {"inet": (4,), "inet6": (6,), "inet46": (4, 6)}
_PROTOCOLS: Mapping[str, tuple[str, ...] | None] = {
    "any": None,
    "tcp/udp": ("tcp", "udp"),
    "icmp": ("icmp", "ipv6-icmp"),  # of whichever version the packet is
}
_TUNNELS = ("wireguard", "openvpn", "enc0")
"""Groups in which no network of the lab is."""
_FITS_LESS = ("icmptype", "icmp6type", "tcpflags1", "tcpflags2", "tagged", "sched", "tos", "prio")
_FITS_LESS += ("max-pkt-rate-number",)
"""Conditions of a rule that a packet alone can't tell."""
_ACTIONS: Mapping[str, Action] = {"pass": "pass", "block": "block", "reject": "reject"}
_DIRECTIONS: Mapping[str, Direction] = {"in": "in", "out": "out", "any": "any"}
_SERVICES = {"http": 80, "https": 443, "ssh": 22, "domain": 53, "ntp": 123}


def networks(named: Named, aliases: Iterable[Mapping[str, str]]) -> Known:
    """What the names in rules stand for.

    Parameters
    ----------
    named
        The firewall's interfaces, as they are configured.
    aliases
        Its aliases.
    """
    found: dict[str, Networks | None] = {}
    own: list[Network] = []
    for name, each in named.items():
        cidrs = [
            f"{each[address]}/{each[length]}"
            for address, length in (("ipaddr", "subnet"), ("ipaddrv6", "subnetv6"))
            if _is_address(each.get(address, "")) and each.get(length, "").isdecimal()
        ]
        addresses = [ipaddress.ip_network(cidr.partition("/")[0]) for cidr in cidrs]
        own += addresses
        # One that DHCP gives is known to nobody beforehand.
        found[name] = tuple(ipaddress.ip_network(each, strict=False) for each in cidrs) or None
        found[f"{name}ip"] = tuple(addresses) or None
    found["(self)"] = tuple(own)
    rows = {row["name"]: row for row in aliases}
    for name in rows:
        if rows[name]["type"] in ("host", "network", "networkgroup"):
            found[name] = _content(name, rows, ())
    return found


def _content(
    name: str, rows: Mapping[str, Mapping[str, str]], above: tuple[str, ...]
) -> Networks | None:
    found: list[Network] = []
    for entry in parts(rows[name]["content"], "\n"):
        if _is_address(entry):
            found.append(ipaddress.ip_network(entry, strict=False))
        elif entry in rows and entry not in above:
            inner = _content(entry, rows, (*above, name))
            if inner is None:
                return None
            found += inner
        else:
            return None  # a range, a DNS name, a country
    return tuple(found)


def port_aliases(aliases: Iterable[Mapping[str, str]]) -> dict[str, PortRanges]:
    """What aliases of ports stand for."""
    found = {}
    for row in aliases:
        if row["type"] == "port":
            ends = [_ends(entry) for entry in parts(row["content"], "\n")]
            if all(ends):
                found[row["name"]] = tuple(each for each in ends if each)
    return found


def filter_rules(
    rows: Sequence[Mapping[str, str]], known: Known, ports: Mapping[str, PortRanges]
) -> list[Rule]:
    """Rules as the model takes them.

    Parameters
    ----------
    rows
        As the firewall lists them.
    known
        What names of networks stand for.
    ports
        What names of ports stand for.
    """
    active = [row for row in rows if row["enabled"] == "1"]
    return [rule for row in active for rule in _rule(row, known, ports)]


def _rule(row: Mapping[str, str], known: Known, ports: Mapping[str, PortRanges]) -> Iterator[Rule]:
    """A rule; or nothing, where it refuses and nobody can tell what: what it would keep out counts
    as let in. Where such a rule lets pass, it lets everything pass."""
    if row["action"] != "pass" and any(row.get(each) for each in _FITS_LESS):
        return
    at = parts(row["interface"], ",")
    interfaces = tuple(at) or None
    try:
        if any(f"{each}ip" not in known and each not in _TUNNELS for each in at):
            raise LookupError(row["interface"])  # a group: whose, is not told here
        sources = _side(row, "source", known)
        destinations = _side(row, "destination", known)
        to, start = (_ports(row[f"{side}_port"], ports) for side in ("destination", "source"))
    except LookupError:
        if row["action"] != "pass":
            return
        interfaces = sources = destinations = to = start = None
    protocol = row["protocol"].lower() or "any"
    yield Rule(
        name=row["description"] or row["uuid"],
        action=_ACTIONS[row["action"]],
        interfaces=interfaces,
        interfaces_not=row.get("interfacenot") == "1" and interfaces is not None,
        direction=_DIRECTIONS[row["direction"]],
        versions=_VERSIONS[row["ipprotocol"]],
        protocols=_PROTOCOLS.get(protocol, (protocol,)),
        sources=sources,
        source_not=row["source_not"] == "1" and sources is not None,
        source_ports=start,
        destinations=destinations,
        destination_not=row["destination_not"] == "1" and destinations is not None,
        destination_ports=to,
        quick=row["quick"] == "1",
        sequence=int(row["sequence"] or 1),
    )


def _side(row: Mapping[str, str], side: str, known: Known) -> Networks | None:
    found: list[Network] = []
    for name in parts(row[f"{side}_net"], ","):
        if name == "any":
            return None
        meant = (ipaddress.ip_network(name, strict=False),) if _is_address(name) else known[name]
        if meant is None:
            raise LookupError(name)
        found += meant
    return tuple(found)


def _ports(text: str, ports: Mapping[str, PortRanges]) -> PortRanges | None:
    if not text:
        return None
    ends = _ends(text)
    return ports[text] if ends is None else (ends,)


def _ends(text: str) -> tuple[int, int] | None:
    low, _, high = text.replace(":", "-").partition("-")
    if text in _SERVICES:
        return _SERVICES[text], _SERVICES[text]
    if low.isdecimal() and (high or low).isdecimal():
        return int(low), int(high or low)
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
