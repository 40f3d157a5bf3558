"""Rules as nftables has them: those between a lab's VLANs, and those of a packet filter."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import collapse_addresses
from itertools import product

from homelab_lib.models.packet_filter import WITH_PORTS, Networks, PortRanges, Rule
from real.wires import LAST_PORT

WAN = "wan"


def leg(network: object) -> str:
    """The router's interface into a VLAN, or to the internet."""
    return WAN if network == "internet" else f"vlan{network}"


def policy(
    rules: Iterable[tuple[str, object, object, bool, Sequence[str]]],
    subnets: Mapping[int, Sequence[str]],
) -> str:
    """What a lab says may pass between its VLANs.

    Parameters
    ----------
    rules
        As `models.reachability.vlan_reachability` takes them.
    subnets
        By VLAN, of both families.
    """
    house = [net for nets in subnets.values() for net in nets]
    lines = []
    for _, source, destination, allow, ports in rules:
        whence = "" if source == "any" else f'iifname "{leg(source)}" '
        for whither in _whither(destination, subnets, house):
            for port in map(_port, ports) if ports else ("",):
                lines.append(f"{whence}{whither}{port}{'accept' if allow else 'drop'}")
    return _table("policy drop", lines)


def _whither(
    destination: object, subnets: Mapping[int, Sequence[str]], house: Sequence[str]
) -> list[str]:
    if destination == "any":
        return [""]
    if destination == "internet":
        return [
            f"{family} daddr != {{ {', '.join(n for n in house if (':' in n) == six)} }} "
            for family, six in (("ip", False), ("ip6", True))
        ]
    return [f"{'ip6' if ':' in net else 'ip'} daddr {net} " for net in subnets[destination]]


def _port(text: str) -> str:
    protocol, _, numbers = text.partition("/")
    if protocol == "icmp":
        return "meta l4proto { icmp, ipv6-icmp } "
    return f"{protocol} dport {numbers} "


def packet_filter(rules: Iterable[Rule]) -> str:
    """A packet filter's rules, as they are loaded: the order is the caller's to keep.

    nftables takes the first verdict. So what is not quick leaves a mark, which decides at the end.
    """
    ordered = sorted(rules, key=lambda rule: rule.order)
    coming = [
        line for rule in ordered if rule.direction != "out" for line in _rule(rule, "iifname")
    ]
    going = [line for rule in ordered if rule.direction != "in" for line in _rule(rule, "oifname")]
    return _table(
        "policy accept", ["meta mark set 0", *coming, "meta mark != 1 drop"], "coming", 0
    ) + _table("policy accept", ["meta mark set 1", *going, "meta mark != 1 drop"], "going", 1)


def _rule(rule: Rule, side: str) -> Iterator[str]:
    interfaces = ", ".join(f'"{name}"' for name in rule.interfaces or ())
    if rule.interfaces is None or (rule.interfaces_not and not interfaces):
        where = ""
    elif interfaces:
        where = f"{side} {'!= ' if rule.interfaces_not else ''}{{ {interfaces} }} "
    else:
        return
    said = {"pass": ("accept", 1), "block": ("drop", 0), "reject": ("reject", 0)}[rule.action]
    verdict = said[0] if rule.quick else f"meta mark set {said[1]}"
    protocols = rule.protocols
    if rule.source_ports is not None or rule.destination_ports is not None:
        protocols = tuple(p for p in protocols or WITH_PORTS if p in WITH_PORTS)
    if protocols == ():
        return
    carried = f"meta l4proto {{ {', '.join(protocols)} }} " if protocols else ""
    for version in rule.versions:
        family = f"meta nfproto ipv{version} "
        for source, destination, source_port, port in product(
            _nets("saddr", rule.sources, rule.source_not, version),
            _nets("daddr", rule.destinations, rule.destination_not, version),
            _ports("sport", rule.source_ports),
            _ports("dport", rule.destination_ports),
        ):
            yield f"{family}{where}{carried}{source}{destination}{source_port}{port}{verdict}"


def _nets(field: str, networks: Networks | None, negated: bool, version: int) -> list[str]:
    """The ways to say it: one, or none where nothing fits."""
    if networks is None:
        return [""]
    own = collapse_addresses(net for net in networks if net.version == version)
    said = ", ".join(map(str, own))
    if not said:
        return [""] if negated else []
    return [f"ip{'6' if version == 6 else ''} {field} {'!= ' if negated else ''}{{ {said} }} "]


def _ports(field: str, ranges: PortRanges | None) -> list[str]:
    if ranges is None:
        return [""]
    return [
        f"th {field} {first}-{last} " if first < last else f"th {field} {first} "
        for first, last in ranges
    ]


def _table(rest: str, lines: Sequence[str], name: str = "forward", priority: int = 0) -> str:
    hook = f"type filter hook forward priority {priority}; {rest}"
    inside = [hook, f"udp dport {LAST_PORT} accept", *lines]
    return f"table inet {name} {{\nchain {name} {{\n" + "\n".join(inside) + "\n}\n}\n"
