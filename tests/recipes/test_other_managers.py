"""What others manage of objects of ours: taken back from a person, and from no controller."""

import json

import pytest

from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.runbook.step import Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.command import read
from recipes.bench import Bench
from recipes.in_production import LAB, cluster_of, of_cluster

FORCED = "apply --server-side --force-conflicts --field-manager="
GET = (
    "k3s",
    "kubectl",
    "get",
    "deployment.apps",
    "nginx",
    "-n",
    "test",
    "--show-managed-fields",
    "-o",
    "json",
)


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


def identity(bench):
    """What an approval of what is planned now is for."""
    server = cluster_of(bench).server.name
    found = bench.wire.run(server, read(*GET, sudo=True)).stdout
    (each,) = Applied(server, LAB.name, nginx(bench)).diff(json.loads(found)).changes
    return PlannedChange.of("workloads", "Deployment test/nginx", server, each, Mask()).identity


def nginx(bench):
    """What the lab says of it."""
    documents = (d for each in LAB.clusters["homelab"].workloads for d in manifests.workload(each))
    return next(
        d for d in documents if (d["kind"], d["metadata"]["name"]) == ("Deployment", "nginx")
    )


@pytest.mark.parametrize(
    ("manager", "count"), [("kubectl", 8), ("kubectl-edit", 7)], ids=["value", "manager"]
)
def test_what_was_approved_is_not_for_another_value_nor_for_another_s(bench, manager, count):
    scaled(bench, "kubectl")
    approved = identity(bench)
    assert identity(bench) == approved
    scaled(bench, manager, count)
    assert identity(bench) != approved
    scaled(bench, "kubectl", replicas=nginx(bench)["spec"]["replicas"])


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


def test_a_secret_that_a_person_changed_is_taken_back_as_the_plan_says(bench):
    """Its values are in no plan: whose they are is, and which state of it was looked at."""
    token = Secret("the token", lambda: "kestrel-over-4-lakes")
    ours = SecretObject("k3s-control", LAB.name, "token", "test", {"token": token})
    step = Step("secret", "x", why="x", ensure=lambda ctx: [ours])
    alone = Bench.__new__(Bench)
    alone.__dict__ |= bench.__dict__ | {"steps": (step,)}
    assert alone.stops() == ("", "")
    for manager, says in (("kubectl-edit", ""), ("external-secrets", "manages data.token")):
        meta = {"name": "token", "namespace": "test"}
        theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
        text = json.dumps(theirs | {"data": {"token": "dGhlaXJz"}}).encode()
        line = f"sudo -n -- k3s kubectl {FORCED}{manager} -f -"
        assert cluster_of(bench).server.run(line, text).finished().status == 0
        alone.wire.sent.clear()
        assert says in alone.stops()[1]
        assert ["--force-conflicts" in sent for sent in alone.wire.sent] == ([] if says else [True])
