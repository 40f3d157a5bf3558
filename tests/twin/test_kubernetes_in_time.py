"""What takes its time in a cluster, and what is tried again: charts, kinds, images."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock

LAB = load_lab()
KIND = "certificates.cert-manager.io"


@pytest.fixture
def world():
    """The shipped lab before phase 4: its cluster stands."""
    return built(LAB, before_phase=4, clock=SimulatedClock())


def says(world, line, document=None):
    text = json.dumps(document).encode() if document else b""
    reply = world.machines["k3s-control"].run(f"sudo k3s kubectl {line}", text).finished()
    return reply.status, (reply.out + reply.err).decode()


def asks_for(world, name):
    """A chart of the lab's is asked for."""
    chart = LAB.services[name].chart.model_copy(update={"values": {"crds": {"enabled": True}}})
    document = manifests.helm_chart(chart)
    document["spec"]["createNamespace"] = True
    assert says(world, "apply -f -", document)[0] == 0


def done(world, name):
    path = "-o jsonpath={.status.succeeded}"
    return says(world, f"get job helm-install-{name} -n kube-system {path}")[1] == "1"


def until_done(world, name):
    """Looks again and again, as who waits for it does."""
    for _ in range(20):
        if done(world, name):
            return True
        world.clock.sleep(5.0)
    return False


def test_a_chart_that_can_not_be_fetched_is_tried_again_until_it_can(world):
    """k3s's Helm controller makes a job, and the job starts its pod anew."""
    world.internet = lambda machine: "no route to host"
    asks_for(world, "cert-manager")
    world.clock.sleep(120.0)
    assert not until_done(world, "cert-manager")
    _, log = says(world, "logs -n kube-system job/helm-install-cert-manager --tail 20")
    assert "is not a valid chart repository: no route to host" in log
    del world.internet
    assert until_done(world, "cert-manager")


def test_a_kind_is_not_served_as_soon_as_its_definition_is_there(world):
    """The API server takes a definition in, and then answers for it: apiextensions, Established."""
    asks_for(world, "cert-manager")
    for _ in range(240):
        if says(world, f"get customresourcedefinition {KIND}")[0] == 0:
            break
        world.clock.sleep(0.25)
    status, words = says(world, f"get {KIND} -A")
    assert status == 1
    assert "the server doesn't have a resource type" in words
    assert not done(world, "cert-manager"), "what is of that kind could not be made yet"
    assert until_done(world, "cert-manager")
    assert says(world, f"get {KIND} -A")[0] == 0


def test_an_image_takes_as_long_as_the_line_takes_for_it_and_once_for_a_node(world):
    world.internet_bytes_per_s = 50e6
    [cluster] = world.clusters.values()

    def pod(name, node):
        """How long it takes until it runs [s]."""
        container = {"name": "it", "image": "ollama/ollama:0.32.15", "command": ["sleep"]}
        spec = {"containers": [container], "nodeSelector": {"kubernetes.io/hostname": node}}
        meta = {"name": name, "namespace": "default"}
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        began = world.clock.now()
        while "Running" not in says(world, f"get pod {name} -o jsonpath={{.status.phase}}")[1]:
            assert world.clock.now() - began < 600.0
            world.clock.sleep(1.0)
        return world.clock.now() - began

    wanted_s = 3.9e9 / 50e6
    assert pod("first", "k3s-gpu1") == pytest.approx(wanted_s, abs=15.0)
    assert pod("again", "k3s-gpu1") < 15.0, "the node has it"
    assert pod("elsewhere", "k3s-gpu2") == pytest.approx(wanted_s, abs=15.0)
