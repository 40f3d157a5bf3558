"""Several devices as one, bridges, and further addresses of interfaces."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.errors import Unexpected
from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option, same
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.network import Network
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.nodes import Box, Rows
from homelab_lib.twin.opnsense.tree import Tree

_VIRTUAL = ("lo", "ipsec", "l2tp", "ppp", "pppoe", "pptp")
_OF_BRIDGE = ("stp", "edge", "autoedge", "ptp", "autoptp", "static", "private")
_NO_MODE = "The current interface type does not support this mode."


def _free(leaf: Leaf) -> Offer:
    """Cards that are no interface."""
    used = [e.findtext("if") or "" for e in leaf.tree.config.find("interfaces") or ()]
    found = [each for each in leaf.tree.box.devices if each.physical and each.name not in used]
    return {each.name: f"{each.name} ({each.mac})" for each in found}


def _called(each: ET.Element) -> str:
    return each.findtext("descr") or each.tag.upper()


def _bridgeable(leaf: Leaf) -> Offer:
    return {
        each.tag: _called(each)
        for each in leaf.tree.config.find("interfaces") or ()
        if php.is_empty(each.findtext("virtual") or "")
    }


def _for_addresses(leaf: Leaf) -> Offer:
    return {
        each.tag: _called(each)
        for each in leaf.tree.config.find("interfaces") or ()
        if each.findtext("type") != "group" and each.findtext("if") != "enc0"
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


@dataclass(frozen=True, kw_only=True)
class _Part(Text):
    """An address or its length; each is told what is wrong with both."""

    def judged(self, leaf: Leaf) -> Iterator[str]:
        yield from super().judged(leaf)
        address, length = leaf.parent["subnet"], leaf.parent["subnet_bits"]
        if leaf is length and address.changed:
            return
        if not filters.is_ip(address.text):
            yield "A valid network address is required."
        elif not filters.is_subnet(f"{address.text}/{length.text}"):
            yield "A valid network subnet is required."


def _shown(rows: Rows) -> None:
    for row in rows.rows():
        row["address"].value = f"{row['subnet'].value}/{row['subnet_bits'].value}"
        vhid = row["vhid"].value
        if row["mode"].value == "carp":
            vhid = f"{vhid} (freq. {row['advbase'].value}/{row['advskew'].value})"
        row["vhid_txt"].value = vhid


_LOOKED_AT = ("mode", "subnet", "subnet_bits", "password", "vhid", "interface", "peer", "peer6")


def _check_vip(tree: Tree, full: bool) -> Iterator[Message]:
    rows = tree.at("vip").rows()
    first: dict[tuple[str, str], Box] = {}
    for row in rows:
        if row["mode"].value == "carp":
            first.setdefault((row["interface"].value, row["vhid"].value), row)
    for row in rows:
        if not full and not any(row[name].changed for name in _LOOKED_AT):
            continue
        group = first.get((row["interface"].value, row["vhid"].value))
        yield from _address(row)
        yield from _mode(row, group)
        mine = _scoped(row)
        for _ in (other for other in rows if other is not row and _scoped(other) == mine):
            yield Message(row["subnet"].ref, "Address already assigned.")


def _scoped(row: Box) -> str:
    address = row["subnet"].value
    local = re.match(r"fe[89ab][0-9a-f]:", address, re.I)
    return f"{address}@{row['interface'].value}" if local else str(address)


def _address(row: Box) -> Iterator[Message]:
    subnet = f"{row['subnet'].value}/{row['subnet_bits'].value}"
    if not filters.is_subnet(subnet):
        return
    interface = ipaddress.ip_interface(subnet)
    network = interface.network
    host = row["mode"].value in ("carp", "ipalias")
    if host and network.version == 4 and network.prefixlen <= 30:
        if interface.ip == network.network_address:
            yield Message(row["subnet"].ref, "You cannot use the network address.")
        elif interface.ip == network.broadcast_address:
            yield Message(row["subnet"].ref, "You cannot use the broadcast address.")
    elif row["mode"].value == "proxyarp" and not filters.is_subnet_strict(subnet):
        yield Message(
            row["subnet"].ref,
            "Only strict subnets are allowed for Proxy ARP types (e.g. 192.168.0.0/24, "
            "192.168.1.1/32).",
        )


def _mode(row: Box, group: Box | None) -> Iterator[Message]:
    mode, vhid, name = (row[each] for each in ("mode", "vhid", "interface"))
    found = row.tree.config.find(f"interfaces/{name.value}") if name.value.isalnum() else None
    device = "mismatch" if found is None else found.findtext("if") or ""
    virtual = re.sub(r"(?<=..)[0-9].*$", "", device) in _VIRTUAL
    if mode.value in ("proxyarp", "carp") and virtual:
        yield Message(mode.ref, _NO_MODE)
    if mode.value == "carp":
        yield from _carp(row, group)
    elif mode.value == "ipalias" and not vhid.is_empty:
        if virtual:
            yield Message(vhid.ref, _NO_MODE)
        elif group is None:
            yield Message(
                vhid.ref,
                f"VHID {vhid.value} must be defined on interface {name.value} as a CARP VIP first.",
            )


def _carp(row: Box, group: Box | None) -> Iterator[Message]:
    vhid, six = row["vhid"], ":" in row["subnet"].value
    if row["password"].is_empty:
        yield Message(
            row["password"].ref,
            "You must specify a CARP password that is shared between the two VHID members.",
        )
    if vhid.is_empty:
        yield Message(vhid.ref, "A VHID must be selected for this CARP VIP.")
    elif group is not None and group is not row:
        yield Message(
            vhid.ref,
            f"VHID {vhid.value} is already in use on interface {group['interface'].value}. Pick a "
            "unique number on this interface.",
        )
    peer = row["peer"] if six else row["peer6"]
    if not peer.is_empty:
        yield Message(
            peer.ref, "An (unicast) address can only be configured for the same protocol family."
        )


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

VIP = Model(
    "Interfaces.Vip",
    "/virtualip",
    {
        "vip": Table(
            {
                "interface": Listed(make=_for_addresses, required=True),
                "mode": Option(
                    required=True,
                    default="ipalias",
                    options={"ipalias": "IP Alias", "carp": "CARP", "proxyarp": "Proxy ARP"},
                ),
                "subnet": _Part(),
                "subnet_bits": _Part(),
                "gateway": Network(),
                "noexpand": Boolean(required=True),
                "nobind": Boolean(required=True),
                "password": Text(),
                "vhid": Integer(
                    1,
                    255,
                    message="Invalid VHID number provided, Acceptable values for vhid are 1 to "
                    "255.",
                ),
                "advbase": Integer(
                    1,
                    254,
                    required=True,
                    default="1",
                    message="Invalid advertisement interval, acceptable values are 1 to 255.",
                ),
                "advskew": Integer(
                    0,
                    254,
                    required=True,
                    default="0",
                    message="Invalid skew value, acceptable values are 0 to 255.",
                ),
                "peer": Network(mask_allowed=False, family="ipv4"),
                "peer6": Network(mask_allowed=False, family="ipv6"),
                "nosync": Boolean(required=True),
                "address": Text(volatile=True),
                "vhid_txt": Text(volatile=True),
                "descr": Description(),
            },
            after_loading=_shown,
        ),
    },
    version="1.0.1",
    checks=_check_vip,
    title="Virtual IP configuration",
)
