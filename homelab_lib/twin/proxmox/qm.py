"""`qm`: VMs on the command line. Unlike `pvesh`, it ends with the status of its task.

Source: `PVE::CLI::qm` (qemu-server 9.2).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.agent import execute
from homelab_lib.twin.proxmox.api import Given, Task, invoke, replied
from homelab_lib.twin.proxmox.arguments import REST, parse_arguments
from homelab_lib.twin.proxmox.formats import BOOLEAN, VMID_OF
from homelab_lib.twin.proxmox.guest_calls import VM, found
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import (
    NO_SUCH_FILE,
    ParameterError,
    Property,
    PveError,
    Schema,
)

qm = Commands()
Printer = Callable[[Any], Reply]


def _task(value: Any) -> Reply:
    assert isinstance(value, Task)
    return Reply(
        255 if value.failure else 0, value.log, f"{value.failure}\n" if value.failure else ""
    )


def _careless(value: Any) -> Reply:
    """Ends with 0 and does not name its task, whatever becomes of that."""
    assert isinstance(value, Task)
    return Reply(0, f"TASK ERROR: {value.failure}\n" if value.failure else value.log)


def _quiet(value: Any) -> Reply:
    return Reply()


def _text(value: Any) -> Reply:
    return Reply(0, f"{value}\n")


def _config(value: dict[str, Any]) -> Reply:
    rows = sorted((key, each) for key, each in value.items() if key != "digest")
    return Reply(0, "".join(f"{key}: {_encoded(key, each)}\n" for key, each in rows))


def _encoded(key: str, value: Any) -> Any:
    """A description is one line: colons, percent signs and all that is no plain ASCII encoded."""
    plain = " !\"#$&'()*+,-./0123456789;<=>?@[\\]^_`{|}~"
    return quote(value, safe=plain) if key == "description" else value


def _pending(value: list[dict[str, Any]]) -> Reply:
    lines = []
    for row in value:
        lines += [f"cur {row['key']}: {row['value']}"] if "value" in row else []
        lines += [f"new {row['key']}: {row['pending']}"] if "pending" in row else []
    return Reply(0, "".join(f"{line}\n" for line in lines))


def _list(value: list[dict[str, Any]]) -> Reply:
    if not value:
        return Reply()
    form = "{:>10} {:<20} {:<10} {:<10} {:>12} {:<10}\n"
    lines = [form.format("VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID")]
    for row in value:
        memory, disk = row["maxmem"] // 2**20, f"{row['maxdisk'] / 2**30:.2f}"
        shown = (row["vmid"], row["name"], row["status"], memory, disk, row.get("pid", 0))
        lines.append(form.format(*shown))
    return Reply(0, "".join(lines))


def _agent(value: dict[str, Any]) -> Reply:
    inside = value.get("result", value)
    if inside == {}:
        return Reply()
    return Reply(0, json.dumps(inside, indent=3, sort_keys=True, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class _Command:
    """One sub-command: the method of the API behind it, its arguments, what it prints."""

    verb: str
    path: str
    arguments: tuple[str, ...]
    show: Printer


_VMID = ("vmid",)
_STATUS = f"{VM}/status"
COMMANDS: dict[str, _Command] = {
    "list": _Command("GET", "/nodes/{node}/qemu", (), _list),
    "create": _Command("POST", "/nodes/{node}/qemu", _VMID, _task),
    "destroy": _Command("DELETE", VM, _VMID, _task),
    "set": _Command("PUT", f"{VM}/config", _VMID, _quiet),
    "config": _Command("GET", f"{VM}/config", _VMID, _config),
    "pending": _Command("GET", f"{VM}/pending", _VMID, _pending),
    "start": _Command("POST", f"{_STATUS}/start", _VMID, _task),
    "stop": _Command("POST", f"{_STATUS}/stop", _VMID, _task),
    "shutdown": _Command("POST", f"{_STATUS}/shutdown", _VMID, _task),
    "resize": _Command("PUT", f"{VM}/resize", ("vmid", "disk", "size"), _careless),
    "disk resize": _Command("PUT", f"{VM}/resize", ("vmid", "disk", "size"), _careless),
    "cloudinit dump": _Command("GET", f"{VM}/cloudinit/dump", ("vmid", "type"), _text),
    "guest cmd": _Command("POST", f"{VM}/agent", ("vmid", "command"), _agent),
    "agent": _Command("POST", f"{VM}/agent", ("vmid", "command"), _agent),
    "guest exec-status": _Command("GET", f"{VM}/agent/exec-status", ("vmid", "pid"), _agent),
}
"""Those that are a method of the API; the others are `qm`'s own."""


@qm("qm")
def run(node: ProxmoxNode, call: Call) -> Reply:
    """Look at VMs and change them."""
    if call.user != "root":
        return Reply(255, stderr="please run as root\n")
    for count in (2, 1):
        name, rest = " ".join(call.argv[1 : 1 + count]), call.argv[1 + count :]
        if name in COMMANDS:
            return _through_the_api(node, COMMANDS[name], rest)
        if name in _OWN:
            schema, arguments, body = _OWN[name]
            return _own(node, schema, arguments, body, rest)
    return Reply(255, stderr=f"ERROR: unknown command 'qm {' '.join(call.argv[1:3])}'\n")


def _through_the_api(node: ProxmoxNode, command: _Command, words: Sequence[str]) -> Reply:
    method = METHODS[command.verb, command.path]
    schema = {key: rule for key, rule in method.parameters.items() if key != "node"}

    def keys(path: str) -> str:
        return _read_keys(node, path)

    def answer() -> Any:
        given = parse_arguments(words, schema, command.arguments, {"sshkeys": keys})
        return invoke(node, method, given | {"node": node.node})

    return replied(answer, command.show)


def _read_keys(node: ProxmoxNode, path: str) -> str:
    """SSH keys are given in a file; the configuration keeps their text."""
    try:
        return quote(node.files.read(path).decode().rstrip("\n"), safe="")
    except FileError as error:
        raise PveError(f"can't open '{path}' - {error.says}", NO_SUCH_FILE) from None


# Its own -----------------------------------------------------------------------------------------

Own = Callable[[ProxmoxNode, Given], Reply]


def _own(
    node: ProxmoxNode, schema: Schema, arguments: Sequence[str], body: Own, words: Sequence[str]
) -> Reply:
    def answer() -> Reply:
        return body(node, parse_arguments(words, schema, arguments))

    return replied(answer, lambda reply: reply)


def _status(node: ProxmoxNode, given: Given) -> Reply:
    row = found(node, given).row(node.world.clock.now())
    if given.get("verbose") != "1":
        return Reply(0, f"status: {row['status']}\n")
    shown = sorted((row | {"qmpstatus": row["status"]}).items())
    return Reply(0, "".join(f"{key}: {value}\n" for key, value in shown if key != "cpu"))


def _unlock(node: ProxmoxNode, given: Given) -> Reply:
    vm = found(node, given)
    node.changes(vm)
    vm.config.pop("lock", None)
    return Reply()


def _exec(node: ProxmoxNode, given: Given) -> Reply:
    if "timeout" in given and given.get("synchronous") == "0":
        raise ParameterError({"synchronous": "needs to be set for 'timeout'"})
    return _agent(execute(node, given))


_OF_A_VM: Schema = {"vmid": VMID_OF}
_EXEC: Schema = {
    "vmid": VMID_OF,
    "synchronous": BOOLEAN,
    "timeout": Property("integer", minimum=0),
    "pass-stdin": BOOLEAN,
    REST: Property(),
}
_OWN: dict[str, tuple[Schema, Sequence[str], Own]] = {
    "status": (dict(_OF_A_VM) | {"verbose": BOOLEAN}, _VMID, _status),
    "unlock": (_OF_A_VM, _VMID, _unlock),
    "guest exec": (_EXEC, ("vmid", REST), _exec),
}
