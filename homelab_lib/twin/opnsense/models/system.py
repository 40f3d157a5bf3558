"""Logging to other machines, and the kernel's settings."""

from collections.abc import Iterator

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option, same
from homelab_lib.twin.opnsense.fields.network import Hostname, Port
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Message, Model, Section, Table
from homelab_lib.twin.opnsense.nodes import Rows
from homelab_lib.twin.opnsense.tree import Tree

PROGRAMS = same("filterlog suricata dhcpd")
"""Programs whose logs can be sent away."""

_TRANSPORTS = ("udp4", "udp6", "tcp4", "tcp6", "tls4", "tls6")


def _certificates(leaf: Leaf) -> Offer:
    return {
        each.findtext("refid") or "": each.findtext("descr") or ""
        for each in leaf.tree.config.findall("cert")
    }


def _check_syslog(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("destinations.destination").rows():
        transport, host = row["transport"], row["hostname"]
        six = ":" in host.value
        for leaf in (transport, host):
            looked_at = (full or leaf.changed) and transport.value in _TRANSPORTS
            if looked_at and filters.is_ip(host.value) and six is not transport.value.endswith("6"):
                text = "Transport protocol does not match address in hostname"
                yield Message(leaf.ref, text)
        for leaf in (transport, row["certificate"]):
            needs = transport.value.startswith("tls") and transport.value in _TRANSPORTS
            if (full or leaf.changed) and needs and row["certificate"].is_empty:
                yield Message(leaf.ref, "A certificate is required for tls types")


def _emptied(rows: Rows) -> None:
    """Nothing stands for the default; it was a word once."""
    for row in rows.rows():
        if row["value"].value == "default":
            row["value"].value = ""


SYSLOG = Model(
    "Syslog.Syslog",
    "//OPNsense/Syslog",
    {
        "general": Section(
            {
                "enabled": Boolean(default="1", required=True),
                "loglocal": Boolean(default="1", required=True),
                "maxpreserve": Integer(default="31", required=True),
                "maxfilesize": Integer(),
            }
        ),
        "destinations": Section(
            {
                "destination": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "transport": Option(
                            required=True,
                            default="udp",
                            options={
                                "udp4": "UDP(4)",
                                "tcp4": "TCP(4)",
                                "udp6": "UDP(6)",
                                "tcp6": "TCP(6)",
                                "tls4": "TLS(4)",
                                "tls6": "TLS(6)",
                            },
                        ),
                        "program": Option(
                            PROGRAMS, multiple=True, message="Specify valid source applications."
                        ),
                        "level": Option(
                            multiple=True,
                            options={
                                "debug": "debug",
                                "info": "info",
                                "notice": "notice",
                                "warn": "warn",
                                "err": "error",
                                "crit": "critical",
                                "alert": "alert",
                                "emerg": "emergency",
                            },
                        ),
                        "facility": Option(
                            multiple=True,
                            options={
                                "kern": "kernel messages",
                                "user": "user-level messages",
                                "mail": "mail system",
                                "daemon": "system daemons",
                                "auth": "security/authorization messages",
                                "syslog": "messages generated internally by syslogd",
                                "lpr": "line printer subsystem",
                                "news": "network news subsystem",
                                "uucp": "UUCP subsystem",
                                "cron": "clock daemon",
                                "authpriv": "security/authorization messages",
                                "ftp": "FTP daemon",
                                "ntp": "NTP subsystem",
                                "security": "log audit",
                                "console": "log alert",
                                "local0": "locally used (0)",
                                "local1": "locally used (1)",
                                "local2": "locally used (2)",
                                "local3": "locally used (3)",
                                "local4": "locally used (4)",
                                "local5": "locally used (5)",
                                "local6": "locally used (6)",
                                "local7": "locally used (7)",
                            },
                        ),
                        "hostname": Hostname(required=True),
                        "certificate": Listed(make=_certificates),
                        "port": Port(required=True, default="514"),
                        "rfc5424": Boolean(required=True),
                        "description": Description(),
                    }
                ),
            }
        ),
    },
    version="1.0.2",
    checks=_check_syslog,
    title="System logging settings",
)

TUNABLES = Model(
    "Core.Tunables",
    "//sysctl",
    {
        "item": Table(
            {
                "tunable": Text(),
                "value": Text(),
                "descr": Text(),
                "default_value": Text(volatile=True),
                "type": Text(volatile=True),
            },
            after_loading=_emptied,
        ),
    },
    version="1.0.2",
    title="System Tunables",
)
