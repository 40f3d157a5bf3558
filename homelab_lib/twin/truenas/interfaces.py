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
    InterfaceCreate,
    InterfaceUpdate,
    InterfaceUpdate26,
    SavedConfig,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.interface_rules import NAMED, judge_interface
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import GOLDEYE, HALFMOON, left_out, method

Row = dict[str, Any]

_NEEDED = {
    "BRIDGE": ("bridge_members",),
    "LINK_AGGREGATION": ("lag_protocol", "lag_ports"),
    "VLAN": ("vlan_parent_interface", "vlan_tag"),
}


@method("interface.query")
def interface_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All interfaces."""
    return query(nas.network.told(), filters, options)


@method("interface.create", {"data": InterfaceCreate})
def interface_create(nas: TrueNas, data: Row) -> Row:
    """Note an interface that is no port."""
    errors = ValidationErrors()
    for needed in _NEEDED[data["type"]]:
        if needed not in data:
            errors.add(f"interface_create.{needed}", "This field is required")
    errors.check()
    judge_interface(nas.network, "interface_create", data, "")
    name = data.pop("name", None) or nas.network.free_name(NAMED[data["type"]][0])
    nas.network.create(name, data)
    return interface_query(nas, [["id", "=", name]], {"get": True})


@method("interface.update", {"id": Text, "data": InterfaceUpdate26}, since=HALFMOON)
@method("interface.update", {"id": Text, "data": InterfaceUpdate}, until=HALFMOON)
def interface_update(nas: TrueNas, id: str, data: Row) -> Row:
    """Note a change of an interface."""
    found = _known(nas, id)
    judge_interface(nas.network, "interface_update", found | data, id)
    nas.network.change(id, data)
    return interface_query(nas, [["id", "=", id]], {"get": True})


@method("interface.delete", {"id": Text})
def interface_delete(nas: TrueNas, id: str) -> str:
    """Note that an interface is to be no more; of a port, that nothing is configured of it."""
    _known(nas, id)
    above = [name for name, row in nas.network.rows.items()
             if row.get("vlan_parent_interface") == id]  # fmt: skip
    if above:
        text = f"The following VLANs depend on this interface: {', '.join(above)}"
        raise ValidationErrors.one("interface.delete", text)
    nas.network.delete(id)
    return id


@method("interface.lag_ports_choices", {"id": left_out(Text | None)})
def lag_ports_choices(nas: TrueNas, id: str | None = None) -> dict[str, str]:
    """What may be used as one with others: ports of which nothing is configured, and other such
    interfaces."""
    taken = {id} if id else set()
    free: list[str] = []
    for row in interface_query(nas):
        name = row["id"]
        free.append(name)
        if row["type"] == "LINK_AGGREGATION":
            if name == id:
                free += row["lag_ports"]
            else:
                taken |= set(row["lag_ports"])
        elif row["type"] == "BRIDGE":
            taken |= {name, *row["bridge_members"]}
        elif row["type"] == "VLAN":
            taken |= {name, row["vlan_parent_interface"]}
        elif name in nas.network.rows:
            taken.add(name)
    return {name: name for name in free if name not in taken}


def _known(nas: TrueNas, name: str) -> Row:
    found = interface_query(nas, [["id", "=", name]])
    if not found:
        raise ValidationErrors.one("", f"Interface {name} does not exist", errno.ENOENT)
    row: Row = found[0]
    return row


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
