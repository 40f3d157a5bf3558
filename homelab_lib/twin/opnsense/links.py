"""Network devices as the kernel has them: addresses that are up, VLANs that were made.

What is written is not what is up. An address comes when its interface is configured; a VLAN that
was made stays until a reboot, or until VLANs are configured anew, whatever is written by then.

Source: opnsense/core, src/etc/inc/interfaces.inc (`interface_configure`, `interfaces_configure`,
`_interfaces_vlan_configure`) and scripts/interfaces/reconfigure_vlans.php.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.interface import Interface

_LEASED, ROUTER = "203.0.113.10/24", "203.0.113.1"
"""What a provider's DHCP gives: of a network for documentation."""
_MTU = 1500
_FAMILIES = (("ipaddr", "subnet"), ("ipaddrv6", "subnetv6"))
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class Link:
    """A network device.

    Parameters
    ----------
    name, mac
        What the kernel calls it, and its hardware address.
    segment
        The port that its frames leave by, as the lab's wires have it.
    parent, tag
        Of a VLAN: the device it is on, and its tag.
    addresses
        With their prefix lengths, of either family.
    identifier
        The interface that configured it: ``opt1``; empty for none.
    media, active
        How fast its port came up, and whether somebody is at the other end, where a real one has
        said so.
    """

    name: str
    mac: str = ""
    segment: str = ""
    parent: str = ""
    tag: int | None = None
    addresses: list[str] = field(default_factory=list)
    identifier: str = ""
    description: str = ""
    mtu: int = _MTU
    up: bool = True
    media: str = ""
    active: bool | None = None


class Links:
    """All devices of one firewall.

    Parameters
    ----------
    cards
        Those that are no software.
    """

    def __init__(self, cards: list[Link]) -> None:
        self._cards = cards
        self.by_name: dict[str, Link] = {}
        self._routes: list[tuple[Network, str]] = []  # networks that are here, the first decides
        self._rejections: list[str] = []  # the card that has no driver, boot by boot
        self.reset()

    def reset(self) -> None:
        """As the kernel finds them when it boots: it counts those of a driver that have one."""
        rejected, self._rejections = (self._rejections or [""])[0], self._rejections[1:]
        driver = rejected.rstrip("0123456789")
        shifted = [card for card in self._cards if card.name.startswith(driver) and rejected]
        counted = [card for card in shifted if card.name != rejected]
        names = {card.name: shifted[place].name for place, card in enumerate(counted)}
        found = [
            replace(card, name=names.get(card.name, card.name), addresses=[], identifier="")
            for card in self._cards
            if card.name != rejected
        ]
        self.by_name = {link.name: link for link in found}
        self._routes = []

    def reject(self, name: str, boots: int) -> None:
        """Have a card's driver reject the module in it at the next boots."""
        self._rejections = [name] * boots

    def take_over(self, found: "list[Link]") -> None:
        """These are there, with the addresses that they have; the first of a network leads to it.

        Parameters
        ----------
        found
            All devices, cards and others.
        """
        self.by_name = {link.name: link for link in found}
        self._routes = [
            (ipaddress.ip_interface(address).network, link.name)
            for link in found
            for address in link.addresses
        ]

    def boot(self, config: ET.Element) -> None:
        """Everything that is written comes up, and nothing else."""
        self.reset()
        self.configure_all(config)

    def configure_all(self, config: ET.Element) -> None:
        """Make all VLANs and configure all interfaces; what else there is stays."""
        for vlan in config.findall("vlans/vlan"):
            self._make_vlan(vlan)
        for each in config.findall("interfaces/*"):
            self.configure(config, each.tag, reload=False)

    def configure(self, config: ET.Element, identifier: str, *, reload: bool = True) -> None:
        """Give an interface's device what is written; one that is not enabled is left alone.

        Parameters
        ----------
        config
            What is written.
        identifier
            ``lan``, ``opt1``.
        reload
            Whether a VLAN that it is on is made anew.
        """
        wanted = config.find(f"interfaces/{identifier}")
        if wanted is None or wanted.find("enable") is None:
            return
        device = wanted.findtext("if", "")
        if reload:
            for vlan in config.findall("vlans/vlan"):
                if vlan.findtext("vlanif") == device:
                    self._make_vlan(vlan)
        link = self.by_name.get(device)
        if link is None:
            return  # "Unable to configure nonexistent interface", in its log
        for address, length in _FAMILIES:
            if wanted.findtext(address):
                self._flush(link, 6 if address == "ipaddrv6" else 4)
                self._give(link, wanted.findtext(address, ""), wanted.findtext(length, ""))
        link.identifier = identifier
        link.description = wanted.findtext("descr") or identifier.upper()
        mtu = wanted.findtext("mtu") or ""
        link.mtu = int(mtu) if mtu.isdigit() else link.mtu
        link.up = True

    def configure_vlans(self, config: ET.Element) -> None:
        """Make those that are new, change those that were changed, destroy those that are gone."""
        written = {vlan.findtext("vlanif", ""): vlan for vlan in config.findall("vlans/vlan")}
        for name in [link.name for link in self.by_name.values() if link.tag is not None]:
            if name not in written:
                self.destroy(name)
        for name, vlan in written.items():
            there = self.by_name.get(name)
            if there is None:
                self._make_vlan(vlan)
            else:
                there.parent, there.tag = vlan.findtext("if", ""), int(vlan.findtext("tag", "0"))
                there.segment = self._segment(there.parent)

    def release(self, config: ET.Element) -> None:
        """Take away the addresses of interfaces that are assigned no more."""
        assigned = {each.tag: each.findtext("if") for each in config.findall("interfaces/*")}
        for link in self.by_name.values():
            if link.identifier and assigned.get(link.identifier) != link.name:
                self._flush(link)
                link.identifier = ""

    def destroy(self, name: str) -> None:
        """Take a device away."""
        self._forget(name)
        del self.by_name[name]

    def take(self, name: str, address: str) -> None:
        """Take an address from a device."""
        link = self.by_name[name]
        for cidr in [each for each in link.addresses if each.startswith(f"{address}/")]:
            link.addresses.remove(cidr)
            self._routes.remove((ipaddress.ip_interface(cidr).network, name))

    def _make_vlan(self, vlan: ET.Element) -> None:
        parent = self.by_name.get(vlan.findtext("if", ""))
        name, tag = vlan.findtext("vlanif", ""), vlan.findtext("tag", "")
        if parent is None or not tag.isdigit():
            return
        # It is destroyed and made anew: it has no address until it is given one.
        self._forget(name)
        self.by_name[name] = Link(name, parent.mac, parent.segment, parent.name, int(tag))

    def _forget(self, name: str) -> None:
        self._routes = [route for route in self._routes if route[1] != name]

    def _flush(self, link: Link, version: int = 0) -> None:
        gone = [a for a in link.addresses if version in (0, ipaddress.ip_interface(a).version)]
        for address in gone:
            link.addresses.remove(address)
            self._routes.remove((ipaddress.ip_interface(address).network, link.name))

    def _give(self, link: Link, text: str, length: str) -> None:
        """An address, and the route to its network: where another device has that, it keeps it."""
        try:
            cidr = ipaddress.ip_interface(_LEASED if text == "dhcp" else f"{text}/{length}")
        except ValueError:
            return  # ifconfig refuses it; or there is another way, such as dhcp6
        link.addresses.append(str(cidr))
        self._routes.append((cidr.network, link.name))

    def _segment(self, device: str) -> str:
        link = self.by_name.get(device)
        return link.segment if link else ""

    # ---------------------------------------------------------------------- looking

    def interfaces(self, host: str) -> Iterator[Interface]:
        """The same as every machine has them."""
        first = {name: place for place, (_, name) in reversed(list(enumerate(self._routes)))}
        links = sorted(self.by_name.values(), key=lambda each: first.get(each.name, len(first)))
        for link in links:
            ipv4 = [a for a in link.addresses if ipaddress.ip_interface(a).version == 4]
            for cidr in ipv4 or [""]:
                yield Interface(
                    name=link.name,
                    mac=link.mac,
                    cidr=cidr,
                    host=host,
                    segment=link.segment,
                    tag=link.tag,
                    mtu=link.mtu,
                    up=link.up,
                )

    def routers(self) -> dict[str, str]:
        """The router that a provider has told, by device."""
        return {link.name: ROUTER for link in self.by_name.values() if _LEASED in link.addresses}

    def of(self, identifier: str) -> Link | None:
        """The device of an interface that is up; None for none."""
        return next((x for x in self.by_name.values() if x.identifier == identifier), None)

    def towards(self, address: str) -> Link | None:
        """The device that leads to an address of a network that is here; None for none."""
        ip = ipaddress.ip_address(address)
        fitting = [route for route in self._routes if ip in route[0]]
        best = max(fitting, key=lambda route: route[0].prefixlen, default=None)
        return None if best is None else self.by_name[best[1]]

    def holding(self, address: str) -> Link | None:
        """The device that has an address; None for none."""
        begins = f"{address}/"
        return next(
            (x for x in self.by_name.values() if any(a.startswith(begins) for a in x.addresses)),
            None,
        )
