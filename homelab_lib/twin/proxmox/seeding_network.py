"""Makes the network of a twin's node what a real one says it is: its cards and its links now; the
file of the interfaces is read when somebody looks at it."""

from dataclasses import replace
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.errors import HomelabError
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.seeding import json_of, lines_of
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.proxmox.card import Card, cards_of, version_of
from homelab_lib.twin.proxmox.node import ProxmoxNode

UNDO = "homelab-network-undo.timer"
"""The unit by which a change of the network is undone."""
_KINDS = ("", "bridge", "bond", "vlan")  # others are guests': taps, pairs, firewalls' bridges
_LINKS: Shape = [
    {
        "ifname?": str,
        "mtu?": whole,
        "flags?": [str],
        "address?": str,
        "master?": str,
        "parentdev?": str,
        "linkinfo?": {"info_kind?": str},
        "addr_info?": [{"family?": str, "local?": str, "prefixlen?": whole, "scope?": str}],
    }
]
_ROUTES: Shape = [{"dst?": str, "gateway?": str, "dev?": str}]
_NEVER = "999.0"


def seed_network(node: ProxmoxNode, ask: Ask) -> None:
    """Its cards with their drivers, its links with their addresses, its way out.

    Raises
    ------
    HomelabError
        The undo of an earlier change is still to act: what is there now won't be for long.
    """
    _refuse_while_undoing(node, ask)
    rows = json_of(ask, node.name, "ip", "-j", "-d", "addr", "show", shape=_LINKS)
    if rows is None:
        return  # it has no such program: it is as the lab says
    routes = json_of(ask, node.name, "ip", "-j", "route", "show", "default", shape=_ROUTES) or []
    ways_out = {row.get("dev"): row.get("gateway", "") for row in routes}
    links = {r["ifname"]: r for r in rows if r.get("ifname", "lo") != "lo" and _ours(r)}
    node.cards = list(_cards(node, links, ask))
    node.interfaces = [_interface(node, row, ways_out) for row in links.values()]
    version = lines_of(ask, node.name, "ifreload", "-V")
    if version:
        node.ifupdown.version = version[0].rpartition(":")[2].strip()
    node.ifupdown.saved = [link.name for link in node.interfaces if link.up]
    node.reach.stands()


def _refuse_while_undoing(node: ProxmoxNode, ask: Ask) -> None:
    shown = lines_of(ask, node.name, "systemctl", "show", UNDO, "-p", "ActiveState") or ()
    if "ActiveState=active" in shown:
        raise HomelabError(
            f"{node.name} is about to undo a change of its network that nobody confirmed",
            where=f"{node.name}: {UNDO}",
            fix="wait three minutes, then run the same command again",
        )


def _ours(row: dict[str, Any]) -> bool:
    kind = row.get("linkinfo", {}).get("info_kind", "")
    return kind in _KINDS and not row["ifname"].startswith(("fwbr", "fwln", "fwpr", "tap"))


def _cards(node: ProxmoxNode, links: dict[str, dict[str, Any]], ask: Ask) -> list[Card]:
    """The lab's cards and those that are there besides; one without a link has no driver."""
    described = {card.name: card for card in cards_of(node.world.lab.hosts[node.name])}
    found = []
    for name, card in described.items():
        row = links.get(name)
        if row is None:
            knows = not card.since or version_of(node.kernel) >= version_of(card.since)
            found.append(replace(card, since=_NEVER if knows else card.since))
            continue
        parent = row.get("parentdev", card.address)
        driver = _driver(node, name, ask) or card.module
        found.append(replace(card, address=parent, mac=row.get("address", card.mac), since="",
                             module=driver, driver=driver))  # fmt: skip
    for name, row in links.items():
        if name not in described and not row.get("linkinfo", {}).get("info_kind"):
            driver = _driver(node, name, ask) or "unknown"
            parent = row.get("parentdev", "")
            found.append(Card(name, name, row.get("address", ""), parent, "", "", name,
                              driver, driver=driver))  # fmt: skip
    return found


def _driver(node: ProxmoxNode, name: str, ask: Ask) -> str:
    lines = lines_of(ask, node.name, "ethtool", "-i", name, ok=(0, 71)) or ()
    told = (line.partition(": ")[2] for line in lines if line.startswith("driver: "))
    return next(told, "").strip()


def _interface(node: ProxmoxNode, row: dict[str, Any], ways_out: dict[Any, str]) -> Interface:
    name = row["ifname"]
    kind = row.get("linkinfo", {}).get("info_kind", "")
    data = row.get("linkinfo", {}).get("info_data", {})
    base, _, tag = name.partition(".")
    ports = {card.name: card.port for card in node.cards}
    addresses = [  # of IPv4 first
        f"{each['local']}/{each['prefixlen']}"
        for family in ("inet", "inet6")
        for each in row.get("addr_info", ())
        if each.get("family") == family and each.get("scope") != "link"
    ]
    return Interface(
        name,
        row.get("address", ""),
        next(iter(addresses), ""),
        node.name,
        ports.get(base, base),
        tag=int(tag) if kind == "vlan" and tag.isdigit() else None,
        gateway=ways_out.get(name, ""),
        mtu=row.get("mtu", 1500),
        up="UP" in row.get("flags", ()),
        kind=kind,
        master=row.get("master", ""),
        parent=row.get("parentdev", ""),
        vlan_filtering=bool(data.get("vlan_filtering")),
    )
