"""Services that packages bring along, by the package's name."""

from collections.abc import Callable, Iterable

from homelab_lib.twin.machine import exportfs, samba, tailscale, wireguard
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.unit import Unit

SERVICES: dict[str, Callable[[Machine], Iterable[Unit]]] = {
    exportfs.PACKAGE: exportfs.units,
    samba.PACKAGE: samba.units,
    tailscale.PACKAGE: tailscale.units,
    wireguard.PACKAGE: wireguard.units,
}
