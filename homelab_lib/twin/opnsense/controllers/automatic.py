"""Translations that a firewall makes by itself for what goes out to a provider."""

import ipaddress
from collections.abc import Iterator
from itertools import product
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.appliance import Release

_GROUP = 500000


def _has_address(interface: ET.Element, asks: tuple[str, ...]) -> bool:
    told = interface.findtext("ipaddr") or ""
    try:
        return told in asks or bool(ipaddress.IPv4Address(told))
    except ValueError:
        return False


def _is_outer(interface: ET.Element, asks: tuple[str, ...]) -> bool:
    leads = (interface.findtext("gateway") or "none") != "none"
    is_lent = interface.findtext("ipaddr") in asks
    return (leads or is_lent) and not (interface.findtext("if") or "").startswith("ovpn")


def automatic(config: ET.Element, release: Release) -> Iterator[dict[str, Any]]:
    """Two of each interface that leads outside: one keeps the port of IPsec, one is for the rest.

    Before 26.7 there are two for each network inside, and PPPoE is not counted.

    Parameters
    ----------
    config
        The whole configuration.
    release
        The series.
    """
    asks = ("dhcp", "pppoe") if release >= (26, 7) else ("dhcp",)
    found = [each for each in config.find("interfaces") or () if _has_address(each, asks)]
    inner = [each.tag for each in found if not _is_outer(each, asks)]
    sources = {"": ",".join(inner)} if release >= (26, 7) else {f"_{each}": each for each in inner}
    kinds = [("automatic_isakmp", "500"), ("automatic", "")]
    number = 0
    for outer in (each for each in found if _is_outer(each, asks)):
        for (suffix, source), (name, port) in product(sources.items(), kinds):
            number += 1
            yield {
                "uuid": f"{name}_{outer.tag}{suffix}",
                "enabled": "1",
                "nonat": "0",
                "nosync": "0",
                "sequence": str(number),
                "interface": outer.tag,
                "%interface": outer.findtext("descr") or outer.tag.upper(),
                "ipprotocol": "inet",
                "%ipprotocol": "IPv4",
                "protocol": "any",
                "%protocol": "*",
                "source_net": source,
                "source_not": "0",
                "source_port": "",
                "destination_net": "any",
                "destination_not": "0",
                "destination_port": port,
                "target": f"{outer.tag}ip",
                "target_port": "",
                "staticnatport": "1" if port else "0",
                "log": "0",
                "categories": "",
                "tag": "",
                "tagged": "",
                "description": f"Auto created rule{' for ISAKMP' if port else ''}",
                "is_automatic": True,
                "sort_order": f"{_GROUP}.0{number:06d}",
                "prio_group": str(_GROUP),
            }
