"""Addresses that the box lends: by dnsmasq or Kea, whichever holds UDP port 67.

A lease is kept to its end. A reservation that is made meanwhile moves nobody: dnsmasq goes on with
what it has lent, and Kea lets a client have its old address again.

Source: dnsmasq(8), Kea's administrator manual (INIT-REBOOT); opnsense/core,
scripts/dnsmasq/get_dnsmasq_leases.py for what is told of a lease.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

_DNSMASQ_S, _KEA_S = 86_400.0, 4_000.0
_KEA = "OPNsense/Kea/dhcp4"


@dataclass(frozen=True)
class Lease:
    """What one client has.

    Parameters
    ----------
    mac, address, hostname
        Who, what, and under which name.
    identifier
        The interface that it came by: ``opt1``.
    until_s
        When it ends [s since 1970].
    """

    mac: str
    address: str
    hostname: str
    identifier: str
    until_s: float


@dataclass(frozen=True)
class _Offer:
    """What a server gives on one interface."""

    pools: tuple[tuple[str, str], ...]
    fixed: dict[str, str]
    lasts_s: float


class Leases:
    """The leases of one box.

    Parameters
    ----------
    box
        Whose.
    """

    def __init__(self, box: Any) -> None:
        self._box = box
        self._by_mac: dict[str, Lease] = {}

    def request(self, mac: str, hostname: str, identifier: str) -> Lease | None:
        """What a client gets that asks; None where nobody serves it.

        Parameters
        ----------
        mac, hostname
            Who asks.
        identifier
            The interface that it is heard at.
        """
        server = self._box.dhcp_server()
        offer = self._offer(server, identifier) if server else None
        if offer is None:
            return None
        now, mac = self._box.world.clock.now(), mac.lower()
        known = self._by_mac.get(mac)
        if known is not None and known.until_s > now and known.identifier == identifier:
            address = known.address  # it renews what it has, whatever is reserved by now
        else:
            address = offer.fixed.get(mac) or self._free(offer, now)
        if not address:
            return None
        self._by_mac[mac] = Lease(mac, address, hostname, identifier, now + offer.lasts_s)
        self.tell()
        return self._by_mac[mac]

    def take_over(self, found: list[Lease]) -> None:
        """These are lent; of one client the last counts."""
        self._by_mac = {lease.mac: lease for lease in found}
        self.tell()

    def forget(self, mac: str) -> None:
        """Delete a lease by hand."""
        self._by_mac.pop(mac.lower(), None)
        self.tell()

    def tell(self) -> None:
        """Have the REST side tell of those that are not over."""
        now = self._box.world.clock.now()
        lasting = [lease for lease in self._by_mac.values() if lease.until_s > now]
        self._box.leases[:] = [self._row(lease) for lease in lasting]

    def _row(self, lease: Lease) -> dict[str, Any]:
        link = self._box.links.of(lease.identifier)
        server = self._box.dhcp_server() or "dnsmasq"
        offer = self._offer(server, lease.identifier)
        return {
            "expire": int(lease.until_s),
            "hwaddr": lease.mac,
            "iaid": "",
            "address": lease.address,
            "hostname": lease.hostname or "*",
            "client_id": f"01:{lease.mac}",
            "if": link.name if link else "",
            "if_descr": link.description if link else "",
            "if_name": lease.identifier,
            "mac_info": "",
            "is_reserved": ["hwaddr"] if offer and lease.mac in offer.fixed else [],
        }

    def _free(self, offer: _Offer, now: float) -> str:
        taken = {lease.address for lease in self._by_mac.values() if lease.until_s > now}
        taken |= set(offer.fixed.values())
        for first, last in offer.pools:
            begin, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
            for number in range(int(begin), int(end) + 1):
                address = str(ipaddress.ip_address(number))
                if address not in taken and self._box.world.find_ip(address) is None:
                    return address
        return ""

    def _offer(self, server: str, identifier: str) -> _Offer | None:
        config = self._box.running.get(server)
        if config is None:
            return None
        return (_of_dnsmasq if server == "dnsmasq" else self._of_kea)(config, identifier)

    def _of_kea(self, config: ET.Element, identifier: str) -> _Offer | None:
        link = self._box.links.of(identifier)
        listens = _text(config, f"{_KEA}/general/interfaces").split(",")
        if link is None or identifier not in listens:
            return None
        nets = [ipaddress.ip_interface(address).network for address in link.addresses]
        for subnet in config.findall(f"{_KEA}/subnets/subnet4"):
            if ipaddress.ip_network(_text(subnet, "subnet"), strict=False) not in nets:
                continue
            fixed = {
                _text(row, "hw_address").lower().replace("-", ":"): _text(row, "ip_address")
                for row in config.findall(f"{_KEA}/reservations/reservation")
                if _text(row, "subnet") == subnet.get("uuid")
            }
            lasts = _text(config, f"{_KEA}/general/valid_lifetime")
            return _Offer(tuple(_pools(subnet)), fixed, float(lasts or _KEA_S))
        return None


def _pools(subnet: ET.Element) -> Iterator[tuple[str, str]]:
    for line in _text(subnet, "pools").split("\n"):
        first, dash, last = (part.strip() for part in line.partition("-"))
        if dash and int(ipaddress.ip_address(first)) <= int(ipaddress.ip_address(last)):
            yield first, last
        elif "/" in first:
            net = ipaddress.ip_network(first, strict=False)
            yield str(net[1]), str(net[-2])


def _of_dnsmasq(config: ET.Element, identifier: str) -> _Offer | None:
    root = config.find("dnsmasq")
    listens = _text(config, "dnsmasq/interface").split(",")
    if root is None or (listens != [""] and identifier not in listens):
        return None
    rows = [
        row
        for row in root.findall("dhcp_ranges")
        if _text(row, "interface") == identifier and ":" not in _text(row, "start_addr")
    ]
    pools = [(_text(row, "start_addr"), _text(row, "end_addr")) for row in rows]
    pools = [
        (first, last)
        for first, last in pools
        if last and int(ipaddress.ip_address(first)) <= int(ipaddress.ip_address(last))
    ]
    if not rows:
        return None
    fixed = {
        mac.lower().replace("-", ":"): _text(row, "ip").split(",")[0]
        for row in root.findall("hosts")
        for mac in filter(None, _text(row, "hwaddr").split(","))
    }
    lasts = max((float(_text(row, "lease_time") or _DNSMASQ_S) for row in rows), default=0.0)
    return _Offer(tuple(pools), fixed, lasts if lasts > 0 else _DNSMASQ_S)


def _text(element: ET.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
