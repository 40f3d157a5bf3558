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
        for protocol, port in ports:
            why = neighbours.why_not(source, destination, protocol, port)
            verdict = reach.on(asked(protocol, port))
            assert (why == "") is verdict.allow, (source, destination, protocol, port, rules)
            if not verdict.allow:
                named = [verdict.rule] if verdict.rule else ["no rule that lets", "by rule refuse "]
                assert any(each in why for each in named)
            told.add(verdict.allow)
    return told


@pytest.fixture(params=["as set up before", "by our recipe"])
def rule(request, neighbours):
    """Puts rules in force."""
    return neighbours.rule if request.param == "as set up before" else neighbours.rule_by_recipe


def test_the_labs_own_rules(neighbours, rule):
    rules = [(r.name, r.source, r.destination, r.allow, r.ports) for r in neighbours.lab.rules]
    rule(rules)
    assert agrees(neighbours, rules, edges(rules)) == {True, False}


@pytest.mark.parametrize("seed", range(20))
def test_a_random_policy(neighbours, rule, seed):
    rng = Random(seed)
    rules = list(drawn(rng, list(neighbours.lab.vlans)))
    rule(rules)
    agrees(neighbours, rules, rng.sample(edges(rules), k=4))
