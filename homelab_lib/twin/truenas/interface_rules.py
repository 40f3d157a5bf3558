"""What the middleware refuses of an interface, whatever form it has.

Source: TrueNAS middleware 25.04, `plugins/network.py`, `_common_validation`; `interface_types.py`,
`validate_name`; `lag_protocols.py`.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.network import Network

Row = dict[str, Any]

_PROTOCOLS = ("LACP", "FAILOVER", "LOADBALANCE")
NAMED = {
    "BRIDGE": ("br", "Bridge"),
    "LINK_AGGREGATION": ("bond", "Link aggregation"),
    "VLAN": ("vlan", "VLAN"),
}
"""How the name of each begins that is no port, and what the middleware calls it."""
_BY_ITS_OWN = {
    "aliases": "Active node IP address",
    "mtu": "MTU",
    "ipv4_dhcp": "DHCP",
    "ipv6_auto": "Autoconfig for IPv6",
}
_LEAST_FOR_IPV6 = 1280


def judge_interface(network: Network, where: str, data: Row, own: str) -> None:
    """Refuse what can't be.

    Parameters
    ----------
    network
        What is configured, and what runs.
    where
        What errors call the argument by.
    data
        All that the interface is to have.
    own
        The interface that is changed; empty for a new one.

    Raises
    ------
    ValidationErrors
        With all that is wrong.
    """
    errors = ValidationErrors()
    others = {row["id"]: row for row in network.told() if row["id"] != own}
    kind = data.get("type", "PHYSICAL")
    if data.get("name") in others:
        errors.add(f"{where}.name", "Interface name is already in use.")
    for key, text in (
        ("ipv4_dhcp", "Only one interface can be used for DHCP."),
        ("ipv6_auto", "Only one interface can have IPv6 autoconfiguration enabled."),
    ):
        counts = (name for name, row in others.items() if name in network.rows and not row["fake"])
        if data.get(key) and any(network.rows[name][key] for name in counts):
            errors.add(f"{where}.{key}", text)
    for place, text in _aliases(data, others):
        errors.add(f"{where}.aliases.{place}", text)
    used = _above(others, "lag_ports")
    if kind in NAMED and not own:
        begins, title = NAMED[kind]
        name = data.get("name", f"{begins}0")
        if not (name.startswith(begins) and name.removeprefix(begins).isdigit()):
            text = f'{title} interface must start with "{begins}" followed by an unique number.'
            errors.add(f"{where}.name", text)
    if kind == "PHYSICAL" and own in used:
        for key, text in _BY_ITS_OWN.items():
            if data.get(key):
                text = f"Interface in use by {used[own]}. {text} cannot be changed."
                errors.add(f"{where}.{key}", text)
    elif kind == "BRIDGE":
        for field, text in _bridged(data, others, used):
            errors.add(f"{where}.{field}", text)
    elif kind == "LINK_AGGREGATION":
        for field, text in _aggregated(data, others, used, network):
            errors.add(f"{where}.{field}", text)
    elif kind == "VLAN":
        for field, text in _tagged(data, others, used):
            errors.add(f"{where}.{field}", text)
    six = any(alias["type"] == "INET6" for alias in data.get("aliases", ()))
    if six and data.get("mtu") and data["mtu"] < _LEAST_FOR_IPV6:
        text = "When specifying an IPv6 address, the MTU cannot be smaller than 1280"
        errors.add(f"{where}.mtu", text)
    errors.check()


def _above(others: dict[str, Row], parts: str) -> dict[str, str]:
    """The interface that each is a part of."""
    return {port: name for name, row in others.items() for port in row.get(parts, ())}


def _aliases(data: Row, others: dict[str, Row]) -> Iterator[tuple[int, str]]:
    taken = [_network(alias) for row in others.values() for alias in row["aliases"]]
    for place, alias in enumerate(data.get("aliases", ())):
        try:
            mine = _network(alias)
        except ValueError as error:
            yield place, str(error)
            continue
        if any(each.version == mine.version and each.overlaps(mine) for each in taken):
            yield place, f"The network {mine} is already in use by another interface."


def _network(alias: Row) -> Any:
    return ipaddress.ip_interface("{address}/{netmask}".format(**alias)).network


def _bridged(data: Row, others: dict[str, Row], used: dict[str, str]) -> Iterator[tuple[str, str]]:
    bridged = _above(others, "bridge_members")
    for place, member in enumerate(data.get("bridge_members", ())):
        if member not in list(others):  # its form may be any
            yield f"bridge_members.{place}", "Not a valid interface."
        elif above := bridged.get(member) or used.get(member):
            text = f"Interface {member} is currently in use by {above}."
            yield f"bridge_members.{place}", text


def _aggregated(
    data: Row, others: dict[str, Row], used: dict[str, str], network: Network
) -> Iterator[tuple[str, str]]:
    if data["lag_protocol"] not in _PROTOCOLS:
        text = f"TrueNAS SCALE does not support LAG protocol {data['lag_protocol']}"
        yield "lag_protocol", text
    if not data.get("lag_ports"):
        yield "lag_ports", "This field cannot be empty."
    bridged = _above(others, "bridge_members")
    for place, member in enumerate(data.get("lag_ports", ())):
        here = f"lag_ports.{place}"
        if member not in others:
            yield here, f'"{member}" is not a valid interface.'
        elif above := used.get(member) or bridged.get(member):
            yield here, f"Interface {member} is currently in use by {above}."
        elif others[member]["type"] == "VLAN":
            parent = others[member]["vlan_parent_interface"]
            yield here, f"Interface {member} is currently in use by {parent}."
        elif member in network.rows:
            yield here, f"Interface {member} is currently in use"


def _tagged(data: Row, others: dict[str, Row], used: dict[str, str]) -> Iterator[tuple[str, str]]:
    parent = data.get("vlan_parent_interface")
    if parent not in others:
        yield "vlan_parent_interface", "Not a valid interface."
    elif parent in used:
        yield "vlan_parent_interface", f"Interface {parent} is currently in use by {used[parent]}."
    elif parent.startswith("br"):
        yield "vlan_parent_interface", "Bridge interfaces are not allowed."
    elif data.get("mtu") and data["mtu"] > (others[parent].get("mtu") or 1500):
        yield "mtu", "VLAN MTU cannot be bigger than parent interface."
