"""What the lab says may pass, in the words of a firewall: rules in order.

The lab's ``rules`` are between networks, and the first that fits decides. Each becomes a rule on
the interface that its packets come in by, so the order stays what it is; the last one on each
interface refuses what is left, whatever stands behind it.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from homelab_lib.control.opnsense.values import flag
from homelab_lib.lab import Lab
from homelab_lib.lab.firewall import FilterRule
from homelab_lib.lab.network import FirewallRule
from homelab_lib.models.reachability import ANY, INTERNET, vlan_reachability
from homelab_lib.recipes.firewall.ends import INSIDE, SELF, VERSIONS, Said, of_rule
from homelab_lib.recipes.firewall.gateway import Gateway, Names


def filter_rules(gateway: Gateway, names: Names) -> list[Said]:
    """All filter rules of a firewall, in order.

    Parameters
    ----------
    gateway
        The firewall.
    names
        What it calls its networks.
    """
    if not gateway.set_up:
        return list(_own(gateway, names))
    return [
        *_keeping(gateway, names),
        *_own(gateway, names),
        *_services(gateway, names),
        *_policy(gateway, names),
        *_refusing(gateway, names),
    ]


def _rule(title: str, interfaces: Iterable[str], action: str = "pass", **more: str) -> Said:
    fields = {
        "enabled": "1",
        "action": action,
        "quick": "1",
        "interface": ",".join(interfaces),
        "direction": "in",
        "ipprotocol": "inet46",
        "protocol": "any",
        "source_net": "any",
        "source_not": "0",
        "source_port": "",
        "destination_net": "any",
        "destination_not": "0",
        "destination_port": "",
        "gateway": "",
        "log": "0" if action == "pass" else "1",
    }
    return Said(title, fields | more)


def _keeping(gateway: Gateway, names: Names) -> Iterator[Said]:
    """Whoever may log in by the lab's own rules is let in first, whatever else is written."""
    ssh = gateway.machine.ssh
    assert ssh is not None
    zones = operators(gateway)
    if zones:
        yield _rule(
            "keep-ssh",
            map(names.vlan, zones),
            protocol="TCP",
            destination_net=SELF,
            destination_port=str(ssh.port),
        )


def operators(gateway: Gateway) -> list[int]:
    """The VLANs from which the firewall may be logged in to."""
    home, ssh = gateway.ssh_zone, gateway.machine.ssh
    if home is None or ssh is None:
        return []
    reach = vlan_reachability(gateway.lab.vlans, policy_of(gateway.lab))
    port = f"tcp/{ssh.port}"
    return [
        id_
        for id_ in gateway.zones
        if id_ == home or reach[id_, home].on(port).allow
    ]  # fmt: skip


def policy_of(lab: Lab) -> list[tuple[str, int | str, int | str, bool, tuple[str, ...]]]:
    """The lab's rules as the model of reachability takes them."""
    return [(r.name, r.source, r.destination, r.allow, r.ports) for r in lab.rules]


def _services(gateway: Gateway, names: Names) -> Iterator[Said]:
    """What the firewall itself gives to its networks: names and time. DHCP it lets in by itself."""
    zones = [names.vlan(id_) for id_ in gateway.zones]
    # DHCP tells its clients to ask the firewall, whoever else is described to answer for names.
    if gateway.host in {*gateway.lab.dns, *gateway.lab.dhcp} and zones:
        yield _rule("names", zones, protocol="TCP/UDP", destination_net=SELF,
                    destination_port="53")  # fmt: skip
    client = gateway.lab.ntp.get(gateway.host)
    served = [names.vlan(id_) for id_ in client.serves if id_ in gateway.zones] if client else []
    if served:
        yield _rule("time", served, protocol="UDP", destination_net=SELF, destination_port="123")


def _policy(gateway: Gateway, names: Names) -> Iterator[Said]:
    for rule in gateway.lab.rules:
        sources = list(_sources(gateway, names, rule.source))
        for source, net, where in sources:
            for destination in _destinations(gateway, names, rule, source):
                title = rule.name if len(sources) == 1 else f"{rule.name} from {where}"
                yield from _by_port(rule, title, source, net, destination)


def _sources(gateway: Gateway, names: Names, source: int | str) -> Iterator[tuple[str, str, str]]:
    """Interface, network and name of where a rule's packets come in."""
    if source in (ANY, *gateway.zones):
        for id_, zone in gateway.zones.items():
            if source in (ANY, id_):
                yield names.vlan(id_), names.vlan(id_), zone.vlan.name
    if source in (ANY, INTERNET):
        for name in names.outside:
            yield name, "any", name


def _destinations(
    gateway: Gateway, names: Names, rule: FirewallRule, source: str
) -> Iterator[dict[str, str]]:
    """Where a rule leads to; a network that is not the firewall's own is written out."""
    to = rule.destination
    if to == ANY:
        yield {}
    elif to == INTERNET:
        # An IPv6 network that nobody has written down is not in the alias, and would count as the
        # world. Where a VLAN has none by the lab, IPv6 stays refused.
        zones = {names.vlan(id_): zone for id_, zone in gateway.zones.items()}
        known = source not in zones or zones[source].vlan.subnet6 is not None
        both = known or not rule.allow
        yield {
            "destination_net": INSIDE,
            "destination_not": "1",
            "ipprotocol": "inet46" if both else "inet",
        }
    elif to in gateway.zones:
        yield {"destination_net": names.vlan(int(to))}
    else:
        for subnet in gateway.lab.vlans[int(to)].subnets:
            yield {"destination_net": subnet, "ipprotocol": _inet(subnet)}


def _by_port(
    rule: FirewallRule, title: str, source: str, net: str, destination: Mapping[str, str]
) -> Iterator[Said]:
    action = "pass" if rule.allow else "block"
    more = {"source_net": net, **destination}
    if not rule.ports:
        yield _rule(title, [source], action, **more)
    for port in rule.ports:
        protocol, _, number = port.partition("/")
        name = f"{title} {port}"
        if protocol == "icmp":
            yield from _icmp(name, source, action, more)
        else:
            ports = {"protocol": protocol.upper(), "destination_port": number}
            yield _rule(name, [source], action, **more | ports)


def _icmp(name: str, source: str, action: str, more: Mapping[str, str]) -> Iterator[Said]:
    wanted = more.get("ipprotocol", "inet46")
    for version, protocol in (("inet", "ICMP"), ("inet6", "IPV6-ICMP")):
        if wanted in (version, "inet46"):
            said = dict(more) | {"protocol": protocol, "ipprotocol": version}
            end = "" if version == "inet" else " (IPv6)"
            yield _rule(f"{name}{end}", [source], action, **said)


def _refusing(gateway: Gateway, names: Names) -> Iterator[Said]:
    """What no rule allows is refused, and what stands behind it decides nothing any more."""
    for id_, zone in gateway.zones.items():
        everything = any(
            rule.allow and rule.source in (id_, ANY) and rule.destination == ANY and not rule.ports
            for rule in gateway.lab.rules
        )
        if not everything:
            yield _rule(f"refuse {zone.vlan.name}", [names.vlan(id_)], "block")


def _own(gateway: Gateway, names: Names) -> Iterator[Said]:
    firewall = gateway.lab.firewalls.get(gateway.host)
    for rule in firewall.filter_rules if firewall else ():
        if gateway.makes(rule):
            yield _own_rule(gateway, names, rule)


def _own_rule(gateway: Gateway, names: Names, rule: FilterRule) -> Said:
    ends = of_rule(gateway, names, rule)
    return Said(
        rule.name,
        {
            "enabled": flag(rule.enabled),
            "action": rule.action,
            "quick": flag(rule.quick),
            "interface": ",".join(map(names.at, rule.interfaces)),
            "direction": rule.direction,
            "ipprotocol": _version(rule, ends),
            "protocol": rule.protocol,
            "source_port": _port(rule.source_port),
            "destination_port": _port(rule.destination_port),
            "gateway": rule.gateway or "",
            "log": flag(rule.log),
        }
        | ends,
    )


def _version(rule: FilterRule, ends: Mapping[str, str]) -> str:
    """What is refused by IPv4 is refused by IPv6, too, where the rule names no address."""
    literal = any(_is_address(ends[side]) for side in ("source_net", "destination_net"))
    if rule.action != "pass" and rule.family == "ipv4" and not literal and rule.protocol != "ICMP":
        return "inet46"
    return VERSIONS[rule.family]


def _port(port: int | str | None) -> str:
    return "" if port is None else str(port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _inet(subnet: str) -> str:
    return "inet" if ipaddress.ip_network(subnet).version == 4 else "inet6"
