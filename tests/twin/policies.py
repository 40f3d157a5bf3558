"""Policies between a lab's VLANs, drawn as anybody might write them."""

from collections.abc import Hashable, Iterator, Sequence
from random import Random


def drawn(rng: Random, networks: Sequence[Hashable]) -> Iterator[tuple]:
    """Rules that repeat, contradict and shadow each other, as `vlan_reachability` takes them."""
    ends = [*networks, "any", "internet"]
    for number in range(rng.randint(0, 12)):
        ports = []
        for _ in range(rng.choice([0, 0, 1, 2])):
            first = rng.choice([22, 53, 80, 443, 8000, 65535])
            last = min(first + rng.choice([0, 0, 10, 500]), 65535)
            span = str(first) if first == last else f"{first}-{last}"
            ports.append(rng.choice(["icmp", f"tcp/{span}", f"udp/{span}"]))
        yield f"rule-{number}", rng.choice(ends), rng.choice(ends), rng.random() < 0.6, ports


def edges(rules: Sequence[tuple]) -> list[tuple[str, int]]:
    """Ports at which rules begin and end, and beside those; and some that nobody wrote down."""
    found = {("icmp", 0), ("tcp", 1), ("tcp", 65535), ("udp", 53)}
    for _, _, _, _, ports in rules:
        for port in ports:
            for end in filter(None, port.partition("/")[2].split("-")):
                near = (int(end) + step for step in (-1, 0, 1))
                found |= {(p, n) for p in ("tcp", "udp") for n in near if 0 < n < 65536}
    return sorted(found)


def asked(protocol: str, port: int) -> str:
    """As a model is asked about it."""
    return f"{protocol}/{port}" if port else protocol
