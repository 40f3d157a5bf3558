"""Containers through the API: made, started, grown, stopped, destroyed.

Source: `PVE::API2::LXC` with its `Config` and `Status` (pve-container 6.0).
"""

import posixpath
import re
from contextlib import suppress
from typing import Any

from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.container import Container
from homelab_lib.twin.proxmox.container_options import CARDS, CREATE, OPTIONS, UPDATE, VOLUMES
from homelab_lib.twin.proxmox.formats import BOOLEAN, CONFIG_ID
from homelab_lib.twin.proxmox.leases import lease
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import (
    NO_SUCH_FILE,
    ParameterError,
    Property,
    PveError,
    print_properties,
    split_list,
    split_properties,
)
from homelab_lib.twin.proxmox.storage import FILES, parse_size, print_size
from homelab_lib.twin.proxmox.vm import digest_of

calls = Methods()

CT = "/nodes/{node}/lxc/{vmid}"
_NEW = re.compile(r"([A-Za-z][\w.-]*):(\d+(?:\.\d+)?)")
_UNPACK_S, _SET_UP_S, _START_S, _STOP_S = 20.0, 2.0, 3.0, 5.0


def found(node: ProxmoxNode, given: Given) -> Container:
    """The container that a call is about.

    Raises
    ------
    PveError
        There is none.
    """
    vmid = int(given["vmid"])
    if vmid not in node.containers:
        path = f"nodes/{node.node}/lxc/{vmid}.conf"
        raise PveError(f"Configuration file '{path}' does not exist", NO_SUCH_FILE)
    return node.containers[vmid]


def _unlocked(container: Container) -> None:
    if "lock" in container.config:
        raise PveError(f"CT is locked ({container.config['lock']})")


def _as_task(node: ProxmoxNode, kind: str, given: Given, takes_s: float, act: Any) -> Any:
    upid = node.tasks.begin(kind, given["vmid"])

    def done() -> Task:
        try:
            act()
        except PveError as error:
            node.tasks.end(upid, error.text)
            return Task(upid, failure=error.text)
        node.tasks.end(upid)
        return Task(upid)

    return Later(takes_s, done)


# Looking -----------------------------------------------------------------------------------------


@calls("GET", "/nodes/{node}/lxc")
def _list(node: ProxmoxNode, given: Given) -> Any:
    now = node.world.clock.now()
    return [each.row(now) for _, each in sorted(node.containers.items())]


@calls(
    "GET",
    f"{CT}/config",
    {"current": BOOLEAN, "snapshot": Property(format=CONFIG_ID, max_length=40)},
)
def _config(node: ProxmoxNode, given: Given) -> Any:
    container = found(node, given)
    if "snapshot" in given:
        raise PveError(f"snapshot '{given['snapshot']}' does not exist")
    whole = ("integer", "boolean")
    return {
        key: int(value) if key in OPTIONS and OPTIONS[key].type in whole else value
        for key, value in container.config.items()
    } | {"digest": digest_of(container.config)}


@calls("GET", f"{CT}/status/current")
def _current(node: ProxmoxNode, given: Given) -> Any:
    return found(node, given).row(node.world.clock.now()) | {"ha": {"managed": 0}}


@calls("GET", f"{CT}/interfaces")
def _interfaces(node: ProxmoxNode, given: Given) -> Any:
    container = found(node, given)
    if not container.running:
        return None
    name = container.config.get("hostname", "")

    def leased(card: dict[str, str]) -> str:
        return lease(node.world, node.name, name, card | {"macaddr": card["hwaddr"]})[0]

    return container.interfaces(leased)


# Making ------------------------------------------------------------------------------------------


@calls("POST", "/nodes/{node}/lxc", CREATE)
def _create(node: ProxmoxNode, given: Given) -> Any:
    vmid = int(given["vmid"])
    if "restore" in given and given["restore"] == "1":
        raise PveError(f"unable to restore CT {vmid} - this twin knows no backups")
    if taken := node.taken_by(vmid):
        raise PveError(taken)
    for key, value in given.items():
        new = _NEW.fullmatch(split_properties(value, "volume").get("volume", ""))
        if not VOLUMES.fullmatch(key) or new is None:
            continue
        if "rootdir" not in node.stores.named(new[1]).content:
            why = f"storage '{new[1]}' does not support container directories"
            raise ParameterError({"storage": why})
    template = given["ostemplate"]
    if node.files.entry(node.volume_path(template)) is None:
        raise PveError(f"volume '{template}' does not exist", NO_SUCH_FILE)
    container = Container(vmid, {"lock": "create"})
    node.containers[vmid] = container

    def unpacked() -> None:
        """Its configuration is written as a whole, without the lock, and then it is set up."""
        if node.containers.get(vmid) is not container or not node.tasks.running(given["vmid"]):
            return
        with suppress(PveError):  # which comes up again at the end, and is told there
            container.config = _made(node, vmid, given)

    def act() -> None:
        if node.containers.get(vmid) is not container:
            raise PveError(f"unable to create CT {vmid} - it is gone")
        try:
            if "lock" in container.config:
                container.config = _made(node, vmid, given)
        except PveError as error:
            node.containers.pop(vmid, None)
            node.stores.free_volumes(vmid)
            raise PveError(f"unable to create CT {vmid} - {error.text}") from None
        if given.get("start") == "1":
            start(node, container)

    node.world.after(_UNPACK_S, unpacked, label=f"unpacking of CT {vmid}")
    return _as_task(node, "vzcreate", given, _UNPACK_S + _SET_UP_S, act)


def _made(node: ProxmoxNode, vmid: int, given: Given) -> Given:
    """The options as they are stored: volumes made, hardware addresses drawn."""
    system = re.match(r"[a-z]+", posixpath.basename(given["ostemplate"].partition("/")[2]))
    config = {"arch": "amd64", "ostype": system[0] if system else "unmanaged"}
    given = {"rootfs": f"{given.get('storage', 'local')}:4", "unprivileged": "1", **given}
    for key, value in given.items():
        if VOLUMES.fullmatch(key):
            config[key] = _volume(node, vmid, value)
        elif CARDS.fullmatch(key):
            config[key] = _card(node, value)
        elif key == "tags":
            config[key] = ";".join(sorted({tag.lower() for tag in split_list(value)}))
        elif key in OPTIONS and (key, value) != ("unprivileged", "0"):
            config[key] = value
    return config


def _volume(node: ProxmoxNode, vmid: int, value: str) -> str:
    keys = split_properties(value, "volume")
    new = _NEW.fullmatch(keys["volume"])
    if new is None:
        if keys["volume"].startswith("/") and node.files.entry(keys["volume"]) is None:
            raise PveError(f"directory '{keys['volume']}' does not exist")
        return value
    size = int(float(new[2]) * 2**30)
    store = node.stores.named(new[1])
    taken = store.volumes.keys()
    kind = "vm" if store.kind in (*FILES, "lvm", "lvmthin") else "subvol"
    name = next(n for i in range(99) if (n := f"{kind}-{vmid}-disk-{i}") not in taken)
    keys["volume"] = node.stores.allocate(new[1], name, size, content="rootdir")
    return print_properties(keys | {"size": print_size(size)}, "volume")


def _card(node: ProxmoxNode, value: str) -> str:
    keys = split_properties(value) | {"type": "veth"}
    if "hwaddr" not in keys:
        draw = node.world.rng.getrandbits(24)
        keys["hwaddr"] = f"BC:24:11:{draw >> 16 & 255:02X}:{draw >> 8 & 255:02X}:{draw & 255:02X}"
    keys["hwaddr"] = keys["hwaddr"].upper()
    return f"name={keys.pop('name')},{print_properties(keys)}"


@calls("PUT", f"{CT}/config", UPDATE)
def _update(node: ProxmoxNode, given: Given) -> Any:
    """What of it waits for a restart of one that runs is not told apart here."""
    container = found(node, given)
    if given.get("digest", "") not in ("", digest_of(container.config)):
        raise PveError("detected modified configuration - file changed by other user? Try again.")
    _unlocked(container)
    for key in split_list(given.get("delete", "")):
        container.config.pop(key, None)
    for key, value in given.items():
        if CARDS.fullmatch(key):
            container.config[key] = _card(node, value)
        elif key in OPTIONS and not VOLUMES.fullmatch(key):
            container.config[key] = value


# On, off, larger, gone ---------------------------------------------------------------------------


def start(node: ProxmoxNode, container: Container) -> None:
    """Switch a container on.

    Raises
    ------
    PveError
        It does not start.
    """
    bridges = [link.name for link in node.interfaces if link.kind == "bridge"]
    cards = [split_properties(v) for k, v in container.config.items() if CARDS.fullmatch(k)]
    if any(card.get("bridge", "") not in ("", *bridges) for card in cards):
        raise PveError(f"startup for container '{container.vmid}' failed")
    container.running, container.since_s = True, node.world.clock.now()


@calls("POST", f"{CT}/status/start", {"debug": BOOLEAN, "skiplock": BOOLEAN})
def _start(node: ProxmoxNode, given: Given) -> Any:
    container = found(node, given)
    if container.running:
        raise PveError(f"CT {container.vmid} already running")
    if given.get("skiplock") != "1":
        _unlocked(container)
    return _as_task(node, "vzstart", given, _START_S, lambda: start(node, container))


def _off(node: ProxmoxNode, given: Given, kind: str) -> Any:
    container = found(node, given)
    if not container.running:
        raise PveError(f"CT {container.vmid} not running")

    def act() -> None:
        container.running = False

    return _as_task(node, kind, given, _STOP_S, act)


@calls("POST", f"{CT}/status/stop", {"overrule-shutdown": BOOLEAN, "skiplock": BOOLEAN})
def _stop(node: ProxmoxNode, given: Given) -> Any:
    return _off(node, given, "vzstop")


@calls(
    "POST",
    f"{CT}/status/shutdown",
    {"forceStop": BOOLEAN, "timeout": Property("integer", minimum=0)},
)
def _shutdown(node: ProxmoxNode, given: Given) -> Any:
    return _off(node, given, "vzshutdown")


@calls(
    "PUT",
    f"{CT}/resize",
    {
        "disk": Property(enum=("rootfs", *(f"mp{n}" for n in range(256))), required=True),
        "size": Property(pattern=r"\+?\d+(\.\d+)?[KMGT]?", required=True),
        "digest": Property(max_length=40),
    },
)
def _resize(node: ProxmoxNode, given: Given) -> Any:
    container, disk, size = found(node, given), given["disk"], given["size"]
    _unlocked(container)
    keys = split_properties(container.config.get(disk, ""), "volume")
    now = node.stores.volume_size(keys.get("volume", ""))
    wanted = now + parse_size(size[1:]) if size.startswith("+") else parse_size(size)
    if wanted < now:
        raise PveError("unable to shrink disk size")
    if wanted == now:
        raise PveError("disk is already at specified size")

    def act() -> None:
        name, _, volume = keys["volume"].partition(":")
        store = node.stores.named(name)
        if not store.holds(wanted - now):
            raise PveError(f"zfs error: cannot set property for '{volume}': out of space")
        store.volumes[volume] = wanted
        container.config[disk] = print_properties(keys | {"size": print_size(wanted)}, "volume")

    return _as_task(node, "resize", given, 1.0, act)


@calls("DELETE", CT, dict.fromkeys(("destroy-unreferenced-disks", "force", "purge"), BOOLEAN))
def _destroy(node: ProxmoxNode, given: Given) -> Any:
    container = found(node, given)
    vmid, force = container.vmid, given.get("force") == "1"
    if container.config.get("protection") == "1":
        raise PveError(f"can't remove CT {vmid} - protection mode enabled")
    _unlocked(container)
    if container.running and not force:
        raise PveError(f"unable to destroy CT {vmid} - container is running")

    def act() -> None:
        node.stores.free_volumes(vmid)
        node.containers.pop(vmid, None)

    return _as_task(node, "vzdestroy", given, 1.0, act)
