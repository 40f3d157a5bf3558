"""Every row of the design's first, third and fourth phase, its network, its firewall, its slots
and its ways in is carried out by a step or judged by a model; or it is said why not."""

import importlib
from functools import cache

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.coverage import Coverage
from homelab_lib.recipes.phase import runbook, runbooks

LAB = load_lab()
PHASES = (1, 3, 4)
SECTIONS = (
    "Phase 1: Foundation",
    "Phase 4: Production Workloads",
    "Proxmox Network Interfaces",
    "M.2 Bifurcation Configuration (Odroid)",
    "10GbE NIC Details",
    "eGPU Configuration",
    "Suricata Performance",
    "VLAN Design (Recommended)",
    "Inter-Node Connectivity",
    "10GbE Backbone Topology",
    "Remote Access",
    "New Purchases Required",
)
BESIDES = ("proxmox-network", "proxmox-wireless", "truenas-network", "firewall-network")
"""Rows of the machines' own tables that are about the network."""


def leaves(tasks):
    for task in tasks:
        yield from leaves(task.tasks) if task.tasks else [task]


def rows():
    """What the design asks for, by a name for people: its words, and what covers it."""
    for phase in LAB.phases:
        if phase.number in PHASES:
            for task in leaves(phase.tasks):
                yield f"task {task.name}", task.title, task.covered
    for claim in LAB.claims:
        if claim.section in SECTIONS or claim.name in BESIDES:
            yield f"claim {claim.name}", claim.quote, claim.covered
    for each in LAB.purchases:
        if not each.price.approximate:  # those of decisions are no rows of the design
            yield f"purchase {each.name}", each.title, each.covered
    for way in LAB.remote_access:
        yield f"way in {way.method}", way.use_case, way.covered


ROWS = list(rows())


def test_the_rows_are_those_of_the_design():
    assert {claim.section for claim in LAB.claims} >= set(SECTIONS)
    assert {claim.name for claim in LAB.claims} >= set(BESIDES)
    kinds = [name.partition(" ")[0] for name, *_ in ROWS]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "task": 19, "claim": 64, "purchase": 6, "way": 3}  # fmt: skip


@pytest.mark.parametrize(("name", "words", "covered"), ROWS, ids=[row[0] for row in ROWS])
def test_no_row_is_a_gap(name, words, covered):
    assert covered is not None, f"{words}: name its step, its model, or why neither"
    for model in covered.models:
        module, function = model.split(".")
        found = importlib.import_module(f"homelab_lib.models.{module}")
        assert callable(getattr(found, function, None)), f"there is no model {model}"


@cache
def steps():
    """All steps of the lab's runbooks, as ``runbook:step``."""
    return {
        f"{book.name}:{step}"
        for book in runbooks(LAB)
        for step in runbook(LAB, book.phase, lambda vm: "ssh-ed25519 AAAA", book.part).names
    }


@pytest.mark.parametrize(
    "covered", [pytest.param(c, id=name) for name, _, c in ROWS if c and c.steps]
)
def test_every_step_that_is_named_is_there(covered):
    assert set(covered.steps) - steps() == set()


@pytest.mark.parametrize(
    "word", ["RDP", "WiFi 7", "Bluetooth", "Case", "Cable", "USB Boot Drive", "unused radio"]
)
def test_what_is_easily_forgotten_is_not(word):
    said = [c for _, words, c in ROWS if c and (word in words or word in c.left_out)]
    assert said
    assert all(isinstance(each, Coverage) for each in said)
