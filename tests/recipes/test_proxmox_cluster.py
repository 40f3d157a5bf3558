"""Proxmox hosts that become a cluster: a person joins them, and each node says whom it sees."""

import pytest

from homelab_lib import paths
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.proxmox.cluster import steps
from recipes.bench import Bench

LAB = changed(
    load_lab(paths.data() / "examples" / "cluster"),
    ("proxmox_clusters.house.exists", False),
    ("proxmox_clusters.house.phase", 1),
)


def bench(phase):
    return Bench(LAB, tuple(steps(LAB, 1)), phase)


def looked_at(made):
    """What the nodes say, by the step's own look."""
    [step] = made.steps
    return step.manual.verify(made.engine("verify").context)


def node(made, name):
    return made.world.machines[name]


@pytest.fixture
def joined():
    """Where the phase that makes it is over."""
    return bench(2)


def test_what_a_person_is_asked_for():
    [step] = steps(LAB, 1)
    asked = step.manual.ask
    assert "on node1: pvecm create house --link0 10.20.30.11 --link1 10.20.0.11" in asked
    assert "pvecm add 10.20.30.11 --link0 10.20.30.12 --link1 10.20.0.12" in asked
    assert list(steps(LAB, 2)) == []


def test_nodes_that_are_in_none(joined):
    apart = bench(1)
    found = looked_at(apart)
    assert not found.holds
    assert found.says == "; ".join(f"node{n} is in no cluster" for n in (1, 2, 3))
    assert looked_at(joined).holds


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda n: setattr(n, "cluster_name", "other"), "node2 is in cluster other"),
        (lambda n: n.away.add("node3"), "node2 does not see node3"),
        (lambda n: n.peers.append({"type": "node", "node": "pve9"}), "node2 sees pve9, which"),
        (lambda n: n.away.update({"node1", "node3"}), "node2 does not see node1, node3"),
    ],
)
def test_a_node_that_sees_something_else(joined, wrong, says):
    wrong(node(joined, "node2"))
    found = looked_at(joined)
    assert not found.holds
    assert says in found.says


def test_a_rehearsal_takes_it_for_done_and_says_so():
    made = bench(1)
    [check] = made.step("cluster-house").checks
    assert check.holds
    assert check.taken
    assert "node1 is in no cluster" in check.says
    assert made.wire.sent == []


def test_a_twin_of_real_nodes_is_in_their_cluster(joined):
    node(joined, "node2").away.add("node3")
    assert "node2 does not see node3" in looked_at(joined.likeness()).says


def test_what_the_nodes_deny_nobody_signs_for():
    looked = bench(1).step("cluster-house", "verify")
    assert looked.status == "drift"
    assert "node1 is in no cluster" in looked.checks[0].says
