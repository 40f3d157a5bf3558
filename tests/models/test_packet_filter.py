"""The packet filter: cases of pf.conf(5) and of OPNsense's order, and laws over random rules."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models.packet_filter import Packet, Rule, Verdict, decide, passing


def nets(*texts):
    return tuple(ip_network(text) for text in texts)


def packet(to="10.0.20.5", protocol="tcp", port=443, *, by="opt1", source="10.0.10.7", **more):
    return Packet(by, ip_address(source), ip_address(to), protocol, port, **more)


LAN = {"interfaces": ("opt1",)}


def test_nothing_fits():
    assert decide([], packet()) == Verdict("block", None)
    assert decide([], packet(direction="out")) == Verdict("pass", None)


def test_the_first_quick_rule_decides_and_else_the_last():
    """pf.conf(5): "the last matching rule decides what action is taken" but for quick ones."""
    first, last = Rule("first", "pass", quick=False), Rule("last", "block", quick=False)
    assert decide([first, last], packet()).rule == "last"
    assert decide([first, Rule("quick", "reject"), last], packet()) == Verdict("reject", "quick")
    other = Rule("quick", "reject", protocols=("udp",))
    assert decide([first, other, last], packet()).rule == "last"


def test_order_is_floating_then_groups_then_one_interface():
    floating = Rule("floating", "pass", interfaces=("opt1", "opt2"), sequence=900)
    everywhere = Rule("everywhere", "pass", sequence=901)
    not_there = Rule("not there", "pass", ("wan",), interfaces_not=True, sequence=902)
    late = Rule("late group", "pass", ("opt1",), group=20, sequence=1)
    early = Rule("early group", "pass", ("opt1",), group=10, sequence=2)
    own = Rule("own", "pass", ("opt1",), sequence=1)
    left = [own, late, early, not_there, everywhere, floating]
    found = []
    while left:
        found.append(decide(left, packet()).rule)
        left = [rule for rule in left if rule.name != found[-1]]
    assert found == ["floating", "everywhere", "not there", "early group", "late group", "own"]


def test_rules_of_one_sequence_stay_as_they_are_listed():
    assert decide([Rule("a", "block", **LAN), Rule("b", "pass", **LAN)], packet()).rule == "a"


@pytest.mark.parametrize(
    ("rule", "asked", "fits"),
    [
        ({"interfaces": ("opt2",)}, {}, False),
        ({"interfaces": ("opt1",), "interfaces_not": True}, {}, False),
        ({"direction": "out"}, {}, False),
        ({"direction": "out"}, {"direction": "out"}, True),
        ({"direction": "any"}, {}, True),
        ({"versions": (6,)}, {}, False),
        ({"versions": (6,)}, {"source": "fd00::1", "to": "fd00:1::1"}, True),
        ({"protocols": ("udp",)}, {}, False),
        ({"protocols": ("tcp", "udp")}, {"protocol": "udp"}, True),
        ({"sources": nets("10.0.10.0/29")}, {}, True),
        ({"sources": nets("10.0.10.0/29"), "source_not": True}, {}, False),
        ({"sources": nets("10.0.10.0/30", "10.0.10.7/32")}, {}, True),
        (
            {"destinations": nets("10.0.0.0/8", "192.168.0.0/16"), "destination_not": True},
            {},
            False,
        ),
        (
            {"destinations": nets("10.0.0.0/8"), "destination_not": True},
            {"to": "198.51.100.1"},
            True,
        ),
        # An alias that is empty, as pf has it: a table without an entry.
        ({"destinations": ()}, {}, False),
        ({"destinations": (), "destination_not": True}, {}, True),
        # Networks of one family are no others'.
        ({"sources": nets("10.0.0.0/8")}, {"source": "fd00::1", "to": "fd00:1::1"}, False),
        ({"destination_ports": ((80, 80), (440, 443))}, {}, True),
        ({"destination_ports": ((80, 80),)}, {}, False),
        ({"source_ports": ((1024, 65535),)}, {}, False),
        ({"source_ports": ((1024, 65535),)}, {"source_port": 40000}, True),
        ({"destination_ports": ((1, 65535),)}, {"protocol": "icmp", "port": 0}, False),
    ],
)
def test_what_a_rule_is_about(rule, asked, fits):
    assert Rule("it", "pass", **rule).fits(packet(**asked)) is fits


HOUSE = (
    Rule("names", "pass", ("opt1",), protocols=("udp",), destinations=nets("10.0.10.1/32"),
         destination_ports=((53, 53),), sequence=10),
    Rule("not the house", "block", ("opt1",), destinations=nets("10.0.0.0/8"), sequence=20),
    Rule("the world", "pass", ("opt1",), sequence=30),
)  # fmt: skip
FROM, TO = ip_network("10.0.10.0/24"), ip_network("10.0.20.0/24")


def test_a_network_that_reaches_nothing_of_another():
    assert not list(passing(HOUSE, "opt1", FROM, TO))
    assert {v.rule for _, v in passing(HOUSE, "opt1", FROM, ip_network("10.0.10.0/24"))} == {
        "names"
    }


@pytest.mark.parametrize(
    "hole",
    [
        {"destinations": nets("10.0.20.77/32")},
        {"sources": nets("10.0.10.255/32"), "destination_ports": ((65535, 65535),)},
        {"protocols": ("tcp",), "source_ports": ((53, 53),)},
        {"protocols": ("esp",)},
        {"destinations": nets("10.0.20.0/25"), "destination_not": True},
    ],
)
def test_the_smallest_hole_is_found(hole):
    rules = (Rule("hole", "pass", ("opt1",), sequence=15, **hole), *HOUSE)
    assert {verdict.rule for _, verdict in passing(rules, "opt1", FROM, TO)} == {"hole"}


def test_networks_of_two_families():
    with pytest.raises(ValueError, match="two families"):
        list(passing(HOUSE, "opt1", FROM, ip_network("fd00::/64")))


# Laws --------------------------------------------------------------------------------------------

ADDRESSES = [ip_address(f"10.0.{net}.{host}") for net in (10, 20) for host in (0, 3, 4, 7, 8, 255)]
NETWORKS = nets(
    "0.0.0.0/0", "10.0.10.0/24", "10.0.20.0/24", "10.0.10.4/30", "10.0.20.0/29", "10.0.20.7/32",
    "10.0.0.0/16", "fd00::/8",
)  # fmt: skip
PORTS = (1, 79, 80, 90, 91, 443, 65535)
some_networks = st.none() | st.lists(st.sampled_from(NETWORKS), max_size=2).map(tuple)
some_ports = st.none() | st.lists(
    st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS)).map(lambda p: (min(p), max(p))),
    max_size=2,
).map(tuple)  # fmt: skip
some_rules = st.lists(
    st.builds(
        Rule,
        name=st.uuids().map(str),
        action=st.sampled_from(["pass", "block", "reject"]),
        interfaces=st.none() | st.lists(st.sampled_from(["opt1", "opt2"]), max_size=2).map(tuple),
        interfaces_not=st.booleans(),
        direction=st.sampled_from(["in", "out", "any"]),
        versions=st.sampled_from([(4,), (6,), (4, 6)]),
        protocols=st.none() | st.sampled_from([("tcp",), ("udp",), ("tcp", "udp"), ("icmp",)]),
        sources=some_networks,
        source_not=st.booleans(),
        source_ports=some_ports,
        destinations=some_networks,
        destination_not=st.booleans(),
        destination_ports=some_ports,
        quick=st.booleans(),
        sequence=st.integers(1, 3),
        group=st.none() | st.integers(0, 2),
    ),
    max_size=4,
)
some_packet = st.builds(
    Packet,
    interface=st.just("opt1"),
    source=st.sampled_from([a for a in ADDRESSES if a in FROM]),
    destination=st.sampled_from([a for a in ADDRESSES if a in TO]),
    protocol=st.sampled_from(["tcp", "udp", "icmp", "gre"]),
    destination_port=st.sampled_from(PORTS),
    source_port=st.sampled_from(PORTS),
)


@given(some_rules, some_packet)
def test_what_passes_is_among_what_is_said_to_pass(rules, asked):
    """No packet gets through that `passing` overlooked, and by no other rule."""
    found = list(passing(rules, "opt1", FROM, TO))
    assert all(decide(rules, packet) == verdict for packet, verdict in found)
    verdict = decide(rules, asked)
    if verdict.passes:
        assert verdict in [each for _, each in found]


@given(some_rules, some_packet)
def test_a_rule_that_does_not_fit_changes_nothing(rules, asked):
    fitting = [rule for rule in rules if rule.fits(asked)]
    assert decide(rules, asked) == decide(fitting, asked)
