"""Nothing is exposed: what leads in from outside, and who answers there."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.firewall import PortForward
from homelab_lib.lab.remote import InternetAccess
from homelab_lib.recipes.ways_in import access, exposure
from homelab_lib.recipes.ways_in.exposure import _passes
from homelab_lib.twin.machine.program import Reply
from recipes.bench import Bench

LAB = load_lab().model_copy(update={"internet": {}})
RULES = """scrub in all fragment reassemble
block drop in log inet all label "Default deny / state violation rule"
pass in log quick on ixl0 inet proto udp from any port = bootps to any port = bootpc label "DHCP"
pass in log quick on ixl0 inet6 proto ipv6-icmp from any to any icmp6-type echoreq label "ICMP"
pass in quick on ixl0 reply-to (ixl0 192.0.2.1) inet proto udp from any to (ixl0) port = 51820 label "a"
pass in quick on ixl0 inet proto tcp from any to 10.0.30.5 port = https flags S/SA label "b"
pass out route-to (ixl0 192.0.2.1) inet from (ixl0) to any label "let out anything"
pass in quick on igc0 inet from any to any label "anti-lockout"
"""  # noqa: E501


def with_forward(protocol, port, to):
    forward = PortForward(
        name="f", interfaces=("sfp1",), protocol=protocol, port=port, to=to, reason="a game"
    )
    wall = LAB.firewalls["firewall"].model_copy(update={"port_forwards": {"f": forward}})
    return LAB.model_copy(update={"firewalls": {"firewall": wall}})


def stops(lab):
    return Bench(lab, [exposure.step(lab)], phase=2).stops()


def test_the_shipped_lab_exposes_nothing():
    assert stops(LAB) == ("", "")


@pytest.mark.parametrize("to", ["truenas", "10.0.30.5"])
def test_a_forward_to_somebody_who_answers(to):
    where, said = stops(with_forward("TCP", 22, to))
    assert where == "exposed"
    assert "truenas answers nobody from the internet: tcp/22 by a port forward of firewall" in said


@pytest.mark.parametrize(("protocol", "port"), [("UDP", 22), ("TCP", 4242)])
def test_a_forward_where_nobody_answers_by_tcp(protocol, port):
    assert stops(with_forward(protocol, port, "truenas")) == ("", "")


def test_a_rule_of_the_lab_that_lets_the_internet_in():
    rule = LAB.rules[0].model_copy(update={"name": "open", "source": "internet"})
    where, said = stops(LAB.model_copy(update={"rules": (*LAB.rules, rule)}))
    assert where == "exposed"
    assert "rules let it in: open" in said


def test_what_a_packet_filter_lets_in_at_its_outer_side():
    assert [line.rpartition("label ")[2] for line in _passes(RULES, "ixl0")] == ['"a"', '"b"']


def test_a_firewall_with_a_rule_that_nobody_describes():
    line = InternetAccess(name="line", port="firewall.sfp1")
    lab = with_forward("UDP", 51820, "desktop").model_copy(update={"internet": {"line": line}})
    bench = Bench(lab, [exposure.step(lab)], phase=2)
    said_by(bench, RULES.replace(RULES.splitlines()[5] + "\n", ""))
    assert bench.stops() == ("", "")
    said_by(bench, RULES)
    where, said = bench.stops()
    assert where == "exposed"
    assert "port = https" in said


def said_by(bench, rules):
    wall = bench.world.machines["firewall"]
    wall.instead[:] = [lambda call, run: Reply(0, rules) if call.argv[0] == "pfctl" else None]


def test_the_ways_in_of_the_shipped_lab():
    names = [step.name for step in access.steps(load_lab(), 1)]
    assert names == ["tailscale", "routes", "exposed"]
    assert list(access.steps(load_lab(), 2)) == []
