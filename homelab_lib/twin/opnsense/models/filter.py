"""Filter rules and the translations beside them, as one model keeps them."""

from typing import Any

from homelab_lib.twin.opnsense.fields.choices import (
    Interface,
    Listed,
    Option,
    Relation,
    same,
)
from homelab_lib.twin.opnsense.fields.constraints import Depend, SetIf
from homelab_lib.twin.opnsense.fields.network import Network, NetworkAlias, Port, Protocol
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer, Sequence
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.gateways import gateway_names
from homelab_lib.twin.opnsense.model import Model, Section, Table
from homelab_lib.twin.opnsense.models.filter_checks import check_filter
from homelab_lib.twin.opnsense.models.filter_fields import (
    CATEGORIES,
    INTERFACES,
    MODES,
    PORT,
    TAG,
    NatMode,
    diverts,
    schedules,
)
from homelab_lib.twin.opnsense.models.icmp import ICMP6_TYPES, ICMP_TYPES, TOS
from homelab_lib.twin.opnsense.models.interfaces import PRIORITIES
from homelab_lib.twin.opnsense.nodes import Box, Rows
from homelab_lib.twin.opnsense.tree import Tree


def priority(row: Box) -> int:
    """Where a rule stands: floating ones first, then groups', then those of one interface."""
    config = row.tree.config
    names = row["interface"].values
    known = [config.find(f"interfaces/{name}") for name in names]
    if names and all(each is None for each in known) and row.tree.box.release >= (26, 7):
        return 600000
    if len(names) != 1 or not row["interfacenot"].is_empty:
        return 200000
    if known[0] is not None and known[0].findtext("type") == "group":
        groups = row.tree.others("Firewall.Group").at("ifgroupentry").rows()
        numbers = [g["sequence"].int() for g in groups if g["ifname"].value == names[0]]
        return 300000 + (numbers[0] if numbers else 0)
    return 400000


def _order_rules(rows: Rows) -> None:
    for row in rows.rows():
        _order(row, priority(row))


def _order_nat(rows: Rows) -> None:
    for row in rows.rows():
        known = [row.tree.config.find(f"interfaces/{name}") for name in row["interface"].values]
        gone = bool(known) and all(each is None for each in known)
        _order(row, 600000 if gone and row.tree.box.release >= (26, 7) else 400000)


def _order(row: Box, group: int) -> None:
    row["sort_order"].value = f"{group}.0{row['sequence'].int():06d}"
    row["prio_group"].value = str(group)


def _keep_mode(tree: Tree) -> None:
    """Write all, and the mode where it always was."""
    tree.put()
    mode: Any = tree.config
    for step in ("nat", "outbound", "mode"):
        mode = tree.child(mode, step)
    mode.text = tree.at("general.snat_mode").value


_RULE = {
    "enabled": Boolean(default="1", required=True),
    "statetype": Option(
        required=True,
        default="keep",
        options={
            "keep": "keep state",
            "sloppy": "sloppy state",
            "modulate": "modulate state",
            "synproxy": "synproxy state",
            "none": "no state",
        },
    ),
    "state-policy": Option(
        blank="default",
        options={"if-bound": "Bind states to interface", "floating": "Floating states"},
    ),
    "sequence": Sequence(
        1, 999999, message="Sequence shall be between 1 and 999999.", required=True
    ),
    "sort_order": Text(volatile=True),
    "prio_group": Text(volatile=True),
    "action": Option(
        required=True,
        default="pass",
        options={"pass": "Pass", "block": "Block", "reject": "Reject"},
    ),
    "quick": Boolean(default="1", required=True),
    "interfacenot": Boolean(required=True),
    "interface": INTERFACES,
    "direction": Option(
        required=True, default="in", options={"in": "In", "out": "Out", "any": "Both"}
    ),
    "ipprotocol": Option(
        required=True, default="inet", options={"inet": "IPv4", "inet6": "IPv6", "inet46": "any"}
    ),
    "protocol": Protocol(required=True, default="any", added={"TCP/UDP": "TCP/UDP"}),
    "icmptype": Option(multiple=True, options=ICMP_TYPES),
    "icmp6type": Option(multiple=True, options=ICMP6_TYPES),
    "source_net": NetworkAlias(default="any", required=True, multiple=True),
    "source_not": Boolean(required=True),
    "source_port": PORT,
    "destination_net": NetworkAlias(default="any", required=True, multiple=True),
    "destination_not": Boolean(required=True),
    "destination_port": PORT,
    "divert-to": Listed(make=diverts, message="Specify a valid divert-to target."),
    "gateway": Listed(
        make=gateway_names,
        message="Specify a valid gateway from the list matching the networks ip protocol.",
    ),
    "replyto": Listed(
        make=gateway_names,
        message="Specify a valid gateway from the list matching the networks ip protocol.",
    ),
    "disablereplyto": Boolean(required=True),
    "log": Boolean(required=True),
    "allowopts": Boolean(required=True),
    "nosync": Boolean(required=True),
    "nopfsync": Boolean(required=True),
    "statetimeout": Integer(1, 2147483647),
    "udp-first": Integer(1, 2147483647),
    "udp-multiple": Integer(1, 2147483647),
    "udp-single": Integer(1, 2147483647),
    "max-src-nodes": Integer(1, 2147483647),
    "max-src-states": Integer(1, 2147483647),
    "max-src-conn": Integer(1, 2147483647),
    "max": Integer(1, 2147483647),
    "max-src-conn-rate": Integer(1, 4294967),
    "max-src-conn-rates": Integer(1, 2147483647),
    "max-pkt-rate-number": Integer(
        1,
        4294967,
        since=(26, 7),
        constraints={
            "one": Depend(
                "Packet rate number and seconds must either both be set or left empty.",
                ("max-pkt-rate-seconds",),
            )
        },
    ),
    "max-pkt-rate-seconds": Integer(
        1,
        2147483647,
        since=(26, 7),
        constraints={
            "one": Depend(
                "Packet rate number and seconds must either both be set or left empty.",
                ("max-pkt-rate-number",),
            )
        },
    ),
    "overload": Relation(
        model="Firewall.Alias",
        items="aliases.alias",
        display=("name",),
        where={"enabled": "/^(?!0).*$/", "type": "/^(?!(port)).*$/"},
        message="Alias not found.",
    ),
    "adaptivestart": Integer(0, 2147483647),
    "adaptiveend": Integer(0, 2147483647),
    "prio": Option(blank="Any priority", options=PRIORITIES),
    "set-prio": Option(blank="Keep current priority", options=PRIORITIES),
    "set-prio-low": Option(blank="Keep current priority", options=PRIORITIES),
    "tag": TAG,
    "tagged": TAG,
    "tcpflags1": Option(multiple=True, options=same("syn ack fin rst psh urg ece cwr")),
    "tcpflags2": Option(multiple=True, options=same("syn ack fin rst psh urg ece cwr")),
    "tcpflags_any": Boolean(),
    "categories": CATEGORIES,
    "sched": Listed(make=schedules),
    "tos": Option(options=TOS),
    "shaper1": Listed(message="Related pipe or queue not found."),
    "shaper2": Listed(message="Related pipe or queue not found."),
    "description": Description(),
}
_SOURCE_NAT = {
    "enabled": Boolean(default="1", required=True),
    "nonat": Boolean(required=True),
    "nosync": Boolean(required=True),
    "sequence": Sequence(
        1, 999999, message="Sequence shall be between 1 and 999999.", required=True
    ),
    "sort_order": Text(volatile=True),
    "prio_group": Text(volatile=True),
    "interface": Interface(
        required=True, default="lan", where={"if": "/^(?!lo0$).*/"}, dynamic="Y"
    ),
    "ipprotocol": Option(required=True, default="inet", options={"inet": "IPv4", "inet6": "IPv6"}),
    "protocol": Protocol(required=True, default="any", added={"TCP/UDP": "TCP/UDP"}),
    "source_net": NetworkAlias(default="any", required=True),
    "source_not": Boolean(required=True),
    "source_port": PORT,
    "destination_net": NetworkAlias(default="any", required=True),
    "destination_not": Boolean(required=True),
    "destination_port": PORT,
    "target": NetworkAlias(),
    "target_port": Port(well_known=True, ranges=True),
    "staticnatport": Boolean(),
    "log": Boolean(required=True),
    "categories": CATEGORIES,
    "tag": TAG,
    "tagged": TAG,
    "endpoint-independent": Boolean(since=(26, 7)),
    "description": Description(),
}
_ANY_TRANSLATION = {
    "enabled": Boolean(default="1", required=True),
    "log": Boolean(required=True),
    "sequence": Sequence(
        1, 999999, message="Sequence shall be between 1 and 999999.", required=True
    ),
    "sort_order": Text(volatile=True),
    "prio_group": Text(volatile=True),
}
_PREFIX = {
    **_ANY_TRANSLATION,
    "interface": Interface(
        required=True, default="lan", where={"if": "/^(?!lo0$).*/"}, dynamic="Y"
    ),
    "source_net": Network(required=True, family="ipv6", wildcard=False),
    "destination_net": Network(
        family="ipv6",
        wildcard=False,
        constraints={
            "one": SetIf("A value is required when not using a track interface.", "trackif", "")
        },
    ),
    "trackif": Interface(constraints={"one": "destination_net.one"}),
    "categories": CATEGORIES,
    "description": Description(),
}
_ONE_TO_ONE = {
    **_ANY_TRANSLATION,
    "interface": Interface(
        required=True, default="wan", where={"if": "/^(?!lo0$).*/"}, dynamic="Y"
    ),
    "type": Option(default="binat", required=True, options={"binat": "BINAT", "nat": "NAT"}),
    "source_net": NetworkAlias(required=True),
    "source_not": Boolean(required=True),
    "destination_net": NetworkAlias(required=True, default="any"),
    "destination_not": Boolean(required=True),
    "external": Network(required=True, wildcard=False),
    "natreflection": Option(options={"": "Default", "enable": "Enable", "disable": "Disable"}),
    "categories": CATEGORIES,
    "description": Description(),
}

FILTER = Model(
    "Firewall.Filter",
    "//OPNsense/Firewall/Filter",
    {
        "general": Section(
            {"snat_mode": NatMode(MODES, required=True, default="automatic", volatile=True)}
        ),
        "rules": Section({"rule": Table(_RULE, after_loading=_order_rules)}),
        "snatrules": Section({"rule": Table(_SOURCE_NAT, after_loading=_order_nat)}),
        "npt": Section({"rule": Table(_PREFIX, after_loading=_order_nat)}),
        "onetoone": Section({"rule": Table(_ONE_TO_ONE, after_loading=_order_nat)}),
    },
    version="1.0.5",
    checks=check_filter,
    title="Firewall rules (new)",
    keep=_keep_mode,
)
