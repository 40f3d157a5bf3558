"""`wg` and `wg-quick`: interfaces of WireGuard, by their configuration files.

Sources: wg(8), wg-quick(8); outputs of wireguard-tools 1.0.20210914 on Debian 12.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.unit import Unit

wireguard = Commands()

PACKAGE = "wireguard-tools"
_FOLDER = "/etc/wireguard"
_NOTHING = "(none)"
_KEY_BYTES = 32
_QUICK_ONLY = ("Address", "DNS", "MTU", "Table", "PreUp", "PostUp", "PreDown", "PostDown")


@dataclass
class Config:
    """What a configuration file says: the interface's lines, and those of each peer."""

    interface: dict[str, list[str]] = field(default_factory=dict)
    peers: list[dict[str, list[str]]] = field(default_factory=list)


def parsed(text: str) -> Config:
    """A configuration file taken apart."""
    config, here = Config(), None
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line == "[Interface]":
            here = config.interface
        elif line == "[Peer]":
            here = {}
            config.peers.append(here)
        elif "=" in line and here is not None:
            key, _, value = line.partition("=")
            here.setdefault(key.strip(), []).append(value.strip())
    return config


def units(machine: Machine) -> Iterator[Unit]:
    """A unit for each interface that the lab has on a machine; the template makes any."""
    for name in machine.world.lab.wireguard.get(machine.name, {}):
        _seed(machine, name)
        yield Unit(
            f"wg-quick@{name}",
            on_start=partial(up, name=name),
            on_stop=partial(down, name=name),
        )


def _seed(machine: Machine, name: str) -> None:
    """The addresses of an interface that is up on the real host behind a seeded machine."""
    said = machine.said("ip", "-j", "addr", "show", "dev", name)
    if said is None or said.status or any(each.name == name for each in machine.interfaces):
        return
    for row in machine.told("ip", "-j", "addr", "show", "dev", name):
        for each in row.get("addr_info", ()):
            cidr = f"{each['local']}/{each['prefixlen']}"
            mtu = row.get("mtu", 1420)
            machine.interfaces.append(Interface(name, "", cidr, machine.name, name, mtu=mtu))


def _kept(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = machine.kept.setdefault("wireguard", {})
    return found


def up(machine: Machine, name: str) -> str:
    """Bring an interface up; why it did not come, or nothing."""
    path = f"{_FOLDER}/{name}.conf"
    if not machine.files.exists(path):
        return f"wg-quick: `{path}' does not exist\n"
    config = parsed(machine.files.text(path))
    _kept(machine)[name] = _device(config)
    for hook in config.interface.get("PostUp", []):
        words = tuple(hook.replace("%i", name).split())
        reply = machine.call(Call(words)).finished()
        if reply.status:
            del _kept(machine)[name]
            return reply.err.decode()
    for cidr in _values(config.interface.get("Address", [])):
        mtu = int(config.interface.get("MTU", ["1420"])[0])
        machine.interfaces.append(Interface(name, "", cidr, machine.name, name, mtu=mtu))
    return ""


def down(machine: Machine, name: str) -> None:
    """Take an interface down."""
    _kept(machine).pop(name, None)
    machine.interfaces[:] = [each for each in machine.interfaces if each.name != name]


def _values(lines: list[str]) -> list[str]:
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _device(config: Config, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the kernel has after a configuration; peers that stay keep what they were at."""
    old = (before or {}).get("peers", {})
    peers = {}
    for each in config.peers:
        key = each["PublicKey"][0]
        peers[key] = {
            "allowed": _values(each.get("AllowedIPs", [])),
            "keepalive": each.get("PersistentKeepalive", ["off"])[0],
            "preshared": each.get("PresharedKey", [_NOTHING])[0],
            "handshake": old.get(key, {}).get("handshake", 0),
        }
    private = config.interface.get("PrivateKey", [""])[0]
    return {
        "public": _public(private) if private else "",
        "port": config.interface.get("ListenPort", ["0"])[0],
        "peers": peers,
    }


def _public(private: str) -> str:
    """The public half of a private key.

    Raises
    ------
    ValueError
        It is none.
    """
    raw = base64.b64decode(private, validate=True)
    if len(raw) != _KEY_BYTES:
        raise ValueError("32 bytes are a key")
    public = X25519PrivateKey.from_private_bytes(raw).public_key()
    return base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


@wireguard("wg")
def wg(machine: Machine, call: Call) -> Reply:
    """Keys, and the interfaces that are up."""
    verb, *words = call.argv[1:] or ("show",)
    if verb in ("genkey", "genpsk"):
        return Reply(0, base64.b64encode(machine.rng.randbytes(_KEY_BYTES)).decode() + "\n")
    if verb == "pubkey":
        try:
            return Reply(0, _public(call.stdin.decode().strip()) + "\n")
        except ValueError:
            return Reply(1, stderr="wg: Key is not the correct length or format\n")
    if call.user != "root":
        return Reply(1, stderr="Unable to access interface: Operation not permitted\n")
    if verb == "show":
        return _show(machine, words, call)
    if verb == "set" and len(words) == 3 and words[1] == "private-key":
        return _private_key(machine, call, words[0], words[2])
    if verb in ("setconf", "syncconf") and len(words) == 2:
        return _synced(machine, call, *words)
    return Reply(1, stderr=f"Invalid subcommand: `{verb}'\n")


def _private_key(machine: Machine, call: Call, name: str, path: str) -> Reply:
    if name not in _kept(machine):
        return _no_device(name)
    try:
        text = machine.files.read(call.path(path), machine.who(call)).decode().strip()
        _kept(machine)[name]["public"] = _public(text)
    except FileError as error:
        return Reply(1, stderr=f"fopen: {error.says}\n")
    except ValueError:
        return Reply(1, stderr=f"Key is not the correct length or format: `{path}'\n")
    return Reply()


def _synced(machine: Machine, call: Call, name: str, path: str) -> Reply:
    """Take over a file: what it does not name of the interface is taken away."""
    before = _running(machine, name)
    if before is None:
        return _no_device(name)
    config = parsed(machine.files.read(call.path(path), machine.who(call)).decode())
    strangers = [key for key in config.interface if key in _QUICK_ONLY]
    if strangers:
        line = f"{strangers[0]}={config.interface[strangers[0]][0]}"
        return Reply(1, stderr=f"Line unrecognized: `{line}'\nConfiguration parsing error\n")
    _kept(machine)[name] = _device(config, before)
    return Reply()


def _running(machine: Machine, name: str) -> dict[str, Any] | None:
    """An interface that is up here, or with the real host behind a seeded machine."""
    if name in _kept(machine):
        found: dict[str, Any] = _kept(machine)[name]
        return found
    said = machine.said("wg", "show", name, "listen-port")
    return {"peers": {}} if said is not None and not said.status else None


def _no_device(name: str) -> Reply:
    return Reply(1, stderr=f"Unable to modify interface {name}: No such device\n")


def _show(machine: Machine, words: list[str], call: Call) -> Reply:
    if words == ["interfaces"]:
        return Reply(0, " ".join(_kept(machine)) + "\n")
    if len(words) != 2:
        return Reply(1, stderr="twin: its wg shows one thing of one interface\n")
    name, what = words
    if name not in _kept(machine):
        missing = f"Unable to access interface: No such device: {name}\n"
        return machine.said(*call.argv) or Reply(1, stderr=missing)
    device = _kept(machine)[name]
    if what == "public-key":
        return Reply(0, f"{device['public'] or _NOTHING}\n")
    if what == "listen-port":
        return Reply(0, f"{device['port']}\n")
    if what == "peers":
        return Reply(0, "".join(f"{key}\n" for key in device["peers"]))
    shown = {
        "allowed-ips": lambda peer: " ".join(peer["allowed"]) or _NOTHING,
        "persistent-keepalive": lambda peer: peer["keepalive"],
        "preshared-keys": lambda peer: peer["preshared"],
        "latest-handshakes": lambda peer: str(peer["handshake"]),
        "endpoints": lambda peer: _NOTHING,
        "transfer": lambda peer: "0\t0",
    }
    if what not in shown:
        return Reply(1, stderr=f"Invalid subcommand: `{what}'\n")
    rows = (f"{key}\t{shown[what](peer)}\n" for key, peer in device["peers"].items())
    return Reply(0, "".join(rows))


@wireguard("wg-quick")
def wg_quick(machine: Machine, call: Call) -> Reply:
    """Up, down, and what `wg` itself reads of a configuration."""
    verb, name = (*call.argv[1:], "", "")[:2]
    if call.user != "root":
        return Reply(1, stderr="wg-quick must be run as root.\n")
    if verb == "up":
        why = up(machine, name)
        return Reply(1 if why else 0, stderr=why)
    if verb == "down":
        if name not in _kept(machine):
            return Reply(1, stderr=f"wg-quick: `{name}' is not a WireGuard interface\n")
        down(machine, name)
        return Reply()
    if verb != "strip":
        return Reply(1, stderr="Usage: wg-quick [ up | down | save | strip ] [ CONFIG_FILE ]\n")
    path = f"{_FOLDER}/{name}.conf"
    if not machine.files.exists(path):
        return Reply(1, stderr=f"wg-quick: `{path}' does not exist\n")
    kept = [
        line
        for line in machine.files.text(path).splitlines()
        if line.partition("=")[0].strip() not in _QUICK_ONLY
    ]
    return Reply(0, "\n".join(kept) + "\n")
