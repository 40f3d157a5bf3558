"""Addresses that an interface has besides its own."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option
from homelab_lib.twin.opnsense.fields.network import Network
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.models.bundles import VIRTUAL, called
from homelab_lib.twin.opnsense.nodes import Box, Rows
from homelab_lib.twin.opnsense.tree import Tree

_NO_MODE = "The current interface type does not support this mode."


def _for_addresses(leaf: Leaf) -> Offer:
    return {
        each.tag: called(each)
        for each in leaf.tree.config.find("interfaces") or ()
        if each.findtext("type") != "group" and each.findtext("if") != "enc0"
    }


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
    virtual = re.sub(r"(?<=..)[0-9].*$", "", device) in VIRTUAL
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
