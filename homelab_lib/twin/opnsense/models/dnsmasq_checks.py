"""What is wrong with dnsmasq's settings beyond their fields."""

import re
from collections import Counter
from collections.abc import Iterator

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.dns_ports import users_of
from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.model import Message
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree

_RA_TOGETHER = (
    {"ra-names", "slaac"},
    {"ra-names", "ra-stateless"},
    {"slaac", "ra-stateless"},
    {"ra-names", "slaac", "ra-stateless"},
)
_V4_ADDRESSES = frozenset(range(3, 12))
_V6_ADDRESSES = ("22", "23", "31", "34")


def check_dnsmasq(tree: Tree, full: bool) -> Iterator[Message]:
    """What is wrong with hosts, domains, ranges, options, and the port."""
    hosts = tree.at("hosts").rows()
    reserved = Counter(ip for host in hosts if _by_dhcp(host) for ip in host["ip"].values)
    names = {_name(host) for host in hosts if not host["host"].is_empty}
    also = Counter(name for host in hosts for name in host["cnames"].values)
    for host in hosts:
        if full or host.changed:
            yield from _host(host, reserved)
            yield from _further_names(host, names, also)
    for row in tree.at("domainoverrides").rows():
        if (full or row.changed) and row["domain"].value == "*" and not row["ipset"].is_empty:
            text = "Top level wildcard entries are not allowed for Ipset."
            yield Message(row["domain"].ref, text)
    for row in tree.at("dhcp_ranges").rows():
        if full or row.changed:
            yield from _range_domain(row)
            yield from _range_constructor(row)
            yield from _range(row)
    for row in tree.at("dhcp_options").rows():
        if full or row.changed:
            yield from _option(row)
    enabled, port = tree.at("enable"), tree.at("port")
    if (full or enabled.changed or port.changed) and not enabled.is_empty:
        user = users_of(tree.config, tree.at("dns_port").value, but="dnsmasq")
        if user:
            yield Message("port", f"{user} is currently using this port.")


def _by_dhcp(host: Box) -> bool:
    return not host["hwaddr"].is_empty or not host["client_id"].is_empty


def _name(host: Box) -> str:
    name, domain = host["host"].value, host["domain"]
    return name if domain.is_empty else f"{name}.{domain.value}"


def _host(host: Box, reserved: Counter[str]) -> Iterator[Message]:
    name, address = host["host"], host["ip"]
    if not _by_dhcp(host):
        if name.is_empty or address.is_empty:
            text = "Both hostname and IP address are required for host overrides."
            yield from (Message(leaf.ref, text) for leaf in (name, address))
        return
    for ip in address.values:
        if not ip.startswith("::") and reserved[ip] > 1:
            text = f"'{ip}' is already used in another DHCP host entry."
            yield Message(address.ref, text)
    if sum(":" not in ip for ip in address.values) > 1:
        text = "For IPv4 dhcp reservations, only a single address is allowed."
        yield Message(address.ref, text)
    if name.is_empty and address.is_empty:
        text = "At least a hostname or IP address must be provided for DHCP reservations."
        yield from (Message(leaf.ref, text) for leaf in (name, address))
    if name.value == "*":
        yield Message(name.ref, "Wildcard entries are not allowed for DHCP reservations.")


def _further_names(host: Box, names: set[str], also: Counter[str]) -> Iterator[Message]:
    for name in host["cnames"].values:
        if also[name] > 1:
            text = f"CNAME '{name}' is already in use by a host override."
            yield Message(host["cnames"].ref, text)
        if name in names:
            text = f"CNAME '{name}' overlaps with a host and domain combination in a host override."
            yield Message(host["cnames"].ref, text)


def _range_domain(row: Box) -> Iterator[Message]:
    domain, kind = row["domain"], row["domain_type"].value
    if domain.is_empty:
        return
    if kind == "range" and row["end_addr"].is_empty:
        text = (
            "Can only configure a domain of type 'Range' when a full range (including end) is "
            "specified."
        )
        yield Message(row["end_addr"].ref, text)
    if kind == "interface" and row["interface"].is_empty:
        text = "A domain of type 'Interface' requires an interface to be selected."
        yield Message(row["interface"].ref, text)
    others = row.tree.at("dhcp_ranges").rows()
    kinds = {each["domain_type"].value for each in others if each["domain"].value == domain.value}
    if {"interface", "range"} <= kinds:
        text = (
            f"The domain '{domain.value}' cannot be used with both types 'Interface' and 'Range'."
        )
        yield Message(domain.ref, text)


def _range_constructor(row: Box) -> Iterator[Message]:
    start, end, constructor = row["start_addr"], row["end_addr"], row["constructor"]
    if (":" in start.value) is not (":" in end.value) and not end.is_empty:
        yield Message(end.ref, "Protocol family doesn't match.")
    if constructor.is_empty:
        return
    if ":" not in start.value:
        yield Message(constructor.ref, "A constructor can only be configured for ipv6.")
    for leaf in (start, end):
        if not leaf.value.startswith("::") and (leaf is start or not leaf.is_empty):
            yield Message(leaf.ref, "A constructor expects a partial address (e.g. ::1).")


def _range(row: Box) -> Iterator[Message]:
    start, end, length, mode = (
        row[name] for name in ("start_addr", "end_addr", "prefix_len", "ra_mode")
    )
    if not length.is_empty and ":" not in start.value:
        yield Message(length.ref, "Prefix length can only be used for IPv6.")
    static = "static" in row["mode"].values
    if not end.is_empty and static:
        yield Message(end.ref, "Static only accepts a starting address.")
    elif end.is_empty and not static and ":" not in start.value:
        yield Message(end.ref, "End address may only be left empty for static ipv4 ranges.")
    if not row["subnet_mask"].is_empty and static:
        yield Message(row["subnet_mask"].ref, "Static only accepts a starting address.")
    if row["interface"].is_empty and not mode.is_empty:
        yield Message(row["interface"].ref, "Selecting an RA Mode requires an interface.")
    if not mode.is_empty and not length.is_empty and php.leading_float(length.value) < 64:
        text = "Prefix length must be at least 64 when router advertisements are used."
        yield Message(length.ref, text)
    if len(mode.values) > 1 and set(mode.values) not in _RA_TOGETHER:
        yield Message(mode.ref, "Invalid RA mode combination.")


def _option(row: Box) -> Iterator[Message]:
    four, six, value = row["option"], row["option6"], row["value"]
    if not four.is_empty and not six.is_empty:
        text = "'Option' and 'Option6' cannot be selected at the same time."
        yield Message(four.ref, text)
    if four.is_empty and six.is_empty:
        yield Message(four.ref, "Either 'Option' or 'Option6' is required.")
    if row["type"].value == "match" and row["set_tag"].is_empty:
        yield Message(row["set_tag"].ref, "When type is 'Match', a tag must be set.")
    if value.is_empty:
        return
    entries = [e for e in re.split(r"\s*,\s*", value.value.strip(" \t\n\r\0\v")) if e]
    wants_four = php.is_numeric(four.value) and float(four.value) in _V4_ADDRESSES
    if wants_four and not all(map(filters.is_ipv4, entries)):
        text = "Only IPv4 addresses are allowed for the selected DHCP option."
        yield Message(value.ref, text)
    if six.value in _V6_ADDRESSES:
        for entry in entries:
            if not filters.is_ipv6(entry.strip("[]")):
                text = "Only IPv6 addresses are allowed for the selected DHCPv6 option."
            elif not (entry.startswith("[") and entry.endswith("]")):
                text = "Each IPv6 address must be wrapped inside square brackets '[fe80::]'."
            else:
                continue
            yield Message(value.ref, text)
            break
