"""A cluster in a twin: what becomes ready, when, and what does not."""

import json

import pytest

from homelab_lib.twin.kubernetes.nodes import ready
from homelab_lib.twin.kubernetes.objects import ApiError
from standing import standing

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"containers": [{"name": "c", "image": "busybox:1.37", "command": ["true"]}],
             "restartPolicy": "Never"},
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The cluster that phase 2 builds: one for all, so whoever breaks it mends it."""
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch, standing(folder, patch) as there:
        skip = {"skip": "workloads,desktop,volume"}
        ran = there.run("apply", there.run("plan", **skip).digest, **skip)
        assert ran.error is None
        yield there.world.clusters["k3s-control"]


def kubectl(cluster, line, stdin=b""):
    return cluster.server.run(f"sudo -n -- k3s kubectl {line}", stdin).finished()


def apply(cluster, document):
    line = "apply --server-side --field-manager=test -f -"
    return kubectl(cluster, line, json.dumps(document).encode())


def later(cluster, seconds):
    cluster.world.clock.sleep(seconds)
    cluster.settle()


def events(cluster, name):
    return [
        event["message"]
        for event in cluster.all("Event")
        if event["involvedObject"]["name"].startswith(name)
    ]


def test_things_take_their_time_and_come_to_an_end(cluster):
    apply(cluster, POD)
    assert cluster.get("Pod", "p", "default")["status"]["phase"] == "Pending"
    later(cluster, 60)
    assert cluster.get("Pod", "p", "default")["status"]["phase"] == "Succeeded"

    greedy = json.loads(json.dumps(POD).replace('"p"', '"greedy"'))
    greedy["spec"]["containers"][0]["resources"] = {"requests": {"memory": "900Gi"}}
    apply(cluster, greedy)
    later(cluster, 600)
    assert cluster.get("Pod", "greedy", "default")["status"]["phase"] == "Pending"
    assert any("3 Insufficient memory" in message for message in events(cluster, "greedy"))

    unknown = json.loads(json.dumps(POD).replace('"p"', '"x"').replace("busybox:1.37", "no/such:1"))
    apply(cluster, unknown)
    later(cluster, 60)
    assert any("not found" in message for message in events(cluster, "x"))


def test_a_claim_waits_for_its_share(cluster):
    nas = cluster.world.machines["truenas"]
    nas.services["nfs"].running = False
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "nfs-tank",
                 "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    apply(cluster, claim)
    later(cluster, 60)
    assert cluster.get("PersistentVolumeClaim", "c", "default")["status"]["phase"] == "Pending"
    assert any("failed to provision" in message for message in events(cluster, "c"))
    nas.services["nfs"].running = True
    later(cluster, 60)
    assert cluster.get("PersistentVolumeClaim", "c", "default")["status"]["phase"] == "Bound"
    assert nas.files.is_dir("/mnt/tank/k3s/default/c")


def test_a_node_that_is_off_is_noticed_in_time(cluster):
    cluster.members["k3s-gpu2"].power_off()
    later(cluster, 5)
    assert ready(cluster, "k3s-gpu2"), "nobody has missed it yet"
    later(cluster, 90)
    assert not ready(cluster, "k3s-gpu2")
    shown = kubectl(cluster, "get nodes").out.decode()
    assert "k3s-gpu2" in shown
    assert "NotReady" in shown
    cluster.members["k3s-gpu2"].power_on()
    later(cluster, 120)
    assert ready(cluster, "k3s-gpu2")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("get pod nope", 'pods "nope" not found'),
        ("get frobs", "the server doesn't have a resource type"),
        ("frobnicate", "unknown command"),
        ("apply -f -", "error"),
    ],
)
def test_what_kubectl_refuses(cluster, line, says):
    reply = kubectl(cluster, line, b"{}")
    assert reply.status == 1
    assert says in reply.err.decode()


def test_a_storage_class_can_not_change(cluster):
    document = dict(cluster.get("StorageClass", "nfs-tank"))
    changed = document | {"parameters": document["parameters"] | {"server": "10.0.30.99"}}
    with pytest.raises(ApiError, match="updates to parameters are forbidden"):
        cluster.apply(changed, "homelab")


def test_an_agent_with_a_wrong_token_does_not_join(cluster):
    agent = cluster.members["k3s-gpu1"]
    place = "/etc/rancher/k3s/homelab-token"
    token = agent.files.text(place)
    agent.files.put(place, "K10wrong::server:wrong\n", mode=0o600)
    reply = agent.run("sudo -n -- systemctl restart k3s-agent").finished()
    assert reply.status == 1
    log = agent.run("journalctl -u k3s-agent").finished().out.decode()
    assert "failed to validate token" in log
    agent.files.put(place, token, mode=0o600)
    assert agent.run("sudo -n -- systemctl restart k3s-agent").finished().status == 0
