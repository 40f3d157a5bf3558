"""Aliases, categories of rules, and groups of interfaces."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Field, Leaf
from homelab_lib.twin.opnsense.fields.choices import Interface, Option
from homelab_lib.twin.opnsense.fields.constraints import SetIf, Unique
from homelab_lib.twin.opnsense.fields.countries import COUNTRIES
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer, Numeric
from homelab_lib.twin.opnsense.fields.services import OTHER_NAMES, PROTOCOLS, SERVICES
from homelab_lib.twin.opnsense.fields.texts import Description, Text, Url
from homelab_lib.twin.opnsense.model import Message, Model, Section, Table
from homelab_lib.twin.opnsense.models.filter_fields import CATEGORIES
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree

RESERVED = frozenset(
    """
    all allow-opts altq anchor antispoof any bandwidth binat binat-anchor bitmask block block-policy
    buckets cbq code codelq crop debug divert-reply divert-to drop drop-ovl dup-to fail-policy fairq
    fastroute file fingerprints flags floating flush for fragment from global group hfsc hogs hostid
    icmp-type icmp6-type if-bound in include inet inet6 interval keep label limit linkshare load log
    loginterface max max-mss max-src-conn max-src-conn-rate max-src-nodes max-src-states min-ttl
    modulate nat nat-anchor no no-df no-route no-sync on optimization os out overload pass port prio
    priority priq probability proto qlimit queue quick random random-id rdr rdr-anchor realtime
    reassemble reply-to require-order return return-icmp return-icmp6 return-rst round-robin route
    route-to rtable rule ruleset-optimization scrub set set-tos skip sloppy source-hash source-track
    state state-defaults state-policy static-port sticky-address synproxy table tag tagged target
    tbrsize timeout to tos ttl upperlimit urpf-failed user
    """.split()  # noqa: SIM905 - one a line would be hundreds of lines
)
"""Words of the packet filter's own language."""

_NAME = re.compile(
    r"([a-zA-Z]|(([_a-zA-Z][a-zA-Z0-9]|[a-zA-Z][_a-zA-Z0-9])[_a-zA-Z0-9]{0,29}))\n?", re.ASCII
)
_BAD_NAME = (
    "The name must start with a letter or single underscore, be less than 32 characters and only "
    "consist of alphanumeric characters or underscores."
)
_PARTIAL_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){1,5}\n?")


@dataclass(frozen=True, kw_only=True)
class _Name(Field):
    """What an alias is called."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        value = leaf.value
        if not _NAME.fullmatch(value):
            yield _BAD_NAME
        if value in RESERVED:
            yield 'The name cannot be the internally reserved keyword "%s".'
        if value in SERVICES or value in PROTOCOLS or value in OTHER_NAMES:
            yield "Reserved protocol or service names may not be used"


def _host(leaf: Leaf, entry: str) -> bool:
    first, *rest = entry.split("-")
    if len(rest) == 1 and filters.is_ip(first):
        return filters.is_ip(rest[0])
    if entry.startswith("!") and filters.is_ip(entry[1:]):
        return True
    return _is_alias(leaf, entry) or filters.is_ip(entry) or filters.is_domain_name(entry)


def _network(leaf: Leaf, entry: str) -> bool:
    def plain(text: str) -> bool:
        return filters.is_ip(text) or filters.is_subnet(text) or filters.is_wildcard(text)

    if entry.startswith("!") and plain(entry[1:]):
        return True
    parts = [part for part in entry.split("-") if part.strip()]
    span = len(parts) == 2 and all(filters.is_ip(part) for part in parts)
    return _is_alias(leaf, entry) or plain(entry) or span


def _port(leaf: Leaf, entry: str) -> bool:
    return _is_alias(leaf, entry) or filters.is_port(entry)


def _number(leaf: Leaf, entry: str) -> bool:
    number = php.integer(entry)
    return number is not None and 1 <= number <= 4294967296


def _gid(leaf: Leaf, entry: str) -> bool:
    groups = leaf.tree.config.findall("system/group")
    return entry in [group.findtext("gid") for group in groups]


def _is_alias(leaf: Leaf, name: str) -> bool:
    """Of the aliases that are kept: one that has only just come is not known by its name."""
    kept = leaf.tree.remembered("kept aliases", lambda: _kept(leaf.tree))
    return bool(name) and name in kept


def _kept(tree: Tree) -> set[str]:
    rows = tree.config.findall("OPNsense/Firewall/Alias/aliases/alias")
    return {row.findtext("name") or "" for row in rows} | set(_automatic(tree))


_KINDS: Mapping[str, tuple[Callable[[Leaf, str], bool], str]] = {
    "port": (_port, "valid port number"),
    "host": (_host, "valid hostname, IP address or range"),
    "geoip": (lambda leaf, entry: entry in COUNTRIES, "valid country code"),
    "network": (_network, "network"),
    "networkgroup": (_is_alias, "valid alias"),
    "mac": (lambda leaf, e: _PARTIAL_MAC.fullmatch(e) is not None, "valid (partial) MAC address"),
    "dynipv6host": (
        lambda leaf, entry: filters.is_ip(f"0000{entry}"),
        "valid partial ipv6 address definition (e.g. ::1000)",
    ),
    "asn": (_number, "valid ASN"),
    "authgroup": (_gid, "valid group id"),
}


@dataclass(frozen=True, kw_only=True)
class _Content(Field):
    """Entries, one a line; what they may be is the alias's kind."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        fits, called = _KINDS.get(leaf.parent.text("type"), (None, ""))
        for entry in leaf.value.split("\n") if fits else ():
            if fits and not fits(leaf, entry):
                yield f'Entry "{entry}" is not a {called}.'

    def data(self, leaf: Leaf) -> Any:
        return {entry: {"value": entry, "selected": 1} for entry in leaf.value.split("\n")}


def _automatic(tree: Tree) -> dict[str, dict[str, str]]:
    """Those that are always there: of the system, and one for each interface's network."""
    found = {}
    for each in tree.config.find("interfaces") or ():
        called = f"{each.findtext('descr') or each.tag} net"
        found[f"__{each.tag}_network"] = {"type": "internal", "description": called}
    for name, called, expire in (
        ("bogons", "bogon networks (internal)", ""),
        ("bogonsv6", "bogon networks IPv6 (internal)", ""),
        ("virusprot", "overload table for rate limiting (internal)", "3600"),
        ("sshlockout", "abuse lockout table (internal)", "3600"),
    ):
        found[name] = {"type": "external", "description": called, "expire": expire}
    return {name: {"enabled": "1", "name": name, **values} for name, values in found.items()}


_TOKEN = re.compile(r"[A-Za-z0-9-_.]+\n?", re.ASCII)


def _check_alias(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("aliases.alias").rows():
        if full or row.changed:
            text = _refused_access(row)
            if text:
                yield Message(f"{row.ref}.authtype", text)


def _refused_access(row: Box) -> str:
    """What is wrong with how a list is fetched."""
    kind, user, word = (row.text(name) for name in ("authtype", "username", "password"))
    missing = php.is_empty(user) or php.is_empty(word)
    long = len(word.encode()) > 512
    if kind == "Basic" and missing:
        return "Please provide a username and password when Basic auth is selected"
    if kind == "Bearer":
        if php.is_empty(word):
            return "Please provide an API token when Bearer auth is selected"
        if long:
            return "Invalid token length"
        return "" if _TOKEN.fullmatch(word) else "Illegal characters in token"
    if kind == "Header":
        if missing:
            return "Please provide a header key and value when Header auth is selected"
        if len(user.encode()) > 255:
            return "Invalid key length"
        if long:
            return "Invalid value length"
        if not _TOKEN.fullmatch(user):
            return "Illegal characters in key"
        return "" if _TOKEN.fullmatch(word) else "Illegal characters in value"
    return ""


_STATISTICS = {
    "current_items": Integer(volatile=True),
    "last_updated": Text(volatile=True),
    **{
        name: Integer(volatile=True)
        for name in (
            *("eval_nomatch", "eval_match", "in_block_p", "in_block_b", "in_pass_p", "in_pass_b"),
            *("out_block_p", "out_block_b", "out_pass_p", "out_pass_b"),
        )
    },
}


def services(tree: Tree) -> dict[str, dict[str, str]]:
    return {
        name: {"sequence": "10", "ifname": name, "descr": called}
        for name, called in (
            ("openvpn", "OpenVPN (Group)"),
            ("enc0", "IPsec encapsulation"),
            ("wireguard", "WireGuard (Group)"),
        )
    }


ALIAS = Model(
    "Firewall.Alias",
    "//OPNsense/Firewall/Alias",
    {
        "geoip": Section(
            {
                "url": Url(),
            }
        ),
        "aliases": Section(
            {
                "alias": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "name": _Name(
                            required=True,
                            constraints={"one": Unique("An alias with this name already exists.")},
                        ),
                        "type": Option(
                            required=True,
                            default="alert",
                            options={
                                "host": "Host(s)",
                                "network": "Network(s)",
                                "port": "Port(s)",
                                "url": "URL (IPs)",
                                "urltable": "URL Table (IPs)",
                                "urljson": "URL Table in JSON format (IPs)",
                                "geoip": "GeoIP",
                                "networkgroup": "Network group",
                                "mac": "MAC address",
                                "asn": "BGP ASN",
                                "dynipv6host": "Dynamic IPv6 Host",
                                "authgroup": "OpenVPN group",
                                "internal": "Internal (automatic)",
                                "external": "External (advanced)",
                            },
                            constraints={"one": "interface.one"},
                        ),
                        "path_expression": Text(),
                        "proto": Option(multiple=True, options={"IPv4": "IPv4", "IPv6": "IPv6"}),
                        "interface": Interface(
                            constraints={
                                "one": SetIf(
                                    "IPv6 Dynamic Host require an interface to track.",
                                    "type",
                                    "dynipv6host",
                                )
                            }
                        ),
                        "counters": Boolean(),
                        "updatefreq": Numeric(
                            message="Days and hours should be numeric values or left empty."
                        ),
                        "content": _Content(),
                        "password": Text(),
                        "username": Text(),
                        "authtype": Option(
                            options={"Basic": "Basic", "Bearer": "Bearer", "Header": "Header"}
                        ),
                        "expire": Integer(60, 999999999),
                        "categories": CATEGORIES,
                        **_STATISTICS,
                        "description": Description(),
                    },
                    fixed=_automatic,
                ),
            }
        ),
    },
    version="1.0.1",
    checks=_check_alias,
    title="Firewall aliases",
)
