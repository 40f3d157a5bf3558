"""The node exporter, as Debian's package brings it: it runs as soon as it is installed."""

from collections.abc import Iterable

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.unit import Unit

PACKAGE = "prometheus-node-exporter"
_PORT = 9100


def brought(machine: Machine) -> Iterable[Unit]:
    """Its service, and the port on which that answers."""
    unit = Unit(PACKAGE, enabled=True, active="active", sub="running", ran=True)
    machine.listeners[_PORT] = lambda: unit.active == "active"
    return [unit]
