"""Gateways: those that were written down, and those that come with an interface."""

import ipaddress
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Offer

Gateway = dict[str, Any]
_BY_ROUTER = ("6rd", "6to4", "dhcp6", "slaac")


def gateways(config: ET.Element, box: Any) -> list[Gateway]:
    """All of them, the one that leads first.

    Parameters
    ----------
    config
        Where interfaces and gateways are written down.
    box
        The firewall: it knows the routers that DHCP has told.
    """
    found: list[tuple[str, Gateway]] = []

    def add(gateway: Gateway) -> None:
        weight = 256 - min(int(gateway.get("priority") or 255), 255)
        leads = not php.is_empty(str(gateway.get("defaultgw") or ""))
        found.append((f"{int(leads)}{weight:04d}{len(found) + 1:010d}", gateway))

    add(_loop("Null4", "inet", "127.0.0.1"))
    add(_loop("Null6", "inet6", "::1"))
    unfixed: dict[str, list[Gateway]] = {}
    names = set()
    for written in _written(config):
        names.add(written["name"])
        if filters.is_ip(written["gateway"]):
            add(written)
        else:
            unfixed.setdefault(written["interface"], []).append(written | {"dynamic": True})
    for gateway in _of_interfaces(config, box, unfixed, names):
        add(gateway)
    ordered = [gateway for _, gateway in sorted(found, key=lambda pair: pair[0], reverse=True)]
    left = [each for group in unfixed.values() for each in group]
    return ordered + [_without_address(each) | {"defunct": True} for each in left]


def _without_address(gateway: Gateway) -> Gateway:
    return {key: value for key, value in gateway.items() if key != "gateway"}


def _loop(name: str, family: str, address: str) -> Gateway:
    return {
        "name": name,
        "if": "lo0",
        "interface": "loopback",
        "ipprotocol": family,
        "gateway": address,
        "priority": 255,
        "is_loopback": True,
    }


def _written(config: ET.Element) -> Iterator[Gateway]:
    for number, row in enumerate(config.findall("OPNsense/Gateways/gateway_item")):
        gateway: Gateway = {each.tag: each.text or "" for each in row}
        interface = config.find(f"interfaces/{gateway['interface']}")
        device = None if interface is None else interface.findtext("if") or ""
        monitored = php.is_empty(gateway.get("monitor_disable", "")) and not gateway.get("monitor")
        if monitored and filters.is_ip(gateway["gateway"]):
            gateway["monitor"] = gateway["gateway"]
        yield gateway | {"uuid": row.get("uuid", ""), "if": device, "attribute": number}


def _of_interfaces(
    config: ET.Element, box: Any, unfixed: dict[str, list[Gateway]], names: set[str]
) -> Iterator[Gateway]:
    for each in config.find("interfaces") or ():
        enabled = not php.is_empty(each.findtext("enable") or "")
        if not enabled or each.findtext("virtual") == "1":
            continue
        for family, setting in (("inet", "ipaddr"), ("inet6", "ipaddrv6")):
            configured = each.findtext(setting) or ""
            kind = "GW" if not configured or filters.is_ip(configured) else configured
            name = f"{each.findtext('descr') or each.tag}_{kind}".upper()
            gateway: Gateway = {
                "interface": each.tag,
                "weight": "1",
                "ipprotocol": family,
                "name": name,
                "descr": f"Interface {name} Gateway",
                "monitor_disable": "1",
                "monitor_noroute": "0",
                "gateway_interface": False,
                "if": each.findtext("if") or "",
                "dynamic": True,
                "virtual": True,
                "priority": 254,
            }
            waiting = unfixed.get(each.tag, [])
            mine = next((w for w in waiting if w["ipprotocol"] == family), None)
            if mine is not None:
                waiting.remove(mine)
                gateway = mine
            router = _router(box, gateway["if"] or "", family)
            if gateway.get("virtual") and name in names:
                continue
            if router:
                yield gateway | {"gateway": router}
            elif family == "inet6" and configured in _BY_ROUTER:
                yield _without_address(gateway)
            elif not gateway.get("virtual"):
                waiting.append(gateway)


def _router(box: Any, device: str, family: str) -> str:
    """The router that a provider has told for a device."""
    told = box.routers.get(device, "")
    version = {"inet": 4, "inet6": 6}[family]
    return told if told and ipaddress.ip_address(told).version == version else ""


def by_name(
    config: ET.Element,
    box: Any,
    *,
    disabled: bool = False,
    loops: bool = False,
    inactive: bool = False,
) -> dict[str, Gateway]:
    """Gateways by their names.

    Parameters
    ----------
    config, box
        As for `gateways`.
    disabled, loops, inactive
        Whether those that are switched off, that lead nowhere, or whose interface is not there,
        are among them.
    """
    return {
        each["name"]: each
        for each in gateways(config, box)
        if (disabled or php.is_empty(php.text_of(each.get("disabled") or "")))
        and (loops or not each.get("is_loopback"))
        and (inactive or each.get("is_loopback") or each.get("if"))
    }


def gateway_names(leaf: Leaf) -> Offer:
    """What a rule or a route may go by."""
    tree = leaf.tree
    found = by_name(tree.config, tree.box, disabled=True, loops=True, inactive=True)
    return _called(found)


def active_names(config: ET.Element, box: Any) -> Offer:
    """What a group of gateways may have."""
    return _called(by_name(config, box))


def _called(found: dict[str, Gateway]) -> Offer:
    offer = {}
    for name, gateway in sorted(found.items()):
        address = gateway.get("gateway") or ""
        offer[name] = f"{name} - {address if filters.is_ip(address) else gateway['ipprotocol']}"
    return offer
