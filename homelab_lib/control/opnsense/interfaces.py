"""The interfaces of a firewall: what OPNsense calls them, and devices that get a name.

Rules, DHCP and inspection speak of interfaces by identifiers (``lan``, ``opt3``) that the firewall
gives out one after the other; which device has which is asked each time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.config import configured
from homelab_lib.control.opnsense.revert import Apply
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_HARDWARE = re.compile(r"^\s+(?:ether|hwaddr) ([0-9a-fA-F:]{17})$", re.MULTILINE)
Named = dict[str, dict[str, str]]
"""By identifier: ``if``, ``descr``, ``enable``, ``ipaddr``, ``subnet`` and so on."""


def assigned(host: Host) -> Named:
    """The interfaces that have a name, as they are configured."""
    tree = configured(host, "interfaces")
    found: Named = {}
    for name, each in tree.items() if isinstance(tree, dict) else ():
        if isinstance(each, dict):
            found[str(name)] = {key: value for key, value in each.items() if isinstance(value, str)}
    return found


def identifiers(named: Named) -> dict[str, str]:
    """The identifier by device: ``{"vlan0.30": "opt3"}``."""
    return {each["if"]: name for name, each in named.items() if each.get("if")}


def addresses(host: Host, device: str) -> tuple[str, ...]:
    """The addresses that the system shows on a device, with their prefix lengths."""
    shown = host.read("ifconfig", device, ok=None)
    found = []
    for line in shown.stdout.splitlines():
        match line.split():
            case ["inet", address, "netmask", mask, *_]:
                found.append(f"{address}/{int(mask, 16).bit_count()}")
            case ["inet6", address, "prefixlen", length, *_]:
                found.append(f"{address}/{length}")
    return tuple(found)


def hardware_addresses(host: Host, device: str) -> set[str]:
    """What a card is known by: the address that it uses, and its own where that is another; none
    where there is no such device."""
    shown = host.read("ifconfig", device, ok=None)
    return {mac.lower() for mac in _HARDWARE.findall(shown.stdout)}


def next_free(named: Mapping[str, Any], taken: int = 0) -> str:
    """The identifier that OPNsense gives to the next device; `taken` are given out before it."""
    number, left = 1, taken
    while f"opt{number}" in named or left:
        left -= f"opt{number}" not in named
        number += 1
    return f"opt{number}"


def taken_up(names: Iterable[str]) -> list[Apply]:
    """What puts interfaces in force that are written, each by itself; then the rules for them."""
    calls: list[Apply] = [
        (f"set up {name}", change("configctl", "interface", "reconfigure", name)) for name in names
    ]
    reload = change("configctl", "filter", "reload")
    return [*calls, ("load the rules for the new interfaces", reload)]


def described_as(text: str) -> str:
    """A description as an interface may have it: letters, digits and ``_``."""
    return re.sub(r"\W", "_", text, flags=re.ASCII).upper()


@dataclass(frozen=True)
class Assignment:
    """A device that has a name, by the API that 26.7 has for it.

    Parameters
    ----------
    api
        The firewall.
    device, descr
        Which, and what it is called.
    """

    api: Api
    device: str
    descr: str
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return f"interface of {self.device}"

    def observe(self, host: Host) -> dict[str, str] | None:
        named = assigned(host)
        identifier = identifiers(named).get(self.device)
        if identifier is None:
            return None
        return {"identifier": identifier, "descr": named[identifier].get("descr", "")}

    def diff(self, observed: dict[str, str] | None) -> Diff:
        if observed is None:
            # Locked, which is what it would be otherwise, it could not be taken back by API.
            row = {"if": self.device, "descr": self.descr, "lock": "0"}
            call = self.api.post("interfaces/assignment/addItem", {"interface": row})
            undo = "POST /api/interfaces/assignment/delItem/<its identifier>, then reconfigure"
            summary = f"make {self.device} an interface, {self.descr}"
            return Diff((Change(summary, call, follow=told, undo=undo),))
        if observed["descr"] == self.descr:
            return Diff()
        return Diff(
            conflict=f"{self.device} is interface {observed['identifier']} already and is called "
            f"{observed['descr']!r}, which is not ours: call it {self.descr} there if this lab may "
            "have it, or say exists: true of that VLAN in place of its phase"
        )
