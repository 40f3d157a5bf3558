"""Which network reaches which, by which rule; and the subnets that lead nowhere.

References
----------
First match decides, and what no rule allows is refused: pf.conf(5) with ``quick``, as OPNsense
writes its rules. RFC 1812, §5.2.4 (a packet is forwarded by a router that has an address there).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

Rule = tuple[str, Hashable, Hashable, bool, Sequence[str]]
"""Name, source, destination, whether it may pass, ports (empty for all)."""

INTERNET = "internet"
ANY = "any"


@dataclass(frozen=True)
class Verdict:
    """What a rule decides between two networks.

    Parameters
    ----------
    allow
        Whether it may pass.
    rule
        The rule's name; None where no rule fits, and it is refused.
    ports
        Ports it decides, such as ``tcp/2049``; empty for all that are not decided yet.
    """

    allow: bool
    rule: str | None
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reach:
    """What may pass from one network to another.

    Parameters
    ----------
    verdicts
        In the order in which they decide; the last one decides all that is left.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def allowed(self) -> bool:
        """Whether anything passes: a port that earlier rules refuse does not."""
        refused: list[tuple[str, int, int]] = []
        for verdict in self.verdicts:
            ports = [_port(each) for each in verdict.ports]
            if not verdict.allow:
                refused += ports
            elif not ports or any(_left(port, refused) for port in ports):
                return True
        return False

    def on(self, port: str) -> Verdict:
        """What decides a port.

        Parameters
        ----------
        port
            ``tcp/443``, ``icmp``.

        Raises
        ------
        ValueError
            What is no port, or a range: several rules may decide that.
        """
        wanted = _port(port)
        if wanted[1] != wanted[2]:
            raise ValueError(f"port is {port!r}; ask for each port of a range")
        return next(
            verdict
            for verdict in self.verdicts
            if not verdict.ports or any(_within(wanted, _port(each)) for each in verdict.ports)
        )


def _port(text: str) -> tuple[str, int, int]:
    protocol, _, numbers = text.partition("/")
    if protocol == "icmp" and not numbers:
        return protocol, 0, 0
    first, _, last = numbers.partition("-")
    if protocol in ("tcp", "udp") and first.isdecimal() and (last or first).isdecimal():
        low, high = int(first), int(last or first)
        if 0 < low <= high < 65536:
            return protocol, low, high
    raise ValueError(f"port is {text!r}; it has to be like tcp/2049, udp/8000-8010 or icmp")


def _within(inner: tuple[str, int, int], outer: tuple[str, int, int]) -> bool:
    return inner[0] == outer[0] and outer[1] <= inner[1] and inner[2] <= outer[2]


def _left(port: tuple[str, int, int], refused: Iterable[tuple[str, int, int]]) -> bool:
    """Whether any of a range is left when others have been taken from it."""
    protocol, low, high = port
    for _, first, last in sorted(each for each in refused if each[0] == protocol):
        if first > low:
            break
        low = max(low, last + 1)
    return low <= high


def vlan_reachability(
    vlans: Iterable[Hashable], rules: Sequence[Rule], *, internet: bool = True
) -> dict[tuple[Hashable, Hashable], Reach]:
    """From which network to which something passes, and by which rule.

    Parameters
    ----------
    vlans
        Networks, such as VLAN numbers, that have a router; within one nothing is asked.
    rules
        In their order: ``(name, source, destination, allow, ports)``; source and destination a
        network, ``any`` or ``internet``.
    internet
        Whether what is outside counts as a network, too.

    Returns
    -------
    dict
        By source and destination, for each two networks.

    Raises
    ------
    ValueError
        A rule of a network that is not there, or with a port that is none.

    References
    ----------
    pf.conf(5), ``quick``: the first rule that fits decides.
    """
    networks = list(dict.fromkeys(vlans))
    known = {*networks, INTERNET, ANY}
    for name, source, destination, _, ports in rules:
        for side, network in (("source", source), ("destination", destination)):
            if network not in known:
                raise ValueError(f"{side} of rule {name!r} is {network!r}, which is no network")
        for port in ports:
            _port(port)
    if internet and INTERNET not in networks:
        networks.append(INTERNET)
    by_pair: dict[tuple[Hashable, Hashable], list[tuple[int, Rule]]] = {}
    for place, rule in enumerate(rules):
        by_pair.setdefault((rule[1], rule[2]), []).append((place, rule))
    found = {}
    for source in networks:
        for destination in networks:
            if source != destination:
                keys = ((s, d) for s in (source, ANY) for d in (destination, ANY))
                fitting = sorted(each for key in keys for each in by_pair.get(key, ()))
                found[source, destination] = Reach(tuple(_decide(rule for _, rule in fitting)))
    return found


def _decide(rules: Iterable[Rule]) -> Iterable[Verdict]:
    for name, _, _, allow, ports in rules:
        yield Verdict(bool(allow), name, tuple(ports))
        if not ports:
            return
    yield Verdict(False, None)


def subnets_without_route(
    subnets: Mapping[Hashable, tuple[str, str | None]], addresses: Iterable[str]
) -> dict[Hashable, str]:
    """Networks that nothing leads out of, or that a router can't tell apart.

    Parameters
    ----------
    subnets
        By network: its subnet (``10.0.30.0/24``) and its gateway's address, or None.
    addresses
        Every address that a machine has, with or without prefix length.

    Returns
    -------
    dict
        By network the reason, in the order of `subnets`; those that are right are not in it.

    Raises
    ------
    ValueError
        What is no subnet or address.

    References
    ----------
    RFC 1812, §5.2.4; RFC 4632, §5.1 (the longest prefix wins).
    """
    owned = {ip_interface(address).ip for address in addresses}
    networks = {name: ip_network(subnet) for name, (subnet, _) in subnets.items()}
    reasons: dict[Hashable, str] = {}
    for name, (_, gateway) in subnets.items():
        if gateway is None:
            reasons[name] = "it has no gateway"
        elif ip_address(gateway) not in networks[name]:
            reasons[name] = f"its gateway {gateway} is not in {networks[name]}"
        elif ip_address(gateway) not in owned:
            reasons[name] = f"no machine has its gateway's address {gateway}"
    order = sorted(
        networks, key=lambda name: (networks[name].version, networks[name].network_address)
    )
    widest = None
    for name in order:
        network = networks[name]
        if widest is not None and network.version == networks[widest].version:
            if int(network.network_address) <= int(networks[widest].broadcast_address):
                reasons.setdefault(name, f"{network} overlaps {networks[widest]} of {widest!r}")
                reasons.setdefault(widest, f"{networks[widest]} overlaps {network} of {name!r}")
            if int(network.broadcast_address) <= int(networks[widest].broadcast_address):
                continue
        widest = name
    return {name: reasons[name] for name in subnets if name in reasons}
