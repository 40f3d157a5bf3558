"""How a Linux machine reaches its graphics: the kernel, and the nodes that programs render by.

The numbers of render nodes follow the order in which drivers found the cards, and change; what
stays is the card's place on the bus. Source: Linux Documentation/gpu/drm-uapi; udev's
60-drm.rules, which makes the links by path.
"""

import re

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host

PROCESSORS_OWN = "0000:00:02.0"
"""Where Intel's processors have their own graphics."""


def kernel(host: Host) -> tuple[int, ...]:
    """The running kernel: ``(6, 12)``.

    Raises
    ------
    StepFailed
        It says something else.
    """
    told = host.read("uname", "-r").stdout.strip()
    found = re.match(r"(\d+)\.(\d+)", told)
    if found is None:
        raise StepFailed(
            f"{host.name} names no kernel: {host.cut(told, 60)!r}",
            where=f"{host.name}: uname -r",
            fix="look at what answers there in place of Linux",
        )
    return int(found[1]), int(found[2])


def render_node(host: Host, slot: str) -> str:
    """The render node of a card by its place on the bus; empty where it has none."""
    link = f"/dev/dri/by-path/pci-{slot}-render"
    return host.read("readlink", "-e", link, ok=(0, 1)).stdout.strip()
