"""Aliases, and translation of addresses, as a firewall is told them."""

from collections.abc import Iterable

from homelab_lib.control.opnsense.values import flag
from homelab_lib.lab.firewall import Alias, OutboundRule, PortForward
from homelab_lib.models.reachability import INTERNET
from homelab_lib.recipes.firewall.ends import (
    INSIDE,
    VERSIONS,
    Said,
    addresses,
    alias_of,
    inside,
    machines_with_alias,
    of_rule,
    zone,
)
from homelab_lib.recipes.firewall.gateway import Gateway, Names

MODES = {"automatic": "automatic", "hybrid": "hybrid", "manual": "advanced", "off": "disabled"}
"""Of outbound translation, by the lab's words."""

_LET_THROUGH = {"pass": "pass", "rule": "rule", "own": ""}
_REFLECTION = {None: "", True: "purenat", False: "disable"}


def aliases(gateway: Gateway) -> list[Said]:
    """The aliases that a firewall's rules speak of: the lab's own, and those that we need."""
    lab = gateway.lab
    firewall = lab.firewalls.get(gateway.host)
    found = []
    world = any(INTERNET in (rule.source, rule.destination) for rule in lab.rules)
    if world and gateway.set_up:
        found.append(_alias(INSIDE, "network", inside(lab)))
    for machine in machines_with_alias(gateway):
        found.append(_alias(alias_of(machine), "host", addresses(lab, machine)))
    for name, alias in (firewall.aliases if firewall else {}).items():
        if gateway.makes(alias):
            found.append(_own_alias(name, alias))
    return found


def _alias(name: str, kind: str, content: Iterable[str]) -> Said:
    fields = {"enabled": "1", "type": kind, "content": "\n".join(content)}
    return Said(name, {"name": name} | fields)


def _own_alias(name: str, alias: Alias) -> Said:
    by_port = alias.kind == "port"
    content = [str(each).replace("-", ":") if by_port else str(each) for each in alias.content]
    said = dict(_alias(name, alias.kind, content).fields)
    if alias.refresh_days is not None:
        said["updatefreq"] = f"{alias.refresh_days:g}"
    return Said(name, said)


def port_forward(gateway: Gateway, names: Names, name: str, rule: PortForward) -> Said:
    """A port forward as the firewall is told it."""
    outside = names.at(rule.interfaces[0])
    to_self = rule.destination == "self"
    return Said(
        name,
        {
            "disabled": flag(not rule.enabled),
            "interface": ",".join(map(names.at, rule.interfaces)),
            "ipprotocol": VERSIONS[rule.family],
            "protocol": rule.protocol.lower(),
            "source.network": zone(gateway, names, rule.source, rule.family),
            "source.not": flag(rule.source_not),
            "destination.network": f"{outside}ip"
            if to_self
            else zone(gateway, names, rule.destination, rule.family),
            "destination.port": str(rule.port),
            "target": zone(gateway, names, rule.to, rule.family),
            "local-port": str(rule.to_port if rule.to_port is not None else rule.port),
            "pass": _LET_THROUGH[rule.let_through],
            "natreflection": _REFLECTION[rule.reflection],
            "log": flag(rule.log),
        },
    )


def outbound_rule(gateway: Gateway, names: Names, rule: OutboundRule) -> Said:
    """A rule of outbound translation as the firewall is told it."""
    interface = names.at(rule.interface)
    target = f"{interface}ip" if rule.target == "self" else zone(gateway, names, rule.target)
    return Said(
        rule.name,
        {
            "enabled": flag(rule.enabled),
            "nonat": flag(not rule.translate),
            "interface": interface,
            "ipprotocol": VERSIONS[rule.family],
            "protocol": rule.protocol,
            "source_port": _text(rule.source_port),
            "destination_port": _text(rule.destination_port),
            "target": target if rule.translate else "",
            "target_port": _text(rule.target_port),
            "staticnatport": flag(rule.static_port),
            "log": flag(rule.log),
        }
        | of_rule(gateway, names, rule),
    )


def _text(port: int | str | None) -> str:
    return "" if port is None else str(port)
