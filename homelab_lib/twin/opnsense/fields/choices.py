"""Fields whose values are on a list: fixed ones, interfaces, rows of another table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.fields.base import Field, Leaf
from homelab_lib.twin.opnsense.fields.texts import pattern
from homelab_lib.twin.opnsense.order import natural

Offer = dict[str, Any]
"""What is on the list: what a person reads, by value; or that and its group."""


@dataclass(frozen=True, kw_only=True)
class Choice(Field):
    """One of a list, or several.

    Parameters
    ----------
    multiple
        Whether several may be chosen.
    blank
        What no choice is called.
    """

    multiple: bool = False
    blank: str = "None"
    says_by_itself: ClassVar[str] = "Option [%s] not in list."

    def offer(self, leaf: Leaf) -> Offer:
        """The list."""
        return leaf.tree.remembered(("offer", id(self)), lambda: self.listed(leaf))

    def listed(self, leaf: Leaf) -> Offer:
        """The list, made anew."""
        raise NotImplementedError

    def check(self, leaf: Leaf) -> Iterator[str]:
        offer = self.offer(leaf)
        if not self.multiple:
            if leaf.value not in offer:
                yield self.says()
            return
        for each in leaf.value.split(","):
            if each not in offer:
                yield self.says(each)

    def values(self, leaf: Leaf) -> list[str]:
        return [each for each in leaf.value.split(",") if each]

    def data(self, leaf: Leaf) -> Any:
        found: dict[str, Any] = {}
        if not self.required and not self.multiple:
            found[""] = {"value": self.blank, "selected": int(not leaf.is_set)}
        chosen = leaf.value.split(",")
        for value, called in self.offer(leaf).items():
            shown = dict(called) if isinstance(called, dict) else {"value": called}
            found[value] = shown | {"selected": int(value in chosen)}
        return found

    def described(self, leaf: Leaf) -> str:
        offer = self.offer(leaf)
        called = [offer.get(each, each) for each in self.values(leaf)]
        return ", ".join(str(c["value"]) if isinstance(c, dict) else str(c) for c in called)


@dataclass(frozen=True)
class Option(Choice):
    """One of a fixed list."""

    options: Mapping[str, Any] = field(default_factory=dict)

    def listed(self, leaf: Leaf) -> Offer:
        return dict(self.options)


def same(names: str) -> dict[str, str]:
    """A list of values that are called by themselves, with blanks between."""
    return {each: each for each in names.split()}


@dataclass(frozen=True)
class Listed(Choice):
    """One of a list that something of the firewall makes."""

    make: Callable[[Leaf], Offer] = field(default=lambda leaf: {})

    def listed(self, leaf: Leaf) -> Offer:
        return self.make(leaf)


@dataclass(frozen=True, kw_only=True)
class Interface(Choice):
    """An interface by its identifier.

    Parameters
    ----------
    where
        What has to be in its settings, each a pattern; a setting that is missing is ``0``.
    parents
        Whether devices with VLANs on them are on offer as well.
    dynamic
        Whether those are that a service makes: ``Y`` all, ``S`` those with an address.
    """

    where: Mapping[str, str] = field(default_factory=dict)
    parents: bool = False
    dynamic: str = ""

    def listed(self, leaf: Leaf) -> Offer:
        config = leaf.tree.config
        found: dict[str, ET.Element] = {}
        for each in config.find("interfaces") if config.find("interfaces") is not None else ():
            made = (each.findtext("internal_dynamic") or "0") not in ("", "0")
            addressed = each.findtext("ipaddr") or each.findtext("ipaddrv6")
            if made and (not self.dynamic or (self.dynamic == "S" and not addressed)):
                continue
            found[each.tag] = each
        if self.parents:
            found |= self._parents(config, found)
        shown = {
            name: each.findtext("descr") or name.upper()
            for name, each in found.items()
            if all(pattern(mask).search(_setting(each, key)) for key, mask in self.where.items())
        }
        return dict(sorted(shown.items(), key=lambda item: natural(item[1])))

    def _parents(
        self, config: ET.Element, known: Mapping[str, ET.Element]
    ) -> Iterator[tuple[str, ET.Element]]:
        by_device = {e.findtext("if") or "": e for e in known.values()}
        above: dict[str, list[str]] = {}
        for lagg in config.findall("laggs/lagg"):
            for member in (lagg.findtext("members") or "").split(","):
                above.setdefault(member, []).append(lagg.findtext("laggif") or "")
        for vlan in config.findall("vlans/vlan"):
            above.setdefault(vlan.findtext("if") or "", []).append(vlan.findtext("vlanif") or "")
        for device, children in above.items():
            if device in by_device:
                continue
            parent = ET.Element(device or "none")
            enabled = [by_device[c].findtext("enable") or "" for c in children if c in by_device]
            ET.SubElement(parent, "enable").text = next(filter(None, reversed(enabled)), "0")
            ET.SubElement(parent, "descr").text = f"[{device}]"
            ET.SubElement(parent, "if").text = device
            yield device, parent


def _setting(each: ET.Element, key: str) -> str:
    found = each.find(key)
    return "0" if found is None else found.text or ""


@dataclass(frozen=True, kw_only=True)
class Relation(Choice):
    """A row of a table, of this model or another.

    Parameters
    ----------
    model
        The other model's name; empty for the leaf's own.
    items
        The table in it.
    display
        Fields by which a row is called.
    form
        How these make its name.
    where
        What has to be in its fields, each a pattern.
    in_order
        Whether the order of the choice is kept.
    """

    model: str = ""
    items: str
    display: tuple[str, ...]
    form: str = "%s"
    where: Mapping[str, str] = field(default_factory=dict)
    in_order: bool = False

    def offer(self, leaf: Leaf) -> Offer:
        if not self.model:  # rows that have only just come are on the list
            return self.listed(leaf)
        return super().offer(leaf)

    def listed(self, leaf: Leaf) -> Offer:
        tree = leaf.tree.others(self.model) if self.model else leaf.tree
        table = tree.at(self.items)
        shown: Offer = {}
        for row in table.rows() if table is not None else ():
            if all(_fits(row.get(key), mask) for key, mask in self.where.items()):
                called = tuple(
                    leaf.field.described(leaf) for key in self.display if (leaf := row.get(key))
                )
                shown[row.ref.rpartition(".")[2]] = self.form % called
        if self.in_order:
            return shown
        return dict(sorted(shown.items(), key=lambda item: natural(item[1])))


def _fits(leaf: Leaf | None, mask: str) -> bool:
    return leaf is None or bool(pattern(mask).search(leaf.value))
