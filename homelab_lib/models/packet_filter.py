"""What a packet filter decides of a packet, and what it lets through from one network to another.

The rules are as OPNsense keeps them and loads them into pf. Names are resolved before: an
interface's network, an alias or a port's name is nothing that this module knows.

References
----------
pf.conf(5): the first ``quick`` rule that fits decides, else the last that fits; a list in braces
is one rule for each of its entries.
OPNsense core, FilterRuleField::getPriority (rules of no or several interfaces go before those of
a group, and those before the ones of a single interface; then by sequence) and
filter.lib.inc (its own default: refuse all, let out what the firewall sends on; neither quick).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Literal

from homelab_lib.models.bounds import FINITE, PORT, WHOLE, Span, holds

Action = Literal["pass", "block", "reject"]
Direction = Literal["in", "out", "any"]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]
PortRanges = tuple[tuple[int, int], ...]

WITH_PORTS = ("tcp", "udp")
_VERSION = Span("has to be 4 or 6", low=4.0, high=6.0, whole=True)
ELSE = "else"
"""A protocol that no rule names."""


@dataclass(frozen=True)
@holds(destination_port=PORT, source_port=PORT)
class Packet:
    """A packet that opens a connection; what follows it goes with its state.

    Parameters
    ----------
    interface
        Where the firewall sees it.
    source, destination
        Addresses, of one family.
    protocol
        ``tcp``, ``udp``, ``icmp``, ``ipv6-icmp``, ``esp``, …
    destination_port, source_port
        Of TCP and UDP.
    direction
        As the firewall sees it. What is sent on comes in by one interface and goes out by another,
        and both have to let it.
    """

    interface: str
    source: Address
    destination: Address
    protocol: str
    destination_port: int = 0
    source_port: int = 0
    direction: Literal["in", "out"] = "in"


@dataclass(frozen=True)
@holds(versions=_VERSION, source_ports=PORT, destination_ports=PORT, sequence=FINITE, group=WHOLE)
class Rule:
    """One rule of the filter.

    A condition that is none of these (a schedule, a type of ICMP) makes a rule fit less often. To
    be sure that nothing passes, leave such a rule out where it blocks, and in where it passes.

    Parameters
    ----------
    name
        What a person knows it by.
    action
        What becomes of the packet.
    interfaces
        Where; None for all.
    interfaces_not
        Anywhere but there.
    direction
        As the firewall sees it.
    versions
        IP versions.
    protocols
        In small letters; None for all.
    sources, destinations
        Networks; None for all, and none at all (an alias that is empty) fits nothing.
    source_not, destination_not
        Anything but those.
    source_ports, destination_ports
        First and last of each range; None for all. With them it fits TCP and UDP alone.
    quick
        Whether it decides at once.
    sequence
        Its place among those of its kind.
    group
        The sequence of the interface group whose rule it is; None for a rule of no group.
    """

    name: str
    action: Action
    interfaces: tuple[str, ...] | None = None
    interfaces_not: bool = False
    direction: Direction = "in"
    versions: tuple[int, ...] = (4, 6)
    protocols: tuple[str, ...] | None = None
    sources: Networks | None = None
    source_not: bool = False
    source_ports: PortRanges | None = None
    destinations: Networks | None = None
    destination_not: bool = False
    destination_ports: PortRanges | None = None
    quick: bool = True
    sequence: int = 1
    group: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands: floating ones, those of a group, those of one interface."""
        if self.group is not None:
            return 300_000 + self.group, self.sequence
        alone = self.interfaces is not None and len(self.interfaces) == 1
        return (400_000 if alone and not self.interfaces_not else 200_000), self.sequence

    def seen(self, interface: str, direction: Direction) -> bool:
        """Whether it looks at packets there."""
        if self.direction != "any" and self.direction != direction:
            return False
        return self.interfaces is None or (interface in self.interfaces) != self.interfaces_not

    def carries(self, protocol: str) -> bool:
        """Whether it is about a protocol; with ports it is about TCP and UDP alone."""
        if self.protocols is not None and protocol not in self.protocols:
            return False
        return protocol in WITH_PORTS or not (self.source_ports or self.destination_ports)

    def fits(self, packet: Packet) -> bool:
        """Whether it is about a packet."""
        return (
            self.seen(packet.interface, packet.direction)
            and packet.source.version in self.versions
            and self.carries(packet.protocol)
            and _among(packet.source, self.sources, self.source_not)
            and _among(packet.destination, self.destinations, self.destination_not)
            and _at(packet.source_port, self.source_ports)
            and _at(packet.destination_port, self.destination_ports)
        )


@dataclass(frozen=True)
class Verdict:
    """What becomes of a packet.

    Parameters
    ----------
    action
        That.
    rule
        The name of the rule that decided; None where none fits.
    """

    action: Action
    rule: str | None

    @property
    def passes(self) -> bool:
        """Whether it goes through."""
        return self.action == "pass"


def decide(rules: Iterable[Rule], packet: Packet) -> Verdict:
    """What becomes of a packet that opens a connection.

    The first quick rule that fits decides, else the last one. Where none does, what comes in is
    blocked and what goes out passes.

    Parameters
    ----------
    rules
        All that are in force; they are taken in the order in which the appliance loads them.
    packet
        The packet, where it comes in or goes out.

    References
    ----------
    pf.conf(5), QUICK; OPNsense core, filter.lib.inc ("Default deny rule", "let out anything from
    firewall host itself").
    """
    for rule in _in_turn(rules):
        if rule.fits(packet):
            return Verdict(rule.action, rule.name)
    return Verdict("pass" if packet.direction == "out" else "block", None)


def passing(
    rules: Iterable[Rule], interface: str, sources: Network, destinations: Network
) -> Iterator[tuple[Packet, Verdict]]:
    """Packets from one network to another that are let in, and by what: none, if nothing at all is.

    The rules cut addresses, protocols and ports into pieces inside of which they decide alike. The
    first packet of each piece is asked about, so nothing is overlooked.

    Parameters
    ----------
    rules
        All that are in force.
    interface
        Where the packets come in.
    sources, destinations
        From where to where, of one family.

    Raises
    ------
    ValueError
        Networks of two families.
    """
    if sources.version != destinations.version:
        raise ValueError(f"{sources} and {destinations} are of two families")
    cuts: tuple[_Cut, ...] = (
        (
            lambda left: _starts(sources, (rule.sources for rule in left)),
            lambda rule, at: _among(at, rule.sources, rule.source_not),
        ),
        (
            lambda left: _starts(destinations, (rule.destinations for rule in left)),
            lambda rule, at: _among(at, rule.destinations, rule.destination_not),
        ),
        (
            lambda left: _port_starts(rule.destination_ports for rule in left),
            lambda rule, at: _at(at, rule.destination_ports),
        ),
        (
            lambda left: _port_starts(rule.source_ports for rule in left),
            lambda rule, at: _at(at, rule.source_ports),
        ),
    )
    asked = [
        rule
        for rule in _in_turn(rules)
        if rule.seen(interface, "in") and sources.version in rule.versions
    ]
    named = {protocol for rule in asked for protocol in rule.protocols or ()}
    for protocol in sorted(named | {ELSE, *WITH_PORTS}):
        those = [rule for rule in asked if rule.carries(protocol)]
        for (source, destination, *ports), rule in _through(those, cuts):
            at = ports if protocol in WITH_PORTS else (0, 0)
            packet = Packet(interface, source, destination, protocol, *at)
            yield packet, Verdict(rule.action, rule.name)


_Cut = tuple[Callable[[Sequence[Rule]], Iterable[Any]], Callable[[Rule, Any], bool]]
"""Where the pieces of one dimension begin, as rules cut it; whether a rule is about a point."""


def _in_turn(rules: Iterable[Rule]) -> list[Rule]:
    """The rules so that the first that fits decides: quick ones, then the others from the end."""
    ordered = sorted(rules, key=lambda rule: rule.order)
    return [r for r in ordered if r.quick] + [r for r in reversed(ordered) if not r.quick]


def _through(
    rules: Sequence[Rule], cuts: Sequence[_Cut], at: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Rule]]:
    """A point of each piece that passes, and by which rule; pieces of the same rules are one."""
    if not any(rule.action == "pass" for rule in rules):
        return
    if not cuts:
        if rules[0].action == "pass":
            yield at, rules[0]
        return
    starts, fits = cuts[0]
    pieces: dict[tuple[int, ...], Any] = {}
    for start in starts(rules):
        left = tuple(place for place, rule in enumerate(rules) if fits(rule, start))
        pieces.setdefault(left, start)
    for left, start in pieces.items():
        yield from _through([rules[place] for place in left], cuts[1:], (*at, start))


def _among(address: Address, networks: Networks | None, negated: bool) -> bool:
    return networks is None or any(address in network for network in networks) != negated


def _at(port: int, ranges: PortRanges | None) -> bool:
    return ranges is None or any(first <= port <= last for first, last in ranges)


def _starts(within: Network, cuts: Iterable[Networks | None]) -> list[Address]:
    """The first address of each piece that networks cut another into."""
    starts = {int(within.network_address)}
    for network in {each for networks in cuts for each in networks or ()}:
        if network.version == within.version and network.overlaps(within):
            starts |= {int(network.network_address), int(network.broadcast_address) + 1}
    first, last = int(within.network_address), int(within.broadcast_address)
    kind = type(within.network_address)
    return [kind(start) for start in sorted(starts) if first <= start <= last]


def _port_starts(cuts: Iterable[PortRanges | None]) -> list[int]:
    starts = {1}
    for first, last in {each for ranges in cuts for each in ranges or ()}:
        starts |= {first, last + 1}
    return sorted(start for start in starts if 1 <= start <= 65535)
