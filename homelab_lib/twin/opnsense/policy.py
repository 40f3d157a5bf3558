"""The lab's policy as rules of a firewall that an earlier phase has set up.

What its runbook makes of the policy is the runbook's; a twin on which it was not rehearsed gets the
rules that the policy comes to.
"""

import random
import uuid
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from homelab_lib.lab import Lab
from homelab_lib.lab.firewall import Alias

_INSIDE = "lab_inside"
_SERVICES = (("ICMP", ""), ("TCP/UDP", "53"), ("UDP", "67"), ("UDP", "123"))
_STEP = 10


def write(config: ET.Element, lab: Lab, seed: int) -> None:
    """Put the policy into a configuration, in place of the rules that are there.

    Parameters
    ----------
    config
        Of the firewall.
    lab
        Whose policy.
    seed
        Of the names of rows.
    """
    firewall = config.find("OPNsense/Firewall")
    assert firewall is not None
    number = random.Random(f"policy {seed}").getrandbits
    alias = ET.SubElement(_at(firewall, "Alias/aliases"), "alias", uuid=_drawn(number(128)))
    subnets = "\n".join(net for vlan in lab.vlans.values() for net in vlan.subnets)
    _put(alias, {"enabled": "1", "name": _INSIDE, "type": "network", "content": subnets})
    for name, described in _aliases(lab):
        alias = ET.SubElement(_at(firewall, "Alias/aliases"), "alias", uuid=_drawn(number(128)))
        content = "\n".join(map(str, described.content))
        _put(alias, {"enabled": "1", "name": name, "type": described.kind, "content": content})
    rules = _at(firewall, "Filter/rules")
    rules.clear()
    for legacy in config.findall("filter"):
        config.remove(legacy)
    for place, values in enumerate(_rules(lab, _identifiers(config, lab)), 1):
        row = ET.SubElement(rules, "rule", uuid=_drawn(number(128)))
        _put(row, {"enabled": "1", "sequence": str(place * _STEP), **values})


def _rules(lab: Lab, known: dict[int, str]) -> Iterator[dict[str, str]]:
    """First what the box itself does for everybody and the rules that are written for it alone,
    then the policy, in its order."""
    for name in known.values():
        for protocol, port in _SERVICES:
            about = f"{name}: {protocol.lower()} of the firewall"
            yield _rule("pass", name, name, "(self)", protocol, port, about)
    for own in (rule for each in lab.firewalls.values() for rule in each.filter_rules):
        for at in own.interfaces:
            if (name := known.get(_number(at), "")) and own.enabled:
                source, to = (_end(lab, known, each) for each in (own.source, own.destination))
                port = str(own.destination_port or "")
                yield _rule(own.action, name, source, to, own.protocol, port, own.name)
    for rule in lab.rules:
        sources = {"any": [*known.values(), "wan"], "internet": ["wan"]}
        for name in sources.get(str(rule.source), [known.get(_number(rule.source), "")]):
            to = "any" if rule.destination == "any" else known.get(_number(rule.destination), "")
            outside = rule.destination == "internet"
            if not name or not (to or outside):
                continue
            for text in rule.ports or ("",):
                kind, _, port = text.partition("/")
                protocol = kind.upper() or "any"
                yield _rule(
                    "pass" if rule.allow else "block",
                    name,
                    "any" if name == "wan" else name,
                    _INSIDE if outside else to,
                    protocol,
                    port,
                    rule.name,
                    inverted=outside,
                )


def _aliases(lab: Lab) -> Iterator[tuple[str, Alias]]:
    for firewall in lab.firewalls.values():
        yield from firewall.aliases.items()


def _end(lab: Lab, known: dict[int, str], written: int | str) -> str:
    """An end of a rule of a firewall's own: a VLAN, a machine's first address, or what it says."""
    if isinstance(written, int):
        return known.get(written, "")
    cidrs = lab.hosts[written].cidrs if written in lab.hosts else ()
    if written in lab.vms:
        cidrs = lab.vms[written].addresses
    return next((cidr.partition("/")[0] for cidr in cidrs), written)


def _number(end: object) -> int:
    return end if isinstance(end, int) else 0


def _rule(
    action: str,
    interface: str,
    source: str,
    destination: str,
    protocol: str,
    port: str,
    description: str,
    *,
    inverted: bool = False,
) -> dict[str, str]:
    return {
        "action": action,
        "quick": "1",
        "interface": interface,
        "direction": "in",
        "ipprotocol": "inet",
        "protocol": protocol,
        "source_net": source,
        "source_not": "0",
        "destination_net": destination,
        "destination_not": str(int(inverted)),
        "destination_port": port,
        "description": description,
    }


def _identifiers(config: ET.Element, lab: Lab) -> dict[int, str]:
    """The interface that is a VLAN's gateway, by the VLAN's number."""
    by_address = {each.findtext("ipaddr"): each.tag for each in config.findall("interfaces/*")}
    return {
        number: by_address[vlan.gateway]
        for number, vlan in lab.vlans.items()
        if vlan.gateway in by_address
    }


def _drawn(bits: int) -> str:
    return str(uuid.UUID(int=bits, version=4))


def _at(root: ET.Element, path: str) -> ET.Element:
    place = root
    for tag in path.split("/"):
        found = place.find(tag)
        place = ET.SubElement(place, tag) if found is None else found
    return place


def _put(row: ET.Element, values: dict[str, str]) -> None:
    for tag, value in values.items():
        ET.SubElement(row, tag).text = value
