"""dnsmasq: DHCP and names of the local networks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf, Several
from homelab_lib.twin.opnsense.fields.choices import Interface, Option, Relation, same
from homelab_lib.twin.opnsense.fields.constraints import Single, Unique
from homelab_lib.twin.opnsense.fields.network import Hostname, Mac, Network, Port
from homelab_lib.twin.opnsense.fields.numbers import AutoNumber, Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, StrictText, Text
from homelab_lib.twin.opnsense.model import Model, Section, Table
from homelab_lib.twin.opnsense.models.dnsmasq_checks import check_dnsmasq

OPTIONS = {str(code): f"option [{code}]" for code in range(1, 255)}
OPTIONS6 = {str(code): f"option [{code}]" for code in range(151) if code not in (10, 35)}
"""DHCP's options by number, as its registry has them."""

_LISTENS = Interface(
    blank="Any",
    where={"if": "/^(?!lo0$).*/", "type": "/(?s)^((?!group).)*$/"},
    dynamic="Y",
)


@dataclass(frozen=True, kw_only=True)
class _Name(Several):
    """A name of a host, or with dots between."""

    dotted: bool = False
    wildcard: bool = False
    says_by_itself: ClassVar[str] = (
        "Labels must be 1\N{EN DASH}63 characters, start with a letter or digit, and may contain "
        "only "
        "letters, digits, '-' or '_'. "
    )

    def check(self, leaf: Leaf) -> Iterator[str]:
        for each in self.entries(leaf.value):
            if each == "*":
                if not self.wildcard:
                    yield "Wildcards are not allowed."
                return
            if self.dotted and len(each.encode()) > 255:
                yield "All labels combined may not exceed 255 characters."
                return
            labels = each.split(".") if self.dotted and each else [each] if each else []
            if not all(re.fullmatch(r"(?![_-])[A-Za-z0-9_-]{1,63}\n?", label) for label in labels):
                yield self.says()
                return


@dataclass(frozen=True, kw_only=True)
class _DomainAddress(Network):
    """Who answers for a domain; an exclamation mark for nobody."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, "" if value == "!" else value)


@dataclass(frozen=True, kw_only=True)
class _RangeAddress(Network):
    """An address, or the end of one where a network goes before it."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not leaf.value.startswith("::"):
            yield from super().check(leaf)
        elif not filters.is_ipv6(f"2000{leaf.value}"):
            yield self.says()


@dataclass(frozen=True)
class _Port(Integer):
    """The port it is told to answer on."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        taken = super().accept(leaf, value)
        shown = leaf.parent.get("dns_port")
        if shown is not None:
            shown.value = taken or "53"
        return taken


@dataclass(frozen=True)
class _DnsPort(Integer):
    """The port it answers on; nothing stands for 53."""

    def after_loading(self, leaf: Leaf) -> None:
        leaf.value = leaf.parent["port"].value or "53"


DNSMASQ = Model(
    "Dnsmasq.Dnsmasq",
    "/dnsmasq",
    {
        "enable": Boolean(),
        "regdhcp": Boolean(),
        "regdhcpstatic": Boolean(),
        "dhcpfirst": Boolean(),
        "strict_order": Boolean(),
        "domain_needed": Boolean(),
        "no_private_reverse": Boolean(),
        "no_resolv": Boolean(),
        "log_queries": Boolean(),
        "no_hosts": Boolean(),
        "strictbind": Boolean(),
        "dnssec": Boolean(),
        "regdhcpdomain": Hostname(dns_name=True),
        "interface": Interface(multiple=True),
        "port": _Port(0, 65535),
        "dns_port": _DnsPort(volatile=True),
        "dns_forward_max": Integer(0),
        "cache_size": Integer(0),
        "local_ttl": Integer(0),
        "add_mac": Option(options=same("standard base64 text")),
        "add_subnet": Boolean(),
        "strip_subnet": Boolean(),
        "dhcp": Section(
            {
                "no_interface": Interface(multiple=True),
                "fqdn": Boolean(required=True, default="1"),
                "domain": Hostname(dns_name=True, ip=False),
                "local": Boolean(required=True, default="1"),
                "lease_max": Integer(0),
                "authoritative": Boolean(),
                "default_fw_rules": Boolean(required=True, default="1"),
                "reply_delay": Integer(0, 60),
                "enable_ra": Boolean(),
                "host_ping": Boolean(required=True, default="1"),
                "nosync": Boolean(),
                "log_dhcp": Boolean(constraints={"one": "log_quiet.one"}),
                "log_quiet": Boolean(
                    constraints={
                        "one": Single(
                            'This option and "Log DHCP options and tags" cannot be enabled at the '
                            "same time.",
                            ("log_dhcp",),
                        )
                    }
                ),
            }
        ),
        "no_ident": Boolean(required=True, default="1"),
        "hosts": Table(
            {
                "host": _Name(wildcard=True),
                "domain": _Name(dotted=True),
                "local": Boolean(),
                "ip": Network(mask_allowed=False, as_list=True),
                "cnames": _Name(dotted=True, as_list=True),
                "client_id": Text(
                    mask=r"/^(?:\*|(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})+))$/",
                    message="Value must be a colon-separated hexadecimal sequence (e.g., "
                    '01:02:f3) or "*".',
                ),
                "hwaddr": Mac(as_list=True),
                "lease_time": Integer(),
                "ignore": Boolean(),
                "set_tag": Relation(items="dhcp_tags", display=("tag",)),
                "descr": Text(),
                "comments": Text(),
                "aliases": _Name(dotted=True, as_list=True),
            }
        ),
        "domainoverrides": Table(
            {
                "sequence": AutoNumber(
                    1,
                    99999,
                    default="1",
                    required=True,
                    message="Please enter a value between 1 and 99999.",
                ),
                "domain": _Name(required=True, dotted=True, wildcard=True),
                "ipset": Relation(
                    model="Firewall.Alias",
                    items="aliases.alias",
                    display=("name",),
                    where={
                        "type": "/^[Ee]xternal.*/",
                        "name": "/^(?!bogons$|bogonsv6$|virusprot$|sshlockout$|__.*).*/",
                    },
                ),
                "srcip": Network(mask_allowed=False),
                "port": Port(),
                "ip": _DomainAddress(mask_allowed=False),
                "descr": Text(),
            }
        ),
        "dhcp_tags": Table(
            {
                "tag": Description(
                    constraints={"one": Unique("Tag names should be unique.")}, required=True
                ),
            }
        ),
        "dhcp_ranges": Table(
            {
                "interface": _LISTENS,
                "set_tag": Relation(items="dhcp_tags", display=("tag",)),
                "start_addr": _RangeAddress(mask_allowed=False, required=True),
                "end_addr": _RangeAddress(mask_allowed=False),
                "subnet_mask": Network(
                    mask_allowed=False,
                    family="ipv4",
                    message="Please enter a valid IPv4 subnet mask like 255.255.255.0.",
                ),
                "constructor": Interface(),
                "mode": Option(multiple=True, options={"static": "static"}),
                "prefix_len": Integer(1, 64),
                "lease_time": Integer(),
                "domain_type": Option(
                    options={"interface": "Interface", "range": "Range"},
                    default="range",
                    required=True,
                ),
                "domain": Hostname(dns_name=True, ip=False),
                "nosync": Boolean(),
                "ra_mode": Option(
                    options=same("ra-only slaac ra-names ra-stateless ra-advrouter off-link"),
                    multiple=True,
                ),
                "ra_priority": Option(blank="Normal", options={"high": "High", "low": "Low"}),
                "ra_mtu": Integer(),
                "ra_interval": Integer(),
                "ra_router_lifetime": Integer(),
                "description": Description(),
            }
        ),
        "dhcp_options": Table(
            {
                "type": Option(
                    options={"set": "Set", "match": "Match"}, default="set", required=True
                ),
                "option": Option(options=OPTIONS),
                "option6": Option(options=OPTIONS6),
                "interface": _LISTENS,
                "tag": Relation(items="dhcp_tags", display=("tag",), multiple=True),
                "set_tag": Relation(items="dhcp_tags", display=("tag",)),
                "value": StrictText(spaces=True),
                "force": Boolean(),
                "description": Description(),
            }
        ),
        "dhcp_boot": Table(
            {
                "interface": _LISTENS,
                "tag": Relation(items="dhcp_tags", display=("tag",), multiple=True),
                "filename": StrictText(required=True),
                "servername": StrictText(),
                "address": StrictText(),
                "description": Description(),
            }
        ),
    },
    version="1.0.9",
    checks=check_dnsmasq,
    title="Dnsmasq DNS and DHCP",
)
