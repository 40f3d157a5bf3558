"""API of names, gateways and routes.

Source: TrueNAS middleware 25.04 to 26: `network.configuration`, `staticroute`. Unlike interfaces,
these change at once.
"""

import ipaddress

from homelab_lib.twin.truenas.arguments.network import (
    ConfigurationUpdate,
    OldRouteCreate,
    OldRouteUpdate,
    RouteCreate,
    RouteUpdate,
)
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import Family, Row
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, method

_TEXTS_SINCE = (25, 10, 1)
"""From here on an address in a route is a text at first."""

_FRESH: Row = {
    "id": 1,
    "domain": "local",
    "ipv6gateway": "",
    "httpproxy": "",
    "hosts": [],
    "domains": [],
    "service_announcement": {"netbios": False, "mdns": True, "wsd": True},
    "activity": {"type": "DENY", "activities": []},
    "hostname_local": "truenas",
}


@method("network.configuration.config")
def configuration_config(nas: TrueNas) -> Row:
    """Host name, gateway, name servers."""
    settings = {"hostname": nas.name} | nas.network.settings | nas.config["network.configuration"]
    names = [settings[f"nameserver{n}"] for n in (1, 2, 3)]
    if not any(names):  # those that DHCP gave
        names = [*nas.network.names, "", "", ""][:3]
    running = {
        "ipv4gateway": nas.network.route,
        "ipv6gateway": "",
        "nameserver1": names[0],
        "nameserver2": names[1],
        "nameserver3": names[2],
        "hosts": [],
    }
    return _FRESH | settings | {"state": running}


@method("network.configuration.update", {"data": ConfigurationUpdate})
def configuration_update(nas: TrueNas, data: Row) -> Row:
    """Other names, gateway or name servers."""
    errors = ValidationErrors()
    gateway = data.get("ipv4gateway")
    if gateway and not _reachable(nas, gateway):
        text = f"Gateway {gateway} is unreachable"
        errors.add("global_configuration_update.ipv4gateway", text)
    if data.get("ipv6gateway"):
        text = f"Gateway {data['ipv6gateway']} is unreachable"
        errors.add("global_configuration_update.ipv6gateway", text)
    errors.check()
    address = {key: data.pop(key) for key in nas.network.settings if key in data}
    if announced := data.get("service_announcement"):
        data["service_announcement"] = (
            configuration_config(nas)["service_announcement"] | announced
        )  # fmt: skip
    nas.config["network.configuration"] |= data
    nas.network.settings |= address
    if address.get("ipv4gateway"):
        nas.network.route_by(address["ipv4gateway"])
    return configuration_config(nas)


def _reachable(nas: TrueNas, gateway: str) -> bool:
    networks = [ipaddress.ip_interface(one.cidr).network for one in nas.interfaces if one.cidr]
    return any(ipaddress.ip_address(gateway) in network for network in networks)


def _check_route(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    """Where the texts themselves are looked at, since the models don't."""
    errors = ValidationErrors()
    try:
        ipaddress.ip_network(row["destination"], strict=False)
    except ValueError as error:
        errors.add(f"{place}.destination", str(error))
    try:
        if not _reachable(nas, row["gateway"]):
            text = f"Gateway {row['gateway']} is unreachable"
            errors.add(f"{place}.gateway", text)
    except ValueError as error:
        errors.add(f"{place}.gateway", str(error))
    errors.check()


ROUTES = Family(
    "staticroute",
    "StaticRoute",
    "staticroute",
    {FANGTOOTH: OldRouteCreate, _TEXTS_SINCE: RouteCreate},
    {FANGTOOTH: OldRouteUpdate, _TEXTS_SINCE: RouteUpdate},
    check=_check_route,
)
ROUTES.register()
