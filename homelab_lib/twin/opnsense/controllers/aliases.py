"""Aliases, categories and groups of interfaces: `firewall/alias`, `category`, `group`."""

import html
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.controllers import mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.visit import Visit

_ALIAS = ("Firewall.Alias", "alias", "aliases.alias")
_CATEGORY = ("Firewall.Category", "category", "categories.category")
_GROUP = ("Firewall.Group", "group", "ifgroupentry")
_MVC = "OPNsense/Firewall/Filter"
_ENDS = ("source_net", "source_port", "destination_net", "destination_port")
_LEGACY = tuple(
    f"{end}/{part}" for end in ("source", "destination") for part in ("address", "network", "port")
)
_PLACES = (
    *(("filter/rule", each) for each in _LEGACY),
    *(("nat/rule", each) for each in (*_LEGACY, "target", "local-port")),
    *((f"{_MVC}/onetoone/rule", each) for each in ("source_net", "destination_net")),
    *((f"{_MVC}/rules/rule", each) for each in _ENDS),
    *((f"{_MVC}/snatrules/rule", each) for each in (*_ENDS, "target")),
)
"""Where an alias may be named: in which rules, and which of their fields."""


def _named(config: ET.Element, name: str) -> Iterator[tuple[str, ET.Element, ET.Element]]:
    """Where a name is: the place as the appliance writes it, the rule, the field."""
    for path, field in _PLACES:
        for number, rule in enumerate(config.findall(path)):
            found = rule.find(field)
            if found is not None and name in (found.text or "").split(","):
                place = f"{path.replace('/', '.')}.{number}/{field.replace('/', '.')}"
                yield place, rule, found


def search_alias(visit: Visit) -> Answer:
    kinds = php.mapping(visit.request.get("type")) or {}
    answer = search_rows(
        visit,
        _ALIAS[0],
        _ALIAS[2],
        sort="name",
        fits=lambda row: not kinds or row["type"].value in kinds.values(),
    )
    for row in answer["rows"]:
        row["categories_uuid"] = row["categories"].split(",") if row["categories"] else []
    return answer


def get_alias(visit: Visit, uuid: str = "") -> Answer:
    answer = mutable.get_row(visit, "Firewall.Alias", "alias", "aliases.alias", uuid)
    content: dict[str, Any] = answer.setdefault("alias", {}).setdefault("content", {})
    kept = set(content)
    for row in visit.tree("Firewall.Alias").at("aliases.alias").rows():
        name = row["name"].value
        if name not in kept:
            content[name] = {"selected": 0, "value": name}
        content[name]["description"] = row["description"].value
    return answer


def set_alias(visit: Visit, uuid: str) -> Answer:
    """Another name is written into the rules as well."""
    row = visit.tree("Firewall.Alias").at("aliases.alias").get(uuid)
    given = visit.posted("alias") or {}
    new = given.get("name")
    if visit.is_post and row is not None and isinstance(new, str) and not php.is_empty(new):
        old = row["name"].value
        if new != old:
            _rename(visit, old, new)
    return mutable.set_row(visit, *_ALIAS, uuid)


def _rename(visit: Visit, old: str, new: str) -> None:
    for _, _, field in _named(visit.config, old):
        names = dict.fromkeys((field.text or "").split(","))
        field.text = ",".join(new if name == old else name for name in names)
    for row in visit.tree("Firewall.Alias").at("aliases.alias").rows():
        entries = row["content"].value.split("\n")
        if row["type"].value != "geoip" and old in entries:
            row["content"].set("\n".join(new if e == old else e for e in dict.fromkeys(entries)))


def alias_uuid(visit: Visit, name: str) -> Answer:
    rows = visit.tree("Firewall.Alias").at("aliases.alias").rows()
    found = next((row for row in rows if row["name"].value == name), None)
    return {"uuid": found.uuid} if found else {}


def delete_alias(visit: Visit, uuids: str) -> Answer:
    rows = visit.tree("Firewall.Alias").at("aliases.alias")
    for uuid in uuids.split(",") if not php.is_empty(uuids) else ():
        row = rows.get(uuid)
        if row is None:
            continue
        name = row["name"].value
        uses = {
            place: rule.findtext("descr") or "" for place, rule, _ in _named(visit.config, name)
        }
        for other in rows.rows():
            listed = name in other["content"].value.split("\n")
            if listed and other["type"].value not in ("geoip", "urltable"):
                uses[other.ref] = other["description"].value or other["name"].value
        if uses:
            raise Refused(
                f"Cannot delete alias {name}. Currently in use by {_listed(uses)}", "Alias in use"
            )
    return mutable.delete_rows(visit, _ALIAS[0], _ALIAS[2], uuids)


def _listed(uses: dict[str, str]) -> str:
    lines = (f"\n[{place}] {called}" for place, called in uses.items())
    return "".join(html.escape(line, quote=False) for line in lines)


def take_over_aliases(visit: Visit) -> Answer:
    if not visit.is_post:
        return {"status": "failed"}
    visit.firewall.reload_filter()
    visit.firewall.apply("alias")
    return {"status": "ok"}


def list_network_aliases(visit: Visit) -> Answer:
    rows = visit.tree("Firewall.Alias").at("aliases.alias").rows()
    found = {
        row["name"].value: {"name": row["name"].value, "description": row["description"].value}
        for row in rows
        if row["type"].value not in ("external", "port")
    }
    return dict(sorted(found.items()))


def search_category(visit: Visit, add_empty: str = "0") -> Answer:
    answer = search_rows(visit, _CATEGORY[0], _CATEGORY[2], sort="name")
    if not php.is_empty(add_empty):
        answer["rows"].insert(0, {"uuid": "", "name": "(No Category)", "auto": "", "color": ""})
    return answer


def set_category(visit: Visit, uuid: str) -> Answer:
    row = visit.tree("Firewall.Category").at("categories.category").get(uuid)
    if row is not None and visit.is_post and visit.has_post("category"):
        given = visit.posted("category") or {}
        if "name" not in given:
            raise Unexpected("name is missing")
        new = php.text_of(given["name"])
        _rename_in_rules(visit, "category", row["name"].value, new)
    return mutable.set_row(visit, *_CATEGORY, uuid)


def _old_rules(visit: Visit) -> Iterator[ET.Element]:
    for path in ("filter/rule", "nat/rule", "nat/outbound/rule"):
        yield from visit.config.findall(path)


def _rename_in_rules(visit: Visit, tag: str, old: str, new: str) -> None:
    for rule in _old_rules(visit):
        field = rule.find(tag)
        if field is not None and old in (field.text or "").split(","):
            names = [name for name in (field.text or "").split(",") if name != old]
            field.text = ",".join([*names, new])


def delete_category(visit: Visit, uuids: str) -> Answer:
    row = visit.tree("Firewall.Category").at("categories.category").get(uuids)
    if row is not None:
        name = row["name"].value
        if any(name in (rule.findtext("category") or "").split(",") for rule in _old_rules(visit)):
            raise Refused("Cannot delete a category which is still in use.", "Category in use")
    return mutable.delete_rows(visit, _CATEGORY[0], _CATEGORY[2], uuids, unless_used=True)


_GROUP_RULES = (
    *("filter/rule", "nat/rule", "nat/outbound/rule"),
    *(f"{_MVC}/{kind}/rule" for kind in ("rules", "snatrules", "npt", "onetoone")),
)


def _group_uses(visit: Visit, name: str) -> Iterator[tuple[str, ET.Element, list[ET.Element]]]:
    fields = (
        "interface",
        "source/network",
        "destination/network",
        "source_net",
        "destination_net",
        "target",
    )
    for path in _GROUP_RULES:
        for number, rule in enumerate(visit.config.findall(path)):
            found = [
                field
                for tag in fields
                if (field := rule.find(tag)) is not None and name in (field.text or "").split(",")
            ]
            if found:
                yield f"{path.replace('/', '.')}.{rule.get('uuid') or number}", rule, found


def set_group(visit: Visit, uuid: str) -> Answer:
    row = visit.tree("Firewall.Group").at("ifgroupentry").get(uuid)
    if row is not None and visit.is_post and visit.has_post("group"):
        given = visit.posted("group") or {}
        if "ifname" not in given:
            raise Unexpected("ifname is missing")
        old, new = row["ifname"].value, php.text_of(given["ifname"])
        for _, _, fields in _group_uses(visit, old) if new != old else ():
            for field in fields:
                names = (field.text or "").split(",")
                field.text = ",".join(new if name == old else name for name in names)
    return mutable.set_row(visit, *_GROUP, uuid)


def delete_group(visit: Visit, uuids: str) -> Answer:
    row = visit.tree("Firewall.Group").at("ifgroupentry").get(uuids)
    if row is not None:
        found = _group_uses(visit, row["ifname"].value)
        uses = {place: rule.findtext("descr") or "" for place, rule, _ in found}
        if uses:
            text = f"Cannot delete group. Currently in use by {_listed(uses)}"
            raise Refused(text, "Group in use")
    return mutable.delete_rows(visit, _GROUP[0], _GROUP[2], uuids)


def take_over_groups(visit: Visit) -> Answer:
    if not visit.is_post:
        return {"status": "failed"}
    visit.firewall.reload_filter()
    return {"status": "ok"}


ENDPOINTS = {
    "firewall/alias": {
        **mutable.rows(*_ALIAS, toggles=True),
        **mutable.settings(_ALIAS[0], "alias"),
        "search_item": search_alias,
        "get_item": get_alias,
        "set_item": set_alias,
        "del_item": delete_alias,
        "getAliasUUID": alias_uuid,
        "list_network_aliases": list_network_aliases,
        "reconfigure": take_over_aliases,
    },
    "firewall/category": {
        **mutable.rows(*_CATEGORY),
        **mutable.settings(_CATEGORY[0], "category"),
        "search_item": search_category,
        "set_item": set_category,
        "del_item": delete_category,
    },
    "firewall/group": {
        **mutable.rows(*_GROUP, sort="ifname"),
        **mutable.settings(_GROUP[0], "group"),
        "set_item": set_group,
        "del_item": delete_group,
        "reconfigure": take_over_groups,
    },
}
