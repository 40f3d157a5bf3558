"""What others manage of objects of ours: taken back from a person, and from no controller."""

import json

import pytest

from recipes.bench import Bench
from recipes.in_production import LAB, cluster_of, of_cluster

FORCED = "apply --server-side --force-conflicts --field-manager="


@pytest.fixture(scope="module")
def bench():
    """A cluster with its workloads: whoever changes them has them put back."""
    there = Bench(LAB, of_cluster(LAB), phase=4)
    assert there.stops() == ("", "")
    return there


def scaled(bench, manager, replicas=7):
    """A deployment of ours scaled by somebody."""
    meta = {"name": "nginx", "namespace": "test"}
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}
    text = json.dumps(document | {"spec": {"replicas": replicas}}).encode()
    ran = cluster_of(bench).server.run(f"sudo -n -- k3s kubectl {FORCED}{manager} -f -", text)
    assert ran.finished().status == 0
    bench.world.clock.sleep(300)
    cluster_of(bench).settle()
    bench.wire.sent.clear()


def replicas(bench):
    return cluster_of(bench).get("Deployment", "nginx", "test")["spec"]["replicas"]


def test_what_a_person_scaled_is_taken_back_as_the_plan_says(bench):
    wanted = replicas(bench)
    scaled(bench, "kubectl")
    planned = bench.likeness()
    assert planned.stops() == bench.stops() == ("", "")
    (sent,) = bench.wire.sent
    assert planned.wire.sent == [sent], "its managers are seeded, too"
    assert "--force-conflicts" in sent
    assert replicas(bench) == wanted
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_what_a_controller_scales_is_left_to_it_and_named(bench):
    wanted = replicas(bench)
    scaled(bench, "kube-controller-manager")
    planned = bench.likeness()
    for each in (planned, bench):
        step, said = each.stops()
        assert step == "workloads"
        assert "kube-controller-manager manages spec.replicas" in said
        assert each.wire.sent == []
    assert replicas(bench) == 7
    scaled(bench, "kube-controller-manager", wanted)
    assert bench.stops() == ("", ""), "it came to what the lab says"
