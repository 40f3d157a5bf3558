"""Filter rules as anybody may have them on an OPNsense: the twin's packet filter, which reads them
from its configuration, and the model, which takes what we read back, decide alike."""

from ipaddress import ip_address
from random import Random

import pytest

from homelab_lib.models.packet_filter import Packet, decide
from homelab_lib.recipes.firewall import readback
from homelab_lib.twin import packet as twin
from twin.neighbours import Neighbours, crowded

ALIASES = (
    {"name": "upstairs", "type": "network", "content": "10.0.10.0/25\nfd00:0:0:10::/64"},
    {"name": "nas", "type": "host", "content": "10.0.30.5"},
    {"name": "nobody", "type": "host", "content": ""},
    {"name": "both", "type": "networkgroup", "content": "upstairs\nnas"},
    {"name": "web", "type": "port", "content": "80\n8000:8010"},
)
ADDRESSES = {
    4: ["10.0.10.7", "10.0.10.200", "10.0.20.9", "10.0.30.5", "10.0.30.1", "198.51.100.7"],
    6: ["fd00:0:0:10::7", "2001:db8::7"],
}


@pytest.fixture(scope="module")
def neighbours():
    return Neighbours(crowded())


@pytest.fixture(scope="module")
def interfaces(neighbours):
    """The firewall's, as its configuration has them."""
    return {
        each.tag: {part.tag: part.text or "" for part in each}
        for each in neighbours.config().findall("interfaces/*")
    }


def drawn_rows(rng, names):
    """What the appliance takes; each field may be anything that it allows."""
    nets = [
        "any",
        "any",
        "any",
        "(self)",
        *names,
        f"{names[0]}ip",
        "upstairs",
        "nas",
        "nobody",
        "both",
    ]
    for number in range(rng.randint(6, 16)):
        family = rng.choice(["inet", "inet6", "inet46"])
        protocol = rng.choice(["any", "any", "TCP", "UDP", "TCP/UDP", "ICMP", "IPV6-ICMP", "ESP"])
        literal = {"inet": "10.0.20.0/24", "inet6": "fd00:0:0:10::7"}.get(family, "any")
        ends = [rng.choice([*nets, literal]) for _ in range(2)]
        ported = protocol in ("TCP", "UDP", "TCP/UDP") and rng.random() < 0.6
        yield {
            "uuid": f"{number}",
            "enabled": rng.choice(["1", "1", "1", "0"]),
            "description": f"rule-{number}",
            "action": rng.choice(["pass", "block", "reject"]),
            "quick": rng.choice(["1", "1", "0"]),
            "interface": ",".join(rng.sample(names, k=rng.choice([0, 1, 1, 2, 4]))),
            "interfacenot": rng.choice(["0", "0", "0", "1"]),
            "direction": rng.choice(["in", "in", "out", "any"]),
            "ipprotocol": family,
            "protocol": protocol,
            "source_net": ends[0],
            "source_not": str(int(ends[0] != "any" and rng.random() < 0.3)),
            "source_port": "",
            "destination_net": ends[1],
            "destination_not": str(int(ends[1] != "any" and rng.random() < 0.3)),
            "destination_port": rng.choice(["443", "8000-8010", "web", "ssh"]) if ported else "",
            "sequence": str(rng.randint(1, 4)),
        }


def test_a_packet_fares_alike(neighbours, interfaces):
    rng = Random(12)
    names = [name for name in interfaces if name != "wan"]
    known = readback.networks(interfaces, ALIASES)
    decided = 0
    for _ in range(60):
        rows = list(drawn_rows(rng, names))
        neighbours.load_rows(ALIASES, rows)
        rules = readback.filter_rules(rows, known, readback.port_aliases(ALIASES))
        for _ in range(40):
            version = rng.choice([4, 4, 6])
            ends = [rng.choice(ADDRESSES[version]) for _ in range(2)]
            protocol = rng.choice(["tcp", "udp", "icmp" if version == 4 else "ipv6-icmp"])
            port = rng.choice([22, 80, 443, 8005]) if protocol in ("tcp", "udp") else 0
            at, way = rng.choice(names), rng.choice(["in", "in", "out"])
            ours = Packet(at, *map(ip_address, ends), protocol, port, 50_000, way)
            verdict = decide(rules, ours)
            theirs = neighbours.judged(twin.Packet(*ends, protocol, port), way, at)
            assert (verdict.passes, verdict.rule) == theirs, (ours, rows)
            decided += verdict.rule is not None
    assert decided > 400, "most rules are about other packets"
