"""`ethtool`: whether there is a link on a port, and how fast.

Source: ethtool(8); settings as ethtool 6.1 prints them, in the lines that tell of the link.
"""

from homelab_lib.lab.ports import HostPort
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

links = Commands()

_NO_DEVICE = 75
_PORTS = {"RJ45": "Twisted Pair", "SFP+": "FIBRE", "SFP": "FIBRE", "SFP28": "FIBRE"}


@links("ethtool")
def ethtool(machine: Machine, call: Call) -> Reply:
    """The link of an interface, or with ``-i`` its driver."""
    words, options = operands(call)
    found = next((each for each in machine.interfaces if each.name in words[:1]), None)
    if found is None:
        error = "netlink error: no device matches name (offset 24)\nnetlink error: No such device\n"
        return Reply(_NO_DEVICE, "", error)
    if "-i" in options:
        return _driver(machine, found)
    if options:
        error = "ethtool: bad command line argument(s)\nFor more information run ethtool -h\n"
        return Reply(1, "", error)
    port = _port(machine, found)
    speed = machine.world.link_bps(found.host, found.segment) if found.up else 0
    lines = [f"Settings for {found.name}:"]
    if port is not None:
        lines.append(f"\tSupported ports: [ {'TP' if port.connector == 'RJ45' else 'FIBRE'} ]")
    lines += [
        f"\tSpeed: {speed // 10**6}Mb/s" if speed else "\tSpeed: Unknown!",
        "\tDuplex: Full" if speed else "\tDuplex: Unknown! (255)",
    ]
    if port is not None:
        lines.append(f"\tPort: {_PORTS.get(port.connector, 'Other')}")
    lines += ["\tAuto-negotiation: on", f"\tLink detected: {'yes' if speed else 'no'}"]
    return Reply(0, "\n".join(lines) + "\n")


def _port(machine: Machine, interface: Interface) -> HostPort | None:
    """The lab's port that an interface is; None for a bridge, or one the lab does not know."""
    host = machine.world.lab.hosts.get(interface.host)
    return host.ports.get(interface.segment) if host else None


def _driver(machine: Machine, interface: Interface) -> Reply:
    port = _port(machine, interface)
    driver = port.part.driver if port is not None else None
    if driver is None:
        return Reply(0, "driver: \nversion: \nfirmware-version: \n")
    return Reply(0, f"driver: {driver}\nversion: {machine.kernel}\nfirmware-version: \n")
