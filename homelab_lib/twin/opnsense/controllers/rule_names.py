"""What the ends of rules are called, for a person."""

import html
from collections.abc import Iterable
from typing import Any

from homelab_lib.twin.opnsense.order import natural
from homelab_lib.twin.opnsense.visit import Visit

_SHOWN = 10


def names_of(visit: Visit, names: str) -> list[dict[str, Any]]:
    """Each of a list of ends by its name."""
    known: dict[str, str] = {"any": "any", "(self)": "This Firewall"}
    for each in visit.config.find("interfaces") or ():
        called = html.escape(each.findtext("descr") or each.tag.upper())
        known[each.tag] = known[each.findtext("if") or each.tag] = f"{called} network"
        known[f"{each.tag}ip"] = f"{called} address"
    aliases = {row["name"].value: row for row in visit.tree("Firewall.Alias").aliases().rows()}
    return [_told(name.strip(), known, aliases) for name in names.split(",")]


def _told(name: str, known: dict[str, str], aliases: dict[str, Any]) -> dict[str, Any]:
    if name in aliases:
        row = aliases[name]
        description, content = row["description"].value, row["content"].value
        summary = f"<strong>{description}</strong><br/>" if description else ""
        entries = content.split("\n") if content else []
        shown = sorted(entries[:_SHOWN], key=natural)
        shown += ["[...]"] if len(entries) > _SHOWN else []
        called = {"value": name, "%value": name, "isAlias": True}
        return {"summary": summary + "<br/>".join(shown), "description": description, **called}
    return {
        "value": name,
        "%value": known.get(name, name),
        "isAlias": False,
        "description": "",
    }


def colours(visit: Visit, uuids: Iterable[str]) -> list[dict[str, str]]:
    """The categories of a rule with their colours."""
    rows = visit.tree("Firewall.Category").at("categories.category")
    found = [row for uuid in uuids if (row := rows.get(uuid)) is not None]
    return [
        {
            "color": f"#{row['color'].value}" if not row["color"].is_empty else "",
            "name": row["name"].value,
            "uuid": row.uuid,
        }
        for row in found
    ]
