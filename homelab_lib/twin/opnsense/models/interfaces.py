"""VLANs, assignments of devices to interfaces, and what all interfaces share."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Option
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.tree import Tree

PRIORITIES = {
    "1": "Background (1, lowest)",
    "0": "Best Effort (0, default)",
    "2": "Excellent Effort (2)",
    "3": "Critical Applications (3)",
    "4": "Video (4)",
    "5": "Voice (5)",
    "6": "Internetwork Control (6)",
    "7": "Network Control (7, highest)",
}

_NO_PARENTS = ("qinq", "lo", "enc", "pflog", "pfsync", "bridge", "vlan", "wg", "tun", "ovpn")
_TOO_LONG = (
    'Only a maximum of 15 characters is allowed starting with "{0}0" combined with numeric '
    'characters and dots, e.g. "{0}0.1.104".'
)


def assigned(config: ET.Element) -> dict[str, str]:
    """What the assigned devices are called."""
    return {
        each.findtext("if") or "": each.findtext("descr") or each.tag.upper()
        for each in by_interface(config)
    }


def by_interface(config: ET.Element) -> list[ET.Element]:
    found = config.find("interfaces")
    return [] if found is None else list(found)


def _parents(leaf: Leaf) -> Offer:
    """Devices that a VLAN may be on."""
    names = assigned(leaf.tree.config)

    def called(device: str) -> str:
        return f" [{names[device]}]" if names.get(device) else ""

    found: Offer = {
        each.name: f"{each.name} ({each.mac}){called(each.name)}"
        for each in leaf.tree.box.devices
        if not each.name.startswith(_NO_PARENTS)
    }
    for row in leaf.tree.config.findall("vlans/vlan"):
        name = row.findtext("vlanif") or ""
        if not name.startswith("qinq"):
            on = f"(Tag: {row.findtext('tag') or ''}, Parent: {row.findtext('if') or ''})"
            found[name] = f"{name} {on}{called(name)}"
    return found


def _check_vlan(tree: Tree, full: bool) -> Iterator[Message]:
    before = {row.get("uuid"): row.findtext("vlanif") for row in tree.config.findall("vlans/vlan")}
    for row in tree.at("vlan").rows():
        parent, name = row["if"], row["vlanif"]
        prefix = "qinq" if "vlan" in parent.value else "vlan"
        itself = parent.value == name.value or (before.get(row.uuid) or "") == parent.value
        for leaf in row.leaves():
            if not (full or leaf.changed) or leaf.tag not in ("if", "vlanif"):
                continue
            if leaf is name:
                if name.value == f"{parent.value}_vlan{row['tag'].value}":
                    continue
                if not name.value.startswith(prefix):
                    yield Message(name.ref, f'The device name prefix "{prefix}" is required.')
                elif not re.fullmatch(rf"{prefix}0[0-9.]{{1,10}}\n?", name.value):
                    yield Message(name.ref, _TOO_LONG.format(prefix))
            if itself:
                yield Message(leaf.ref, "VLAN can not be assigned to itself.")


VLAN = Model(
    "Interfaces.Vlan",
    "/vlans",
    {
        "vlan": Table(
            {
                "if": Listed(make=_parents, required=True, constraints={"one": "tag.one"}),
                "tag": Integer(
                    1,
                    4094,
                    required=True,
                    constraints={"one": Unique("Tag for this device must be unique.", ("if",))},
                ),
                "pcp": Option(PRIORITIES, required=True, default="0"),
                "proto": Option({"802.1q": "802.1q", "802.1ad": "802.1ad"}, blank="Automatic"),
                "descr": Description(),
                "vlanif": Text(
                    required=True, constraints={"one": Unique("The device name must be unique.")}
                ),
            }
        ),
    },
    checks=_check_vlan,
    title="VLAN configuration",
)


@dataclass(frozen=True, kw_only=True)
class Duid(Text):
    """The name that a DHCPv6 client goes by."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        yield from super().check(leaf)
        if not php.is_empty(leaf.value) and not is_duid(leaf.value):
            yield "A valid DUID must be specified."


def is_duid(text: str) -> bool:
    """Whether it is bytes in hexadecimal of one of the four kinds."""
    values = text.split(":")
    if not 6 <= len(values) <= 254:
        return False
    if not all(re.fullmatch(r"[0-9A-Fa-f]+", v) and int(v, 16) <= 255 for v in values):
        return False
    kind, hardware = int(values[1], 16), int(values[3], 16)
    return (kind in (1, 3) and hardware == 1) or kind in (2, 4) or (kind, hardware) == (0, 4)


SETTINGS = Model(
    "Interfaces.Settings",
    "//OPNsense/Interfaces/settings",
    {
        "disablechecksumoffloading": Boolean(default="1", required=True),
        "disablesegmentationoffloading": Boolean(default="1", required=True),
        "disablelargereceiveoffloading": Boolean(default="1", required=True),
        "disablevlanhwfilter": Option(
            {
                "0": "Enable VLAN Hardware Filtering",
                "1": "Disable VLAN Hardware Filtering",
                "2": "Leave default",
            },
            default="2",
            required=True,
        ),
        "disableipv6": Boolean(required=True),
        "dhcp6_norelease": Boolean(required=True),
        "dhcp6_debug": Boolean(required=True),
        "dhcp6_duid": Duid(),
        "dhcp6_ratimeout": Integer(default="10", required=True),
    },
    title="Global interface settings",
)
