"""Unbound: names of hosts of ours, and whom it asks for the others."""

from collections.abc import Iterator

from homelab_lib.twin.opnsense.dns_ports import users_of
from homelab_lib.twin.opnsense.fields.choices import Option, Relation
from homelab_lib.twin.opnsense.fields.constraints import SetIf
from homelab_lib.twin.opnsense.fields.network import Hostname, Network, Port
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Csv, Description, StrictText, Text
from homelab_lib.twin.opnsense.model import Message, Model, Section, Table
from homelab_lib.twin.opnsense.models.blocklists import BLOCKLISTS
from homelab_lib.twin.opnsense.models.unbound_names import Address, Aliases
from homelab_lib.twin.opnsense.models.unbound_settings import ADVANCED, DOMAIN, GENERAL
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree


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
        "general": GENERAL,
        "advanced": ADVANCED,
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
                            required=True, mask=DOMAIN, message="A valid domain must be specified."
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
                        "server": Address(
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
                        "aliases": Aliases(volatile=True),
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
                            mask=DOMAIN,
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
