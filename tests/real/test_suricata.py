"""Suricata itself takes the configuration that our settings lead to, and does what policies say."""

from random import Random

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.models.ids_policy import Policy, Signature, decide
from real.suricata import accepted, configured, inspected, told, written
from real.wires import why_no_namespaces

MISSING = why_no_namespaces("suricata")
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")]
SEVERITIES = ("Critical", "Major", "Minor", "Informational")


@pytest.fixture(scope="module")
def lab():
    return load_lab()


@pytest.fixture
def ids(lab):
    return lab.firewalls["firewall"].ids


def policies_of(ids):
    return [
        Policy(p.name, p.new_action, p.priority, p.rulesets, p.actions, p.properties, p.enabled)
        for p in ids.policies.values()
    ]


def drawn(rng, rulesets, count=24):
    """Signatures of all kinds, each about a port of its own."""
    return [
        Signature(
            2_000_000 + number,
            rng.choice(rulesets),
            rng.choice(["alert", "alert", "alert", "drop"]),
            rng.random() < 0.8,
            {"signature_severity": (rng.choice(SEVERITIES),)},
        )
        for number in range(1, count + 1)
    ]


def drawn_policies(rng, rulesets):
    return [
        Policy(
            f"policy-{number}",
            rng.choice(["default", "alert", "drop", "disable"]),
            rng.randint(0, 3),
            tuple(rng.sample(rulesets, k=rng.randint(0, 2))),
            tuple(rng.sample(["alert", "drop", "disable"], k=rng.randint(0, 2))),
            {"signature_severity": tuple(rng.sample(SEVERITIES, k=2))}
            if rng.random() < 0.7
            else {},
        )
        for number in range(4)
    ]


def rules(ids, actions):
    """Lines by ruleset, each signature with what it does in the end."""
    lines = {name: [] for name in ids.rulesets}
    for signature, action in actions.items():
        lines[signature.ruleset].append(written(signature, action))
    return lines


@pytest.mark.parametrize("mode", ["ids", "ips"])
def test_the_labs_settings_are_taken(tmp_path, lab, ids, mode):
    ids = ids.model_copy(update={"mode": mode})
    home = [vlan.subnet for vlan in lab.vlans.values()]
    actions = {each: each.action for each in drawn(Random(1), ids.rulesets)}
    said = accepted(configured(tmp_path / "etc", ids, home, rules(ids, actions)))
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    "line",
    [
        'drop udp $NO_SUCH_NET any -> any 53 (msg:"x"; sid:1;)',
        'drop udp any any -> any 53 (msg:"x"; sid:1; nonsense:1;)',
        'forget udp any any -> any 53 (msg:"x"; sid:1;)',
    ],
)
def test_a_broken_rule_is_refused(tmp_path, ids, line):
    lines = rules(ids, {}) | {ids.rulesets[0]: [line]}
    assert accepted(configured(tmp_path / "etc", ids, [], lines)).returncode != 0


@pytest.mark.parametrize(
    ("mode", "seed"),
    [("ips", None), ("ids", None), ("ips", 2), ("ips", 9), ("ips", 17), ("ids", 24)],
)
def test_it_does_what_the_policies_say(tmp_path, ids, mode, seed):
    """IPS drops what they say and lets the rest pass; IDS tells of all of it, and drops nothing.

    Once with the lab's own policies, then with random ones.
    """
    rng = Random(seed or 0)
    ids = ids.model_copy(update={"mode": mode})
    policies = policies_of(ids) if seed is None else drawn_policies(rng, ids.rulesets)
    signatures = drawn(rng, ids.rulesets)
    actions = {each: decide(each, policies).action for each in signatures}
    assert {"alert", "drop", "disable"} == set(actions.values())
    file = configured(tmp_path / "etc", ids, [], rules(ids, actions))
    with inspected(file, ids) as between:
        passed = between.asked(signatures)
    dropped = {each for each in signatures if actions[each] == "drop" and mode == "ips"}
    assert passed == set(signatures) - dropped
    assert told(file) == {
        each.number: "blocked" if each in dropped else "allowed"
        for each in signatures
        if actions[each] != "disable"
    }
