"""The node exporter, as Debian's package brings it: it runs as soon as it is installed.

Source: prometheus/node_exporter and its exporter-toolkit; its own words of what it can't do.
"""

from collections.abc import Iterable

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.unit import Unit

exporter_programs = Commands()

PACKAGE = "prometheus-node-exporter"
_PORT = 9100
_COLLECTORS = ("--collector.drm",)
_ADDRESS = "--web.listen-address"


def brought(machine: Machine) -> Iterable[Unit]:
    """Its service, and the port on which that answers."""
    unit = Unit(PACKAGE, enabled=True, active="active", sub="running", ran=True)
    machine.listeners[_PORT] = lambda: unit.active == "active"
    return [unit]


@exporter_programs(PACKAGE)
def node_exporter(machine: Machine, call: Call) -> Reply:
    """Answer whoever asks, for as long as its service runs."""
    options = dict(word.partition("=")[::2] for word in call.argv[1:])
    unknown = [name for name in options if name not in (_ADDRESS, *_COLLECTORS)]
    if unknown:
        return Reply(1, stderr=f"{PACKAGE}: error: unknown long flag '{unknown[0]}', try --help\n")
    address, _, port = options.get(_ADDRESS, f":{_PORT}").rpartition(":")
    if address and address not in {each.address for each in machine.interfaces if each.cidr}:
        why = f"listen tcp {address}:{port}: bind: cannot assign requested address"
        return Reply(1, stderr=f'level=ERROR msg="{why}"\n')
    machine.listeners[int(port)] = lambda: machine.units[PACKAGE].active == "active"
    return Reply()
