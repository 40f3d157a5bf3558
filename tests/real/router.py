"""A router in a namespace of its own: a leg into each network, and at its end who sends and hears.

The kernel forwards real packets by the rules of nftables that a test loads. What a host at a leg's
end sends is written by us, and what comes to it is read from its wire, so that no host has to
answer: a thousand sets of rules take a minute.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import count
from struct import pack

from homelab_lib.models.packet_filter import Packet
from real.packets import read, written

LAST_PORT = 64_999
"""The last packets of a lot go there, by UDP; what has not come before them does not come."""
PATIENCE_S = 20.0
_ROUTER_MAC, _HOST_MAC = bytes.fromhex("02000000aa01"), bytes.fromhex("02000000bb01")
_NEW_NET = 0x40000000  # CLONE_NEWNET, sched.h
_ALL = 0x0003  # ETH_P_ALL, if_ether.h
_LARGE = 33  # SO_RCVBUFFORCE, asm-generic/socket.h
_numbers = count()


@dataclass(frozen=True)
class Leg:
    """A network that the router is in.

    Parameters
    ----------
    name
        Of the router's interface.
    subnets
        Its networks; none for the way to all others.
    """

    name: str
    subnets: tuple[str, ...] = ()


class Router:
    """The router, and the wires of those at its legs. Made by `router`."""

    def __init__(self, namespace: str, wires: Mapping[str, socket.socket]) -> None:
        self.namespace = namespace
        self._wires = wires

    def load(self, ruleset: str) -> None:
        """Put a ruleset in the place of the one before, at once.

        Raises
        ------
        AssertionError
            nft refuses it; with what it says.
        """
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.namespace}", "nft", "-f", "-"],
            input=f"flush ruleset\n{ruleset}",
            text=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{done.stderr}\n{ruleset}"

    def arrived(self, packets: Iterable[Packet]) -> set[Packet]:
        """Send packets from where they say; those that come out at another leg.

        A ruleset has to let UDP to `LAST_PORT` through.
        """
        sent = {replace(packet, interface=""): packet for packet in packets}
        with _one_processor():  # whose queue of packets keeps their order
            for packet in sent.values():
                self._send(packet)
            for leg in self._wires:
                self._send(self._last(leg))
        return {sent[packet] for leg in self._wires for packet in self._heard(leg)}

    def _send(self, packet: Packet) -> None:
        kind = 0x0800 if packet.source.version == 4 else 0x86DD
        frame = _ROUTER_MAC + _HOST_MAC + pack("!H", kind) + written(packet)
        self._wires[packet.interface].send(frame)

    def _last(self, leg: str) -> Packet:
        """To a leg, from the next one."""
        legs = list(self._wires)
        other = legs[(legs.index(leg) + 1) % len(legs)]
        source, to = (ip_address(_next_hop(legs.index(each))) for each in (other, leg))
        return Packet(other, source, to, "udp", LAST_PORT, LAST_PORT)

    def _heard(self, leg: str) -> Iterator[Packet]:
        wire, last = self._wires[leg], replace(self._last(leg), interface="")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"the last packet to {leg} never came"
            frame, where = wire.recvfrom(2048)
            packet = None if where[2] == socket.PACKET_OUTGOING else read(frame[14:])
            if packet == last:
                return
            if packet is not None:
                yield packet


def why_no_router() -> str:
    """Why there can be none on this machine; empty where it can."""
    if os.geteuid() != 0:
        return "a router's namespace needs root"
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux")):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            return f"this machine has no {program} (package {package})"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        return "this machine lets us make no network namespaces"
    return ""


@contextmanager
def router(legs: Sequence[Leg]) -> Iterator[Router]:
    """A router with these legs; nothing of it remains."""
    ours = f"hl{os.getpid()}r{next(_numbers)}"
    with ExitStack() as made:
        _namespace(made, ours)
        for which in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            _run("ip", "netns", "exec", ours, "sysctl", "-q", "-w", f"{which}=1")
        wires = {leg.name: _leg(made, ours, number, leg) for number, leg in enumerate(legs)}
        yield Router(ours, wires)


def _leg(made: ExitStack, router: str, number: int, leg: Leg) -> socket.socket:
    """An interface of the router, what is at its other end, and the ways to its networks."""
    host, hop = f"{router}h{number}", _next_hop(number)
    _namespace(made, host)
    ends = (
        f"link add {leg.name} address {_ROUTER_MAC.hex(':')} type veth"
        f" peer name eth0 address {_HOST_MAC.hex(':')} netns {host}"
    )
    _ip(router, ends, f"link set {leg.name} addrgenmode none", f"link set {leg.name} up")
    _ip(host, "link set eth0 addrgenmode none", "link set eth0 up")
    via6 = f"fe80::{number + 1}"
    _ip(
        router,
        *(f"neigh add {via} lladdr {_HOST_MAC.hex(':')} dev {leg.name}" for via in (hop, via6)),
        f"route add {hop}/32 dev {leg.name}",
        *(
            f"route add {net} via {via6 if ip_network(net).version == 6 else hop} dev {leg.name}"
            for net in leg.subnets or ("0.0.0.0/0", "::/0")
        ),
    )
    with _within(host):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    made.callback(wire.close)
    wire.bind(("eth0", _ALL))
    wire.setsockopt(socket.SOL_SOCKET, _LARGE, 2**24)
    wire.settimeout(PATIENCE_S)
    return wire


def _next_hop(number: int) -> str:
    return f"192.0.2.{number + 1}"


def _namespace(made: ExitStack, name: str) -> None:
    _run("ip", "netns", "add", name)
    made.callback(_run, "ip", "netns", "del", name)


def _ip(namespace: str, *lines: str) -> None:
    _run("ip", "-n", namespace, "-batch", "-", given="".join(f"{line}\n" for line in lines))


def _run(*words: str, given: str = "") -> None:
    done = subprocess.run(words, input=given, text=True, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}\n{given}"


@contextmanager
def _within(namespace: str) -> Iterator[None]:
    """This thread in a network namespace, and back in its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as ours, open(f"/run/netns/{namespace}") as there:
        assert libc.setns(there.fileno(), _NEW_NET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            if libc.setns(ours.fileno(), _NEW_NET) != 0:
                os._exit(70)  # nothing else may be done in there


@contextmanager
def _one_processor() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
