"""Resource mappings: names for a node's PCI cards, and what each has to be.

Making one checks nothing of the hardware, and so takes capital letters that no card ever has.

Source: `PVE::API2::Cluster::Mapping::PCI` (pve-manager 9.2), `PVE::Mapping::PCI`
(pve-guest-common 6).
"""

from typing import Any

from homelab_lib.twin.proxmox.api import Given, Methods
from homelab_lib.twin.proxmox.formats import BOOLEAN, CONFIG_ID, NODE, many
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.pci import rows
from homelab_lib.twin.proxmox.schema import (
    Format,
    Property,
    PveError,
    Schema,
    split_list,
    split_properties,
)

calls = Methods()

_PATH = "/cluster/mapping/pci"
_PCI = r"[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:.[a-f0-9])?"
_PAIR = Property(pattern="[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
_MAP: Schema = {
    "node": Property(format=NODE, required=True),
    "path": Property(pattern=f"(?:{_PCI};)*{_PCI}", required=True),
    "id": Property(pattern=_PAIR.pattern, required=True),
    "subsystem-id": _PAIR,
    "iommugroup": Property("integer"),
    "description": Property(max_length=4096),
}
_OPTIONS: dict[str, Property] = {
    "description": Property(max_length=4096),
    "live-migration-capable": BOOLEAN,
    "mdev": BOOLEAN,
}


def _map(*, required: bool) -> Property:
    return Property("array", items=Property(format=Format(keys=_MAP)), required=required)


def entries(node: ProxmoxNode, name: str) -> list[dict[str, str]]:
    """What a mapping has for this node."""
    found = node.mappings.get(name, {}).get("map", [])
    split = [split_properties(each) for each in found]
    return [each for each in split if each.get("node") == node.node]


def expected(node: ProxmoxNode, name: str, entry: dict[str, str]) -> str:
    """What of an entry is not as the hardware is, in Proxmox's words; empty for nothing."""
    path = entry["path"].split(";")[0]
    path = path if "." in path else f"{path}.0"
    row = next((row for row in rows(node) if row["id"] == path), None)
    if row is None:
        return f"pci device '{path}' not found"
    facts: dict[str, str | None] = {
        "id": f"{row['vendor'][2:]}:{row['device'][2:]}",
        "iommugroup": str(row["iommugroup"]) if row["iommugroup"] >= 0 else None,
        "subsystem-id": None,
    }
    if row.get("subsystem_vendor") and row.get("subsystem_device"):
        facts["subsystem-id"] = f"{row['subsystem_vendor'][2:]}:{row['subsystem_device'][2:]}"
    for key in sorted(facts):
        is_, has = facts[key], entry.get(key)
        if is_ is not None and has is None:
            return f"missing expected property '{key}' for device '{path}'"
        if is_ is None and has is not None:
            return f"unexpected property '{key}' configured for device '{path}'"
        if is_ != has:
            return f"'{key}' does not match for '{name}' ({is_} != {has})"
    return ""


@calls("GET", _PATH, {"check-node": Property(format=NODE)})
def _index(node: ProxmoxNode, given: Given) -> Any:
    node.learn("mappings")
    asked = given.get("check-node")
    if asked not in (None, "localhost", node.node):
        raise PveError(f"wrong node to check - {asked} != {node.node}")
    shown = []
    for name, mapping in sorted(node.mappings.items()):
        row: dict[str, Any] = {"id": name, **mapping}
        if asked is not None:
            row["checks"] = _checks(node, name)
        shown.append(row)
    return shown


def _checks(node: ProxmoxNode, name: str) -> list[dict[str, str]]:
    here = entries(node, name)
    if not here:
        return [{"severity": "warning", "message": f"No mapping for node {node.node}."}]
    wrong = [why for each in here if (why := expected(node, name, each))]
    return [{"severity": "error", "message": f"Invalid configuration: {why}\n"} for why in wrong]


@calls(
    "POST",
    _PATH,
    _OPTIONS | {"id": Property(format=CONFIG_ID, required=True), "map": _map(required=True)},
)
def _create(node: ProxmoxNode, given: Given) -> Any:
    node.learn("mappings")
    name = given["id"]
    if name in node.mappings:
        raise PveError(f"create hardware mapping failed: pci ID '{name}' already defined")
    node.mappings[name] = _kept(given)


@calls(
    "PUT",
    f"{_PATH}/{{id}}",
    _OPTIONS
    | {
        "map": _map(required=False),
        "delete": Property(format=many(CONFIG_ID), max_length=4096),
        "digest": Property(max_length=64),
    },
)
def _update(node: ProxmoxNode, given: Given) -> Any:
    node.learn("mappings")
    name = given["id"]
    if name not in node.mappings:
        raise PveError(f"update hardware mapping failed: pci ID '{name}' does not exist")
    for key in split_list(given.get("delete", "")):
        node.mappings[name].pop(key, None)
    node.mappings[name] |= _kept(given)


@calls("DELETE", f"{_PATH}/{{id}}")
def _delete(node: ProxmoxNode, given: Given) -> Any:
    node.learn("mappings")
    node.mappings.pop(given["id"], None)


def _kept(given: Given) -> dict[str, Any]:
    kept: dict[str, Any] = {key: given[key] for key in _OPTIONS if key in given}
    return kept | ({"map": given["map"].split("\0")} if "map" in given else {})
