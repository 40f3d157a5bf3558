"""`qm`: VMs on the command line. Unlike `pvesh`, it ends with the status of its task.

Source: qm(1) and qemu-server 9.2.
"""

import json
import re
from typing import Any
from urllib.parse import quote

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.disks import RESIZE, grow
from homelab_lib.twin.proxmox.guest import VirtualMachine
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.options import (
    DISKS,
    NETS,
    NEW_DISK,
    TEXT,
    VM_OPTIONS,
    print_net,
    split_net,
)
from homelab_lib.twin.proxmox.pvesh import refused, typed_config
from homelab_lib.twin.proxmox.schema import (
    NO_SUCH_FILE,
    ParameterError,
    Property,
    PveError,
    parse_arguments,
    print_properties,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import print_size

qm = Commands()
_VMID = {"vmid": Property("integer", minimum=100, maximum=999_999_999, required=True)}
_VIRTUAL_BYTES = 3584 * 2**20  # what a cloud image's disk is, unpacked
_COPY_BYTES_PER_S = 400e6
_START_S = 2.0


@qm("qm")
def run(node: ProxmoxNode, call: Call) -> Reply:
    """Look at VMs and change them."""
    if call.user != "root":
        return Reply(255, stderr="please run as root\n")
    words = list(call.argv[1:])
    two = {("disk", "resize"): _resize, ("cloudinit", "dump"): _dump}
    one = {
        "create": _create,
        "set": _set,
        "resize": _resize,
        "start": _start,
        "stop": _stop,
        "shutdown": _stop,
        "destroy": _destroy,
        "unlock": _unlock,
        "config": _config,
        "status": _status,
        "list": _list,
        "guest": _guest,
    }
    body = two.get((words[0], words[1])) if words[1:] else None
    rest = words[2:]
    if body is None and words[:1]:
        body, rest = one.get(words[0]), words[1:]
    if body is None:
        return Reply(255, stderr=f"ERROR: unknown command 'qm {' '.join(words[:2])}'\n")
    try:
        return body(node, rest)
    except PveError as error:
        return refused(error)


def _given(words: list[str], more: dict[str, Property] | None = None) -> dict[str, str]:
    return parse_arguments(words, _VMID | (more or {}), ["vmid"])


# Making ------------------------------------------------------------------------------------------


def _create(node: ProxmoxNode, words: list[str]) -> Reply:
    more = {
        "storage": TEXT,
        "pool": TEXT,
        "force": Property("boolean"),
        "start": Property("boolean"),
    }
    given = _given(words, VM_OPTIONS | more)
    vmid = int(given.pop("vmid"))
    if taken := node.taken_by(vmid):
        raise PveError(f"unable to create VM {vmid} - {taken}")
    _read_keys(node, given)
    upid = node.new_task("qmcreate", str(vmid))
    vm = VirtualMachine(vmid, {"lock": "create"}, changed_s=node.world.clock.now())
    node.vms[vmid] = vm
    copied = 0
    try:
        for key in sorted(given):
            if DISKS.fullmatch(key) and "import-from" in given[key]:
                copied += _VIRTUAL_BYTES
                _source_digest(node, given[key])
    except PveError as error:
        return _failed(node, vmid, upid, error)

    def done() -> Reply:
        if node.vms.get(vmid) is not vm:
            return refused(PveError(f"unable to create VM {vmid} - it is gone"))
        try:
            config = _made(node, vm, given)
        except PveError as error:
            return _failed(node, vmid, upid, error)
        when = int(node.world.clock.now())
        node.changes(vm)
        vm.config = config | {"meta": f"creation-qemu=10.1.2,ctime={when}"}
        node.end_task(upid)
        return Reply(0, f"scsi0: successfully created disk\n{vmid}: created\n")

    return Reply(takes_s=1 + copied / _COPY_BYTES_PER_S, finish=done)


def _failed(node: ProxmoxNode, vmid: int, upid: str, error: PveError) -> Reply:
    """A creation that fails tidies up after itself."""
    node.vms.pop(vmid, None)
    for store in node.stores.values():
        for name in [n for n in store.volumes if n.startswith(f"vm-{vmid}-")]:
            del store.volumes[name]
    node.end_task(upid, error.text)
    return Reply(255, stderr=f"unable to create VM {vmid} - {error.text}\n")


def _read_keys(node: ProxmoxNode, given: dict[str, str]) -> None:
    if "sshkeys" not in given:
        return
    try:
        text = node.files.read(given["sshkeys"]).decode().rstrip("\n")
    except FileError as error:
        raise PveError(f"can't open '{given['sshkeys']}' - {error.says}", NO_SUCH_FILE) from None
    for line in text.splitlines():
        if not re.match(r"(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+", line):
            raise ParameterError({"sshkeys": "SSH public key validation error"})
    given["sshkeys"] = _encoded(text)


def _source_digest(node: ProxmoxNode, disk: str) -> str:
    source = split_properties(disk, "file")["import-from"]
    path = node.volume_path(source) if ":" in source else source
    entry = node.files.entry(path)
    if entry is None:
        raise PveError(f"cannot import from '{source}' - no such volume", NO_SUCH_FILE)
    return entry.sha256


def _made(node: ProxmoxNode, vm: VirtualMachine, given: dict[str, str]) -> dict[str, str]:
    """The options as they are stored: disks made, MAC addresses drawn."""
    config: dict[str, str] = {}
    for key, value in given.items():
        if DISKS.fullmatch(key):
            config[key] = _disk(node, vm, key, value)
        elif NETS.fullmatch(key):
            config[key] = _net(node, value)
        elif key not in ("storage", "pool", "force", "start"):
            config[key] = value
    uid = f"{node.world.rng.getrandbits(128):032x}"
    config.setdefault("smbios1", f"uuid={uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}")
    return config


def _disk(node: ProxmoxNode, vm: VirtualMachine, key: str, value: str) -> str:
    keys = split_properties(value, "file")
    file = keys["file"]
    if file.endswith(":cloudinit"):
        store = file.partition(":")[0]
        volume = node.allocate(store, f"vm-{vm.vmid}-cloudinit", 4 * 2**20)
        return f"{volume},media=cdrom"
    made = NEW_DISK.fullmatch(file)
    if made is None and keys.get("media") == "cdrom":
        return _disc(node, file, value)
    if made is None:
        node.volume_size(file)  # an existing volume
        return value
    size = int(float(made[2]) * 2**30)
    source = keys.pop("import-from", "")
    if source:
        vm.booted = _source_digest(node, value)
        size = max(size, _VIRTUAL_BYTES)
    if key.startswith(("efidisk", "tpmstate")):
        size = 2**22 if key.startswith("tpm") else 2**20
    elif not size:
        raise PveError(f"{key}: invalid disk size")
    keys["file"] = node.allocate(made[1] or "local", node.free_name(vm.vmid), size)
    return print_properties(keys | {"size": print_size(size)}, "file")


def _disc(node: ProxmoxNode, file: str, value: str) -> str:
    """An ISO image in a drive."""
    if file != "none" and node.files.entry(node.volume_path(file)) is None:
        raise PveError(f"volume '{file}' does not exist", NO_SUCH_FILE)
    return value


def _net(node: ProxmoxNode, value: str) -> str:
    keys = split_net(value)
    if "macaddr" not in keys:
        draw = node.world.rng.getrandbits(24)
        keys["macaddr"] = f"BC:24:11:{draw >> 16 & 255:02X}:{draw >> 8 & 255:02X}:{draw & 255:02X}"
    keys["macaddr"] = keys["macaddr"].upper()
    return print_net(keys)


# Changing ----------------------------------------------------------------------------------------


def _unlocked(vm: VirtualMachine) -> None:
    if "lock" in vm.config:
        raise PveError(f"VM is locked ({vm.config['lock']})")


def _set(node: ProxmoxNode, words: list[str]) -> Reply:
    given = _given(words, VM_OPTIONS | {"delete": TEXT, "digest": TEXT, "revert": TEXT})
    vm = node.vm(int(given.pop("vmid")))
    _unlocked(vm)
    _read_keys(node, given)
    given.pop("digest", None)
    for key in filter(None, given.pop("delete", "").split(",")):
        vm.config.pop(key, None)
    vm.config |= {k: v for k, v in _made(node, vm, given).items() if k != "smbios1" or k in given}
    lines = [f"update VM {vm.vmid}: " + " ".join(f"-{k} {v}" for k, v in sorted(given.items()))]
    if vm.guest is not None and not vm.running:
        vm.guest.sees()
    return Reply(0, "\n".join(lines) + "\n")


def _resize(node: ProxmoxNode, words: list[str]) -> Reply:
    """Ends with 0 and does not name its task, whatever becomes of that."""
    given = parse_arguments(words, _VMID | RESIZE, ["vmid", "disk", "size"])
    _, failure = grow(node, int(given["vmid"]), given["disk"], given["size"])
    return Reply(0, f"TASK ERROR: {failure}\n" if failure else "", takes_s=0.5)


def _start(node: ProxmoxNode, words: list[str]) -> Reply:
    vmid = int(_given(words, {"timeout": TEXT})["vmid"])
    node.vm(vmid)
    upid = node.new_task("qmstart", str(vmid))

    def done() -> Reply:
        try:
            node.start_vm(vmid)
        except PveError as error:
            node.end_task(upid, error.text)
            return refused(error)
        node.end_task(upid)
        return Reply()

    return Reply(takes_s=_START_S, finish=done)


def _stop(node: ProxmoxNode, words: list[str]) -> Reply:
    more = {"timeout": TEXT, "forceStop": Property("boolean"), "skiplock": Property("boolean")}
    vm = node.vm(int(_given(words, more)["vmid"]))
    _unlocked(vm)
    node.stop_vm(vm.vmid)
    return Reply(takes_s=3)


def _destroy(node: ProxmoxNode, words: list[str]) -> Reply:
    flags = dict.fromkeys(("purge", "destroy-unreferenced-disks", "skiplock"), Property("boolean"))
    given = _given(words, flags)
    node.destroy_vm(int(given["vmid"]), skip_lock=given.get("skiplock") == "1")
    return Reply(takes_s=1)


def _unlock(node: ProxmoxNode, words: list[str]) -> Reply:
    node.vm(int(_given(words)["vmid"])).config.pop("lock", None)
    return Reply()


# Looking -----------------------------------------------------------------------------------------


def _config(node: ProxmoxNode, words: list[str]) -> Reply:
    vm = node.vm(int(_given(words, {"current": Property("boolean")})["vmid"]))
    shown = typed_config(vm.config)
    shown.pop("digest")
    return Reply(0, "".join(f"{key}: {value}\n" for key, value in sorted(shown.items())))


def _status(node: ProxmoxNode, words: list[str]) -> Reply:
    vm = node.vm(int(_given(words, {"verbose": Property("boolean")})["vmid"]))
    return Reply(0, f"status: {'running' if vm.running else 'stopped'}\n")


def _list(node: ProxmoxNode, words: list[str]) -> Reply:
    rows = "".join(
        f"{vm.vmid:>10} {vm.config.get('name', ''):<20} {'running' if vm.running else 'stopped'}\n"
        for _, vm in sorted(node.vms.items())
    )
    return Reply(0, f"      VMID NAME                 STATUS\n{rows}")


def _dump(node: ProxmoxNode, words: list[str]) -> Reply:
    schema = _VMID | {"type": Property(enum=("meta", "network", "user"), required=True)}
    given = parse_arguments(words, schema, ["vmid", "type"])
    vm = node.vm(int(given["vmid"]))
    if given["type"] == "meta":
        return Reply(0, f"instance-id: {node.instance_id(vm.vmid)}\n")
    if given["type"] == "network":
        return Reply(0, f"version: 1\nconfig:\n  - {vm.config.get('ipconfig0', '')}\n")
    return Reply(
        0,
        f"#cloud-config\nhostname: {vm.config.get('name', '')}\n"
        f"user: {vm.config.get('ciuser', '')}\n",
    )


def _guest(node: ProxmoxNode, words: list[str]) -> Reply:
    verb, number, *rest = [*words, "", ""][: max(len(words), 2)]
    vm = node.vm(int(_given([number])["vmid"]))
    if not vm.config.get("agent", "0").removeprefix("enabled=").startswith("1"):
        raise PveError("No QEMU guest agent configured")
    if not vm.running or vm.guest is None:
        raise PveError(f"VM {vm.vmid} is not running")
    if not vm.guest.agent_runs():
        raise PveError("QEMU guest agent is not running")
    if verb == "cmd" and rest[:1] == ["network-get-interfaces"]:
        return _print(_interfaces(vm))
    if verb == "cmd" and rest[:1] == ["ping"]:
        return Reply()
    if verb == "exec-status" and rest and rest[0].isdigit():
        number = int(rest[0]) - 1
        if number not in range(len(vm.guest.answers)):
            raise PveError(f"Agent error: PID {rest[0]} does not exist")
        return _print(vm.guest.answers[number])
    if verb == "exec" and "--" in rest:
        inner = vm.guest.call(Call(tuple(rest[rest.index("--") + 1 :]))).finished()
        document: dict[str, Any] = {"exitcode": inner.status, "exited": 1}
        for key, data in (("out-data", inner.out), ("err-data", inner.err)):
            if data:
                document[key] = data.decode(errors="replace")
        vm.guest.answers.append(document)
        if vm.guest.agent_slow:
            return _print({"pid": len(vm.guest.answers)})
        return _print(document)
    return Reply(255, stderr=f"ERROR: unknown command 'qm guest {verb}'\n")


def _interfaces(vm: VirtualMachine) -> list[dict[str, Any]]:
    found = [
        {
            "name": "lo",
            "hardware-address": "00:00:00:00:00:00",
            "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}],
        }
    ]
    for each in vm.guest.interfaces if vm.guest else ():
        address, _, prefix = each.cidr.partition("/")
        rows = [{"ip-address": address, "ip-address-type": "ipv4", "prefix": int(prefix)}]
        found.append(
            {
                "name": each.name,
                "hardware-address": each.mac,
                "ip-addresses": rows if address else [],
            }
        )
    return found


def _print(document: Any) -> Reply:
    return Reply(0, json.dumps(document, indent=3, sort_keys=True) + "\n")


def _encoded(text: str) -> str:
    """SSH keys as the configuration keeps them."""
    return quote(text, safe="")
