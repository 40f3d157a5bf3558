"""Services that packages bring along, by the package's name."""

from collections.abc import Callable

from homelab_lib.twin.machine import tailscale
from homelab_lib.twin.machine.unit import Unit

SERVICES: dict[str, Callable[[], Unit]] = {tailscale.PACKAGE: tailscale.unit}
