"""What a firewall does to surprise those who set it up."""

from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.surprises import surprise

_DAY_S = 86_400.0


@surprise("ix-shift", on="opnsense")
def ix_shift(box: Box, *, device: str = "", boots: int = 1) -> None:
    """At the next boot a card's driver rejects the module in a port: each later port of that driver
    moves down by one name, and the roles go by names.

    Parameters
    ----------
    box
        Which firewall.
    device
        The port; none means the first of a card by Intel for SFP+.
    boots
        At how many boots.
    """
    ports = [name for name in box.links.by_name if name.startswith("ix")]
    chosen = device or next(iter(ports), "")
    box.links.reject(chosen, boots)


@surprise("old-states-live", on="opnsense")
def old_states(box: Box, *, for_s: float = _DAY_S) -> None:
    """Connections that stand now pass on whatever rule is loaded later, until they end or are
    killed.

    Parameters
    ----------
    box
        Which firewall.
    for_s
        How long they last [s].
    """
    box.keep_states(for_s)


@surprise("kea-loses-67", on="opnsense")
def kea_loses_67(box: Box) -> None:
    """An update switches dnsmasq on again, and it takes UDP port 67: Kea runs and lends nothing.

    Parameters
    ----------
    box
        Which firewall.
    """
    root = box.config.load()
    place = root.find("dnsmasq")
    place = ET.SubElement(root, "dnsmasq") if place is None else place
    enable = place.find("enable")
    enable = ET.SubElement(place, "enable") if enable is None else enable
    if enable.text != "1":
        enable.text = "1"
        box.config.save(root, by="(root)", description="firmware update made changes")
        box.apply("dnsmasq")
    box.started["dnsmasq"] = True


@surprise("reservation-later", on="opnsense")
def reservation_later(box: Box, *, mac: str, interface: str, hostname: str = "") -> None:
    """A client has a lease already: what is reserved for it acts only when that ends.

    Parameters
    ----------
    box
        Which firewall.
    mac, hostname
        The client.
    interface
        Where it is heard: ``opt1``.
    """
    box.lent.request(mac, hostname, interface)
