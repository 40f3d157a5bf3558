"""A cluster in a twin: what becomes ready, when, and what does not."""

import json

import pytest

from homelab_lib.twin.kubernetes.ingress import is_ready
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
        ran = there.run("apply", there.planned(**skip), **skip)
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


def whereabouts(cluster, app):
    """Of each pod of an app: its node, whether it is ready, and whether it is to go."""
    return {
        each["metadata"]["name"]: (
            each["spec"].get("nodeName"),
            is_ready(each),
            "deletionTimestamp" in each["metadata"],
        )
        for each in cluster.all("Pod", "default")
        if each["metadata"].get("labels", {}).get("app") == app
    }


def test_pods_of_a_lost_node_are_given_up_after_five_minutes_and_daemons_never(cluster):
    """kube-controller-manager: 50 s of silence from 1.32 on, and tolerationSeconds 300 that
    admission gives to every pod; what goes is there until its node is back."""
    labels = {"app": "spread"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": POD["spec"]["containers"]}}
    meta = {"name": "spread", "namespace": "default"}
    spec = {"replicas": 4, "selector": {"matchLabels": labels}, "template": template}
    apply(cluster, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    later(cluster, 120)
    pods = {name: at for name, (at, *_) in whereabouts(cluster, "spread").items()}
    lost = next(at for at in pods.values() if at != cluster.server.name)
    daemons = {p["metadata"]["name"] for p in cluster.all("Pod", "kube-system")
               if p["spec"].get("nodeName") == lost
               and p["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"}  # fmt: skip
    assert daemons
    there = {name for name, at in pods.items() if at == lost}
    cluster.members[lost].power_off()
    later(cluster, 49)
    assert all(ready for _, ready, _ in whereabouts(cluster, "spread").values())
    later(cluster, 10)
    found = whereabouts(cluster, "spread")
    assert found.keys() == pods.keys(), "none is made elsewhere yet"
    assert {name for name, (_, ready, _) in found.items() if not ready} == there
    later(cluster, 280)
    assert whereabouts(cluster, "spread").keys() == pods.keys()
    later(cluster, 60)
    found = whereabouts(cluster, "spread")
    assert {name for name, (*_, going) in found.items() if going} == there
    later(cluster, 60)
    found = whereabouts(cluster, "spread")
    assert sum(ready for _, ready, _ in found.values()) == len(pods)
    cluster.members[lost].power_on()
    later(cluster, 300)
    assert not there & whereabouts(cluster, "spread").keys()
    left = {p["metadata"]["name"] for p in cluster.all("Pod", "kube-system")}
    assert daemons <= left
    cluster.delete("Deployment", "spread", "default")


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


def test_a_chart_that_was_broken_off_stays_so_until_its_release_is_gone(cluster):
    chart = json.loads(kubectl(cluster, "get helmcharts -A -o json").out)["items"][0]
    secret = {
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.half.v1", "namespace": "kube-system",
                     "labels": {"owner": "helm", "name": "half", "status": "pending-install"}},
    }  # fmt: skip
    half = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "spec": chart["spec"],
            "metadata": {"name": "half", "namespace": "kube-system"}}  # fmt: skip
    assert apply(cluster, secret).status == 0
    assert apply(cluster, half).status == 0
    later(cluster, 120)
    said = kubectl(cluster, "logs -n kube-system job/helm-install-half").out.decode()
    assert "cannot re-use a name that is still in use" in said
    kubectl(cluster, f"delete secret -n kube-system {secret['metadata']['name']}")
    later(cluster, 60)
    assert cluster.get("Job", "helm-install-half", "kube-system")["status"]["succeeded"] == 1
    chosen = "-l owner=helm,name=half,status=deployed -o name"
    assert kubectl(cluster, f"get secrets -n kube-system {chosen}").out


def test_what_is_refused_keeps_none_of_the_others_back(cluster):
    """And what is applied from a client, with all that it was in an annotation, has a bound."""
    small = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "small"}}
    large = small | {"metadata": {"name": "large"}, "data": {"x": "y" * 300_000}}
    wrong = small | {"metadata": {"name": "wrong"}, "dta": {}}
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [large, wrong, small]})
    reply = kubectl(cluster, "apply -f -", listed.encode())
    assert reply.status == 1
    assert reply.out == b"configmap/small created\n"
    assert b"metadata.annotations: Too long: may not be more than 262144 bytes" in reply.err
    assert b".dta: field not declared in schema" in reply.err
    reply = kubectl(cluster, "apply --server-side -f -", json.dumps(large).encode())
    assert (reply.status, reply.out) == (0, b"configmap/large serverside-applied\n")


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
