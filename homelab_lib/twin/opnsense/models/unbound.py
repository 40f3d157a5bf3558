"""Unbound: names of hosts of ours, and whom it asks for the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.dns_ports import users_of
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option, Relation, same
from homelab_lib.twin.opnsense.fields.constraints import SetIf
from homelab_lib.twin.opnsense.fields.network import Hostname, Network, Port
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer, Numeric
from homelab_lib.twin.opnsense.fields.texts import Csv, Description, StrictText, Text
from homelab_lib.twin.opnsense.model import Message, Model, Section, Table
from homelab_lib.twin.opnsense.models.blocklists import BLOCKLISTS
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.order import natural
from homelab_lib.twin.opnsense.tree import Tree

_DOMAIN = (
    r"/^(?:(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])$/i"
)


def _listens(leaf: Leaf) -> Offer:
    found = {
        each.tag: each.findtext("descr") or each.tag.upper()
        for each in leaf.tree.config.find("interfaces") or ()
        if php.is_empty(each.findtext("virtual") or "")
    }
    return dict(sorted(found.items(), key=lambda item: natural(item[1])))


_LISTENS = Listed(make=_listens, multiple=True)


@dataclass(frozen=True, kw_only=True)
class _Address(Network):
    """An address; until 26.7 a network passed."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        if "/" in leaf.value and leaf.tree.box.release >= (26, 7):
            yield self.says()
        else:
            yield from super().check(leaf)


@dataclass(frozen=True, kw_only=True)
class _Aliases(Hostname):
    """Further names of a host, as one list; they are rows of their own."""

    as_list: bool = True
    host_wildcard: bool = True
    fqdn_wildcard: bool = True
    dns_name: bool = True
    ip: bool = False

    def own_words(self) -> str:
        return "[%s] is not a valid host/domain name."

    def after_loading(self, leaf: Leaf) -> None:
        leaf.value = leaf.stored = ",".join(_alias_names(leaf.parent))

    def accept(self, leaf: Leaf, value: str) -> str | None:
        taken = super().accept(leaf, value) or ""
        if leaf.loaded:
            _make_aliases(leaf.parent, taken)
        return taken


def _alias_rows(host: Box) -> list[Box]:
    rows = host.tree.at("aliases.alias").rows()
    return [row for row in rows if row["host"].value == host.uuid]


def _alias_name(host: Box, row: Box) -> str:
    name, domain = row["hostname"].value, row["domain"].value or host["domain"].value
    return f"{name}.{domain}" if name else domain


def _alias_names(host: Box) -> list[str]:
    return [_alias_name(host, row) for row in _alias_rows(host)]


def _make_aliases(host: Box, names: str) -> None:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for row in _alias_rows(host):
        if _alias_name(host, row) not in wanted:
            host.tree.at("aliases.alias").delete(row.uuid)
    for name in dict.fromkeys(wanted):
        if name not in _alias_names(host):
            first, _, domain = name.rstrip(".").partition(".")
            same_domain = domain == host["domain"].value
            row = host.tree.at("aliases.alias").add()
            values: dict[str, Any] = {"enabled": "1", "host": host.uuid, "hostname": first}
            row.set(values | {"domain": "" if same_domain else domain})


def _check_unbound(tree: Tree, full: bool) -> Iterator[Message]:
    enabled, port = tree.at("general.enabled"), tree.at("general.port")
    if (full or enabled.changed or port.changed) and not enabled.is_empty:
        user = users_of(tree.config, port.value, but="unbound")
        if user:
            yield Message("general.port", f"{user} is currently using this port.")
    for row in tree.at("dnsbl.blocklist").rows():
        if full or row.changed:
            yield from _blocklist(row)
    for row in tree.at("hosts.host").rows():
        if (full or row.changed) and row["hostname"].value.endswith("."):
            yield Message(row["hostname"].ref, "A valid hostname must be specified.")


def _blocklist(row: Box) -> Iterator[Message]:
    nets = row["source_nets"].value.split(",")
    if len({net.partition("/")[2] for net in nets}) > 1:
        text = "All offered networks should be equally sized to avoid overlaps."
        yield Message(row["source_nets"].ref, text)
    if len({":" in net for net in nets}) > 1:
        text = "All offered networks should use the same IP protocol."
        yield Message(row["source_nets"].ref, text)


UNBOUND = Model(
    "Unbound.Unbound",
    "//OPNsense/unboundplus",
    {
        "general": Section(
            {
                "enabled": Boolean(required=True),
                "port": Port(default="53", required=True),
                "stats": Boolean(),
                "active_interface": _LISTENS,
                "dnssec": Boolean(),
                "dns64": Boolean(),
                "dns64prefix": Network(mask_required=True, family="ipv6"),
                "noarecords": Boolean(),
                "regdhcp": Boolean(),
                "regdhcpdomain": Text(mask=_DOMAIN, message="A valid domain must be specified."),
                "regdhcpstatic": Boolean(),
                "noreglladdr6": Boolean(),
                "noregrecords": Boolean(),
                "txtsupport": Boolean(),
                "cacheflush": Boolean(),
                "safesearch": Boolean(),
                "local_zone_type": Option(
                    default="transparent",
                    required=True,
                    options=same(
                        "transparent always_nxdomain always_refuse always_transparent deny inform "
                        "inform_deny nodefault refuse static typetransparent"
                    ),
                ),
                "outgoing_interface": _LISTENS,
                "enable_wpad": Boolean(),
            }
        ),
        "advanced": Section(
            {
                "hideidentity": Boolean(),
                "hideversion": Boolean(),
                "prefetch": Boolean(),
                "prefetchkey": Boolean(),
                "dnssecstripped": Boolean(),
                "belownxdomain": Boolean(required=True, default="1"),
                "aggressivensec": Boolean(required=True, default="1"),
                "serveexpired": Boolean(),
                "serveexpiredreplyttl": Numeric(),
                "serveexpiredttl": Numeric(),
                "serveexpiredttlreset": Boolean(),
                "serveexpiredclienttimeout": Numeric(),
                "qnameminstrict": Boolean(),
                "extendedstatistics": Boolean(),
                "logqueries": Boolean(),
                "logreplies": Boolean(),
                "logtagqueryreply": Boolean(),
                "logservfail": Boolean(),
                "loglocalactions": Boolean(),
                "logverbosity": Option(
                    default="1",
                    required=True,
                    options={
                        "0": "Level 0",
                        "1": "Level 1 (Default)",
                        "2": "Level 2",
                        "3": "Level 3",
                        "4": "Level 4",
                        "5": "Level 5",
                    },
                ),
                "valloglevel": Option(
                    default="0",
                    required=True,
                    options={"0": "Level 0 (Default)", "1": "Level 1", "2": "Level 2"},
                ),
                "privatedomain": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
                "privateaddress": Network(
                    required=True,
                    wildcard=False,
                    default="0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,169.254.0.0/16,172.16.0.0/12,"
                    "192.0.2.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,"
                    "233.252.0.0/24,::1/128,2001:db8::/32,fc00::/8,fd00::/8,fe80::/10",
                    as_list=True,
                ),
                "insecuredomain": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
                "msgcachesize": StrictText(
                    mask="/[0-9]+[kmg]?/i",
                    message="The cache size should be numeric, optionally appended with 'k', 'm', "
                    "or 'g'.",
                ),
                "rrsetcachesize": StrictText(
                    mask="/[0-9]+[kmg]?/i",
                    message="The cache size should be numeric, optionally appended with 'k', 'm', "
                    "or 'g'.",
                ),
                "outgoingnumtcp": Numeric(),
                "incomingnumtcp": Numeric(),
                "numqueriesperthread": Numeric(),
                "outgoingrange": Numeric(),
                "jostletimeout": Numeric(),
                "discardtimeout": Numeric(),
                "cachemaxttl": Numeric(),
                "cachemaxnegativettl": Numeric(),
                "cacheminttl": Numeric(),
                "infrahostttl": Numeric(),
                "infrakeepprobing": Boolean(),
                "infracachenumhosts": Numeric(),
                "unwantedreplythreshold": Numeric(),
            }
        ),
        "acls": Section(
            {
                "default_action": Option(
                    default="allow",
                    required=True,
                    options={"allow": "Allow", "deny": "Deny", "refuse": "Refuse"},
                ),
                "acl": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "name": StrictText(
                            required=True, message="An Access list name is required."
                        ),
                        "action": Option(
                            default="allow",
                            required=True,
                            options={
                                "allow": "Allow",
                                "deny": "Deny",
                                "refuse": "Refuse",
                                "allow_snoop": "Allow Snoop",
                                "deny_non_local": "Deny Non-local",
                                "refuse_non_local": "Refuse Non-local",
                            },
                        ),
                        "networks": Network(
                            required=True,
                            message="Please specify a one or more valid network segment in CIDR "
                            "notation (Ipv4/IPv6).",
                            wildcard=False,
                            mask_required=True,
                            as_list=True,
                        ),
                        "description": Description(),
                    }
                ),
            }
        ),
        "dnsbl": Section(
            {
                "blocklist": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "type": Option(BLOCKLISTS, multiple=True),
                        "lists": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
                        "allowlists": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
                        "blocklists": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
                        "wildcards": Csv(
                            mask=r"/\A((?:(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.){1,"
                            r"})(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\z/i",
                            message="A valid domain must be specified.",
                            each=True,
                        ),
                        "source_nets": Network(
                            strict=True,
                            message="Please specify a valid network segment or address "
                            "(IPv4/IPv6). If a mask is provided, please omit the host bits.",
                            wildcard=False,
                            as_list=True,
                        ),
                        "address": Network(mask_allowed=False, family="ipv4"),
                        "nxdomain": Boolean(),
                        "cache_ttl": Integer(required=True, default="72000"),
                        "description": Description(
                            required=True,
                            message="To keep track of which policies are applicable to source "
                            "networks, a description should be provided. It should be a string "
                            "between 1 and 255 characters.",
                        ),
                    }
                ),
            }
        ),
        "forwarding": Section(
            {
                "enabled": Boolean(),
            }
        ),
        "dots": Section(
            {
                "dot": Table(
                    {
                        "enabled": Boolean(required=True, default="1"),
                        "type": Option(
                            required=True,
                            default="dot",
                            options={"dot": "DNS over TLS", "forward": "Forward"},
                        ),
                        "domain": Hostname(
                            dns_name=True, ip=False, message="A valid domain must be specified."
                        ),
                        "server": Network(required=True),
                        "port": Port(),
                        "verify": Hostname(),
                        "forward_tcp_upstream": Boolean(required=True),
                        "forward_first": Boolean(required=True),
                        "description": Description(),
                    }
                ),
            }
        ),
        "hosts": Section(
            {
                "host": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "hostname": Hostname(
                            host_wildcard=True,
                            dns_name=True,
                            ip=False,
                            message="A valid hostname must be specified.",
                        ),
                        "domain": Text(
                            required=True, mask=_DOMAIN, message="A valid domain must be specified."
                        ),
                        "rr": Option(
                            required=True,
                            default="A",
                            options={
                                "A": "A (IPv4 address)",
                                "AAAA": "AAAA (IPv6 address)",
                                "MX": "MX (mail server)",
                                "TXT": "TXT (text)",
                            },
                            constraints={
                                "one": "mxprio.one",
                                "two": "mx.one",
                                "three": "server.one",
                                "four": "server.two",
                                "five": "txtdata.one",
                            },
                        ),
                        "mxprio": Integer(
                            constraints={
                                "one": SetIf("The field MX Priority is required.", "rr", "MX")
                            }
                        ),
                        "mx": Hostname(
                            constraints={"one": SetIf("The field MX Host is required.", "rr", "MX")}
                        ),
                        "ttl": Integer(0, 2147483647),
                        "server": _Address(
                            constraints={
                                "one": SetIf("The field IP address is required.", "rr", "A"),
                                "two": SetIf("The field IP address is required.", "rr", "AAAA"),
                            }
                        ),
                        "txtdata": Description(
                            constraints={
                                "one": SetIf("The field TXT Data is required.", "rr", "TXT")
                            }
                        ),
                        "addptr": Boolean(default="1", required=True),
                        "aliases": _Aliases(volatile=True),
                        "description": Description(),
                    }
                ),
            }
        ),
        "aliases": Section(
            {
                "alias": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "host": Relation(
                            items="hosts.host",
                            display=("hostname", "domain"),
                            form="%s.%s",
                            required=True,
                        ),
                        "hostname": Hostname(
                            constraints={
                                "one": SetIf(
                                    "The host field is required if a domain has not been "
                                    "specified.",
                                    "domain",
                                    "",
                                )
                            },
                            host_wildcard=True,
                            dns_name=True,
                            ip=False,
                        ),
                        "domain": Text(
                            constraints={
                                "one": SetIf(
                                    "The domain field is required if a host has not been "
                                    "specified.",
                                    "hostname",
                                    "",
                                )
                            },
                            mask=_DOMAIN,
                            message="A valid domain must be specified.",
                        ),
                        "description": Description(),
                    }
                ),
            }
        ),
    },
    version="1.0.15",
    checks=_check_unbound,
    title="Unbound configuration",
)
