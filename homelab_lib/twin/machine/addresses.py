"""`ip`: links, addresses, routes and neighbours, as text and as JSON.

Source: ip(8); rows of iproute2 6.1.
"""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

addresses = Commands()

_FLAGS = {"j": "j", "json": "j", "d": "d", "details": "d", "4": "4", "6": "6", "o": "o"}
_FLAGS |= {"oneline": "o", "br": "b", "brief": "b", "s": "s", "stats": "s", "p": "p", "pretty": "p"}
_OBJECTS = {"address": "addr", "addr": "addr", "a": "addr", "link": "link", "l": "link"}
_OBJECTS |= {"route": "route", "r": "route"}
_OBJECTS |= dict.fromkeys(("neighbour", "neighbor", "neigh", "n"), "neigh")
_FOREVER = 4294967295
_LO = Interface("lo", "00:00:00:00:00:00", "127.0.0.1/8", "", "", mtu=65536)


@addresses("ip")
def ip(machine: Machine, call: Call) -> Reply:
    """Addresses, links, routes and neighbours."""
    words, flags = list(call.argv[1:]), set()
    while words and words[0].startswith("-"):
        name = words.pop(0).lstrip("-")
        if name not in _FLAGS:
            return Reply(255, stderr=f'Option "-{name}" is unknown, try "ip -help".\n')
        flags.add(_FLAGS[name])
    thing = words.pop(0) if words else ""
    if thing not in _OBJECTS:
        return Reply(1, stderr=f'Object "{thing}" is unknown, try "ip help".\n')
    kind, verb = _OBJECTS[thing], words.pop(0) if words else "show"
    if verb not in ("show", "list", "ls", "s", "get"):
        noun = {"addr": "address"}.get(kind, kind)
        return Reply(255, stderr=f'Command "{verb}" is unknown, try "ip {noun} help".\n')
    if kind == "route":
        return _routes(machine, words, verb, flags)
    if kind == "neigh":
        found = list(_neighbours(machine))
        lines = (
            f"{row['dst']} dev {row['dev']} lladdr {row['lladdr']} {row['state'][0]} \n"
            for row in found
        )
        return Reply(0, json.dumps(found) + "\n" if "j" in flags else "".join(lines))
    name = next((word for word in words if word not in ("dev", "up")), "")
    rows = _links(machine, flags, with_addresses=kind == "addr")
    if name:
        rows = [row for row in rows if row["ifname"] == name]
        if not rows:
            return Reply(1, stderr=f'Device "{name}" does not exist.\n')
    if "j" in flags:
        return Reply(0, json.dumps(rows) + "\n")
    return Reply(0, "".join(_text(row, flags, kind) for row in rows))


def _links(machine: Machine, flags: set[str], *, with_addresses: bool) -> list[dict[str, Any]]:
    rows = []
    for number, each in enumerate((_LO, *machine.interfaces), 1):
        row = _link(number, each, with_addresses=with_addresses)
        if "d" in flags:
            row |= _details(each)
        if with_addresses:
            row["addr_info"] = _given(each, flags)
            if "4" in flags or "6" in flags:
                if not row["addr_info"]:
                    continue
                for key in ("link_type", "address", "broadcast"):
                    del row[key]
        rows.append(row)
    return rows


def _link(number: int, each: Interface, *, with_addresses: bool) -> dict[str, Any]:
    loopback = each is _LO
    kind = ["LOOPBACK"] if loopback else ["BROADCAST", "MULTICAST"]
    row: dict[str, Any] = {
        "ifindex": number,
        "ifname": each.name,
        "flags": [*kind, *_state(each)],
        "mtu": each.mtu,
        "qdisc": "noqueue" if loopback or each.tag is not None else "fq_codel",
        "operstate": "UNKNOWN" if loopback else "UP" if each.up and each.carrier else "DOWN",
    }
    if each.master:
        row["master"] = each.master
    if not with_addresses:
        row["linkmode"] = "DEFAULT"
    return row | {
        "group": "default",
        "txqlen": 1000,
        "link_type": "loopback" if loopback else "ether",
        "address": each.mac,
        "broadcast": "00:00:00:00:00:00" if loopback else "ff:ff:ff:ff:ff:ff",
    }


def _state(each: Interface) -> list[str]:
    """What flags say of whether it is switched on, and has a link."""
    if not each.up:
        return []
    return ["UP", "LOWER_UP"] if each.carrier else ["NO-CARRIER", "UP"]


def _details(each: Interface) -> dict[str, Any]:
    """What ``-d`` adds: what kind of link it is, and the card's place on the bus."""
    row: dict[str, Any] = {}
    if each.kind:
        data: dict[str, Any] = {"id": each.tag} if each.kind == "vlan" else {}
        if each.kind == "bridge":
            data = {"forward_delay": 0, "stp_state": 0, "vlan_filtering": int(each.vlan_filtering)}
        row["linkinfo"] = {"info_kind": each.kind, "info_data": data}
    if each.parent:
        row |= {"parentbus": "pci", "parentdev": each.parent}
    return row


def _given(each: Interface, flags: set[str]) -> list[dict[str, Any]]:
    """The addresses of an interface."""
    rows: list[dict[str, Any]] = []
    always = {"valid_life_time": _FOREVER, "preferred_life_time": _FOREVER}
    network = ipaddress.ip_interface(each.cidr) if each.cidr else None
    if network is not None and ("4" if network.version == 6 else "6") not in flags:
        row: dict[str, Any] = {
            "family": "inet" if network.version == 4 else "inet6",
            "local": str(network.ip),
            "prefixlen": network.network.prefixlen,
        }
        if each is not _LO and network.version == 4 and network.network.prefixlen < 31:
            row["broadcast"] = str(network.network.broadcast_address)
        row["scope"] = "host" if each is _LO else "global"
        row |= {"label": each.name} if network.version == 4 else {}
        rows.append(row | always)
    if each is _LO and "4" not in flags:
        rows.append({"family": "inet6", "local": "::1", "prefixlen": 128, "scope": "host"} | always)
    return rows


def _text(row: dict[str, Any], flags: set[str], kind: str) -> str:
    given = row.get("addr_info") or []
    if "b" in flags:
        shown = [f"{each['local']}/{each['prefixlen']} " for each in given]
        shown = shown if kind == "addr" else [f"{row['address']} ", f"<{','.join(row['flags'])}> "]
        return f"{row['ifname']:<16} {row['operstate']:<14} {''.join(shown)}\n"
    state = f"mtu {row['mtu']} qdisc {row['qdisc']} state {row['operstate']} "
    state += "mode DEFAULT " if kind == "link" else ""
    out = f"{row['ifindex']}: {row['ifname']}: <{','.join(row['flags'])}> {state}"
    out += f"group {row['group']} qlen {row['txqlen']}\n"
    if "link_type" in row:
        out += f"    link/{row['link_type']} {row['address']} brd {row['broadcast']}\n"
    for each in given:
        wide = f" brd {each['broadcast']}" if "broadcast" in each else ""
        label = f" {each['label']}" if "label" in each else " "
        out += f"    {each['family']} {each['local']}/{each['prefixlen']}{wide} "
        out += f"scope {each['scope']}{label}\n"
        out += "       valid_lft forever preferred_lft forever\n"
    return out


def _neighbours(machine: Machine) -> Iterator[dict[str, Any]]:
    """Who answers on a machine's networks. A real one lists whom it has talked to lately."""
    others = [
        each
        for other in machine.world.machines.values()
        if other is not machine
        for each in other.interfaces
        if each.cidr
    ]
    for own in machine.interfaces:
        network = ipaddress.ip_interface(own.cidr).network if own.cidr and own.up else None
        for each in others:
            near = network is not None and ipaddress.ip_address(each.address) in network
            if near and machine.world.hears(own, each.address):
                yield {
                    "dst": each.address,
                    "dev": own.name,
                    "lladdr": each.mac,
                    "state": ["REACHABLE"],
                }


def _routes(machine: Machine, words: list[str], verb: str, flags: set[str]) -> Reply:
    rows: list[dict[str, Any]] = []
    for each in machine.interfaces:
        if each.gateway:
            rows.append({"dst": "default", "gateway": each.gateway, "dev": each.name, "flags": []})
    for each in machine.interfaces:
        if each.cidr:
            network = ipaddress.ip_interface(each.cidr)
            rows.append(
                {
                    "dst": str(network.network),
                    "dev": each.name,
                    "protocol": "kernel",
                    "scope": "link",
                    "prefsrc": str(network.ip),
                    "flags": [],
                }
            )
    if verb == "get":
        return _way(machine, words, rows, flags)
    if words[:1] == ["default"]:
        rows = [row for row in rows if row["dst"] == "default"]
    if "j" in flags:
        return Reply(0, json.dumps(rows) + "\n")
    return Reply(0, "".join(_route(row) for row in rows))


def _route(row: dict[str, Any]) -> str:
    names = (("gateway", "via"), ("dev", "dev"), ("protocol", "proto"), ("scope", "scope"))
    parts = [f"{word} {row[key]}" for key, word in (*names, ("prefsrc", "src")) if key in row]
    return f"{row['dst']} {' '.join(parts)} \n"


def _way(machine: Machine, words: list[str], rows: list[dict[str, Any]], flags: set[str]) -> Reply:
    try:
        target = ipaddress.ip_address(words[0] if words else "")
    except ValueError:
        shown = words[0] if words else ""
        return Reply(1, stderr=f'Error: any valid prefix is expected rather than "{shown}".\n')
    for row in sorted(rows, key=lambda row: row["dst"] == "default"):
        if row["dst"] != "default" and target not in ipaddress.ip_network(row["dst"]):
            continue
        own = next(each for each in machine.interfaces if each.name == row["dev"])
        found: dict[str, Any] = {"dst": str(target)}
        found |= {"gateway": row["gateway"]} if "gateway" in row else {}
        found |= {"dev": row["dev"], "prefsrc": own.address, "flags": [], "uid": 0, "cache": []}
        if "j" in flags:
            return Reply(0, json.dumps([found]) + "\n")
        via = f" via {row['gateway']}" if "gateway" in row else ""
        return Reply(0, f"{target}{via} dev {row['dev']} src {own.address} uid 0 \n    cache \n")
    return Reply(2, stderr="RTNETLINK answers: Network is unreachable\n")
