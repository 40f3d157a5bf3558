"""What the API says of a node's interfaces, and does with them: what is changed is staged in a file
of its own, until it is applied.

Source: `PVE::API2::Network` (pve-manager 9.2), `PVE::Network::Interfaces` (pve-common 9). There is
no way back from what was applied, and whatever was staged is applied, whoever staged it.
"""

from typing import Any

from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.formats import (
    BOOLEAN,
    CONFIG_ID,
    IFACE,
    IFACE_OF,
    IPV4,
    IPV6,
    interface_cidr,
    many,
)
from homelab_lib.twin.proxmox.ifupdown2 import reload
from homelab_lib.twin.proxmox.interfaces import FILE, STAGED, Row, rows, written
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import Format, ParameterError, Property, PveError, split_list

calls = Methods()

_TYPES = (
    *("bridge", "bond", "eth", "alias", "vlan", "fabric", "OVSBridge", "OVSBond", "OVSPort"),
    *("OVSIntPort", "vnet"),
)
_LISTED = (*_TYPES, "any_bridge", "any_local_bridge", "include_sdn")
_BOND_MODES = (
    *("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb"),
    *("balance-alb", "balance-slb", "lacp-balance-slb", "lacp-balance-tcp"),
)
_RELOAD_S = 2.0


def _vlans(text: str) -> None:
    for word in text.split():
        low, dash, high = word.partition("-")
        numbers = [low, high] if dash else [low]
        if not all(n.isdigit() and 2 <= int(n) <= 4094 for n in numbers):
            raise ValueError(f"invalid VLAN tag or range '{word}'")


_MASK = Format("ipv4mask", lambda text: None)
_ONE = Property(format=IFACE)
_SEVERAL = Property(format=many(IFACE))
_TAG = Property("integer", minimum=1, maximum=4094)
_COMMENT = Property()
_CHANGED = {
    "address": Property(format=IPV4, requires="netmask"),
    "address6": Property(format=IPV6, requires="netmask6"),
    "autostart": BOOLEAN,
    "bond-primary": _ONE,
    "bond_mode": Property(enum=_BOND_MODES),
    "bond_xmit_hash_policy": Property(enum=("layer2", "layer2+3", "layer3+4")),
    "bridge_ports": _SEVERAL,
    "bridge_vids": Property(format=Format("pve-vlan-id-or-range-list", _vlans)),
    "bridge_vlan_aware": BOOLEAN,
    "cidr": Property(format=interface_cidr(4)),
    "cidr6": Property(format=interface_cidr(6)),
    "comments": _COMMENT,
    "comments6": _COMMENT,
    "gateway": Property(format=IPV4),
    "gateway6": Property(format=IPV6),
    "mtu": Property("integer", minimum=1280, maximum=65520),
    "netmask": Property(format=_MASK, requires="address"),
    "netmask6": Property("integer", minimum=0, maximum=128, requires="address6"),
    "ovs_bonds": _SEVERAL,
    "ovs_bridge": _ONE,
    "ovs_options": Property(max_length=1024),
    "ovs_ports": _SEVERAL,
    "ovs_tag": _TAG,
    "slaves": _SEVERAL,
    "type": Property(enum=(*_TYPES, "unknown"), required=True),
    "vlan-id": _TAG,
    "vlan-raw-device": _ONE,
}
_NAMED = {"iface": IFACE_OF}


def _found(node: ProxmoxNode) -> dict[str, Row]:
    """The interfaces as they are staged, or as they are."""
    path = STAGED if node.files.exists(STAGED) else FILE
    links = [card.name for card in node.cards if card.driver]
    up = [link.name for link in node.interfaces if link.up]
    return rows(node.files.text(path), links, up)


def _stage(node: ProxmoxNode, found: dict[str, Row]) -> None:
    used: dict[str, str] = {}
    for name, row in found.items():
        for port in f"{row.get('bridge_ports', '')} {row.get('slaves', '')}".split():
            if used.setdefault(port, name) != name:
                raise PveError(f"port '{port}' is already used on interface '{used[port]}'")
    node.files.put(STAGED, written(found.values()))


@calls("GET", "/nodes/{node}/network", {"type": Property(enum=_LISTED)})
def _network(node: ProxmoxNode, given: Given) -> Any:
    wanted = given.get("type", "")
    wanted = "bridge" if wanted.endswith("_bridge") else wanted
    return [row for row in _found(node).values() if wanted in ("", "include_sdn", row["type"])]


@calls("GET", "/nodes/{node}/network/{iface}")
def _one(node: ProxmoxNode, given: Given) -> Any:
    return _known(_found(node), given["iface"])


def _known(found: dict[str, Row], name: str) -> Row:
    if name not in found:
        raise ParameterError({"iface": "interface does not exist"})
    return found[name]


@calls("POST", "/nodes/{node}/network", {**_CHANGED, **_NAMED})
def _create(node: ProxmoxNode, given: Given) -> Any:
    found = _found(node)
    name = given["iface"]
    if name in found:
        raise ParameterError({"iface": "interface already exists"})
    found[name] = {"iface": name}
    _take(found, name, given)
    _stage(node, found)


@calls(
    "PUT",
    "/nodes/{node}/network/{iface}",
    {**_CHANGED, "delete": Property(format=many(CONFIG_ID))},
)
def _update(node: ProxmoxNode, given: Given) -> Any:
    found = _found(node)
    row = _known(found, given["iface"])
    for key in split_list(given.pop("delete", "")):
        for name in {"cidr": ("cidr", "address", "netmask")}.get(key, (key,)):
            row.pop(name, None)
    _take(found, given["iface"], given)
    _stage(node, found)


def _take(found: dict[str, Row], name: str, given: Given) -> None:
    """Put what is given into a row; an address that is not given anew is one no more."""
    row = found[name]
    for key in ("gateway", "gateway6"):
        other = next((n for n, r in found.items() if n != name and r.get(key)), "")
        if given.get(key) and other:
            called = "Default gateway" if key == "gateway" else "Default ipv6 gateway"
            raise ParameterError({key: f"{called} already exists on interface '{other}'."})
    taken = {key: value for key, value in given.items() if key not in ("node", "iface")}
    for six in ("", "6"):
        if cidr := taken.pop(f"cidr{six}", ""):
            if taken.get(f"address{six}"):
                raise ParameterError({f"address{six}": f"address{six} conflicts with cidr{six}"})
            taken[f"address{six}"], _, taken[f"netmask{six}"] = cidr.partition("/")
    if "autostart" in taken and taken["autostart"] == "0":
        row.pop("autostart", None)
        del taken["autostart"]
    if taken.get("bridge_vlan_aware") == "0":
        row.pop("bridge_vlan_aware", None)
        del taken["bridge_vlan_aware"]
    families = [f"inet{six}" for six in ("", "6") if taken.get(f"address{six}")]
    for key in ("address", "netmask", "cidr", "gateway"):
        row.pop(key, None)
        row.pop(f"{key}6", None)
    row |= taken
    row["families"] = families or ["inet"]
    for six in ("", "6"):
        row[f"method{six}"] = "static" if taken.get(f"address{six}") else "manual"


@calls("DELETE", "/nodes/{node}/network")
def _revert(node: ProxmoxNode, given: Given) -> Any:
    if node.files.exists(STAGED):
        node.files.remove(STAGED)


@calls("DELETE", "/nodes/{node}/network/{iface}")
def _delete(node: ProxmoxNode, given: Given) -> Any:
    found = _found(node)
    _known(found, given["iface"])
    del found[given["iface"]]
    _stage(node, found)


@calls("PUT", "/nodes/{node}/network", {"regenerate-frr": BOOLEAN})
def _apply(node: ProxmoxNode, given: Given) -> Any:
    upid = node.tasks.begin("srvreload", "networking")

    def done() -> Task:
        if node.files.exists(STAGED):
            node.files.rename(STAGED, FILE)
        said = reload(node)
        words = "".join(f"{line}\n" for line in said.err.decode().splitlines())
        failure = f"command 'ifreload -a' failed: exit code {said.status}" if said.status else ""
        node.tasks.end(upid, failure or "OK")
        return Task(upid, words, failure)

    return Later(_RELOAD_S, done)
