"""Signatures under policies: cases as OPNsense's own scripts decide them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models.ids_policy import Decision, Policy, Signature, decide

SEVERE = {"signature_severity": ("Critical", "Major")}
MALWARE = Signature(
    2000001,
    "emerging-malware.rules",
    properties={
        "signature_severity": ("Major",),
        "deployment": ("Perimeter", "Internal"),
        "classtype": ("trojan-activity",),
    },
)
OFF = replace(MALWARE, enabled=False)


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        ({}, True),
        ({"enabled": False}, False),
        ({"rulesets": ("emerging-malware.rules", "emerging-scan.rules")}, True),
        ({"rulesets": ("emerging-scan.rules",)}, False),
        ({"actions": ("alert",)}, True),
        ({"actions": ("drop", "disable")}, False),
        ({"properties": SEVERE}, True),
        ({"properties": {"signature_severity": ("Minor",)}}, False),
        ({"properties": {"deployment": ("Internal",)}}, True),  # one of several values
        ({"properties": {"classtype": ("trojan-activity",)}}, True),
        ({"properties": {"affected_product": ("Any",)}}, False),  # which its author never says
        ({"properties": SEVERE, "rulesets": ("emerging-scan.rules",)}, False),  # all has to fit
    ],
)
def test_what_a_policy_is_about(policy, fits):
    found = decide(MALWARE, [Policy("p", "drop", **policy)])
    assert found == (Decision("drop", "p") if fits else Decision("alert"))


def test_the_lowest_priority_decides_and_default_shields():
    late, early = Policy("late", "drop", 20), Policy("early", "alert", 10)
    assert decide(MALWARE, [late, early]) == Decision("alert", "early")
    assert decide(MALWARE, [late, replace(early, new_action="default")]) == Decision(
        "alert", "early"
    )
    assert decide(MALWARE, [late, replace(early, enabled=False)]) == Decision("drop", "late")


def test_what_is_off_counts_as_disabled_and_is_switched_on():
    """A policy for what alerts leaves alone what its author has switched off."""
    assert decide(OFF, [Policy("p", "drop", actions=("alert",))]) == Decision("disable")
    assert decide(OFF, [Policy("p", "drop", actions=("disable",))]) == Decision("drop", "p")
    assert decide(OFF, [Policy("p", "drop")]) == Decision("drop", "p")
    assert decide(OFF, [Policy("p", "default")]) == Decision("disable", "p")


def test_by_hand_goes_before_all_policies():
    policies = [Policy("p", "drop")]
    assert decide(MALWARE, policies, {2000001: "disable"}) == Decision("disable")
    assert decide(OFF, policies, {2000001: "alert"}) == Decision("alert")
    assert decide(MALWARE, policies, {2000002: "disable"}) == Decision("drop", "p")


def test_what_only_sets_flowbits_never_drops():
    silent = replace(MALWARE, silent=True)
    assert decide(silent, [Policy("p", "drop")]) == Decision("alert", "p")
    assert decide(silent, [Policy("p", "disable")]) == Decision("disable", "p")
    assert decide(silent, [], {2000001: "drop"}) == Decision("alert")


@given(
    st.lists(
        st.builds(
            Policy,
            name=st.uuids().map(str),
            new_action=st.sampled_from(["default", "alert", "drop", "disable"]),
            priority=st.integers(0, 3),
            actions=st.sampled_from([(), ("alert",), ("disable",), ("drop", "alert")]),
            enabled=st.booleans(),
        )
    ),
    st.sampled_from([MALWARE, OFF]),
)
def test_only_the_one_that_decided_matters(policies, signature):
    found = decide(signature, policies)
    deciding = [policy for policy in policies if policy.name == found.by]
    assert decide(signature, deciding) == found
    assert all(policy.priority >= deciding[0].priority for policy in policies
               if deciding and policy.enabled and policy.fits(signature))  # fmt: skip
