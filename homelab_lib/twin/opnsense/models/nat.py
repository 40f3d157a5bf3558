"""Port forwards: the one translation that is kept where it always was."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Field, Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option
from homelab_lib.twin.opnsense.fields.network import NetworkAlias, Port, Protocol
from homelab_lib.twin.opnsense.fields.numbers import AutoNumber, Boolean
from homelab_lib.twin.opnsense.fields.texts import Description, StrictText, Text
from homelab_lib.twin.opnsense.model import Message, Model, Section, Table
from homelab_lib.twin.opnsense.models.filter_fields import INTERFACES
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree

_WITH_PORTS = ("tcp", "udp", "tcp/udp")


@dataclass(frozen=True)
class _Sequence(AutoNumber):
    """A hundred more than the last that was given."""

    def _next(self, leaf: Leaf) -> str:
        rows = leaf.parent.parent.rows()
        numbers = [row[leaf.tag].int() for row in rows if leaf.tag in row]
        last = leaf.tree.remembered("last sequence", lambda: [max(numbers, default=100)])
        last[0] += 100
        return str(last[0])

    def fresh(self, leaf: Leaf) -> str:
        return self._next(leaf)

    def after_loading(self, leaf: Leaf) -> None:
        if not leaf.is_set:
            leaf.value = self._next(leaf)


@dataclass(frozen=True, kw_only=True)
class _Emptied(Field):
    """What earlier releases wrote, and this one empties."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return ""


@dataclass(frozen=True, kw_only=True)
class _CategoryIds(Field):
    """The categories by their uuid."""

    def after_loading(self, leaf: Leaf) -> None:
        rows = leaf.tree.others("Firewall.Category").at("categories.category").rows()
        mine = leaf.parent["category"].values
        leaf.value = ",".join(row.uuid for row in rows if row["name"].value in mine)


def _categories(leaf: Leaf) -> Offer:
    rows = leaf.tree.others("Firewall.Category").at("categories.category").rows()
    return {row["name"].value: row["name"].value for row in rows}


def _check_forwards(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("rule").rows():
        if full or row.changed:
            yield from _forward(row)


def _forward(row: Box) -> Iterator[Message]:
    for leaf in (row["source"]["port"], row["destination"]["port"], row["local-port"]):
        if not leaf.is_empty and row["protocol"].value not in _WITH_PORTS:
            yield Message(leaf.ref, "Ports are only valid for TCP or UDP type rules.")
    family = row["ipprotocol"].value
    for leaf in (row["source"]["network"], row["destination"]["network"], row["target"]):
        literal = filters.is_subnet(leaf.value) or filters.is_ip(leaf.value)
        its = "inet6" if ":" in leaf.value else "inet"
        if literal and family in ("inet", "inet6") and family != its:
            yield Message(leaf.ref, "Address type should match selected TCP/IP protocol version.")
    if not row["nordr"].is_empty:
        for name, called in (("target", "Target"), ("local-port", "Port")):
            if not row[name].is_empty:
                yield Message(row[name].ref, f"{called} must be empty when No RDR is set.")


DNAT = Model(
    "Firewall.DNat",
    "/nat/rule+",
    {
        "rule": Table(
            {
                "sequence": _Sequence(
                    1, 999999, message="Sequence shall be between 1 and 999999.", required=True
                ),
                "disabled": Boolean(),
                "nordr": Boolean(),
                "interface": INTERFACES,
                "ipprotocol": Option(
                    options={"inet": "IPv4", "inet6": "IPv6", "inet46": "IPv4+IPv6"}, blank="any"
                ),
                "protocol": Protocol(case="lower", added={"TCP/UDP": "TCP/UDP"}, blank="any"),
                "source": Section(
                    {
                        "network": NetworkAlias(),
                        "address": NetworkAlias(volatile=True),
                        "port": Port(
                            well_known=True,
                            ranges=True,
                            aliases=True,
                            message="Please specify a valid port number, well-known name, alias "
                            "or range.",
                        ),
                        "not": Boolean(),
                    }
                ),
                "destination": Section(
                    {
                        "network": NetworkAlias(),
                        "address": NetworkAlias(volatile=True),
                        "port": Port(
                            well_known=True,
                            ranges=True,
                            aliases=True,
                            message="Please specify a valid port number, well-known name, alias "
                            "or range.",
                        ),
                        "not": Boolean(),
                    }
                ),
                "target": NetworkAlias(),
                "local-port": Port(
                    well_known=True,
                    aliases=True,
                    message="Please specify a valid port number or alias.",
                ),
                "poolopts": Option(
                    blank="Default",
                    options={
                        "round-robin": "Round Robin",
                        "round-robin sticky-address": "Round Robin with Sticky Address",
                        "random": "Random",
                        "random sticky-address": "Random with Sticky Address",
                        "source-hash": "Source Hash",
                        "bitmask": "Bitmask",
                    },
                ),
                "log": Boolean(),
                "category": Listed(make=_categories, multiple=True),
                "categories": _CategoryIds(volatile=True),
                "descr": Description(),
                "tag": StrictText(),
                "tagged": StrictText(),
                "nosync": Boolean(),
                "natreflection": Option(
                    blank="Use system default", options={"purenat": "Enable", "disable": "Disable"}
                ),
                "pass": Option(blank="Manual", options={"pass": "Pass", "rule": "Register rule"}),
                "associated-rule-id": _Emptied(),
                "created": Section(
                    {
                        "username": Text(),
                        "time": Text(),
                        "description": Text(),
                    }
                ),
                "updated": Section(
                    {
                        "username": Text(),
                        "time": Text(),
                        "description": Text(),
                    }
                ),
            }
        ),
    },
    version="1.0.0",
    checks=_check_forwards,
    title="Destination NAT (port-forward)",
)
