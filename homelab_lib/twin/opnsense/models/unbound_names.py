"""Unbound: names, and what it listens to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer
from homelab_lib.twin.opnsense.fields.network import Hostname, Network
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.order import natural


def _listens(leaf: Leaf) -> Offer:
    found = {
        each.tag: each.findtext("descr") or each.tag.upper()
        for each in leaf.tree.config.find("interfaces") or ()
        if php.is_empty(each.findtext("virtual") or "")
    }
    return dict(sorted(found.items(), key=lambda item: natural(item[1])))


LISTENS = Listed(make=_listens, multiple=True)


@dataclass(frozen=True, kw_only=True)
class Address(Network):
    """An address; until 26.7 a network passed."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        if "/" in leaf.value and leaf.tree.box.release >= (26, 7):
            yield self.says()
        else:
            yield from super().check(leaf)


@dataclass(frozen=True, kw_only=True)
class Aliases(Hostname):
    """Further names of a host, as one list; they are rows of their own."""

    as_list: bool = True
    host_wildcard: bool = True
    fqdn_wildcard: bool = True
    dns_name: bool = True
    ip: bool = False

    def own_words(self) -> str:
        return "[%s] is not a valid host/domain name."

    def after_loading(self, leaf: Leaf) -> None:
        leaf.value = leaf.stored = ",".join(_alias_names(leaf.parent))

    def accept(self, leaf: Leaf, value: str) -> str | None:
        taken = super().accept(leaf, value) or ""
        if leaf.loaded:
            _make_aliases(leaf.parent, taken)
        return taken


def _alias_rows(host: Box) -> list[Box]:
    rows = host.tree.at("aliases.alias").rows()
    return [row for row in rows if row["host"].value == host.uuid]


def _alias_name(host: Box, row: Box) -> str:
    name, domain = row["hostname"].value, row["domain"].value or host["domain"].value
    return f"{name}.{domain}" if name else domain


def _alias_names(host: Box) -> list[str]:
    return [_alias_name(host, row) for row in _alias_rows(host)]


def _make_aliases(host: Box, names: str) -> None:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for row in _alias_rows(host):
        if _alias_name(host, row) not in wanted:
            host.tree.at("aliases.alias").delete(row.uuid)
    for name in dict.fromkeys(wanted):
        if name not in _alias_names(host):
            first, _, domain = name.rstrip(".").partition(".")
            same_domain = domain == host["domain"].value
            row = host.tree.at("aliases.alias").add()
            values: dict[str, Any] = {"enabled": "1", "host": host.uuid, "hostname": first}
            row.set(values | {"domain": "" if same_domain else domain})
