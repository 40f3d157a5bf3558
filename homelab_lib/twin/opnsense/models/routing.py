"""Gateways, groups of them, and static routes."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Interface, Listed, Offer, Option
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.network import Network
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.gateways import active_names, by_name, gateway_names
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree

PROBES = {
    "data_length": 1,
    "interval": 1,
    "latencyhigh": 500,
    "latencylow": 200,
    "loss_interval": 4,
    "losshigh": 20,
    "losslow": 10,
    "time_period": 60,
}
"""What the watcher of gateways goes by where nobody says: ms, s and per cent."""

_TIERS = ("item", "item2", "item3", "item4", "item5")
_BY_PROTOCOL = "Specify a valid gateway from the list matching the networks ip protocol."


def _active(leaf: Leaf) -> Offer:
    return active_names(leaf.tree.config, leaf.tree.box)


def _check_gateways(tree: Tree, full: bool) -> Iterator[Message]:
    rows = tree.at("gateway_item").rows()
    for row in rows:
        if full or row.changed:
            yield from _name_changed(row, "OPNsense/Gateways/gateway_item", "a gateway")
            yield from _dynamic(row)
            yield from _addresses(row, [other for other in rows if other is not row])
            yield from _thresholds(row)


def _name_changed(row: Box, path: str, called: str) -> Iterator[Message]:
    for kept in row.tree.config.findall(path):
        mine = kept.get("uuid") == row.ref.split(".")[1]
        if mine and (kept.findtext("name") or "") != row["name"].value:
            yield Message(row["name"].ref, f"Changing name on {called} is not allowed.")


def _dynamic(row: Box) -> Iterator[Message]:
    """A gateway without an address is one that comes with the interface's own."""
    if filters.is_ip(row["gateway"].value):
        return
    four = row["ipprotocol"].value == "inet"
    place = f"interfaces/{row['interface'].value}/{'ipaddr' if four else 'ipaddrv6'}"
    fixed = row.tree.config.findtext(place) if row["interface"].value.isalnum() else ""
    if filters.is_ip(fixed or ""):
        yield Message(
            row["gateway"].ref,
            "Dynamic gateway values cannot be specified for interfaces with a static "
            f"{'IPv4' if four else 'IPv6'} configuration.",
        )


def _addresses(row: Box, others: list[Box]) -> Iterator[Message]:
    family = row["ipprotocol"].value
    for name in ("gateway", "monitor"):
        leaf = row[name]
        if leaf.is_empty or leaf.value == "dynamic":
            continue
        if family == "inet" and not filters.is_ipv4(leaf.value):
            yield Message(leaf.ref, "Invalid IPv4 address")
        elif family == "inet6" and not filters.is_ipv6(leaf.value):
            yield Message(leaf.ref, "Invalid IPv6 address")
        elif name == "monitor":
            same = [other for other in others if other["monitor"].value == leaf.value]
            routed = row["monitor_noroute"].is_empty
            if any(other["monitor_noroute"].is_empty or routed for other in same):
                yield Message(leaf.ref, "This monitor IP address already exists.")


def _thresholds(row: Box) -> Iterator[Message]:
    now = {
        name: default if row[name].is_empty else row[name].int() for name, default in PROBES.items()
    }
    if now["latencylow"] > now["latencyhigh"]:
        yield Message(
            row["latencyhigh"].ref,
            "The high latency threshold needs to be higher than the low latency threshold.",
        )
    if now["losslow"] > now["losshigh"]:
        yield Message(
            row["losshigh"].ref,
            "The high Packet Loss threshold needs to be higher than the low Packet Loss threshold.",
        )
    if now["time_period"] < 2 * (now["interval"] + now["loss_interval"]):
        yield Message(
            row["time_period"].ref,
            "The time period needs to be at least 2 times the sum of the probe interval and the "
            "loss interval.",
        )


@dataclass(frozen=True)
class _Members(Listed):
    """Gateways of the first tier; nothing leaves them as they are."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, value) if value not in ("", "0") else None


def members(row: Box) -> list[str]:
    """Gateways of a group, of all tiers."""
    return [name for tier in _TIERS for name in row[tier].values]


def _check_groups(tree: Tree, full: bool) -> Iterator[Message]:
    gateways = by_name(tree.config, tree.box)
    for row in tree.at("gateway_group").rows():
        if not full and not row.changed:
            continue
        yield from _name_changed(row, "gateways/gateway_group", "a gateway group")
        if not members(row):
            for tier in _TIERS:
                yield Message(row[tier].ref, "At least one tier must be set.")
        if row["name"].value in gateways:
            yield Message(
                row["name"].ref,
                "A gateway group cannot have the same name with a gateway "
                f"'{row['name'].value}' please choose another name.",
            )


def _check_routes(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("route").rows():
        if not full and not row.changed:
            continue
        offer = row["gateway"].field.offer(row["gateway"])
        called = offer.get(row["gateway"].value)
        if called is None:
            continue  # that is told by the field itself
        address = called.rpartition("-")[2].strip()
        its = address if address in ("inet", "inet6") else "inet6" if ":" in address else "inet"
        family = "inet6" if ":" in row["network"].value else "inet"
        if (its, family) == ("inet6", "inet"):
            continue  # as RFC 5549 has it
        if not address or its != family:
            yield Message(row["gateway"].ref, _BY_PROTOCOL)


GATEWAYS = Model(
    "Routing.Gateways",
    "//OPNsense/Gateways",
    {
        "gateway_item": Table(
            {
                "disabled": Boolean(required=True),
                "name": Text(
                    required=True,
                    message="A valid gateway name must be specified. The name may only consist of "
                    'the characters "a-zA-Z0-9_" and must be less than 32 characters long.',
                    mask=r"/^[a-zA-Z0-9_\-]{1,32}$/",
                    constraints={"one": Unique("Gateway with this name already exists.")},
                ),
                "descr": Description(),
                "interface": Interface(
                    required=True,
                    default="wan",
                    dynamic="Y",
                    where={"enable": "/^(?!0).*$/", "virtual": "/^(?!1).*$/"},
                ),
                "ipprotocol": Option(
                    default="inet", required=True, options={"inet": "IPv4", "inet6": "IPv6"}
                ),
                "gateway": Text(
                    constraints={"one": Unique("This gateway IP address already exists.")}
                ),
                "defaultgw": Boolean(),
                "fargw": Boolean(),
                "monitor_disable": Boolean(default="1", required=True),
                "monitor_noroute": Boolean(),
                "monitor_killstates": Boolean(),
                "monitor_killstates_priority": Boolean(),
                "monitor": Text(),
                "force_down": Boolean(),
                "nosync": Boolean(),
                "priority": Integer(
                    0,
                    255,
                    default="255",
                    required=True,
                    message="Priority must be a value between 1 and 255.",
                ),
                "weight": Integer(1, 10, default="1", required=True),
                "latencylow": Integer(1),
                "latencyhigh": Integer(1),
                "losslow": Integer(1, 99),
                "losshigh": Integer(1, 100),
                "interval": Integer(1),
                "time_period": Integer(1),
                "loss_interval": Integer(1),
                "data_length": Integer(0),
            }
        ),
    },
    version="1.0.0",
    checks=_check_gateways,
    title="Gateways configuration",
)

GATEWAY_GROUPS = Model(
    "Routing.GatewayGroups",
    "/gateways/gateway_group+",
    {
        "gateway_group": Table(
            {
                "name": Text(
                    required=True,
                    message="A valid group name must be specified. The name may only consist of "
                    'the characters "a-zA-Z0-9_" and must be less than 32 characters long.',
                    mask=r"/^[a-zA-Z0-9_\-]{1,32}$/",
                    constraints={"one": Unique("Gateway group with this name already exists.")},
                ),
                "item2": Listed(make=_active, multiple=True),
                "item3": Listed(make=_active, multiple=True),
                "item4": Listed(make=_active, multiple=True),
                "item5": Listed(make=_active, multiple=True),
                "item": _Members(make=_active, multiple=True),
                "trigger": Option(
                    required=True,
                    default="down",
                    options={
                        "down": "Member Down",
                        "downloss": "Packet Loss",
                        "downlatency": "High Latency",
                        "downlosslatency": "Packet Loss and High Latency",
                    },
                ),
                "poolopts": Option(
                    options={
                        "": "Default",
                        "round-robin": "Round Robin",
                        "round-robin sticky-address": "Round Robin with Sticky Address",
                    }
                ),
                "descr": Description(),
            }
        ),
    },
    version="1.0.0",
    checks=_check_groups,
    title="Gateway group configuration",
)

ROUTE = Model(
    "Routes.Route",
    "//staticroutes",
    {
        "route": Table(
            {
                "network": Network(
                    mask_required=True,
                    required=True,
                    message="Specify a valid network matching the gateways ip protocol.",
                ),
                "gateway": Listed(
                    make=gateway_names,
                    required=True,
                    message="Specify a valid gateway from the list matching the networks ip "
                    "protocol.",
                ),
                "descr": Description(),
                "enabled": Boolean(default="1", required=True),
            }
        ),
    },
    version="1.0.1",
    checks=_check_routes,
    title="Static routes",
)
