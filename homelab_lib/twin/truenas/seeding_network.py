"""Makes the network of a twin's TrueNAS what the interfaces of a real one say it is."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from homelab_lib.lab.ports import Bond, HostPort
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.seeding import lines_of
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.network import KINDS
from homelab_lib.twin.truenas.tables import Row

_KEPT = ("ipv4_dhcp", "ipv6_auto", "aliases", "description", "mtu")


def seed_network(nas: TrueNas, call: Callable[..., Any], ask: Ask) -> None:
    """Interfaces, gateway and names; whether somebody is changing them.

    Parameters
    ----------
    call
        What the middleware answers in JSON.
    ask
        What it answers to what it does not print so.
    """
    rows = call("interface.query")
    config = call("network.configuration.config")
    if rows is None or config is None:
        return
    described = nas.world.lab.hosts.get(nas.name)
    ports = described.attached if described else {}
    running = config.get("state") or {}
    gateway = running.get("ipv4gateway") or ""
    cards = {one.mac: (one.host, one.segment, one.tag) for one in nas.interfaces}
    nas.interfaces = [
        _interface(nas.name, ports, row, gateway) for row in rows if not row.get("fake")
    ]
    for one in nas.interfaces:
        if described is None and one.mac in cards:  # a VM's: on its node's bridge
            one.host, one.segment, one.tag = cards[one.mac]
    nas.connect(configured=False)
    network = nas.network
    free = call("interface.lag_ports_choices")
    for row in rows:
        network.more[row["id"]] = _given(row)[1:]
    fresh = all(row["ipv4_dhcp"] and not row["aliases"] for row in rows)
    for row in () if fresh else rows:
        built = row["type"] in KINDS
        if built:
            network.create(row["id"], dict(row))
        elif any(row.get(key) for key in _KEPT) or _configured(row["id"], free, rows):
            network.rows[row["id"]] = {key: row.get(key) for key in _KEPT}
    network.seeded()
    for key in network.settings:
        network.settings[key] = config.get(key) or ""
    network.route = gateway
    if fresh:
        network.names = [
            running[f"nameserver{n}"] for n in (1, 2, 3) if running.get(f"nameserver{n}")
        ]
    nas.config["network.configuration"] |= {
        key: config[key] for key in ("hostname", "domain", "ipv6gateway", "hosts") if key in config
    }
    if lines_of(ask, nas.name, "midclt", "call", "interface.has_pending_changes") == ["True"]:
        network.resume(call("interface.checkin_waiting"))


def _configured(name: str, free: Row | None, rows: list[Row]) -> bool:
    """Whether something is written of a port, be it that it has nothing: such a one can't be made
    part of others."""
    parts = {port for row in rows for key in ("lag_ports", "bridge_members")
             for port in row.get(key) or ()}  # fmt: skip
    parents = {row.get("vlan_parent_interface") for row in rows}
    return free is not None and name not in {*free, *parts, *parents}


def _given(row: Row) -> list[str]:
    """The addresses that run on an interface, IPv4 first, without those of the link alone."""
    kinds = ("INET", "INET6")
    rows = [each for each in row["state"].get("aliases") or () if each["type"] in kinds]
    cidrs = ["{address}/{netmask}".format(**each) for each in rows]
    whole = [cidr for cidr in cidrs if not ipaddress.ip_interface(cidr).is_link_local]
    return sorted(whole, key=lambda cidr: ipaddress.ip_interface(cidr).version)


def _interface(
    host: str, ports: Mapping[str, HostPort | Bond], row: Row, gateway: str
) -> Interface:
    """An interface on the wire of the lab's port that it is, by its name or its hardware address;
    one that the lab does not know hangs on none."""
    state = row["state"]
    mac = (state.get("link_address") or "").lower()
    known = next((n for n, p in ports.items() if (p.interface or n) == row["id"]), "")
    known = known or next((n for n, p in ports.items() if mac and p.mac == mac), "")
    cidr = next(iter(_given(row)), "")
    near = bool(cidr and gateway) and (
        ipaddress.ip_address(gateway) in ipaddress.ip_interface(cidr).network
    )
    return Interface(
        row["id"],
        mac,
        cidr,
        host,
        (known and ports[known].bridge) or known or row["id"],
        gateway=gateway if near else "",
        mtu=state.get("mtu") or 1500,
        kind=KINDS.get(row["type"], ""),
    )
