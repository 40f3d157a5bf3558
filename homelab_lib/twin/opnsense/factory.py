"""What an OPNsense is set to before anybody has set it up: the installer's configuration.

The console has named its first interfaces by then, as nobody could reach it otherwise.
"""

import ipaddress
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.appliance import Release

_NTP = " ".join(f"{number}.opnsense.pool.ntp.org" for number in range(4))
_LAN_RULES = (
    ("1", "inet", "Default allow LAN to any rule"),
    ("11", "inet6", "Default allow LAN IPv6 to any rule"),
)
Values = dict[str, "str | Values | list[Values]"]


@dataclass(frozen=True)
class Assigned:
    """An interface that was assigned.

    Parameters
    ----------
    name
        Its identifier: ``lan``, ``opt1``.
    device
        The network device: ``igc0``, ``vlan0.10``.
    address
        ``dhcp``, an address with prefix length, or nothing.
    description
        What it is called; nothing for its identifier.
    """

    name: str
    device: str
    address: str = ""
    description: str = ""


@dataclass(frozen=True)
class VlanDevice:
    """A VLAN on a device."""

    device: str
    tag: int
    name: str
    description: str = ""


def factory(
    release: Release,
    assigned: Iterable[Assigned],
    vlans: Iterable[VlanDevice] = (),
    *,
    hostname: str = "OPNsense",
    ssh: bool = True,
    seed: int = 0,
) -> ET.Element:
    """A configuration as the installer and the console leave it.

    Parameters
    ----------
    release
        The series: from 26.7 on LAN's two rules are of the kind that the API knows.
    assigned, vlans
        What interfaces there are.
    hostname
        What it is called.
    ssh
        Whether one was told to let in by SSH: nobody is before.
    seed
        Of what is drawn.
    """
    number = Random(f"factory {seed}").getrandbits

    def drawn() -> str:
        return str(uuid.UUID(int=number(128), version=4))

    assigned = list(assigned)
    root = ET.Element("opnsense")
    _put(root, {"theme": "opnsense", "system": _system(hostname, ssh)})
    for tag, who in (("group", _ADMINS), ("user", _ROOT)):
        _row(root.find("system"), tag, who, drawn)
    interfaces = ET.SubElement(root, "interfaces")
    for each in assigned:
        _put(ET.SubElement(interfaces, each.name), _interface(each))
    held = ET.SubElement(root, "vlans", version="1.0.0")
    for vlan in vlans:
        values: Values = {"if": vlan.device, "tag": str(vlan.tag), "pcp": "0", "proto": ""}
        _row(held, "vlan", values | {"descr": vlan.description, "vlanif": vlan.name}, drawn)
    _services(root, drawn)
    rules = _at(root, "OPNsense/Firewall/Filter/rules")
    if release >= (26, 7):
        for sequence, family, description in _LAN_RULES:
            _row(rules, "rule", _lan_rule(sequence, family, description), drawn)
    else:
        legacy = _at(root, "filter")
        for _, family, description in _LAN_RULES:
            _put(ET.SubElement(legacy, "rule"), _legacy_rule(family, description))
    return root


_ADMINS: Values = {
    "gid": "1999",
    "name": "admins",
    "scope": "system",
    "description": "System Administrators",
    "priv": "page-all",
    "member": "0",
}
_ROOT: Values = {
    "uid": "0",
    "name": "root",
    "disabled": "0",
    "scope": "system",
    "descr": "System Administrator",
    "password": "$2y$10$none",
}


def _system(hostname: str, ssh: bool) -> Values:
    let_in: Values = {"enabled": "enabled", "permitrootlogin": "1"} if ssh else {}
    return {
        "optimization": "normal",
        "hostname": hostname,
        "domain": "internal",
        "dnsallowoverride": "1",
        "timezone": "Etc/UTC",
        "timeservers": _NTP,
        "webgui": {"protocol": "https"},
        "disablenatreflection": "yes",
        "ipv6allow": "1",
        "ssh": {"group": "admins", **let_in},
        "disablechecksumoffloading": "1",
        "disablesegmentationoffloading": "1",
        "disablelargereceiveoffloading": "1",
    }


def _interface(each: Assigned) -> Values:
    address, _, length = each.address.partition("/")
    values: Values = {"enable": "1", "if": each.device}
    if each.description:
        values["descr"] = each.description
    if address and length and ipaddress.ip_address(address).version == 6:
        return values | {"ipaddrv6": address, "subnetv6": length}
    values |= {"ipaddr": address, "subnet": length}
    if each.name == "wan":
        values |= {"ipaddrv6": "dhcp6", "blockpriv": "1", "blockbogons": "1"}
    return values


def _services(root: ET.Element, drawn: Callable[[], str]) -> None:
    dnsmasq = ET.SubElement(root, "dnsmasq", version="1.0.9")
    _put(dnsmasq, {"enable": "1", "port": "53053", "interface": "lan", "dhcp": {"enable_ra": "1"}})
    lan = root.find("interfaces/lan")
    address = "" if lan is None else (lan.findtext("ipaddr") or "")
    if address and address != "dhcp":
        net = ipaddress.ip_interface(f"{address}/24").network
        first, last = str(net[100]), str(net[199])
        _row(
            dnsmasq,
            "dhcp_ranges",
            {"interface": "lan", "start_addr": first, "end_addr": last, "domain_type": "range"},
            drawn,
        )
    ipv6: Values = {"interface": "lan", "start_addr": "::1000", "end_addr": "::2000"}
    ipv6 |= {"constructor": "lan", "ra_mode": "slaac", "domain_type": "range"}
    _row(dnsmasq, "dhcp_ranges", ipv6, drawn)
    _put(_at(root, "OPNsense/unboundplus/general"), {"enabled": "1", "port": "53"})
    _put(_at(root, "nat/outbound"), {"mode": "automatic"})
    _put(_at(root, "ntpd"), {"prefer": _NTP.split()[0], "ispool": _NTP})


def _lan_rule(sequence: str, family: str, description: str) -> Values:
    return {
        "enabled": "1",
        "statetype": "keep",
        "sequence": sequence,
        "action": "pass",
        "quick": "1",
        "interfacenot": "0",
        "interface": "lan",
        "direction": "in",
        "ipprotocol": family,
        "protocol": "any",
        "source_net": "lan",
        "source_not": "0",
        "destination_net": "any",
        "destination_not": "0",
        "disablereplyto": "0",
        "log": "0",
        "allowopts": "0",
        "nosync": "0",
        "nopfsync": "0",
        "tcpflags_any": "0",
        "description": description,
    }


def _legacy_rule(family: str, description: str) -> Values:
    return {
        "type": "pass",
        "ipprotocol": family,
        "descr": description,
        "interface": "lan",
        "source": {"network": "lan"},
        "destination": {"any": ""},
    }


def _at(root: ET.Element, path: str) -> ET.Element:
    """The element at a path, made where it is not there."""
    place = root
    for tag in path.split("/"):
        found = place.find(tag)
        place = ET.SubElement(place, tag) if found is None else found
    return place


def _row(place: ET.Element | None, tag: str, values: Values, drawn: Callable[[], str]) -> None:
    assert place is not None
    _put(ET.SubElement(place, tag, uuid=drawn()), values)


def _put(place: ET.Element, values: Values) -> None:
    for tag, value in values.items():
        if isinstance(value, list):
            for each in value:
                _put(ET.SubElement(place, tag), each)
        elif isinstance(value, dict):
            _put(ET.SubElement(place, tag), value)
        else:
            ET.SubElement(place, tag).text = value
