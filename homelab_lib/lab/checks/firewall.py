"""What firewalls are told: rules that lead nowhere, and rules that let in everything."""

import ipaddress
import re
from collections.abc import Iterator
from itertools import combinations

from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.firewall import (
    WITH_PORTS,
    Alias,
    FilterRule,
    Firewall,
    Ids,
    OutboundRule,
    PortForward,
)
from homelab_lib.lab.lab import Lab

_WORDS = ("any", "self")
_TAKEN = re.compile(r"any|self|lan|wan|internet|opt\d+", re.IGNORECASE)


def faults(lab: Lab) -> Iterator[Fault]:
    for name, firewall in lab.firewalls.items():
        path = ("firewalls", name)
        if name not in lab.hosts:
            yield unknown(path, name, lab.hosts, "host")
            continue
        yield from _aliases((*path, "aliases"), firewall, lab)
        for index, rule in enumerate(firewall.filter_rules):
            yield from _rule((*path, "filter_rules", index), rule, firewall, lab)
        for key, forward in firewall.port_forwards.items():
            yield from _forward((*path, "port_forwards", key), forward, firewall, lab)
        outbound = firewall.outbound.rules if firewall.outbound else ()
        for index, each in enumerate(outbound):
            yield from _outbound((*path, "outbound", "rules", index), each, firewall, lab)
        for room, rules in (("filter_rules", firewall.filter_rules), ("outbound", outbound)):
            below = (*path, room, *(("rules",) if room == "outbound" else ()))
            names = (((*below, i, "name"), rule.name) for i, rule in enumerate(rules))
            yield from twice(names, "the name")
        if firewall.ids is not None:
            yield from _ids((*path, "ids"), firewall.ids, firewall, lab)


# Where and whom ----------------------------------------------------------------------------------


def _attachments(firewall: Firewall, lab: Lab) -> list[str]:
    host = lab.hosts[firewall.name]
    return [*host.attached, *lab.wireguard.get(firewall.name, {})]


def _interface(path: Steps, name: int | str, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    if isinstance(name, int):
        here = _vlans_at(firewall, lab)
        if name not in lab.vlans:
            yield unknown(path, name, lab.vlans, "VLAN")
        elif name not in here:
            yield unknown(path, name, here, f"VLAN on a port of {firewall.name}")
    elif name not in (known := _attachments(firewall, lab)):
        yield unknown(path, name, known, f"port or tunnel of {firewall.name}")


def _vlans_at(firewall: Firewall, lab: Lab) -> list[int]:
    """The VLANs that a firewall's ports carry, with a tag or without."""
    attached = lab.hosts[firewall.name].attached.values()
    untagged = [each.vlan for each in attached if each.vlan is not None]
    return untagged + [id_ for each in attached for id_ in each.tagged]


def _zone(path: Steps, zone: int | str, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    """An end of a rule is something that there is."""
    if isinstance(zone, int):
        if zone not in lab.vlans:
            yield unknown(path, zone, lab.vlans, "VLAN")
    elif zone in _WORDS or _is_network(zone) or zone in lab.hosts or zone in lab.vms:
        return
    elif re.fullmatch(r"[\d.]+(/\d+)?|.*:.*", zone):
        yield Fault(path, f"{zone!r} is no address and no network")
    elif zone not in firewall.aliases:
        known = [*firewall.aliases, *lab.hosts, *lab.vms]
        yield unknown(path, zone, known, "alias, host or VM")
    elif firewall.aliases[zone].kind == "port":
        yield Fault(path, f"alias {zone!r} stands for ports, not for addresses")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _port(path: Steps, port: int | str | None, firewall: Firewall) -> Iterator[Fault]:
    if port is None or isinstance(port, int):
        return
    ends = re.fullmatch(r"(\d+)(?:[-:](\d+))?", port)
    if ends:
        low, high = int(ends[1]), int(ends[2] or ends[1])
        if not 1 <= low <= 65535 or not 1 <= high <= 65535:
            yield Fault(path, f"{port} is no port; they go from 1 to 65535")
        elif low > high:
            yield Fault(path, f"the range {port} is reversed: write {high}-{low}")
    elif port not in firewall.aliases:
        ports = [name for name, alias in firewall.aliases.items() if alias.kind == "port"]
        yield unknown(path, port, ports, "alias of ports")
    elif firewall.aliases[port].kind != "port":
        yield Fault(path, f"alias {port!r} doesn't stand for ports")


# Rules -------------------------------------------------------------------------------------------


def _ends(
    path: Steps, rule: FilterRule | OutboundRule, firewall: Firewall, lab: Lab
) -> Iterator[Fault]:
    for side in ("source", "destination"):
        yield from _zone((*path, side), getattr(rule, side), firewall, lab)
        port = getattr(rule, f"{side}_port")
        here = (*path, f"{side}_port")
        if port is not None and rule.protocol not in WITH_PORTS:
            yield Fault(here, f"ports go with TCP and UDP; the protocol is {rule.protocol}")
        yield from _port(here, port, firewall)


def _rule(path: Steps, rule: FilterRule, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    for index, name in enumerate(rule.interfaces):
        yield from _interface((*path, "interfaces", index), name, firewall, lab)
    yield from _ends(path, rule, firewall, lab)
    if rule.action == "pass" and rule.direction != "out" and _lets_in(rule, firewall, lab):
        where = "everywhere" if not rule.interfaces else "from the internet"
        yield Fault(
            path,
            f"it lets everything pass {where}; name interfaces, a source, a destination or a port",
        )


def _lets_in(rule: FilterRule, firewall: Firewall, lab: Lab) -> bool:
    """Whether a rule has no condition that keeps a stranger out."""
    bound = rule.source != "any" or rule.destination != "any" or rule.protocol != "any"
    outside = {line.port for line in lab.internet.values()}
    open_to_world = any(f"{firewall.name}.{each}" in outside for each in rule.interfaces)
    return not bound and (not rule.interfaces or open_to_world)


def _forward(path: Steps, rule: PortForward, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    for index, name in enumerate(rule.interfaces):
        yield from _interface((*path, "interfaces", index), name, firewall, lab)
    for side in ("source", "destination"):
        yield from _zone((*path, side), getattr(rule, side), firewall, lab)
    yield from _port((*path, "port"), rule.port, firewall)
    if rule.to in _WORDS or isinstance(rule.to, int):
        yield Fault((*path, "to"), "name the machine, its address or an alias that it goes to")
    else:
        yield from _zone((*path, "to"), rule.to, firewall, lab)
    if isinstance(rule.to_port, str):
        yield from _port((*path, "to_port"), rule.to_port, firewall)


def _outbound(path: Steps, rule: OutboundRule, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    yield from _interface((*path, "interface"), rule.interface, firewall, lab)
    yield from _ends(path, rule, firewall, lab)
    if rule.target == "any":
        yield Fault((*path, "target"), "an address, an alias or self; any is no address")
    else:
        yield from _zone((*path, "target"), rule.target, firewall, lab)


# Aliases -----------------------------------------------------------------------------------------


def _aliases(path: Steps, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    for name, alias in firewall.aliases.items():
        here = (*path, name)
        if _TAKEN.fullmatch(name):
            yield Fault(here, f"{name!r} means something else to the firewall; pick another name")
        elif name in lab.hosts or name in lab.vms:
            yield Fault(here, f"{name!r} is a machine's name, too; pick another one")
        for index, entry in enumerate(alias.content):
            yield from _entry((*here, "content", index), str(entry), alias, firewall)


def _entry(path: Steps, entry: str, alias: Alias, firewall: Firewall) -> Iterator[Fault]:
    others = [name for name in firewall.aliases if name != alias.name]
    if alias.kind == "networkgroup":
        if entry not in others:
            yield unknown(path, entry, others, "alias")
    elif alias.kind == "port":
        if entry not in others:
            yield from _port(path, entry, firewall)
    elif alias.kind in ("host", "network"):
        yield from _address_entry(path, entry.removeprefix("!"), alias, others)
    elif alias.kind == "mac" and not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){0,5}", entry):
        yield Fault(path, f"{entry!r} is no MAC address, and no beginning of one")
    elif alias.kind == "asn" and not entry.isdecimal():
        yield Fault(path, f"{entry!r} is no number of an autonomous system")


def _address_entry(path: Steps, entry: str, alias: Alias, others: list[str]) -> Iterator[Fault]:
    low, dash, high = entry.partition("-")
    if dash and _is_network(low) and _is_network(high):
        first, last = ipaddress.ip_network(low), ipaddress.ip_network(high)
        if (first.version, first) > (last.version, last):
            yield Fault(path, f"the range {entry} is reversed: write {high}-{low}")
    elif _is_network(entry):
        if alias.kind == "host" and "/" in entry:
            yield Fault(path, f"{entry} is a network; make the alias's kind network")
    elif entry not in others and ("." not in entry or re.fullmatch(r"[\d./]+", entry)):
        yield unknown(path, entry, others, "alias, address or DNS name")


# Inspection --------------------------------------------------------------------------------------


def _ties(path: Steps, ids: Ids) -> Iterator[Fault]:
    """Of policies that are alike in priority, a number decides that nobody chooses."""
    named = [(name, each) for name, each in ids.policies.items() if each.enabled]
    for (first, one), (name, other) in combinations(named, 2):
        apart = one.rulesets and other.rulesets and set(one.rulesets).isdisjoint(other.rulesets)
        if one.priority == other.priority and one.new_action != other.new_action and not apart:
            what = (
                f"{first} has priority {one.priority}, too, and wants something else of the same "
                "rules; the lowest decides first"
            )
            yield Fault((*path, name, "priority"), what)


def _ids(path: Steps, ids: Ids, firewall: Firewall, lab: Lab) -> Iterator[Fault]:
    for index, name in enumerate(ids.interfaces):
        here = (*path, "interfaces", index)
        yield from _interface(here, name, firewall, lab)
        carriers = [
            port for port, each in lab.hosts[firewall.name].attached.items() if name in each.tagged
        ]
        if ids.mode == "ips" and ids.capture == "netmap" and carriers:
            what = f"netmap looks at whole ports: write {carriers[0]}, which carries VLAN {name}"
            yield Fault(here, what)
    for name, policy in ids.policies.items():
        here = (*path, "policies", name, "rulesets")
        yield from each_known(here, policy.rulesets, ids.rulesets, "ruleset that is switched on")
    yield from _ties((*path, "policies"), ids)
    yield from twice(
        (((*path, "rulesets", i), each) for i, each in enumerate(ids.rulesets)), "the ruleset"
    )
