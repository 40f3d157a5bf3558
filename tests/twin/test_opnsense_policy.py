"""The lab's policy as rules: pf lets through what the policy says, for any policy."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab_lib.lab import load_lab
from homelab_lib.lab.network import FirewallRule, Vlan
from homelab_lib.twin.built import built
from homelab_lib.twin.network import Network
from homelab_lib.twin.opnsense import policy
from homelab_lib.twin.opnsense.pf import PacketFilter
from homelab_lib.twin.packet import OUTSIDE, Packet

LAB = load_lab()
VLANS = tuple(LAB.vlans)
PORTS = ((), ("tcp/22",), ("tcp/80-90",), ("icmp",), ("tcp/443", "udp/53"))
RULES = st.lists(
    st.builds(
        lambda source, destination, allow, ports: FirewallRule(
            name="r", source=source, destination=destination, allow=allow, ports=ports, reason="x"
        ),
        st.sampled_from([*VLANS, "any"]),
        st.sampled_from([*VLANS, "any", "internet"]),
        st.booleans(),
        st.sampled_from(PORTS),
    ),
    min_size=1,  # of a router without any rule the lab says nothing: it lets the house out
    max_size=8,
)


@dataclass
class Described:
    """As much of a lab as a policy needs."""

    vlans: dict[int, Vlan]
    rules: list[FirewallRule]
    cables: tuple = ()
    hosts: dict = field(default_factory=dict)
    firewalls: dict = field(default_factory=dict)


@pytest.fixture(scope="module")
def box():
    return built(LAB, before_phase=2).machines["firewall"]


@settings(max_examples=60, deadline=None)
@given(rules=RULES)
def test_pf_decides_as_the_first_rule_of_the_policy_does(box, rules):
    lab = Described(LAB.vlans, rules)
    expected = Network(lab, {})
    root = box.config.load()
    policy.write(root, lab, 1)
    pf = PacketFilter(box.links, root, root)
    for source in VLANS:
        device = box.links.towards(LAB.vlans[source].gateway).name
        for to in (*VLANS, "internet"):
            if to == source:
                continue
            for kind, port in (("tcp", 22), ("tcp", 85), ("udp", 53), ("udp", 22), ("icmp", 0)):
                here, there = _host(source), OUTSIDE if to == "internet" else _host(to)
                verdict = pf.judge(Packet(here, there, kind, port), "in", device)
                wanted = expected._allowed("fw", source, to, port, kind) == ""
                assert verdict.passes == wanted, (source, to, kind, port)


def test_a_rule_of_the_firewall_s_own_lets_pass_what_it_names_and_nothing_else(box):
    """The cluster asks the desktop's exporter; the policy lets no server in there."""
    root = box.config.load()
    policy.write(root, LAB, 1)
    pf = PacketFilter(box.links, root, root)
    device = box.links.towards(LAB.vlans[30].gateway).name
    asked = {
        (source, port): pf.judge(Packet(source, "10.0.10.50", "tcp", port), "in", device).passes
        for source in ("10.0.30.21", "10.0.30.24", "10.0.30.5")
        for port in (9100, 22)
    }
    assert {which for which, passes in asked.items() if passes} == {
        ("10.0.30.21", 9100), ("10.0.30.24", 9100),
    }  # fmt: skip
    others = pf.judge(Packet("10.0.30.21", "10.0.10.51", "tcp", 9100), "in", device)
    assert not others.passes


def _host(vlan):
    return LAB.vlans[vlan].subnet.rpartition(".")[0] + ".200"
