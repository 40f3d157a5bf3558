"""Wires, switches and routes: whether a packet gets from one machine to another, and if not, why.

Cables are looked at as they are: a plug that does not fit carries nothing. A managed switch keeps
VLANs apart, another lets every frame through as it came. Between subnets the firewall decides: one
that has rules of its own by these, any other by the lab's; what no rule allows is refused.
"""

import ipaddress
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache

from homelab_lib.lab import Lab
from homelab_lib.lab.network import Cable
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.packet import OUTSIDE, Packet
from homelab_lib.wiring.cables import cable_speed

_NO_LIMIT_BYTES = 65536
Spot = tuple[str, str, int | None]
"""A machine or switch, its segment or port, and the tag of a frame there."""


@cache
def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network that an address with its prefix length is in."""
    return ipaddress.ip_interface(cidr).network


def misfit(lab: Lab, cable: Cable) -> str:
    """Why a cable carries nothing; empty where it does."""
    found = cable_speed(lab, cable)
    return "" if found.speed_bps else f"{cable.name}: {found.reason}"


class Wires:
    """All cables and switches of a lab.

    Parameters
    ----------
    lab
        The lab.
    unplugged
        Names of cables that a fault has pulled out; changed as the twin goes on.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.unplugged: set[str] = set()
        self._reached: dict[tuple[Spot, frozenset[str]], set[Spot]] = {}
        self._ends: dict[str, Cable] = {}
        self._regrouped: dict[str, dict[str, str]] = {}
        self.misfits = {cable.name: misfit(lab, cable) for cable in lab.cables}
        for cable in lab.cables:
            self._ends[cable.a] = self._ends[cable.b] = cable

    def regroup(self, host: str, segments: Mapping[str, str]) -> None:
        """Have a host's ports belong to these segments, whatever the lab says of them.

        Parameters
        ----------
        host, segments
            Whose ports, and the bridge or bond of each, or the port itself.
        """
        described = self.lab.hosts[host]
        changed = {
            name: where
            for name, where in segments.items()
            if name in described.ports and where != described.segment(name)
        }
        if self._regrouped.get(host, {}) != changed:
            self._regrouped[host] = changed
            self._reached.clear()

    def _plugged(self, end: str) -> str:
        """The port whose cable is in a port: where a bridge stands on another port than it is to
        stand on for good, the cable that is meant for it is there for the time being."""
        host, _, port = end.partition(".")
        bridge = self._regrouped.get(host, {}).get(port)
        ports = self.lab.hosts[host].ports if bridge else {}
        meant = (name for name in ports if self.lab.hosts[host].segment(name) == bridge)
        return f"{host}.{next(meant, port)}"

    def link_bps(self, end: str) -> int:
        """What the link at a port comes up at [bit/s]; 0 for none."""
        cable = self._ends.get(self._plugged(end))
        if cable is None or cable.name in self.unplugged:
            return 0
        return int(cable_speed(self.lab, cable).speed_bps)

    def rate_bps(self, host: str, segment: str) -> int:
        """The rate of a segment's fastest link [bit/s]: of a bond, one connection takes one."""
        return max((self.link_bps(f"{host}.{p}") for p in self._ports_of(host, segment)), default=0)

    def carries(self, end: str) -> str:
        """The other end of the cable in a port; empty for none that works."""
        end = self._plugged(end)
        cable = self._ends.get(end)
        if cable is None or self.misfits[cable.name] or cable.name in self.unplugged:
            return ""
        return cable.b if end == cable.a else cable.a

    def is_wired(self, host: str, segment: str) -> bool:
        """Whether there is a link at one of a segment's ports."""
        return any(self.carries(f"{host}.{port}") for port in self._ports_of(host, segment))

    def switch_mtu(self, host: str, segment: str) -> int:
        """The largest packet that the switch takes at a host's segment [bytes]; what a switch does
        not stand before has no limit of its own."""
        found = [_NO_LIMIT_BYTES]
        for name in self._ports_of(host, segment):
            owner, _, port = self.carries(f"{host}.{name}").partition(".")
            if owner in self.lab.switches:
                found.append(self.lab.switches[owner].ports[port].mtu)
        return min(found)

    def segment_of(self, host: str, port: str) -> str:
        """The bridge or bond a host's port is in, or the port itself."""
        other = self._regrouped.get(host, {}).get(port)
        return other or self.lab.hosts[host].segment(port)

    def _ports_of(self, host: str, segment: str) -> Iterator[str]:
        for name in self.lab.hosts[host].ports:
            if self.segment_of(host, name) == segment:
                yield name

    def reached_from(self, host: str, segment: str, tag: int | None) -> set[Spot]:
        """Every host's segment, and the tag there, that a frame sent here comes to."""
        start: Spot = (host, segment, tag)
        known = (start, frozenset(self.unplugged))
        if known not in self._reached:
            self._reached[known] = self._flooded(start)
        return self._reached[known]

    def _flooded(self, start: Spot) -> set[Spot]:
        """`reached_from`, cable by cable."""
        seen = {start}
        queue: deque[Spot] = deque([start])
        while queue:
            owner, place, frame = queue.popleft()
            for port in self._ports_of(owner, place):
                for spot in self._over_cable(f"{owner}.{port}", frame, set()):
                    if spot not in seen:
                        seen.add(spot)
                        queue.append(spot)
        return seen

    def _over_cable(self, end: str, tag: int | None, passed: set[str]) -> Iterator[Spot]:
        other = self.carries(end)
        if not other or other in passed:
            return
        owner, _, port = other.partition(".")
        if owner in self.lab.hosts:
            for name in dict.fromkeys((port, *self._regrouped.get(owner, {}))):
                if self._plugged(f"{owner}.{name}") == other:
                    yield owner, self.segment_of(owner, name), tag
            return
        switch = self.lab.switches[owner]
        arriving = switch.ports[port]
        if switch.managed:
            known = arriving.untagged if tag is None else tag if tag in arriving.tagged else None
            if known is None:
                return
        for name, leaving in switch.ports.items():
            if name == port:
                continue
            if not switch.managed:
                out: int | None = tag
            elif known == leaving.untagged:
                out = None
            elif known in leaving.tagged:
                out = known
            else:
                continue
            yield from self._over_cable(f"{owner}.{name}", out, passed | {other})


class Network:
    """Who reaches whom.

    Parameters
    ----------
    lab
        Subnets, rules and wires.
    machines
        All machines by name; looked at as they are when asked.
    """

    def __init__(self, lab: Lab, machines: "dict[str, Machine]") -> None:
        self.lab = lab
        self.wires = Wires(lab)
        self.machines = machines
        self._subnets = {
            ipaddress.ip_network(subnet): number
            for number, vlan in lab.vlans.items()
            for subnet in vlan.subnets
        }

    def owner(self, address: str) -> Machine | None:
        """The machine that has an address."""
        begins = f"{address}/"
        for machine in self.machines.values():
            for interface in machine.interfaces:  # asked ten thousand times in a rehearsal
                if interface.cidr.startswith(begins):
                    return machine
        return None

    def vlan_of(self, address: str) -> int | None:
        """The VLAN whose subnet an address is in."""
        ip = ipaddress.ip_address(address)
        return next((number for net, number in self._subnets.items() if ip in net), None)

    def path(self, source: Machine, address: str, port: int, protocol: str = "tcp") -> str:
        """Why `source` can't get a packet to an address and port; empty where it can.

        Port 0 is a ping.
        """
        target = self.owner(address)
        if target is source:
            return ""
        local = self._interface_towards(source, address)
        if local is not None:
            if not self.hears(local, address):
                return self._why_no_link(source, local, address)
            assert target is not None
            packet = Packet(local.address, address, protocol if port else "icmp", port)
            return self._judged(target, packet, address, None)
        way_out = next((i for i in source.interfaces if i.gateway and i.up), None)
        if way_out is None:
            return f"{source.name} has no route to {address}"
        return self._through(source, way_out, address, port, protocol)

    def packets(self, source: Machine, address: str) -> tuple[int, int]:
        """The largest packet that the machine's own interface sends towards an address, and the
        largest that gets there and back, with no word of those that don't [bytes]."""
        target = self.owner(address)
        own = self._interface_towards(source, address)
        own = own or next((i for i in source.interfaces if i.gateway and i.up), None)
        if target is source or own is None:
            return _NO_LIMIT_BYTES, _NO_LIMIT_BYTES
        ends = [(own, own.mtu)]
        router = self.owner(own.gateway) if own.gateway else None
        for machine in (router, target):
            here = self._interface_towards(machine, address) if machine else None
            if here is not None:
                ends.append((here, here.mtu))
        through = min(min(mtu, self.wires.switch_mtu(i.host, i.segment)) for i, mtu in ends)
        return own.mtu, through

    def carries_bps(self, source: Machine, address: str) -> int:
        """The rate of the slowest link on the way to an address [bit/s]; 0 for no way."""
        target = self.owner(address)
        own = self._interface_towards(source, address)
        own = own or next((i for i in source.interfaces if i.gateway and i.up), None)
        if target is None or own is None:
            return 0
        router = self.owner(own.gateway) if own.gateway else None
        ends = [own]
        for machine in (router, target):
            here = self._interface_towards(machine, address) if machine else None
            ends += [] if here is None else [here]
        return min(self.wires.rate_bps(each.host, each.segment) for each in ends)

    def internet(self, source: Machine, port: int = 443, protocol: str = "tcp") -> str:
        """Why `source` can't reach a port in the internet; empty where it can."""
        if source.reaches_outside():
            return ""
        way_out = next((i for i in source.interfaces if i.gateway and i.up), None)
        if way_out is None:
            return f"{source.name} has no default route"
        return self._through(source, way_out, "", port, protocol)

    def hears_its_gateway(self, interface: Interface) -> bool:
        """Whether a frame from an interface comes to the router of its network; where that is no
        machine of the lab, whether there is a wire at all."""
        number = self.vlan_of(interface.address)
        gateway = self.lab.vlans[number].gateway if number is not None else None
        router = self.owner(gateway) if gateway else None
        if router is not None and router.up:
            return self.hears(interface, str(gateway))
        return self.wires.is_wired(interface.host, interface.segment)

    def _interface_towards(self, source: Machine, address: str) -> Interface | None:
        ip = ipaddress.ip_address(address)
        for each in source.interfaces:
            if each.cidr and each.up and ip in _network(each.cidr):
                return each
        return None

    def hears(self, interface: Interface, address: str) -> bool:
        """Whether the owner of `address` hears what the interface sends."""
        owner = self.owner(address)
        if owner is None or not owner.up:
            return False
        reached = self.wires.reached_from(interface.host, interface.segment, interface.tag)
        return any(
            i.address == address and i.up and (i.host, i.segment, i.tag) in reached
            for i in owner.interfaces
        )

    def _why_no_link(self, source: Machine, local: Interface, address: str) -> str:
        owner = self.owner(address)
        if owner is None:
            return f"nobody has {address}"
        if not owner.up:
            return f"{owner.name} is off"
        broken = [why for why in self.wires.misfits.values() if why]
        hint = f" ({'; '.join(broken)})" if broken else ""
        return f"no link from {source.name} ({local.name}) to {address}{hint}"

    def _through(
        self, source: Machine, way_out: Interface, address: str, port: int, protocol: str
    ) -> str:
        """By way of the gateway; to the internet where `address` is empty."""
        router = self.owner(way_out.gateway)
        if router is None:
            if address and self.vlan_of(address) is not None:
                return f"nobody has {way_out.gateway}, the way from {source.name} to {address}"
            # A router that the lab does not describe: the provider's box.
            known = any(v.gateway == way_out.gateway for v in self.lab.vlans.values())
            wired = any(
                self.wires.carries(f"{way_out.host}.{name}")
                for name in self.lab.hosts[way_out.host].ports
            )
            silent = f"{source.name}'s gateway {way_out.gateway} does not answer"
            if not known:
                return f"{silent}: no VLAN of the lab has it as its gateway"
            return "" if wired else f"{silent}: the lab has no cable from a port of {way_out.host}"
        if not self.hears(way_out, way_out.gateway):
            why = self._why_no_link(source, way_out, way_out.gateway)
            return f"{source.name}'s gateway {way_out.gateway} does not answer: {why}"
        if router.holds_back:
            return f"{router.name}: {router.holds_back}"
        zone_from = self.vlan_of(way_out.address)
        zone_to = self.vlan_of(address) if address else "internet"
        onward = None
        if address:
            onward = self._interface_towards(router, address)
            if onward is None:
                return f"{router.name} has no route to {address}"
            if not self.hears(onward, address):
                return self._why_no_link(router, onward, address)
        if router.filters:
            packet = Packet(way_out.address, address or OUTSIDE, protocol if port else "icmp", port)
            return self._judged(router, packet, way_out.gateway, onward)
        return self._allowed(router.name, zone_from, zone_to, port, protocol)

    def _judged(
        self, router: Machine, packet: Packet, arrives: str, onward: Interface | None
    ) -> str:
        """What a machine with rules of its own makes of a packet that came to it."""
        refused = router.refuses(packet, arrives, onward)
        if refused is None:
            return ""
        if refused:
            return f"{router.name} refuses it by rule {refused}"
        to = "internet" if packet.destination == OUTSIDE else self.vlan_of(packet.destination)
        return _no_rule(router.name, self.vlan_of(packet.source), to)

    def _allowed(
        self, router: str, source: int | None, to: int | str | None, port: int, protocol: str
    ) -> str:
        if to == "internet" and not self.lab.rules:
            return ""  # a provider's box lets everybody out, and the lab says nothing else of it
        for rule in self.lab.rules:
            fits = rule.source in ("any", source) and rule.destination in ("any", to)
            if fits and (not rule.ports or any(_covers(p, port, protocol) for p in rule.ports)):
                return "" if rule.allow else f"{router} refuses it by rule {rule.name}"
        return _no_rule(router, source, to)


def _no_rule(router: str, source: int | None, to: int | str | None) -> str:
    where = "the internet" if to == "internet" else f"VLAN {to}"
    return f"{router} has no rule that lets VLAN {source} into {where}"


def _covers(ports: str, port: int, protocol: str) -> bool:
    """Whether a rule's ``tcp/8000-8010`` is about a port; 0 is a ping."""
    kind, _, numbers = ports.partition("/")
    if port == 0:
        return kind == "icmp"
    low, _, high = numbers.partition("-")
    return kind == protocol and int(low) <= port <= int(high or low)
