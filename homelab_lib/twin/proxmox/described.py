"""The interfaces of a node, as its installer leaves them and as the lab describes them.

Source: the installer of Proxmox VE makes one bridge, on the card that it was told to use; the
Administration Guide, "Network Configuration", has how others are written.
"""

from typing import Any

from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.ports import Bond, HostPort
from homelab_lib.twin.proxmox.card import Card, version_of
from homelab_lib.twin.proxmox.interfaces import Row

_BONDS = {"lacp": "802.3ad"}


def installed(lab: Lab, host: Host, cards: list[Card]) -> list[Row]:
    """One bridge, with the address that people use, on the card whose driver is the oldest."""
    rows = [_manual(card.name) for card in cards]
    way_in = next((p for p in host.attached.values() if p.bridge and _leads_here(host, p)), None)
    if way_in is None:
        return described(lab, host)
    driven = [card for card in cards if card.driver]
    first = min(driven, key=lambda c: (version_of(c.since), c.port != way_in.name), default=None)
    bridge = _bridge(str(way_in.bridge), first.name if first else "")
    addresses = {k: v for k, v in _addresses(lab, way_in).items() if not k.startswith("bridge_")}
    return [*rows, bridge | addresses]


def _leads_here(host: Host, port: HostPort | Bond) -> bool:
    return host.ssh is not None and host.ssh.address in [c.partition("/")[0] for c in port.cidrs]


def described(lab: Lab, host: Host) -> list[Row]:
    """All interfaces as the lab has them: cards, bonds, bridges, VLANs on them."""
    rows: list[Row] = []
    ways_out = 0
    for port in host.attached.values():
        if not port.interface:
            continue
        low = _manual(port.interface) if isinstance(port, HostPort) else _bond(host, port)
        top = _bridge(port.bridge, port.interface) if port.bridge else low
        top |= _addresses(lab, port)
        if port.mtu != 1500:
            low["mtu"] = top["mtu"] = str(port.mtu)
            low["autostart"] = 1
        if top.get("gateway") or top.get("gateway6"):  # a host has one way out
            ways_out += 1
            for key in ("gateway", "gateway6") if ways_out > 1 else ():
                top.pop(key, None)
        if top.get("address") or top.get("address6"):
            top["autostart"] = 1
        rows += [low] if low is top else [low, top]
        for tag, cidr in port.addresses.items():
            address, _, prefix = cidr.partition("/")
            name = f"{port.bridge or port.interface}.{tag}"
            six = "6" if ":" in address else ""
            row = _manual(name) | {"type": "vlan", "autostart": 1, f"method{six}": "static"}
            row |= {"families": ["inet6"]} if six else {}
            rows.append(row | {f"address{six}": address, f"netmask{six}": prefix})
    return rows


def _manual(name: str) -> Row:
    return {"iface": name, "type": "eth", "method": "manual", "families": ["inet"]}


def _bridge(name: str, ports: str) -> Row:
    made = {"type": "bridge", "bridge_ports": ports, "bridge_stp": "off", "bridge_fd": "0"}
    return _manual(name) | made | {"autostart": 1}


def _bond(host: Host, bond: Bond) -> Row:
    made: dict[str, Any] = {
        "type": "bond",
        "slaves": " ".join(str(host.ports[m].interface or m) for m in bond.members),
        "bond_mode": _BONDS.get(bond.kind, bond.kind),
        "bond_xmit_hash_policy": bond.hash_policy,
        "autostart": 1,
    }
    return _manual(bond.name) | made


def _addresses(lab: Lab, port: HostPort | Bond) -> Row:
    """The address of an interface, and the gateway behind it; VLAN awareness of a bridge."""
    row: Row = {"bridge_vlan_aware": 1, "bridge_vids": "2-4094"} if port.bridge else {}
    if "dhcp" in port.on_untagged:
        return row | {"method": "dhcp"}
    if not port.address:
        return row
    address, _, prefix = port.address.partition("/")
    vlan = lab.vlans.get(port.vlan or 0)
    way_out = vlan.gateway if vlan is not None and vlan.gateway != address else None
    if ":" in address:
        six = {"families": ["inet6"], "method6": "static", "address6": address, "netmask6": prefix}
        return row | six | ({"gateway6": way_out} if way_out else {})
    row |= {"method": "static", "address": address, "netmask": prefix}
    return row | ({"gateway": way_out} if way_out else {})
