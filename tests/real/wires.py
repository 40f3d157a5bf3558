"""Network namespaces of a test's own, and the ends of wires in them: who sends, and who hears.

What a host at an end sends is written by us, and what comes to it is read from its wire, so that no
host has to answer, and a thousand packets are asked about in a breath.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from struct import pack

from homelab_lib.models.packet_filter import Packet
from real.packets import read, written

LAST_PORT = 64_999
"""The last packets of a lot go there, by UDP; what has not come before them does not come."""
PATIENCE_S = 20.0
NEAR_MAC, FAR_MAC = "02:00:00:00:aa:01", "02:00:00:00:bb:01"
"""Of what is asked about, and of those at the ends."""
_NEW_NET = 0x40000000  # CLONE_NEWNET, sched.h
_ALL = 0x0003  # ETH_P_ALL, if_ether.h
_LARGE = 33  # SO_RCVBUFFORCE, asm-generic/socket.h
_numbers = count()


class Wires:
    """Ends of wires.

    Parameters
    ----------
    wires
        By the name of the end.
    last
        By the name of an end, a packet that gets there whatever the rules: sent after all others.
    to_mac
        Whom frames are sent to: the router at the near end, if none is given.
    """

    def __init__(
        self,
        wires: Mapping[str, socket.socket],
        last: Mapping[str, Packet],
        to_mac: str = NEAR_MAC,
    ) -> None:
        self._wires = wires
        self._last = last
        self._ends = bytes.fromhex(f"{to_mac}:{FAR_MAC}".replace(":", ""))

    def arrived(self, packets: Iterable[Packet]) -> set[Packet]:
        """Send packets from the ends that they name; those that come out at another."""
        sent = {replace(packet, interface=""): packet for packet in packets}
        with _one_processor():  # whose queue of packets keeps their order
            for packet in (*sent.values(), *self._last.values()):
                self._send(packet)
        return {sent[packet] for end in self._last for packet in self._heard(end)}

    def _send(self, packet: Packet) -> None:
        kind = 0x0800 if packet.source.version == 4 else 0x86DD
        self._wires[packet.interface].send(self._ends + pack("!H", kind) + written(packet))

    def _heard(self, end: str) -> Iterator[Packet]:
        wire, last = self._wires[end], replace(self._last[end], interface="")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"the last packet to {end} never came"
            frame, where = wire.recvfrom(2048)
            packet = None if where[2] == socket.PACKET_OUTGOING else read(frame[14:])
            if packet == last:
                return
            if packet is not None:
                yield packet


def why_no_namespaces(*programs: str) -> str:
    """Why there can be none on this machine, or not with these programs; empty where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nsenter", "unshare", *programs):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"this machine has no {program}"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        return "this machine lets us make no network namespaces"
    return ""


def namespace(made: ExitStack) -> str:
    """A network namespace that goes with `made`."""
    name = f"hl{os.getpid()}n{next(_numbers)}"
    run("ip", "netns", "add", name)
    made.callback(run, "ip", "netns", "del", name)
    return name


def inside(namespace: str) -> tuple[str, str]:
    """What begins the words of a program that is to run in one."""
    return "nsenter", f"--net=/run/netns/{namespace}"


def ip(namespace: str, *lines: str) -> None:
    """Lines for ``ip -batch`` in a namespace."""
    run("ip", "-n", namespace, "-batch", "-", given="".join(f"{line}\n" for line in lines))


def run(*words: str, given: str = "") -> str:
    """What a program prints that has to succeed."""
    done = subprocess.run(words, input=given, text=True, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}\n{given}"
    return done.stdout


def wire(made: ExitStack, near: str, interface: str) -> socket.socket:
    """A cable from an interface of a namespace to one who is nothing but its far end."""
    far = namespace(made)
    ip(
        near,
        f"link add {interface} address {NEAR_MAC} type veth"
        f" peer name eth0 address {FAR_MAC} netns {far}",
        f"link set {interface} addrgenmode none",
        f"link set {interface} up",
    )
    ip(far, "link set eth0 addrgenmode none", "link set eth0 up")
    with _within(far):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    made.callback(end.close)
    end.bind(("eth0", _ALL))
    end.setsockopt(socket.SOL_SOCKET, _LARGE, 2**24)
    end.settimeout(PATIENCE_S)
    return end


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
