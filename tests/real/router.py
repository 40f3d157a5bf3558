"""A router in a namespace of its own, with a leg into each network: the kernel forwards packets by
the rules of nftables that a test loads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from socket import socket

from homelab_lib.models.packet_filter import Packet
from real.wires import FAR_MAC, LAST_PORT, Wires, inside, ip, namespace, run, wire


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


class Router(Wires):
    """The router, and those at its legs; made by `router`.

    A ruleset has to let UDP to `LAST_PORT` through.
    """

    def __init__(
        self, namespace: str, wires: Mapping[str, socket], last: Mapping[str, Packet]
    ) -> None:
        super().__init__(wires, last)
        self.namespace = namespace

    def load(self, ruleset: str) -> None:
        """Put a ruleset in the place of the one before, at once."""
        run(*inside(self.namespace), "nft", "-f", "-", given=f"flush ruleset\n{ruleset}")


@contextmanager
def router(legs: Sequence[Leg]) -> Iterator[Router]:
    """A router with these legs; nothing of it remains."""
    with ExitStack() as made:
        middle = namespace(made)
        for which in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            run("ip", "netns", "exec", middle, "sysctl", "-q", "-w", f"{which}=1")
        wires = {leg.name: wire(made, middle, leg.name) for leg in legs}
        last = {}
        for number, leg in enumerate(legs):
            before = legs[number - 1]
            ends = [ip_address(_next_hop(legs.index(each))) for each in (before, leg)]
            last[leg.name] = Packet(before.name, *ends, "udp", LAST_PORT, LAST_PORT)
            ip(middle, *_ways(number, leg))
        yield Router(middle, wires, last)


def _ways(number: int, leg: Leg) -> Iterator[str]:
    """All of a leg's networks lie behind its far end, which is who lives there."""
    hop, hop6 = _next_hop(number), f"fe80::{number + 1}"
    for each in (hop, hop6):
        yield f"neigh add {each} lladdr {FAR_MAC} dev {leg.name}"
    yield f"route add {hop}/32 dev {leg.name}"
    for net in leg.subnets or ("0.0.0.0/0", "::/0"):
        via = hop6 if ip_network(net).version == 6 else hop
        yield f"route add {net} via {via} dev {leg.name}"


def _next_hop(number: int) -> str:
    return f"192.0.2.{number + 1}"
