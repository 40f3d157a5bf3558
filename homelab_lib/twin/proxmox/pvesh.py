"""`pvesh`: the API by path.

Source: `PVE::CLI::pvesh` (pve-manager 9.2) and pve-common's `CLIFormatter`. A call that starts a
task prints the task's log and then its UPID, in JSON only if it was asked to; it ends with status 0
even when the task failed.
"""

import json
from typing import Any

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.api import Task, invoke, replied
from homelab_lib.twin.proxmox.arguments import parse_arguments
from homelab_lib.twin.proxmox.formats import BOOLEAN
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.restoring import PIPED
from homelab_lib.twin.proxmox.schema import Property

pvesh = Commands()
_VERBS = {"get": "GET", "set": "PUT", "create": "POST", "delete": "DELETE"}
_PRINTING = {
    "output-format": Property(enum=("text", "json", "json-pretty", "yaml"))
} | dict.fromkeys(("human-readable", "noborder", "noheader", "noproxy", "quiet"), BOOLEAN)


@pvesh("pvesh")
def run(node: ProxmoxNode, call: Call) -> Reply:
    """Call the API."""
    if call.user != "root":
        return Reply(255, stderr="please run as root\n")
    verb, path, *words = [*call.argv[1:], "", ""][: max(len(call.argv) - 1, 2)]
    if verb not in _VERBS:
        return Reply(255, stderr=f"ERROR: unknown command 'pvesh {verb}'\n")
    found = METHODS.find(_VERBS[verb], path)
    if found is None:
        return Reply(1, stderr=f"No '{verb}' handler defined for '{path}'\n")
    method, of_path = found
    rest = {key: rule for key, rule in method.parameters.items() if key not in of_path}
    printing: dict[str, str] = {}

    def piped(archive: str) -> str:
        """What a task reads from our standard input, which it has kept."""
        return PIPED + call.stdin.decode("latin-1")[:200] if archive == PIPED else archive

    def answer() -> Any:
        given = parse_arguments(words, rest | _PRINTING, read={"archive": piped})
        printing.update({key: given.pop(key) for key in _PRINTING if key in given})
        return invoke(node, method, given | of_path)

    return replied(answer, lambda value: _print(node, value, printing))


def _print(node: ProxmoxNode, value: Any, printing: dict[str, str]) -> Reply:
    form = printing.get("output-format", "text")
    log = ""
    if isinstance(value, Task):
        log = value.log + (f"TASK ERROR: {value.failure}\n" if value.failure else "")
        value = value.upid
    if value is None or printing.get("quiet") == "1":
        return Reply(0, log)
    if form == "text" and not isinstance(value, dict | list):
        return Reply(0, f"{log}{value}\n")
    if form not in ("json", "json-pretty"):
        why = f"{node.name}'s twin prints no tables: ask for --output-format json"
        return Reply(127, log, f"twin: {why}\n")
    shown = (
        json.dumps(value, sort_keys=True, indent=3, ensure_ascii=False)
        if form == "json-pretty"
        else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    )
    return Reply(0, f"{log}{shown}\n")
