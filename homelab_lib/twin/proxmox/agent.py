"""The guest agent of VMs, through the API.

Source: `PVE::API2::Qemu::Agent` (qemu-server 9.2): what QEMU's agent answers stands in ``result``.
"""

from typing import Any

from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.proxmox.api import Given, Methods
from homelab_lib.twin.proxmox.arguments import REST
from homelab_lib.twin.proxmox.guest import Guest
from homelab_lib.twin.proxmox.guest_calls import VM, found
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import ParameterError, Property, PveError

calls = Methods()

_COMMANDS = (
    *("fsfreeze-freeze", "fsfreeze-status", "fsfreeze-thaw", "fstrim", "get-fsinfo"),
    *("get-host-name", "get-memory-block-info", "get-memory-blocks", "get-osinfo", "get-time"),
    *("get-timezone", "get-users", "get-vcpus", "info", "network-get-interfaces", "ping"),
    *("shutdown", "suspend-disk", "suspend-hybrid", "suspend-ram"),
)


def agent_of(node: ProxmoxNode, given: Given) -> Guest:
    """The guest behind an agent that answers.

    Raises
    ------
    PveError
        There is none, or it is silent.
    """
    vm = found(node, given)
    if not vm.agent:
        raise PveError("No QEMU guest agent configured")
    if not vm.running or vm.guest is None:
        raise PveError(f"VM {vm.vmid} is not running")
    if not vm.guest.agent_runs():
        raise PveError("QEMU guest agent is not running")
    return vm.guest


@calls("POST", f"{VM}/agent", {"command": Property(enum=_COMMANDS, required=True)})
def _ask(node: ProxmoxNode, given: Given) -> Any:
    guest = agent_of(node, given)
    match given["command"]:
        case "network-get-interfaces":
            return {"result": _interfaces(guest)}
        case "ping":
            return {"result": {}}
        case "get-host-name":
            return {"result": {"host-name": guest.name}}
        case unknown:
            raise PveError(f"twin: its guests do not know the agent's {unknown}", 127)


@calls("GET", f"{VM}/agent/network-get-interfaces")
def _network(node: ProxmoxNode, given: Given) -> Any:
    return {"result": _interfaces(agent_of(node, given))}


@calls("POST", f"{VM}/agent/ping")
def _ping(node: ProxmoxNode, given: Given) -> Any:
    agent_of(node, given)
    return {"result": {}}


@calls("GET", f"{VM}/agent/exec-status", {"pid": Property("integer", required=True)})
def _exec_status(node: ProxmoxNode, given: Given) -> Any:
    guest = agent_of(node, given)
    number = int(given["pid"]) - 1
    if number not in range(len(guest.answers)):
        raise PveError(f"Agent error: PID {given['pid']} does not exist")
    return guest.answers[number]


def execute(node: ProxmoxNode, given: Given) -> dict[str, Any]:
    """Run a command in a guest: what came of it, or the number to ask again with.

    Parameters
    ----------
    node, given
        The VM, and the words of the command in `REST`.

    Raises
    ------
    PveError
        There is nobody to run it.
    """
    guest = agent_of(node, given)
    words = given.get(REST, "")
    if not words:
        raise ParameterError({"command": "property is missing and it is not optional"})
    inner = guest.inside.call(Call(tuple(words.split("\0")))).finished()
    document: dict[str, Any] = {"exitcode": inner.status, "exited": 1}
    for key, data in (("out-data", inner.out), ("err-data", inner.err)):
        if data:
            document[key] = data.decode(errors="replace")
    guest.answers.append(document)
    if guest.agent_slow or given.get("synchronous") == "0":
        return {"pid": len(guest.answers)}
    return document


def _interfaces(guest: Guest) -> list[dict[str, Any]]:
    def address(text: str, prefix: int) -> dict[str, Any]:
        kind = "ipv6" if ":" in text else "ipv4"
        return {"ip-address": text, "ip-address-type": kind, "prefix": prefix}

    rows = [
        {
            "name": "lo",
            "hardware-address": "00:00:00:00:00:00",
            "ip-addresses": [address("127.0.0.1", 8), address("::1", 128)],
        }
    ]
    for each in guest.inside.interfaces:
        found, _, prefix = each.cidr.partition("/")
        shown = [address(found, int(prefix))] if found else []
        rows.append({"name": each.name, "hardware-address": each.mac, "ip-addresses": shown})
    return rows
