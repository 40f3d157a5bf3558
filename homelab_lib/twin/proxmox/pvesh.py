"""`pvesh` and `pvesm`: the API of the node by path, and its storages.

Source: API schema of Proxmox VE 9.2, and pve-common's `CLIFormatter`. A call that starts a task
prints the task's log and then its UPID, in JSON only if it was asked to; it ends with status 0
even when the task failed.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from homelab_lib.lab.ports import Bond
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.surroundings import NetError
from homelab_lib.twin.proxmox.disks import RESIZE, grow
from homelab_lib.twin.proxmox.guest import VirtualMachine
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.options import CONTENT_TYPES
from homelab_lib.twin.proxmox.schema import (
    ParameterError,
    Property,
    PveError,
    parse_arguments,
)
from homelab_lib.twin.proxmox.storage import Store

proxmox = Commands()
_TEXT = Property()
_SHAPE = {
    "output-format": Property(enum=("text", "json", "json-pretty", "yaml")),
    "human-readable": Property("boolean"),
    "noborder": Property("boolean"),
}
_DOWNLOAD = {
    "content": Property(enum=("iso", "vztmpl", "import"), required=True),
    "filename": Property(required=True),
    "url": Property(required=True, pattern=r"https?://.*"),
    "checksum": _TEXT,
    "checksum-algorithm": Property(enum=("md5", "sha1", "sha224", "sha256", "sha384", "sha512")),
    "verify-certificates": Property("boolean"),
    "compression": _TEXT,
}
_GOOD_NAMES = {"import": r".+\.(ova|ovf|qcow2|raw|vmdk)", "iso": r".+\.(iso|img)"}

Getter = Callable[[ProxmoxNode, "re.Match[str]", dict[str, str]], Any]
_GETTERS: list[tuple[str, Getter]] = []


def _get(pattern: str) -> Callable[[Getter], Getter]:
    def register(getter: Getter) -> Getter:
        _GETTERS.append((pattern, getter))
        return getter

    return register


def refused(error: PveError) -> Reply:
    """A ``die``."""
    return Reply(error.status, stderr=f"{error.text.rstrip()}\n")


@proxmox("pvesh")
def pvesh(node: ProxmoxNode, call: Call) -> Reply:
    """Call the API."""
    if call.user != "root":
        return Reply(255, stderr="please run as root\n")
    verb, path, *words = [*call.argv[1:], "", ""][: max(len(call.argv) - 1, 2)]
    try:
        if verb == "get":
            return _answer(_look(node, path, words))
        if verb == "create" and (
            found := re.fullmatch(r"/nodes/([^/]+)/storage/([^/]+)/download-url", path)
        ):
            _own(node, found[1])
            return _download(node, found[2], parse_arguments(words, _DOWNLOAD | _SHAPE))
        if verb == "set" and (found := re.fullmatch(r"/nodes/([^/]+)/qemu/(\d+)/resize", path)):
            _own(node, found[1])
            given = parse_arguments(words, RESIZE | _SHAPE)
            upid, failure = grow(node, int(found[2]), given["disk"], given["size"])
            return _task_printed(given, upid, "", failure, takes_s=0.5)
        if verb == "set" and (found := re.fullmatch(r"/storage/([^/]+)", path)):
            given = parse_arguments(words, {"content": _TEXT} | _SHAPE)
            return _set_content(node, found[1], given.get("content", ""))
    except PveError as error:
        return refused(error)
    if verb not in ("get", "create", "set", "delete", "ls", "usage"):
        return Reply(255, stderr=f"ERROR: unknown command 'pvesh {verb}'\n")
    return Reply(2, stderr=f"No '{verb}' handler defined for '{path}'\n")


def _answer(value: Any) -> Reply:
    return Reply(0, json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n")


def _own(node: ProxmoxNode, name: str) -> None:
    if name != node.node:
        raise PveError(f"no such cluster node '{name}'")


def _look(node: ProxmoxNode, path: str, words: list[str]) -> Any:
    schema = {"type": _TEXT, "content": _TEXT, "current": Property("boolean"), "source": _TEXT}
    given = parse_arguments(words, schema | {"vmid": _TEXT, "limit": _TEXT} | _SHAPE)
    for pattern, getter in _GETTERS:
        if found := re.fullmatch(pattern, path):
            if "node" in found.groupdict():
                _own(node, found["node"])
            return getter(node, found, given)
    raise PveError(f"No 'get' handler defined for '{path}'", 2)


_NODE = r"/nodes/(?P<node>[^/]+)"


@_get("/version")
def _version(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return {
        "release": ".".join(node.version.split(".")[:2]),
        "repoid": "0f3a2b1c",
        "version": node.version,
    }


@_get("/nodes")
def _nodes(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return [
        {
            "node": node.node,
            "status": "online",
            "type": "node",
            "maxcpu": node.threads,
            "maxmem": node.memory_bytes,
        }
    ]


@_get(f"{_NODE}/status")
def _status(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    used = sum(vm.memory_bytes for vm in node.vms.values() if vm.running)
    return {
        "boot-info": {"mode": "efi", "secureboot": 0},
        "current-kernel": {"release": node.kernel, "sysname": "Linux", "machine": "x86_64"},
        "pveversion": f"pve-manager/{node.version}/0f3a2b1c",
        "memory": {"total": node.memory_bytes, "used": used, "free": node.memory_bytes - used},
        "cpuinfo": {"cpus": node.threads, "sockets": 1, "model": node.cpu_model},
        "uptime": int(node.world.clock.now() - node.booted_s),
        "loadavg": ["0.10", "0.10", "0.10"],
    }


def _vm_row(vm: VirtualMachine) -> dict[str, Any]:
    row: dict[str, Any] = {"vmid": vm.vmid} | vm.summary()
    row["cpus"] = row.pop("maxcpu")
    return row | _live(vm)


def _live(vm: VirtualMachine) -> dict[str, Any]:
    """What is never old."""
    return {key: vm.config[key] for key in ("tags", "lock", "template") if key in vm.config}


@_get(f"{_NODE}/qemu")
def _vms(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return [_vm_row(vm) for _, vm in sorted(node.vms.items())]


@_get("/cluster/resources")
def _resources(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    rows = {
        vm.vmid: {"id": f"qemu/{vm.vmid}", "vmid": vm.vmid, "type": "qemu", "node": node.node}
        | node.broadcast(vm)
        | _live(vm)
        for vm in node.vms.values()
    }
    return [row for _, row in sorted((node.others | rows).items())]


@_get("/cluster/nextid")
def _nextid(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return str(next(n for n in range(100, 10**9) if not node.taken_by(n)))


@_get(rf"{_NODE}/qemu/(?P<vmid>\d+)/config")
def _config(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return typed_config(node.vm(int(found["vmid"])).config)


def typed_config(config: dict[str, str]) -> dict[str, Any]:
    """A configuration as the API prints it: some options as numbers."""
    numbers = ("cores", "sockets", "onboot", "protection", "balloon", "ciupgrade", "numa", "kvm")
    shown = {key: int(value) if key in numbers else value for key, value in config.items()}
    digest = hashlib.sha1(json.dumps(config, sort_keys=True).encode(), usedforsecurity=False)
    return shown | {"digest": digest.hexdigest()}


@_get(rf"{_NODE}/qemu/(?P<vmid>\d+)/status/current")
def _current(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    vm = node.vm(int(found["vmid"]))
    row = _vm_row(vm)
    return row | {"qmpstatus": row["status"], "agent": int(vm.config.get("agent", "0")[-1:] == "1")}


@_get(rf"{_NODE}/qemu/(?P<vmid>\d+)/pending")
def _pending(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    vm = node.vm(int(found["vmid"]))
    rows = []
    for key, value in sorted(vm.config.items()):
        was = vm.started.get(key, value) if vm.running else value
        rows.append({"key": key, "value": was} | ({"pending": value} if was != value else {}))
    return rows


@_get("/storage")
def _storages(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return [_store_config(store) for store in node.stores.values()]


@_get(r"/storage/(?P<store>[^/]+)")
def _storage(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return _store_config(node.store(found["store"]))


def _store_config(store: Store) -> dict[str, Any]:
    key = "pool" if store.kind == "zfspool" else "path"
    place = store.options | ({key: store.place} if store.place else {})
    return {"storage": store.name, "type": store.kind, "content": ",".join(store.content)} | place


@_get(f"{_NODE}/storage")
def _node_storages(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    return [_store_status(store) for store in node.stores.values()]


def _store_status(store: Store) -> dict[str, Any]:
    used = sum(store.volumes.values())
    return {
        "storage": store.name,
        "type": store.kind,
        "content": ",".join(store.content),
        "active": 1,
        "enabled": 1,
        "shared": 0,
        "total": store.size_bytes,
        "used": used,
        "avail": store.size_bytes - used,
    }


@_get(rf"{_NODE}/storage/(?P<store>[^/]+)/content")
def _content(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    rows = node.contents(node.store(found["store"]))
    return [row for row in rows if given.get("content", row["content"]) == row["content"]]


@_get(f"{_NODE}/tasks")
def _tasks(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    active = given.get("source") == "active"
    wanted = given.get("vmid")
    rows = [
        # One that runs has no status yet in the list, only by itself.
        {key: value for key, value in t.items() if key != "status" or value != "running"}
        for t in node.tasks.values()
        if (not active or t["status"] == "running") and t["id"] == (wanted or t["id"])
    ]
    return list(reversed(rows))


@_get(rf"{_NODE}/tasks/(?P<upid>UPID:[^/]+)/status")
def _task(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    if found["upid"] not in node.tasks:
        raise PveError("no such task")
    return node.tasks[found["upid"]]


@_get(f"{_NODE}/network")
def _network(node: ProxmoxNode, found: "re.Match[str]", given: dict[str, str]) -> Any:
    rows = []
    for port in node.world.lab.hosts[node.name].attached.values():
        if port.bridge:
            rows.append(
                {
                    "iface": port.bridge,
                    "type": "bridge",
                    "bridge_ports": port.interface,
                    "bridge_vlan_aware": 1,
                    "active": 1,
                    "cidr": port.address or "",
                }
            )
        if port.interface:
            kind = "bond" if isinstance(port, Bond) else "eth"
            rows.append({"iface": port.interface, "type": kind, "active": 1})
    return rows


# Changing ----------------------------------------------------------------------------------------


def _set_content(node: ProxmoxNode, name: str, content: str) -> Reply:
    store = node.store(name)
    wanted = content.split(",") if content else []
    for each in wanted:
        if each not in CONTENT_TYPES:
            raise ParameterError({"content": f"invalid format - invalid content type '{each}'\n"})
        blocks = store.kind in ("zfspool", "lvm", "lvmthin")
        if blocks and each not in ("images", "rootdir", "none"):
            raise PveError(f"update storage failed: storage does not support content type '{each}'")
    store.content = wanted
    return Reply()


@proxmox("pvesm")
def pvesm(node: ProxmoxNode, call: Call) -> Reply:
    """Storages."""
    match call.argv[1:]:
        case ["set", name, *words]:
            try:
                given = parse_arguments(words, {"content": _TEXT})
                return _set_content(node, name, given.get("content", ""))
            except PveError as error:
                return refused(error)
        case ["status", *_]:
            rows = [_store_status(store) for store in node.stores.values()]
            lines = [f"{r['storage']} {r['type']} active {r['total']} {r['used']}" for r in rows]
            return Reply(0, "Name Type Status Total Used\n" + "\n".join(lines) + "\n")
    return Reply(255, stderr=f"ERROR: unknown command '{' '.join(call.argv)}'\n")


@proxmox("pveversion")
def pveversion(node: ProxmoxNode, call: Call) -> Reply:
    """The release."""
    return Reply(0, f"pve-manager/{node.version}/0f3a2b1c (running kernel: {node.kernel})\n")


def _download(node: ProxmoxNode, store_name: str, given: dict[str, str]) -> Reply:
    store = node.store(store_name)
    if given["content"] not in store.content:
        what = given["content"]
        raise PveError(f"storage '{store_name}' is not configured for content-type '{what}'")
    form = _GOOD_NAMES.get(given["content"], ".+")
    if not re.fullmatch(form, given["filename"]):
        raise ParameterError({"filename": "wrong file extension"})
    if bool(given.get("checksum")) != bool(given.get("checksum-algorithm")):
        missing = "checksum" if given.get("checksum-algorithm") else "checksum-algorithm"
        raise ParameterError({missing: "missing dependency"})
    path = node.volume_path(f"{store_name}:{given['content']}/{given['filename']}")
    upid = node.new_task("download", given["filename"])
    log = f"downloading {given['url']} to {path}\n"

    def ended(more: str = "", failure: str = "", takes_s: float = 0.0) -> Reply:
        node.end_task(upid, failure or "OK")
        return _task_printed(given, upid, log + more, failure, takes_s)

    wanted = given.get("checksum", "")
    there = node.files.entry(path)
    if there is not None:
        if wanted and there.sha256 == wanted:
            return ended("OK, got correct file already, no need to download\n")
        text = f"checksum mismatch: got '{there.sha256}' != expect '{wanted}', aborting"
        return ended(failure=text if wanted else f"refusing to override existing file '{path}'")
    try:
        status, entry = node.world.fetch(node, given["url"])
    except NetError as error:
        return ended(failure=f"download failed: {error}", takes_s=error.takes_s)
    if status != 200:
        return ended(failure=f"download failed: HTTP {status}")
    part = f"{path}.tmp_dwnl.{upid.split(':')[2]}"
    node.files.put(part, b"")

    def done() -> Reply:
        node.files.remove(part)
        if wanted and entry.sha256 != wanted:
            text = f"checksum mismatch: got '{entry.sha256}' != expect '{wanted}'"
            return ended(failure=text)
        if node.files.full:
            return ended(failure="download failed: No space left on device")
        node.files.put(path, entry.data, digest=entry.digest, size_bytes=entry.size_bytes)
        return ended("calculating checksum...OK, checksum verified\n")

    return Reply(takes_s=entry.size / node.world.internet_bytes_per_s, finish=done)


def _task_printed(
    given: dict[str, str], upid: str, log: str, failure: str, takes_s: float = 0.0
) -> Reply:
    """What a call prints whose task has ended."""
    tail = f"TASK ERROR: {failure}\n" if failure else ""
    shown = json.dumps(upid) if given.get("output-format", "text").startswith("json") else upid
    return Reply(0, f"{log}{tail}{shown}\n", takes_s=takes_s)
