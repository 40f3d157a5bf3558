"""Several devices as one, bridges, and further addresses of interfaces."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.errors import Unexpected
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option, same
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.tree import Tree

VIRTUAL = ("lo", "ipsec", "l2tp", "ppp", "pppoe", "pptp")
_OF_BRIDGE = ("stp", "edge", "autoedge", "ptp", "autoptp", "static", "private")


def _free(leaf: Leaf) -> Offer:
    """Cards that are no interface."""
    used = [e.findtext("if") or "" for e in leaf.tree.config.find("interfaces") or ()]
    found = [each for each in leaf.tree.box.devices if each.physical and each.name not in used]
    return {each.name: f"{each.name} ({each.mac})" for each in found}


def called(each: ET.Element) -> str:
    return each.findtext("descr") or each.tag.upper()


def _bridgeable(leaf: Leaf) -> Offer:
    return {
        each.tag: called(each)
        for each in leaf.tree.config.find("interfaces") or ()
        if php.is_empty(each.findtext("virtual") or "")
    }


def _check_lagg(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("lagg").rows():
        if not full and not row.changed:
            continue
        members = row["members"].value.split(",")
        for name in members:  # it looks a name up by its place, and stumbles over a number
            at = int(name) if php.is_index(name) else len(members)
            if at < len(members) and not php.is_empty(members[at]):
                raise Unexpected("count() of a text")
        primary = row["primary_member"]
        if not primary.is_empty and primary.value not in members:
            yield Message(primary.ref, f"Primary member {primary.value} not in member list.")


def _check_bridge(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("bridged").rows():
        if not full and not row.changed:
            continue
        members = row["members"].values
        if not row["span"].is_empty and row["span"].value in members:
            yield Message(row["span"].ref, "Span interface cannot be part of the bridge.")
        for name in _OF_BRIDGE:
            if not row[name].is_empty and not set(row[name].values) <= set(members):
                yield Message(row[name].ref, "Contains non bridge members.")


LAGG = Model(
    "Interfaces.Lagg",
    "/laggs",
    {
        "lagg": Table(
            {
                "laggif": Text(
                    required=True,
                    constraints={"one": Unique("LAGG device already exists.")},
                    mask=r"/^lagg(\d)*$/",
                ),
                "members": Listed(
                    make=_free,
                    required=True,
                    multiple=True,
                    message="At least one valid member is required.",
                ),
                "primary_member": Listed(make=_free),
                "proto": Option(
                    required=True,
                    default="lacp",
                    options=same("none lacp failover fec loadbalance roundrobin"),
                ),
                "lacp_fast_timeout": Boolean(required=True),
                "use_flowid": Option(options={"": "Default", "1": "Yes", "0": "No"}),
                "lagghash": Option(
                    multiple=True,
                    options={
                        "l2": "L2: src/dst MAC address and optional VLAN number.",
                        "l3": "L3: src/dst address for IPv4 or IPv6.",
                        "l4": "L4: src/dst port for TCP/UDP/SCTP.",
                    },
                ),
                "lacp_strict": Option(options={"": "Default", "1": "Yes", "0": "No"}),
                "mtu": Integer(576, 65535),
                "descr": Description(),
            }
        ),
    },
    version="1.0.0",
    checks=_check_lagg,
    title="LAGG devices",
)

BRIDGE = Model(
    "Interfaces.Bridge",
    "/bridges",
    {
        "bridged": Table(
            {
                "bridgeif": Text(
                    required=True,
                    constraints={"one": Unique("Bridge device already exists.")},
                    mask=r"/^bridge[\d]+$/",
                ),
                "members": Listed(make=_bridgeable, required=True, multiple=True),
                "linklocal": Boolean(),
                "enablestp": Boolean(),
                "proto": Option(
                    required=True, default="rstp", options={"rstp": "RSTP", "stp": "STP"}
                ),
                "stp": Listed(make=_bridgeable, multiple=True),
                "maxage": Integer(6, 40),
                "fwdelay": Integer(4, 30),
                "holdcnt": Integer(1, 10),
                "maxaddr": Integer(1),
                "timeout": Integer(0),
                "span": Listed(make=_bridgeable),
                "edge": Listed(make=_bridgeable, multiple=True),
                "autoedge": Listed(make=_bridgeable, multiple=True),
                "ptp": Listed(make=_bridgeable, multiple=True),
                "autoptp": Listed(make=_bridgeable, multiple=True),
                "static": Listed(make=_bridgeable, multiple=True),
                "private": Listed(make=_bridgeable, multiple=True),
                "descr": Description(),
            }
        ),
    },
    version="1.0.0",
    checks=_check_bridge,
    title="Bridge devices",
)
