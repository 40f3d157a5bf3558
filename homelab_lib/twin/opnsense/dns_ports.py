"""Who answers to questions for names, and on which port."""

from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php


def users_of(config: ET.Element, port: str, *, but: str) -> str:
    """The service that has a port; empty for none.

    Parameters
    ----------
    config
        What is set up.
    port
        The port.
    but
        The service that asks.
    """
    for name, called, on, its in (
        (
            "unbound",
            "Unbound DNS",
            config.findtext("OPNsense/unboundplus/general/enabled"),
            config.findtext("OPNsense/unboundplus/general/port"),
        ),
        (
            "dnsmasq",
            "Dnsmasq DNS/DHCP",
            config.findtext("dnsmasq/enable"),
            config.findtext("dnsmasq/port"),
        ),
    ):
        if name != but and not php.is_empty(on or "") and (its or "53") == port:
            return called
    return ""
