"""The appliances' releases that this project knows.

Known is a series whose calls were held against what the vendor publishes of it, or that its source
was read for. Of any other nobody here can say what its calls mean: it is told, never passed over.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """Releases that share their calls.

    Parameters
    ----------
    product
        ``truenas``, ``proxmox``, ``opnsense``, ``k3s``.
    name
        Its first two numbers as the vendor writes them: ``25.10``.
    warns
        What a person should know before they trust it; empty for nothing.
    """

    product: str
    name: str
    warns: str = ""

    def __str__(self) -> str:
        return f"{self.product} {self.name}"


_BETA = "it is a beta: its calls may change until it is released"

KNOWN = (
    Series("truenas", "25.04"),
    Series("truenas", "25.10"),
    Series("truenas", "26.0", _BETA),
    Series("proxmox", "8.4"),
    Series("proxmox", "9.1"),
    Series("proxmox", "9.2"),
    Series("opnsense", "26.1"),
    Series("opnsense", "26.7"),
    Series("k3s", "1.34"),
    Series("k3s", "1.35"),
    Series("k3s", "1.36"),
    Series("k3s", "1.37"),
)

PRODUCTS = frozenset(series.product for series in KNOWN)
"""Those whose releases are judged: each has a twin."""


def series_of(product: str, version: str) -> Series:
    """The series that a version belongs to, known or not.

    Parameters
    ----------
    product
        As `Series` has it.
    version
        As the product tells it: ``TrueNAS-25.10.1``, ``pve-manager/9.1.4/…``, ``v1.34.4+k3s1``.
    """
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return Series(product, version.strip() or "of no release")
    found = tuple(map(int, numbers.groups()))
    for known in KNOWN:
        if known.product == product and tuple(map(int, known.name.split("."))) == found:
            return known
    return Series(product, numbers.group())


def is_known(series: Series) -> bool:
    """Whether it is one of `KNOWN`."""
    return series in KNOWN


def known_names(product: str) -> str:
    """The known series of a product, for a sentence: ``8.4, 9.1, 9.2``."""
    return ", ".join(series.name for series in KNOWN if series.product == product)
