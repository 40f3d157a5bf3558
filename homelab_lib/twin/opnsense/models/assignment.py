"""Which device each interface is."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Choice, Offer
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.numbers import Boolean
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.models.interfaces import by_interface
from homelab_lib.twin.opnsense.tree import Tree

TODO = "/tmp/.interfaces.todo"
"""Where the appliance notes what becomes of assignments once they are taken over."""


@dataclass(frozen=True, kw_only=True)
class Device(Choice):
    """A device that may be assigned; it says beside itself of what kind it is."""

    def listed(self, leaf: Leaf) -> Offer:
        found: Offer = {
            each.name: _offered(f"{each.name} ({each.mac})", "hardware")
            for each in leaf.tree.box.devices
            if each.physical
        }
        config = leaf.tree.config
        for vlan in config.findall("vlans/vlan"):
            name, on, tag = (vlan.findtext(key) or "" for key in ("vlanif", "if", "tag"))
            called = f"{name} {vlan.findtext('descr') or ''} (Parent: {on}, Tag: {tag})"
            found[name] = _offered(called, "vlan")
        for kind, path, tag in (
            ("lagg", "laggs/lagg", "laggif"),
            ("bridge", "bridges/bridged", "bridgeif"),
        ):
            for each in config.findall(path):
                name = each.findtext(tag) or ""
                found[name] = _offered(f"{name} ({each.findtext('descr') or ''})", kind)
                for member in (each.findtext("members") or "").split(","):
                    if kind == "lagg":
                        found.pop(member, None)
        return found

    def accept(self, leaf: Leaf, value: str) -> str | None:
        known = self.offer(leaf).get(value)
        row = leaf.parent
        row["icon"].set(known["data"]["icon"] if known else "fa fa-plug text-muted")
        if known:
            row["optgroup"].set(known["optgroup"])
        return super().accept(leaf, value)


def _offered(called: str, group: str) -> dict[str, Any]:
    return {"value": called, "optgroup": group, "data": {"icon": "fa fa-plug text-success"}}


@dataclass(frozen=True, kw_only=True)
class InterfaceName(Description):
    """What an interface is called; one that has no name goes by its identifier."""

    def described(self, leaf: Leaf) -> str:
        uuid = leaf.parent.uuid
        return leaf.value or ("" if len(uuid) > 30 else uuid.upper())


def _by_hand(config: ET.Element) -> list[ET.Element]:
    """Interfaces that are no service's own."""
    return [each for each in by_interface(config) if php.is_empty(each.findtext("virtual") or "")]


def todo(tree_or_box: Any) -> dict[str, dict[str, str]]:
    """What becomes of assignments once they are taken over."""
    box = getattr(tree_or_box, "box", tree_or_box)
    return json.loads(box.files.text(TODO)) if box.files.exists(TODO) else {}


def _note(tree: Tree, name: str, **what: str) -> None:
    noted = todo(tree)
    noted[name] = noted.get(name, {}) | what
    tree.box.files.put(TODO, json.dumps(noted), mode=0o600)


def _fetch(tree: Tree) -> None:
    noted = todo(tree)
    for each in _by_hand(tree.config):
        mine = noted.get(each.tag, {})
        if mine.get("pending_action") == "delete":
            continue
        row = tree.at("interface").add(each.tag)
        row["descr"].set(each.findtext("descr") or "")
        row["identifier"].set(each.tag)
        row["lock"].set("0" if php.is_empty(each.findtext("lock") or "") else "1")
        row["if"].set(mine.get("pending_if") or each.findtext("if") or "")


def _keep(tree: Tree) -> None:
    """Names and locks at once; other devices and deletions once they are taken over."""
    held = tree.config.find("interfaces")
    assert held is not None
    rows = tree.at("interface")
    known = []
    for each in _by_hand(tree.config):
        row = rows.get(each.tag)
        if row is None:
            _note(tree, each.tag, pending_action="delete")
        else:
            for tag in ("descr", "lock"):
                _put(each, tag, row[tag].value)
            if (each.findtext("if") or "") != row["if"].value:
                _note(tree, each.tag, pending_action="relink", pending_if=row["if"].value)
        known.append(each.tag)
    number = 1
    while f"opt{number}" in known:
        number += 1
    for row in rows.rows():
        if held.find(row.ref.rpartition(".")[2]) is not None:
            continue
        made = ET.SubElement(held, f"opt{number}")
        for tag in ("if", "descr", "lock"):
            _put(made, tag, row[tag].value)
        rows.rename(row, made.tag)
        number += 1


def _put(place: ET.Element, tag: str, text: str) -> None:
    found = place.find(tag)
    (ET.SubElement(place, tag) if found is None else found).text = text or None


def _check_assignment(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("interface").rows():
        name = row.ref.rpartition(".")[2]
        device = row["if"].value
        if (full or row.changed) and re.match(r"bridge[0-9]", device):
            for bridge in tree.config.findall("bridges/bridged"):
                if name in (bridge.findtext("members") or "").split(","):
                    yield Message(
                        row["if"].ref,
                        f"You cannot set device {device} to interface {name} because it cannot be "
                        "a member of itself.",
                    )


ASSIGNMENT = Model(
    "Interfaces.NetworkInterface",
    "",
    {
        "interface": Table(
            {
                "descr": InterfaceName(mask="/^[a-z_0-9]{0,255}$/i"),
                "identifier": Text(),
                "icon": Text(volatile=True),
                "optgroup": Text(volatile=True),
                "if": Device(
                    required=True,
                    constraints={"one": Unique("Can not assign a device to more interfaces.")},
                ),
                "lock": Boolean(default="1", required=True),
            }
        ),
    },
    checks=_check_assignment,
    fetch=_fetch,
    keep=_keep,
)
