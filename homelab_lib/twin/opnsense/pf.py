"""The packet filter as it is in force: which packet may pass, and by which rule.

Source: pf.conf(5); OPNsense's rules as `rules` reads them.
"""

import ipaddress
from dataclasses import dataclass, replace
from functools import cache
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.links import Links
from homelab_lib.twin.opnsense.rules import End, Rule, groups, loaded, mapped
from homelab_lib.twin.opnsense.tables import Address, Tables, networks
from homelab_lib.twin.packet import Packet

# A rehearsal asks about the same few, rule by rule.
_address = cache(ipaddress.ip_address)
_interface = cache(ipaddress.ip_interface)
_OWN_PORT = 50_000  # at the source: a high one
_PROTOCOLS = {
    "tcp/udp": ("tcp", "udp"),
    "icmp": ("icmp", "ipv6-icmp"),  # each version's own: FilterRule.php, parseFilterRules
    "icmpv6": ("ipv6-icmp",),
}


@dataclass(frozen=True)
class Verdict:
    """What becomes of a packet, and by which rule; none for what no rule speaks of."""

    passes: bool
    rule: Rule | None = None


class PacketFilter:
    """What pf has loaded.

    Parameters
    ----------
    links
        The devices; ``lan`` in a rule is the network that its device has now.
    config
        The configuration when the rules were loaded.
    aliases
        The configuration when the tables were.
    """

    def __init__(self, links: Links, config: ET.Element, aliases: ET.Element) -> None:
        self._links = links
        self.rules = loaded(config)
        self.devices = mapped(config)
        self._groups = groups(config)
        self.forwards = [
            each for each in config.findall("nat/rule") if (each.findtext("disabled") or "0") == "0"
        ]
        self.tables = Tables(aliases)
        self.enabled = config.find("system/disablefilter") is None

    def judge(self, packet: Packet, direction: str, device: str) -> Verdict:
        """What becomes of a packet that comes in by a device, or goes out.

        Parameters
        ----------
        packet
            The first of its connection: what belongs to one that stands passes anyway.
        direction
            ``in`` or ``out``.
        device
            The network device: ``ix0``.
        """
        if not self.enabled:
            return Verdict(True)
        last: Rule | None = None
        for rule in self.rules:
            if self._fits(rule, packet, direction, device):
                last = rule
                if rule.quick:
                    break
        return Verdict(last is None or last.action == "pass", last)

    def redirected(self, packet: Packet, device: str) -> tuple[Packet, bool]:
        """Where a port forward sends a packet, and whether it lets it through at once."""
        for forward in self.forwards:
            rule = Rule(
                "pass",
                tuple(filter(None, (forward.findtext("interface") or "").split(","))),
                family=forward.findtext("ipprotocol") or "inet",
                protocol=(forward.findtext("protocol") or "").lower(),
                source=_end(forward.find("source")),
                destination=_end(forward.find("destination")),
            )
            target = forward.findtext("target") or ""
            found = networks(target)
            if found and self._fits(rule, packet, "in", device):
                port = forward.findtext("local-port") or ""
                to = replace(
                    packet,
                    destination=str(found[0].network_address),
                    port=int(port) if port.isdigit() else packet.port,
                )
                return to, forward.findtext("pass") == "pass"
        return packet, False

    def _fits(self, rule: Rule, packet: Packet, direction: str, device: str) -> bool:
        source, destination = _address(packet.source), _address(packet.destination)
        wanted = _PROTOCOLS.get(rule.protocol, (rule.protocol,))
        return (
            rule.direction in ("any", "", direction)
            and (not rule.protocol or packet.protocol in wanted)
            and (rule.family == "inet46" or (source.version == 6) == (rule.family == "inet6"))
            and self._on(rule, device)
            and self._is(rule.source, source)
            and self._is(rule.destination, destination)
            and self._has_port(rule.source.port, _OWN_PORT)
            and self._has_port(rule.destination.port, packet.port)
        )

    def _on(self, rule: Rule, device: str) -> bool:
        if not rule.interfaces:
            return True
        members = [m for i in rule.interfaces for m in self._groups.get(i, (0, [i]))[1]]
        return (device in [self.devices.get(each) for each in members]) != rule.elsewhere

    def _is(self, end: End, address: Address) -> bool:
        return any(self._in(net, address) for net in end.nets.split(",")) != end.inverted

    def _in(self, net: str, address: Address) -> bool:
        if net in ("any", ""):
            return True
        if net == "(self)":
            return address.is_loopback or self._links.holding(str(address)) is not None
        if net in self.tables:
            return self.tables.holds(net, address)
        for name, own in ((net, False), (net.removesuffix("ip"), True)):
            link = self._links.by_name.get(self.devices.get(name, ""))
            if link is not None:
                return any(
                    address == here.ip if own else address in here.network
                    for here in map(_interface, link.addresses)
                )
        return any(address in network for network in networks(net))

    def _has_port(self, text: str, port: int) -> bool:
        return not text or any(low <= port <= high for low, high in self.tables.ports(text))


def _end(end: ET.Element | None) -> End:
    if end is None:
        return End()
    nets = end.findtext("network") or end.findtext("address") or "any"
    return End(nets, (end.findtext("not") or "0") != "0", end.findtext("port") or "")
