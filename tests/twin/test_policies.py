"""Who reaches whom is the same for the twin and for the model; a kernel says it in tests/real."""

from random import Random

import pytest

from homelab_lib.models.reachability import vlan_reachability
from twin.neighbours import Neighbours, crowded
from twin.policies import asked, drawn, edges


@pytest.fixture(scope="module")
def neighbours():
    return Neighbours(crowded())


def agrees(neighbours, rules, ports):
    """For each two networks and each port; what the twin refuses, it refuses in words."""
    told = set()
    for (source, destination), reach in vlan_reachability(neighbours.lab.vlans, rules).items():
        for protocol, port in ports if source != "internet" else ():
            why = neighbours.why_not(source, destination, protocol, port)
            verdict = reach.on(asked(protocol, port))
            assert (why == "") is verdict.allow, (source, destination, protocol, port, rules)
            if not verdict.allow:
                assert (verdict.rule or "no rule that lets") in why
            told.add(verdict.allow)
    return told


def test_the_labs_own_rules(neighbours):
    rules = [(r.name, r.source, r.destination, r.allow, r.ports) for r in neighbours.lab.rules]
    neighbours.rule(rules)
    assert agrees(neighbours, rules, edges(rules)) == {True, False}


@pytest.mark.parametrize("seed", range(40))
def test_a_random_policy(neighbours, seed):
    rng = Random(seed)
    rules = list(drawn(rng, list(neighbours.lab.vlans)))
    neighbours.rule(rules)
    agrees(neighbours, rules, rng.sample(edges(rules), k=4))
