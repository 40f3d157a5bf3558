"""Who reaches whom through a firewall: what its rules let pass, held against what they should."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import replace

from homelab_lib.lab import Lab
from homelab_lib.models.packet_filter import (
    Network,
    Networks,
    Packet,
    Rule,
    Verdict,
    decide,
    passing,
)
from homelab_lib.models.reachability import ANY
from homelab_lib.recipes.firewall.gateway import Gateway, Names, Zone
from homelab_lib.runbook.step import Check

_WORLD = ("0.0.0.0/0", "::/0")
_SHOWN = 3


def same(
    gateway: Gateway, names: Names, wanted: Sequence[Rule], has: Sequence[Rule]
) -> Iterator[Check]:
    """From each network the same passes as should, to anywhere.

    Parameters
    ----------
    gateway, names
        The firewall, and what it calls its networks.
    wanted, has
        Its rules by the lab, and as it tells them.
    """
    for zone in gateway.zones.values():
        at = names.vlan(zone.vlan.id)
        wrong = []
        for source, world in zip(_networks(zone), map(ipaddress.ip_network, _WORLD), strict=False):
            for packet, verdict in _passing(has, wanted, at, source, world):
                if not decide(wanted, packet).passes:
                    wrong.append(f"{_told(packet)} passes by {verdict.rule}")
            for packet, verdict in _passing(wanted, has, at, source, world):
                found = decide(has, packet)
                if not found.passes:
                    by = found.rule or "no rule"
                    wrong.append(f"{_told(packet)} is refused by {by}, and {verdict.rule} is not")
        title = f"from {zone.vlan.name} passes what the lab says, and nothing else"
        yield Check(title, not wrong, _some(wrong))


def isolated(gateway: Gateway, names: Names, has: Sequence[Rule], own: Networks) -> Iterator[Check]:
    """The VMs of each cluster reach nothing in the networks of people and their devices: those
    that no rule of the lab names for them, but for what a filter rule of the lab's own names.

    Parameters
    ----------
    gateway, names, has
        As for `same`.
    own
        The firewall's addresses: names and time are asked of it.
    """
    firewall = gateway.lab.firewalls.get(gateway.host)
    let_in = {rule.name for rule in firewall.filter_rules} if firewall else set()
    for name, cluster in gateway.lab.clusters.items():
        vms = [gateway.lab.vms[each] for each in cluster.vms if each in gateway.lab.vms]
        for vlan in dict.fromkeys(vm.vlan for vm in vms if vm.vlan in gateway.zones):
            source, at = gateway.zones[vlan], names.vlan(vlan)
            for target in gateway.zones.values():
                if target is source or _is_named(gateway.lab, vlan, target.vlan.id):
                    continue
                found: list[str] = []
                named: list[str] = []
                for start, end in zip(_networks(source), _networks(target), strict=False):
                    for packet, verdict in passing(has, at, start, end):
                        if any(packet.destination in each for each in own):
                            continue
                        ours = (verdict.rule or "").partition(";")[0] in let_in
                        (named if ours else found).append(f"{_told(packet)} by {verdict.rule}")
                title = f"no VM of {name} reaches anybody in {target.vlan.name}"
                says = f"but for {_some(named)}" if named else ""
                yield Check(title, not found, _some(found) or says)


def _passing(
    rules: Sequence[Rule], others: Sequence[Rule], at: str, source: Network, to: Network
) -> Iterator[tuple[Packet, Verdict]]:
    """What rules let pass, cut into pieces in which `others` decide alike, too: copies that stand
    behind everything cut and decide nothing: a firewall counts from 1."""
    cuts = [
        replace(rule, action="block", quick=False, interfaces=None, group=None, sequence=0)
        for rule in others
        if rule.seen(at, "in")
    ]
    return passing([*rules, *cuts], at, source, to)


def _networks(zone: Zone) -> list[Network]:
    """IPv4 first; IPv6 where the lab has it there."""
    return [ipaddress.ip_network(each) for each in zone.vlan.subnets]


def _is_named(lab: Lab, source: int, target: int) -> bool:
    """Whether the lab lets something pass by a rule about these very networks."""
    return any(
        rule.allow and rule.source in (source, ANY) and rule.destination in (target, ANY)
        for rule in lab.rules
    )


def _told(packet: Packet) -> str:
    port = f"/{packet.destination_port}" if packet.destination_port else ""
    return f"{packet.protocol}{port} to {packet.destination}"


def _some(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
