"""API of network interfaces, with its rollback timer.

Source: TrueNAS middleware 25.04 to 26, `interface`. Changes wait until they are committed; unless
somebody checks in within the time-out, over the changed network, everything goes back.

A fresh system has no interface configured and asks DHCP on all of them. The first one that is
configured ends that for all others, and takes the default route away.
"""

import errno
import ipaddress
from typing import Any

from homelab_lib.twin.truenas.arguments.base import Ipv4, Text
from homelab_lib.twin.truenas.arguments.network import (
    Commit,
    InterfaceUpdate,
    InterfaceUpdate26,
    SavedConfig,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import GOLDEYE, HALFMOON, left_out, method

Row = dict[str, Any]


@method("interface.query")
def interface_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All interfaces."""
    return query([nas.network.row(one) for one in nas.interfaces], filters, options)


@method("interface.update", {"id": Text, "data": InterfaceUpdate26}, since=HALFMOON)
@method("interface.update", {"id": Text, "data": InterfaceUpdate}, until=HALFMOON)
def interface_update(nas: TrueNas, id: str, data: Row) -> Row:
    """Note a change of an interface."""
    if id not in {one.name for one in nas.interfaces}:
        raise ValidationErrors.one("", f"Interface {id} does not exist", errno.ENOENT)
    _check_aliases(nas, id, data)
    nas.network.change(id, data)
    return interface_query(nas, [["id", "=", id]], {"get": True})


def _check_aliases(nas: TrueNas, name: str, data: Row) -> None:
    errors = ValidationErrors()
    if data.get("ipv4_dhcp") and any(
        row["ipv4_dhcp"] for other, row in nas.network.rows.items() if other != name
    ):
        errors.add("interface_update.ipv4_dhcp", "Only one interface can be used for DHCP.")
    for place, alias in enumerate(data.get("aliases", [])):
        where = f"interface_update.aliases.{place}"
        try:
            mine = ipaddress.ip_interface(f"{alias['address']}/{alias['netmask']}").network
        except (KeyError, ValueError) as error:
            errors.add(where, str(error))
            continue
        for other, row in nas.network.rows.items():
            theirs = [
                ipaddress.ip_interface("{address}/{netmask}".format(**one)).network
                for one in row["aliases"]
            ]
            if other != name and any(network.overlaps(mine) for network in theirs):
                errors.add(where, f"The network {mine} is already in use by another interface.")
    errors.check()


@method("interface.has_pending_changes")
def has_pending_changes(nas: TrueNas) -> bool:
    """Whether changes wait."""
    return nas.network.pending


@method("interface.network_config_to_be_removed", since=GOLDEYE)
def network_config_to_be_removed(nas: TrueNas) -> list[str]:
    """Settings that DHCP gave and that nobody has written down: a commit takes them away."""
    kept, lost = nas.network.settings, []
    if nas.network.route not in ("", kept["ipv4gateway"]):
        lost.append("ipv4gateway")
    if nas.network.names and not kept["nameserver1"]:
        lost += [f"nameserver{n}" for n, _ in enumerate(nas.network.names, 1)]
    return lost


@method("interface.default_route_will_be_removed", until=GOLDEYE)
def default_route_will_be_removed(nas: TrueNas) -> bool:
    """Whether a commit takes the default route away."""
    return "ipv4gateway" in network_config_to_be_removed(nas)


@method("interface.save_network_config", {"config": SavedConfig}, since=GOLDEYE)
def save_network_config(nas: TrueNas, config: Row) -> None:
    """Write down gateway and name servers together with the changes that wait."""
    if not nas.network.pending:
        raise CallError("There are no pending interface changes.")
    gateway = ipaddress.ip_address(config["ipv4gateway"])
    aliases = [alias for row in nas.network.rows.values() for alias in row["aliases"]]
    networks = [
        ipaddress.ip_interface("{address}/{netmask}".format(**alias)).network for alias in aliases
    ]
    if not any(gateway in network for network in networks):
        raise CallError(f"{str(gateway)!r} is not reachable from any interface on the system.")
    nas.network.change_settings(config)


@method("interface.save_default_route", {"gateway": Ipv4}, until=GOLDEYE)
def save_default_route(nas: TrueNas, gateway: str) -> None:
    """Write down the gateway together with the changes that wait."""
    save_network_config(nas, {"ipv4gateway": gateway})


@method("interface.commit", {"options": left_out(Commit)})
def commit(nas: TrueNas, options: Row) -> None:
    """Apply what waits."""
    rows = nas.network.rows.values()
    if nas.network.rows and not any(
        row["ipv4_dhcp"] or row["ipv6_auto"] or row["aliases"] for row in rows
    ):
        text = "At least one interface must be configured with IPv4 DHCP, IPv6 Autoconfig or a "
        raise ValidationErrors.one("interface.commit", text + "static IP.")
    nas.network.commit(options["rollback"], options["checkin_timeout"])


@method("interface.checkin")
def checkin(nas: TrueNas) -> None:
    """Keep what was committed."""
    nas.network.checkin()


@method("interface.cancel_rollback")
def cancel_rollback(nas: TrueNas) -> None:
    """Stop the timer; what was before stays known."""
    nas.network.checkin(forget=False)


@method("interface.checkin_waiting")
def checkin_waiting(nas: TrueNas) -> int | None:
    """Time left to check in [s]."""
    return nas.network.waiting_s


@method("interface.rollback")
def rollback(nas: TrueNas) -> None:
    """Go back now."""
    nas.network.rollback()
