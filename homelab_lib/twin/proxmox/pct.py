"""`pct`: containers on the command line. Like `qm`, it ends with the status of its task.

Source: `PVE::CLI::pct` (pve-container 6.0).
"""

from collections.abc import Callable, Sequence
from typing import Any

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.api import Task, invoke, replied
from homelab_lib.twin.proxmox.arguments import parse_arguments
from homelab_lib.twin.proxmox.container_calls import CT, found
from homelab_lib.twin.proxmox.formats import VMID_OF
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import PveError

pct = Commands()


def _task(value: Any) -> Reply:
    assert isinstance(value, Task)
    return Reply(255 if value.failure else 0, value.log, value.failure and f"{value.failure}\n")


def _config(value: dict[str, Any]) -> Reply:
    rows = sorted((key, each) for key, each in value.items() if key != "digest")
    return Reply(0, "".join(f"{key}: {each}\n" for key, each in rows))


def _list(value: list[dict[str, Any]]) -> Reply:
    if not value:
        return Reply()
    form = "{:<10} {:<10} {:<12} {:<20}\n"
    head = ("VMID", "Status", "Lock", "Name")
    rows = [(each["vmid"], each["status"], each.get("lock", ""), each["name"]) for each in value]
    return Reply(0, "".join(form.format(*row) for row in [head, *rows]))


_VMID = ("vmid",)
COMMANDS: dict[str, tuple[str, str, Sequence[str], Callable[[Any], Reply]]] = {
    "list": ("GET", "/nodes/{node}/lxc", (), _list),
    "config": ("GET", f"{CT}/config", _VMID, _config),
    "create": ("POST", "/nodes/{node}/lxc", ("vmid", "ostemplate"), _task),
    "set": ("PUT", f"{CT}/config", _VMID, lambda value: Reply()),
    "start": ("POST", f"{CT}/status/start", _VMID, _task),
    "stop": ("POST", f"{CT}/status/stop", _VMID, _task),
    "shutdown": ("POST", f"{CT}/status/shutdown", _VMID, _task),
    "destroy": ("DELETE", CT, _VMID, _task),
}
"""Sub-commands that are a method of the API: its verb and path, the arguments, what is printed."""


@pct("pct")
def run(node: ProxmoxNode, call: Call) -> Reply:
    """Look at containers and change them."""
    if call.user != "root":
        return Reply(255, stderr="please run as root\n")
    name, words = (*call.argv[1:2], "")[0], call.argv[2:]
    if name == "unlock":
        return replied(lambda: _unlock(node, words), lambda reply: reply)
    if name not in COMMANDS:
        return Reply(255, stderr=f"ERROR: unknown command 'pct {name}'\n")
    verb, path, arguments, show = COMMANDS[name]
    method = METHODS[verb, path]
    schema = {key: rule for key, rule in method.parameters.items() if key != "node"}

    def answer() -> Any:
        given = parse_arguments(words, schema, arguments)
        return invoke(node, method, given | {"node": node.node})

    return replied(answer, show)


def _unlock(node: ProxmoxNode, words: Sequence[str]) -> Reply:
    given = parse_arguments(words, {"vmid": VMID_OF}, _VMID)
    if found(node, given).config.pop("lock", None) is None:
        raise PveError("no lock found trying to remove any lock")
    return Reply()
