"""Network cards as a node has them on its bus.

Source: the kernel's tables of devices: r8169 has the RTL8126 since Linux 6.9 (commit 3907f1ffc0ec),
its revision B since 6.12 (69cb89981c7a); atlantic has the AQC113 since 5.8.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.lab.host import Host

_FIRST_BUS = 0x0C
_CHIPS = {
    "AQC113": ("0x1d6a", "0x04c0", "atlantic", "5.8"),
    "RTL8126": ("0x10ec", "0x8126", "r8169", "6.9"),
    "RTL8125BG": ("0x10ec", "0x8125", "r8169", "5.4"),
    "I226-V": ("0x8086", "0x125c", "igc", "5.16"),
}
"""By chip: vendor, device, driver, and the first kernel whose driver knows it."""


@dataclass
class Card:
    """A network card.

    Parameters
    ----------
    port, name, mac
        The lab's port, the interface that it makes, its hardware address.
    address, vendor, device, title
        Its place on the bus, its numbers, and how it is called.
    module, since
        The driver in the kernel, and the first kernel whose driver knows it; empty for any.
    driver
        What drives it now; empty for nothing.
    """

    port: str
    name: str
    mac: str
    address: str
    vendor: str
    device: str
    title: str
    module: str
    since: str = ""
    driver: str = ""


def version_of(kernel: str) -> tuple[int, ...]:
    """``6.8.12-20-pve`` as numbers that can be compared: (6, 8)."""
    return tuple(int(number) for number in re.findall(r"\d+", kernel)[:2])


def cards_of(host: Host) -> Iterator[Card]:
    """The cards that a host is described with, on the bus in the order of their names."""
    named = [port for port in host.ports.values() if port.interface]
    for place, port in enumerate(sorted(named, key=lambda port: str(port.interface))):
        vendor, device, module, since = _CHIPS.get(
            port.part.chip.upper(),
            ("0x8086", f"0x{0x1500 + place:04x}", port.part.driver or "unknown", ""),
        )
        yield Card(
            port.name,
            str(port.interface),
            port.mac or f"02:00:00:00:00:{place:02x}",
            f"0000:{_FIRST_BUS + place:02x}:00.0",
            vendor,
            device,
            f"{port.part.chip} Ethernet Controller",
            module,
            since,
        )
