"""A TrueNAS's network: what is configured, what runs, and what would be gone back to."""

import ipaddress
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from homelab_lib.twin.machine.interface import Interface

Row = dict[str, Any]


def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(cidr).network


_FRESH: Row = {
    "ipv4_dhcp": False,
    "ipv6_auto": False,
    "aliases": [],
    "description": "",
    "mtu": None,
}
_SHOWN_OF = {
    "PHYSICAL": (),
    "BRIDGE": ("bridge_members", "stp", "enable_learning"),
    "LINK_AGGREGATION": ("lag_protocol", "lag_ports", "xmit_hash_policy", "lacpdu_rate"),
    "VLAN": ("vlan_parent_interface", "vlan_tag", "vlan_pcp"),
}
"""What is told of an interface besides its addresses, by its type."""
KINDS = {"BRIDGE": "bridge", "LINK_AGGREGATION": "bond", "VLAN": "vlan"}
"""What the kernel calls those that are no ports."""
_USUAL_POLICY = "LAYER2+3"
_NO_GATEWAY = {"ipv4gateway": "", "nameserver1": "", "nameserver2": "", "nameserver3": ""}


def _running(cidr: str) -> Row:
    at = ipaddress.ip_interface(cidr)
    row: Row = {"type": "INET" if at.version == 4 else "INET6", "address": str(at.ip)}
    row["netmask"] = at.network.prefixlen
    return row | ({"broadcast": str(at.network.broadcast_address)} if at.version == 4 else {})


class Network:
    """What is configured, what runs, and what would be gone back to.

    Parameters
    ----------
    interfaces
        The machine's own; their addresses change when a change is committed.
    now
        The time [s].
    after
        Runs an action so many seconds later.
    regroup
        Told which wires belong together: by the lab's port, what it is a part of.
    """

    def __init__(
        self,
        interfaces: list[Interface],
        now: Callable[[], float],
        after: Callable[[float, Callable[[], None]], object],
        regroup: Callable[[Mapping[str, str]], None] = lambda segments: None,
    ) -> None:
        self._interfaces = interfaces
        self._now = now
        self._after = after
        self._regroup = regroup
        self.leases = {one.name: (one.cidr, one.gateway) for one in interfaces}
        self.more: dict[str, list[str]] = {one.name: [] for one in interfaces}  # beside the first
        self.rows: dict[str, Row] = {}
        self.settings: Row = dict(_NO_GATEWAY)
        self.route: str = ""
        self.names: list[str] = []  # name servers that DHCP gave
        self._before: tuple[dict[str, Row], Row] | None = None
        self._deadline_s: float | None = None
        self._timer = 0  # the one that a check-in stops
        self._stopped: set[int] = set()

    def lease(self, gateway: str) -> None:
        """Nothing is configured: what runs was given by DHCP, a name server with it."""
        self.route, self.names = gateway, [gateway] if gateway else []

    def configure_as_running(self, gateway: str) -> None:
        """Take what runs as configured: each address by hand, and the default route."""
        for one in self._interfaces:
            if one.cidr:
                address = ipaddress.ip_interface(one.cidr)
                alias = {
                    "type": "INET",
                    "address": str(address.ip),
                    "netmask": address.network.prefixlen,
                }
                mtu = one.mtu if one.mtu != 1500 else None
                self.change(one.name, {"aliases": [alias], "mtu": mtu})
        self.settings["ipv4gateway"] = self.route = gateway
        if gateway:
            self.settings["nameserver1"] = gateway

    @property
    def no_names(self) -> str:
        """Why it finds nobody by name; empty where it asks somebody."""
        own = [self.settings[f"nameserver{number}"] for number in (1, 2, 3)]
        return "" if any((*own, *self.names)) else "no name server to ask"

    @property
    def pending(self) -> bool:
        """Whether changes wait to be committed or to be confirmed."""
        return self._before is not None

    @property
    def waiting_s(self) -> int | None:
        """Time left to check in [s]; none while nothing waits for it."""
        if self._deadline_s is None or self._deadline_s <= self._now():
            return None
        return int(self._deadline_s - self._now())

    def static_addresses(self) -> list[str]:
        """Addresses given by hand: the only ones a service may be bound to."""
        return [alias["address"] for row in self.rows.values() for alias in row["aliases"]]

    def change(self, name: str, values: Row) -> None:
        """Note a change; nothing happens before it is committed."""
        self._remember()
        self.rows[name] = _FRESH | self.rows.get(name, {}) | values

    def create(self, name: str, values: Row) -> None:
        """Note an interface that is no port. What it is made of has no addresses of its own any
        more, unless it is a VLAN's parent."""
        for member in values.get("lag_ports", ()):
            if member in self.rows:
                self.change(member, _FRESH)
        if values.get("lag_protocol") in ("LACP", "LOADBALANCE"):
            values["xmit_hash_policy"] = values.get("xmit_hash_policy") or _USUAL_POLICY
        if values.get("lag_protocol") == "LACP":
            values["lacpdu_rate"] = values.get("lacpdu_rate") or "SLOW"
        kept = (*_FRESH, "type", *_SHOWN_OF[values["type"]])
        told = {key: values.get(key) for key in kept}
        self.change(name, {key: value for key, value in told.items() if value is not None})

    def delete(self, name: str) -> None:
        """Note that nothing is configured of an interface any more, and of those it is made of."""
        self._remember()
        for member in (name, *self.rows.get(name, {}).get("lag_ports", ())):
            self.rows.pop(member, None)

    def free_name(self, begins: str) -> str:
        """The first name that no interface has."""
        return next(
            f"{begins}{n}" for n in range(len(self.rows) + 1) if f"{begins}{n}" not in self.rows
        )

    def change_settings(self, values: Row) -> None:
        """Note another gateway or name server."""
        self._remember()
        self.settings |= values

    def _remember(self) -> None:
        if self._before is None:
            self._before = deepcopy((self.rows, self.settings))

    def commit(self, rollback: bool, timeout_s: int) -> None:
        """Apply what waits; go back after `timeout_s` unless somebody checks in."""
        self._apply()
        if not (rollback and timeout_s):
            self._before = None
            return
        self._until(timeout_s)

    def _until(self, timeout_s: int) -> None:
        """Go back by then, unless somebody checks in; that stops the timer of the last commit, and
        none of an earlier one."""
        self._deadline_s = self._now() + timeout_s
        self._timer += 1
        timer = self._timer

        def expire() -> None:
            if timer not in self._stopped:
                self.rollback()

        self._after(timeout_s, expire)

    def checkin(self, forget: bool = True) -> None:
        """Keep what was committed; with `forget`, for good."""
        self._deadline_s = None
        self._stopped.add(self._timer)
        if forget:
            self._before = None

    def rollback(self) -> None:
        """Back to what was before the first change."""
        self._deadline_s = None
        self._stopped.add(self._timer)
        if self._before is not None:
            (self.rows, self.settings), self._before = self._before, None
        self._apply()

    def resume(self, waiting_s: int | None) -> None:
        """Somebody is in the middle of a change, and what was before it is not known."""
        self._remember()
        if waiting_s is not None:
            self._until(waiting_s)

    def forgotten(self) -> None:
        """The middleware was restarted: what waited and the timers were in its memory. What is in
        its database stays there, committed or not, and what runs goes on as it did."""
        self._deadline_s = self._before = None
        self._stopped |= set(range(self._timer + 1))

    def restarted(self) -> None:
        """The NAS was: what is in the middleware's database holds from the boot on (`ix-netif` has
        it call `interface.sync`)."""
        self.forgotten()
        self._apply()

    def _apply(self) -> None:
        """Carry out what is configured. Without any of it DHCP runs everywhere, and gives a default
        route and a name server; a first configured interface takes both away."""
        self.build()
        for one in self._interfaces:
            row = self.rows.get(one.name, _FRESH)
            given = ["{address}/{netmask}".format(**alias) for alias in row["aliases"]]
            given.sort(key=lambda cidr: _network(cidr).version)
            one.gateway = ""
            if not self.rows or row["ipv4_dhcp"]:
                lease, one.gateway = self._leased(one)
                given.insert(0, lease)
            one.cidr, *self.more[one.name] = [each for each in given if each] or [""]
            one.mtu = row["mtu"] or 1500
        self.lease(next((one.gateway for one in self._interfaces if one.gateway), ""))
        if self.settings["ipv4gateway"]:
            self.route_by(self.settings["ipv4gateway"])

    def seeded(self) -> None:
        """What was noted is how it stands."""
        self._before = None
        self.build()

    def _leased(self, one: Interface) -> tuple[str, str]:
        """The lease that an interface gets, and the gateway: of several ports, the first's."""
        first = next((each for each in self._interfaces if each.master == one.name), one)
        return self.leases.get(first.name, ("", ""))

    def build(self) -> None:
        """Have those interfaces that are no ports, as they are configured: `interface.sync` makes
        what is missing, ports first that others stand on, and destroys what nobody configured."""
        for one in [each for each in self._interfaces if each.kind]:
            if one.name not in self.rows:
                self._interfaces.remove(one)
        for one in self._interfaces:
            one.master = ""
        made = [name for name, row in self.rows.items() if "type" in row]
        for name in sorted(made, key=lambda name: list(KINDS).index(self.rows[name]["type"])):
            self._build_one(name, self.rows[name])
        ports = [one for one in self._interfaces if not one.kind]
        self._regroup({one.segment: self._outermost(one) for one in ports})

    def _build_one(self, name: str, row: Row) -> None:
        parent = row.get("vlan_parent_interface")
        members = [*row.get("lag_ports", ()), *row.get("bridge_members", ())]
        below = [one for one in self._interfaces if one.name in (*members, parent)]
        below.sort(key=lambda one: members.index(one.name) if members else 0)
        one = next((each for each in self._interfaces if each.name == name), None)
        if one is None:
            one = Interface(name, "", "", below[0].host, name, kind=KINDS[row["type"]])
            self._interfaces.append(one)
        one.mac = below[0].mac
        if parent is not None:
            one.segment, one.tag = self._outermost(below[0]), row["vlan_tag"]
        for each in below if members else ():
            each.master = name

    def _outermost(self, one: Interface) -> str:
        """The segment that an interface is on: that of what it is a part of."""
        above = next((each for each in self._interfaces if each.name == one.master), None)
        return self._outermost(above) if above else one.segment

    def route_by(self, gateway: str) -> None:
        """Take a default route, over the interface that the gateway is a neighbour of."""
        self.route = gateway
        for one in self._interfaces:
            inside = one.cidr and ipaddress.ip_address(gateway) in _network(one.cidr)
            one.gateway = gateway if inside else ""

    def told(self) -> list[Row]:
        """All interfaces, as `interface.query` shows them: those that are noted and were not
        committed yet, too."""
        there = {one.name for one in self._interfaces}
        noted = [name for name, row in self.rows.items() if "type" in row and name not in there]
        rows = [self.row(one) for one in self._interfaces]
        return rows + [
            self.row(Interface(name, "", "", "", name, kind=KINDS[self.rows[name]["type"]]))
            | {"fake": True}
            for name in noted
        ]

    def row(self, one: Interface) -> Row:
        """As `interface.query` shows it."""
        kind = {value: key for key, value in KINDS.items()}.get(one.kind, "PHYSICAL")
        alone = not self.rows and not one.kind
        configured = self.rows.get(one.name, _FRESH | {"ipv4_dhcp": alone})
        running = [_running(c) for c in (one.cidr, *self.more.get(one.name, ())) if c]
        state = {
            "name": one.name,
            "orig_name": one.name,
            "description": configured["description"],
            "mtu": one.mtu,
            "cloned": bool(one.kind),
            "flags": ["UP", "BROADCAST", "RUNNING", "MULTICAST"] if one.up else ["BROADCAST"],
            "nd6_flags": [],
            "capabilities": [],
            "media_type": "",
            "media_subtype": "",
            "active_media_type": "",
            "supported_media": [],
            "media_options": None,
            "permanent_link_address": None,
            "link_state": f"LINK_STATE_{'UP' if one.up and one.carrier else 'DOWN'}",
            "active_media_subtype": "",
            "link_address": one.mac,
            "hardware_link_address": one.mac,
            "aliases": running,
        }
        return (
            {"id": one.name, "name": one.name, "fake": False, "type": kind}
            | configured
            | {"state": state}
        )
