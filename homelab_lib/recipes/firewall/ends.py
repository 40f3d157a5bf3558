"""The ends of a rule, as a firewall calls them: a network, a machine, an address, an alias."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from homelab_lib.control.opnsense.values import flag
from homelab_lib.lab import Lab
from homelab_lib.lab.firewall import FilterRule, OutboundRule
from homelab_lib.recipes.firewall.gateway import Gateway, Names

SELF = "(self)"
INSIDE = "homelab_inside"
"""The alias of all that is inside of the house: what "the internet" is not."""
VERSIONS = {"ipv4": "inet", "ipv6": "inet6", "both": "inet46"}

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")


@dataclass(frozen=True)
class Said:
    """A rule or an alias as the firewall is told it.

    Parameters
    ----------
    title
        What it is called.
    fields
        Its fields.
    """

    title: str
    fields: Mapping[str, str]


def of_rule(gateway: Gateway, names: Names, rule: FilterRule | OutboundRule) -> dict[str, str]:
    """Both ends of a rule, as fields."""
    return {
        "source_net": zone(gateway, names, rule.source, rule.family),
        "source_not": flag(rule.source_not),
        "destination_net": zone(gateway, names, rule.destination, rule.family),
        "destination_not": flag(rule.destination_not),
    }


def zone(gateway: Gateway, names: Names, written: int | str, family: str = "ipv4") -> str:
    """An end of a rule, as the firewall calls it."""
    lab = gateway.lab
    if isinstance(written, int):
        return names.vlan(written) if written in gateway.zones else lab.vlans[written].subnet
    if written == "self":
        return SELF
    fitting = _fitting(lab, written, family)
    if not addresses(lab, written):
        return written  # any, an address, an alias
    return alias_of(written) if _needs_alias(fitting, family) else fitting[0]


def machines_with_alias(gateway: Gateway) -> Iterator[str]:
    """Machines that the firewall's rules name, and that one address does not stand for."""
    firewall = gateway.lab.firewalls.get(gateway.host)
    rules = filter(gateway.makes, firewall.filter_rules) if firewall else ()
    found: dict[str, None] = {}
    for rule in rules:
        for written in (rule.source, rule.destination):
            if isinstance(written, str) and addresses(gateway.lab, written):
                fitting = _fitting(gateway.lab, written, rule.family)
                if _needs_alias(fitting, rule.family):
                    found[written] = None
    yield from found


def _needs_alias(fitting: list[str], family: str) -> bool:
    """A field takes one address, and none of another family than the rule's."""
    return len(fitting) != 1 or family == "both"


def _fitting(lab: Lab, machine: str, family: str) -> list[str]:
    version = 6 if family == "ipv6" else 4
    found = addresses(lab, machine)
    return [each for each in found if ipaddress.ip_address(each).version == version]


def addresses(lab: Lab, machine: str) -> list[str]:
    """A machine's addresses that are written out; none where it is no machine."""
    cidrs: Iterable[str] = ()
    if machine in lab.hosts:
        cidrs = lab.hosts[machine].cidrs
    elif machine in lab.vms:
        cidrs = [lab.vms[machine].address or ""]
    return [cidr.partition("/")[0] for cidr in cidrs if "/" in cidr]


def alias_of(machine: str) -> str:
    """The alias of a machine."""
    return f"homelab_{machine.replace('-', '_')}"[:31]


def inside(lab: Lab) -> list[str]:
    """Networks of the house: the private ones, and the lab's own that are not among them."""
    networks = list(_PRIVATE)
    for vlan in lab.vlans.values():
        networks += [each for each in vlan.subnets if not _among(each, networks)]
    return networks


def _among(subnet: str, networks: list[str]) -> bool:
    own = ipaddress.ip_network(subnet)
    wide = [ipaddress.ip_network(each) for each in networks]
    return any(
        own.version == each.version and own.subnet_of(each)  # type: ignore[arg-type]  # of one
        for each in wide
    )
