"""Hosts of a private network: namespaces on a bridge, or loopback where those are not to be had."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_RANGE = "198.18"  # kept free for benchmarks by RFC 2544: no home or company uses it


@dataclass(frozen=True)
class Place:
    """Where a host lives.

    Parameters
    ----------
    address
        Where it listens.
    namespace
        Its network namespace; empty on loopback.
    """

    address: str = "127.0.0.1"
    namespace: str = ""


@dataclass(frozen=True)
class Network:
    """Two hosts that we reach, and one that only `nas` reaches.

    Parameters
    ----------
    nas, pve
        On a bridge that we have an address on.
    hidden
        Behind `nas`; we have no way to it.
    isolated
        Whether these are namespaces. On loopback nothing is hidden.
    """

    nas: Place = Place()
    pve: Place = Place()
    hidden: Place = Place()
    isolated: bool = False


@contextmanager
def network() -> Iterator[Network]:
    """Namespaces if this machine lets us make them, else loopback; nothing of it remains."""
    with ExitStack() as made:
        try:
            found = _namespaces(made)
        except (PermissionError, subprocess.CalledProcessError):
            made.close()
            found = Network()
        yield found


def _namespaces(made: ExitStack) -> Network:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise PermissionError("namespaces need root and iproute2")
    ours = f"hl{os.getpid()}"  # with a letter more it has to fit into an interface's 15
    outer, inner = _free_networks()
    bridge = f"{ours}b"
    _ip(made, f"link add {bridge} type bridge", undo=f"link del {bridge}")
    _ip(made, f"addr add {outer}.1/24 dev {bridge}")
    _ip(made, f"link set {bridge} up")
    # Without this a slip of ours would send packets for the hidden host out of the machine.
    _ip(made, f"route add unreachable {inner}.0/24", undo=f"route del unreachable {inner}.0/24")
    for name in ("nas", "pve", "hidden"):
        _ip(made, f"netns add {ours}-{name}", undo=f"netns del {ours}-{name}")
        _ip(made, f"-n {ours}-{name} link set lo up")
    for name, host in (("nas", 2), ("pve", 3)):
        end = f"{ours}{name[0]}"
        space = f"{ours}-{name}"
        _ip(made, f"link add {end} type veth peer name eth0 netns {space}", undo=f"link del {end}")
        _ip(made, f"link set {end} master {bridge} up")
        _ip(made, f"-n {space} addr add {outer}.{host}/24 dev eth0")
        _ip(made, f"-n {space} link set eth0 up")
    nas, hidden = f"{ours}-nas", f"{ours}-hidden"
    _ip(made, f"-n {nas} link add eth1 type veth peer name eth0 netns {hidden}")
    for space, device, host in ((nas, "eth1", 1), (hidden, "eth0", 2)):
        _ip(made, f"-n {space} addr add {inner}.{host}/24 dev {device}")
        _ip(made, f"-n {space} link set {device} up")
    return Network(
        nas=Place(f"{outer}.2", nas),
        pve=Place(f"{outer}.3", f"{ours}-pve"),
        hidden=Place(f"{inner}.2", hidden),
        isolated=True,
    )


def _ip(made: ExitStack, words: str, *, undo: str = "") -> None:
    """Do it now, and undo it at the end; a device that went with its namespace is no failure."""
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, timeout=10)
    if undo:
        made.callback(subprocess.run, ["ip", *undo.split()], capture_output=True, timeout=10)


def _free_networks() -> tuple[str, str]:
    """Two /24 that nobody on this machine has an address in or a route to."""
    used = "".join(
        subprocess.run(["ip", "-4", *what], check=True, capture_output=True, text=True).stdout
        for what in (["addr"], ["route", "show", "table", "all"])
    )
    free = (f"{_RANGE}.{(os.getpid() + i) % 256}" for i in range(256))
    found = [net for net in free if f"{net}." not in used]
    return found[0], found[1]
