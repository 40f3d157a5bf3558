"""A TrueNAS's network: what is configured, what runs, and what would be gone back to."""

import ipaddress
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from homelab_lib.twin.machine.interface import Interface

Row = dict[str, Any]

_FRESH: Row = {
    "ipv4_dhcp": False,
    "ipv6_auto": False,
    "aliases": [],
    "description": "",
    "mtu": None,
}
_NO_GATEWAY = {"ipv4gateway": "", "nameserver1": "", "nameserver2": "", "nameserver3": ""}


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
    """

    def __init__(
        self,
        interfaces: list[Interface],
        now: Callable[[], float],
        after: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._interfaces = interfaces
        self._now = now
        self._after = after
        self.leases = {one.name: one.cidr for one in interfaces}
        self.rows: dict[str, Row] = {}
        self.settings: Row = dict(_NO_GATEWAY)
        self.route: str = ""
        self._before: tuple[dict[str, Row], Row] | None = None
        self._deadline_s: float | None = None

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
                self.rows[one.name] = _FRESH | {"aliases": [alias], "mtu": mtu}
        self.settings["ipv4gateway"] = self.route = gateway

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
        deadline_s = self._deadline_s = self._now() + timeout_s

        def expire() -> None:
            if self._deadline_s == deadline_s:
                self.rollback()

        self._after(timeout_s, expire)

    def checkin(self, forget: bool = True) -> None:
        """Keep what was committed; with `forget`, for good."""
        self._deadline_s = None
        if forget:
            self._before = None

    def rollback(self) -> None:
        """Back to what was before the first change."""
        self._deadline_s = None
        if self._before is not None:
            (self.rows, self.settings), self._before = self._before, None
        self._apply()

    def restarted(self) -> None:
        """What waited and the timer were in the middleware's memory, and are gone."""
        self._deadline_s = self._before = None

    def _apply(self) -> None:
        for one in self._interfaces:
            row = self.rows.get(one.name)
            if not self.rows or (row and row["ipv4_dhcp"]):
                one.cidr = self.leases[one.name]
            elif row and row["aliases"]:
                one.cidr = "{address}/{netmask}".format(**row["aliases"][0])
            else:
                one.cidr = ""
            one.mtu = (row or _FRESH)["mtu"] or 1500
        if self.rows:
            self.route = self.settings["ipv4gateway"]

    def row(self, one: Interface) -> Row:
        """As `interface.query` shows it."""
        configured = self.rows.get(one.name, _FRESH | {"ipv4_dhcp": not self.rows})
        running = []
        if one.cidr:
            address = ipaddress.ip_interface(one.cidr)
            running = [
                {
                    "type": "INET",
                    "address": str(address.ip),
                    "netmask": address.network.prefixlen,
                    "broadcast": str(address.network.broadcast_address),
                }
            ]
        state = {
            "name": one.name,
            "orig_name": one.name,
            "description": configured["description"],
            "mtu": one.mtu,
            "cloned": False,
            "flags": ["UP", "BROADCAST", "RUNNING", "MULTICAST"] if one.up else ["BROADCAST"],
            "nd6_flags": [],
            "capabilities": [],
            "media_type": "",
            "media_subtype": "",
            "active_media_type": "",
            "supported_media": [],
            "media_options": None,
            "permanent_link_address": None,
            "link_state": "LINK_STATE_UP",
            "active_media_subtype": "",
            "link_address": one.mac,
            "hardware_link_address": one.mac,
            "aliases": running,
        }
        return (
            {"id": one.name, "name": one.name, "fake": False, "type": "PHYSICAL"}
            | configured
            | {"state": state}
        )
