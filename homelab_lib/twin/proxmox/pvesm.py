"""`pvesm`: storages on the command line; `pveversion`: the release.

Source: `PVE::CLI::pvesm` (pve-storage 9.1), `pveversion` (pve-manager 9.2).
"""

from functools import partial
from typing import Any

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.proxmox.api import invoke, replied
from homelab_lib.twin.proxmox.arguments import parse_arguments
from homelab_lib.twin.proxmox.loops import path_printed
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.node_calls import running_commit
from homelab_lib.twin.proxmox.releases import series
from homelab_lib.twin.proxmox.restoring import config_in
from homelab_lib.twin.proxmox.schema import PveError

pvesm = Commands()
_COMMANDS = {
    "set": ("PUT", "/storage/{storage}", ("storage",)),
    "add": ("POST", "/storage", ("type", "storage")),
    "remove": ("DELETE", "/storage/{storage}", ("storage",)),
    "status": ("GET", "/nodes/{node}/storage", ()),
    "list": ("GET", "/nodes/{node}/storage/{storage}/content", ("storage",)),
}


@pvesm("pvesm")
def run(node: ProxmoxNode, call: Call) -> Reply:
    """Storages."""
    if call.user != "root":
        return Reply(255, stderr="please run as root\n")
    name, *words = [*call.argv[1:], ""][: max(len(call.argv) - 1, 1)]
    if name == "path" and len(words) == 1:
        return replied(lambda: path_printed(node, words[0]), lambda path: Reply(0, f"{path}\n"))
    if name == "extractconfig" and len(words) == 1:
        return replied(lambda: config_in(node, words[0]), lambda text: Reply(0, f"{text}\n"))
    if name == "add" and words[-1:] == ["--password"]:  # without a terminal a line is read
        given = call.stdin.decode()
        if not given:
            return Reply(255, stderr="EOF while reading password\n")
        words.append(given.partition("\n")[0])
    if name not in _COMMANDS:
        return Reply(255, stderr=f"ERROR: unknown command 'pvesm {name}'\n")
    verb, path, arguments = _COMMANDS[name]
    method = METHODS[verb, path]
    schema = {key: rule for key, rule in method.parameters.items() if key != "node"}
    here = {"node": node.node} if "node" in method.parameters else {}
    read = {"encryption-key": partial(_key_in, node)} if name in ("add", "set") else {}

    def answer() -> Any:
        return invoke(node, method, parse_arguments(words, schema, arguments, read) | here)

    return replied(answer, {"status": _status, "list": _list}.get(name, _quiet))


def _key_in(node: ProxmoxNode, given: str) -> str:
    """A key is named by the file that it is in, or is drawn."""
    if given == "autogen":
        return given
    try:
        return node.files.read(given).decode()
    except FileError as error:
        raise PveError(f"can't open '{given}' - {error.says}") from None


def _quiet(value: Any) -> Reply:
    return Reply()


def _status(rows: list[dict[str, Any]]) -> Reply:
    """Seven columns; sizes in KiB."""
    width = max((len(row["storage"]) for row in rows), default=0) + 1
    form = f"{{:<{width}}} {{:>10}} {{:>10}} {{:>15}} {{:>15}} {{:>15}} {{:>8}}\n"
    head = ("Name", "Type", "Status", "Total (KiB)", "Used (KiB)", "Available (KiB)", "%")
    lines = [form.format(*head)]
    for row in rows:
        state = "active" if row["active"] else "inactive" if row["enabled"] else "disabled"
        part = row["used"] * 100 / row["total"] if row["total"] else 0.0
        shown = f"{part: 7.2f}%" if row["enabled"] else "N/A"
        sizes = [row[key] // 1024 for key in ("total", "used", "avail")]
        lines.append(form.format(row["storage"], row["type"], state, *sizes, shown))
    return Reply(0, "".join(lines))


def _list(rows: list[dict[str, Any]]) -> Reply:
    width = max((len(row["volid"]) for row in rows), default=0)
    digits = max((len(str(row["size"])) for row in rows), default=1)
    form = f"{{:<{width}}} {{:<7}} {{:<9}} {{:>{digits}}}"
    lines = [form.format("Volid", "Format", "Type", "Size") + " VMID"]
    for row in sorted(rows, key=lambda row: ("vmid" not in row, row["format"])):
        line = form.format(row["volid"], row["format"], row["content"], row["size"])
        lines.append(f"{line} {row['vmid']}" if "vmid" in row else line)
    return Reply(0, "".join(f"{line}\n" for line in lines))


@pvesm("pveversion")
def pveversion(node: ProxmoxNode, call: Call) -> Reply:
    """The release, or with ``--verbose`` that of each package."""
    words, options = operands(call)
    known = [option for option in options if len(option) > 1 and "--verbose".startswith(option)]
    if words or set(options) - {"-v", *known}:
        return Reply(255, stderr="USAGE: pveversion [--verbose]\n")
    full = f"{node.version}/{running_commit(node)}"
    if not options:
        return Reply(0, f"pve-manager/{full} (running kernel: {node.kernel})\n")
    kernel = node.kernel.removesuffix("-pve")
    branch = ".".join(kernel.split(".")[:2])
    lines = [
        f"proxmox-ve: {series(node.version)}.0 (running kernel: {node.kernel})",
        f"pve-manager: {node.version} (running version: {full})",
        f"proxmox-kernel-{branch}: {kernel}",
        f"proxmox-kernel-{node.kernel}-signed: {kernel}",
    ]
    packages = sorted(node.packages.items())
    lines += [f"{name}: {version}" for name, version in packages if name.startswith("libpve-")]
    return Reply(0, "".join(f"{line}\n" for line in lines))
