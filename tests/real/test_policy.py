"""What a lab lets its networks do to each other, as the models say it and as a kernel does it."""

from dataclasses import replace
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import permutations
from random import Random

import pytest

from homelab_lib.models.packet_filter import Packet, Rule, decide
from homelab_lib.models.reachability import vlan_reachability
from real import nft
from real.opnsense import told
from real.router import Leg, router
from real.wires import why_no_namespaces
from twin.neighbours import Neighbours, crowded
from twin.policies import asked, drawn, edges

MISSING = why_no_namespaces("nft", "sysctl")
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")]
POLICIES = 1_000
FILTERS = 200
RECIPES = 100
OUTSIDE = {4: ip_address("198.51.100.7"), 6: ip_address("2001:db8::7")}


def subnets(lab):
    """Both families: where a lab has no IPv6, what it would be if a provider switched it on."""
    return {
        number: (vlan.subnet, vlan.subnet6 or f"fd00:0:0:{number}::/64")
        for number, vlan in lab.vlans.items()
    }


@pytest.fixture(scope="module")
def neighbours():
    return Neighbours(crowded())


@pytest.fixture(scope="module")
def house(neighbours):
    nets = subnets(neighbours.lab)
    with router([*(Leg(nft.leg(n), nets[n]) for n in nets), Leg(nft.WAN)]) as made:
        yield made


@cache
def host(net, number):
    """One of those who live in a network."""
    return ip_network(net)[number]


def packet(source, destination, protocol, port, nets, version, number=40_000):
    at = [
        OUTSIDE[version] if network == "internet" else host(nets[network][version == 6], place)
        for network, place in ((source, 17), (destination, 99))
    ]
    named = "ipv6-icmp" if protocol == "icmp" and version == 6 else protocol
    return Packet(nft.leg(source), *at, named, port, number)


def wanted(rules, nets, ports, number=40_000):
    """What the model lets through of packets at these ports, from each network to each other."""
    return {
        packet(source, destination, protocol, port, nets, version, number): reach.on(
            asked(protocol, port)
        ).allow
        for (source, destination), reach in vlan_reachability(nets, rules).items()
        for protocol, port in ports
        for version in (4, 6)
    }


def agree(house, neighbours, rules, ports, number=40_000):
    """The model, a kernel and the twin say the same of each two networks, at each port."""
    nets = subnets(neighbours.lab)
    house.load(nft.policy(rules, nets))
    neighbours.rule(rules)
    expected = wanted(rules, nets, ports, number)
    passing = {each for each, passes in expected.items() if passes}
    assert house.arrived(expected) == passing, rules
    twin = {
        packet(source, destination, protocol, port, nets, 4, number)
        for source, destination in permutations([*nets, "internet"], 2)
        for protocol, port in ports
        if not neighbours.why_not(source, destination, protocol, port)
    }
    assert twin == {each for each in passing if each.source.version == 4}, rules
    return set(expected.values())


def test_the_labs_own_rules(house, neighbours):
    """At every port that a rule begins or ends at, in both families."""
    rules = [(r.name, r.source, r.destination, r.allow, r.ports) for r in neighbours.lab.rules]
    assert agree(house, neighbours, rules, edges(rules)) == {True, False}


def test_random_policies(house, neighbours):
    rng = Random(9)
    for number in range(POLICIES):
        rules = list(drawn(rng, list(neighbours.lab.vlans)))
        agree(house, neighbours, rules, rng.sample(edges(rules), k=3), 1024 + number)


def test_what_our_recipe_tells_a_firewall(house, neighbours):
    """The rules as OPNsense is given them and tells them, in a kernel: for the lab's own policy and
    for random ones, they let pass what the policy does."""
    nets, rng = subnets(neighbours.lab), Random(11)
    own = [(r.name, r.source, r.destination, r.allow, r.ports) for r in neighbours.lab.rules]
    for number in range(RECIPES):
        rules = list(drawn(rng, list(nets))) if number else own
        house.load(nft.packet_filter(told(neighbours.lab, rules, nets)))
        ports = rng.sample(edges(rules), k=4) if number else edges(rules)
        expected = wanted(rules, nets, ports)
        assert house.arrived(expected) == {each for each, passes in expected.items() if passes}, (
            rules
        )


# The packet filter -------------------------------------------------------------------------------

NETWORKS = [
    ip_network(text)
    for text in (
        "0.0.0.0/0", "10.0.0.0/16", "10.0.10.0/24", "10.0.20.0/24", "10.0.30.96/28",
        "10.0.10.17/32", "::/0", "fd00::/16", "fd00:0:0:20::/64",
    )
]  # fmt: skip


def drawn_filter(rng, legs):
    """Rules of a packet filter, with everything that OPNsense lets one say."""

    def some(things, most):
        return tuple(rng.sample(things, k=rng.randint(0, most))) if rng.random() < 0.5 else None

    def ports():
        if rng.random() < 0.7:
            return None
        ends = sorted(rng.sample([1, 22, 79, 80, 90, 443, 65535], k=2))
        return (tuple(ends), (443, 443))[: rng.randint(1, 2)]

    for number in range(rng.randint(0, 10)):
        yield Rule(
            name=f"rule-{number}",
            action=rng.choice(["pass", "pass", "block", "reject"]),
            interfaces=some(legs, 3),
            interfaces_not=rng.random() < 0.2,
            direction=rng.choice(["in", "in", "in", "out", "any"]),
            versions=rng.choice([(4,), (6,), (4, 6)]),
            protocols=rng.choice([None, None, ("tcp",), ("tcp", "udp"), ("icmp",), ("ipv6-icmp",)]),
            sources=some(NETWORKS, 2),
            source_not=rng.random() < 0.3,
            source_ports=ports() if rng.random() < 0.3 else None,
            destinations=some(NETWORKS, 2),
            destination_not=rng.random() < 0.3,
            destination_ports=ports(),
            quick=rng.random() < 0.7,
            sequence=rng.randint(1, 5),
            group=rng.choice([None, None, 0, 5]),
        )


def goes(rules, packet, out):
    """In by one interface, and out by another: both have to let it."""
    there = replace(packet, interface=out, direction="out")
    return decide(rules, packet).passes and decide(rules, there).passes


def test_random_packet_filters(house, neighbours):
    nets, rng = subnets(neighbours.lab), Random(10)
    networks = [*nets, "internet"]
    legs = [nft.leg(network) for network in networks]
    told = set()
    for _ in range(FILTERS):
        rules = list(drawn_filter(rng, legs))
        house.load(nft.packet_filter(rules))
        expected = {}
        for _ in range(60):
            source, destination = rng.sample(networks, k=2)
            protocol, version = rng.choice(["tcp", "tcp", "udp", "icmp", "gre"]), rng.choice([4, 6])
            port = (
                0 if protocol in ("icmp", "gre") else rng.choice([1, 22, 80, 85, 443, 444, 65535])
            )
            number = 0 if protocol == "gre" else rng.choice([22, 80, 443, 40_000])
            one = packet(source, destination, protocol, port, nets, version, number)
            expected[one] = goes(rules, one, nft.leg(destination))
        told |= set(expected.values())
        assert house.arrived(expected) == {one for one, passes in expected.items() if passes}, rules
    assert told == {True, False}
