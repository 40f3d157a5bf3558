"""Outputs of real clusters: our readers read them, and the twin's have their shape."""

import json
import random
from collections import defaultdict

import pytest
import yaml

from contract.carried_out import objects
from contract.clusters import fresh, kubectl, standing
from contract.kubernetes_schemas import why_not
from contract.oracle import contract
from homelab_lib.control.kubernetes.k3s import K3sNode, is_version, version_order
from homelab_lib.control.kubernetes.kubectl import cores, finished_pod, warnings_about
from homelab_lib.control.kubernetes.waits import Bound, Finished, NodesReady, Rollout
from homelab_lib.transport.command import Result

pytestmark = pytest.mark.contract

GONE = ("selfLink", "managedFields")  # since 1.20; left out by kubectl since 1.21
OPEN = ("labels", "annotations", "matchLabels", "requests", "limits", "capacity", "allocatable")
OWN = (  # what depends on the object that was looked at, and not on its kind
    ".metadata.annotations",
    ".metadata.labels",
    ".spec.template.metadata.creationTimestamp",  # left out since 1.34
    ".status.images[]",
    ".status.failed",
    ".env",
    ".volumeMounts[].readOnly",
    ".securityContext.",
    ".serviceAccount",  # of a template that names one
)


def real():
    """The objects in the outputs, by kind."""
    found = defaultdict(list)
    for row in contract("real-outputs.jsonl"):
        if row["product"] != "Kubernetes" or not row["command"].startswith("kubectl get"):
            continue
        if "-o json" in row["command"]:
            whole = json.loads(row["output"])
        elif "-o yaml" in row["command"]:
            whole = yaml.safe_load(row["output"])
        else:
            continue
        for each in whole.get("items", [whole]):
            kind = each.get("kind") or whole["kind"].removesuffix("List")
            found[kind].append({**each, "kind": kind})
    return found


class Asked:
    """A host whose kubectl answers with these objects."""

    name = "server"

    def __init__(self, **answers):
        self.answers = answers

    def read(self, *argv, ok=(0,), **options):
        kind = argv[3] if argv[:3] == ("k3s", "kubectl", "get") else argv[-1]
        return Result(0, self.answers[kind], "")

    def json(self, *argv, **options):
        return json.loads(self.read(*argv, **options).stdout)


def asked(**answers):
    return Asked(**{kind: json.dumps(answer) for kind, answer in answers.items()})


def test_our_readers_read_them():
    found = real()
    for node in found["Node"]:
        name, told = node["metadata"]["name"], asked(nodes={"kind": "List", "items": [node]})
        seen = NodesReady("server", (name,), "v1").observe(told)[name]
        assert seen["ready"] in ("True", "False", "Unknown")
        assert is_version(seen["version"].partition("-gke")[0])
        assert cores(node["status"]["allocatable"]["cpu"]) > 0
    events = {"kind": "List", "items": found["Event"]}
    for deployment in found["Deployment"]:
        name = deployment["metadata"]["name"]
        wait = Rollout("server", "deployment", "x", name)
        seen = wait.observe(asked(deployment=deployment, events=events))
        assert seen["wanted"] == deployment["spec"]["replicas"]
        holds = {c["type"]: c["status"] for c in deployment["status"]["conditions"]}
        assert wait.diff(seen).clean <= (holds["Available"] == "True")
    for job in found["Job"]:
        seen = Finished("server", "x", "j").observe(asked(job=job, events=events))
        assert seen["failed"] == ""
    for claim in found["PersistentVolumeClaim"]:
        told = asked(persistentvolumeclaim=claim, events=events)
        assert Bound("server", "x", "c").observe(told)["phase"] == claim["status"]["phase"]
    pods = {"kind": "List", "items": found["Pod"]}
    assert finished_pod(asked(pods=pods), "x", "a=b") == ("", "")
    complaints = [e for e in found["Event"] if e["type"] == "Warning"]
    assert complaints
    for event in complaints:
        name = event["involvedObject"]["name"]
        assert warnings_about(asked(events=events), "x", name)


def test_the_version_of_k3s():
    (row,) = [r for r in contract("real-outputs.jsonl") if r["command"] == "k3s --version"]
    assert is_version(row["release"])
    seen = standing().server.run("k3s --version").finished().out.decode()
    assert [len(line.split()) for line in seen.splitlines()] == [
        len(line.split()) for line in row["output"].splitlines()
    ]
    wait = K3sNode("server", "server", row["release"])
    newer = {"version": "v1.21.6+k3s1", "LoadState": "loaded"}
    older = K3sNode("server", "server", "v1.21.6-rc2+k3s1").diff(newer)
    assert "can't go back" in older.conflict, "a candidate is below its release"
    assert wait.version == row["release"]
    assert version_order("v1.21.6-rc2+k3s1") < version_order("v1.21.6+k3s1")


# The twin's ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(carried):
    """A cluster on which everything runs that our runbooks make."""
    whole = fresh("1.35")
    ours = objects(carried)
    first = {(each["kind"], each["metadata"]["name"]): each for each in reversed(ours)}
    for document in reversed(first.values()):
        whole.apply(document, "homelab")
        whole.world.clock.sleep(60)
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wrong"},
             "spec": {"containers": [{"name": "c", "image": "no/such:1"}]}}  # fmt: skip
    whole.apply(wrong, "test")
    whole.world.clock.sleep(600)
    return whole


OF_CHARTS = ("cert-manager.io", "coreos.com", "fluxcd.io")
"""Groups whose objects the twin makes as far as they are read, and no further."""


def test_each_of_its_objects_is_one_by_the_schema(cluster):
    names = ",".join(kind.resource for kind in cluster.kinds.values())
    whole = json.loads(kubectl(cluster, f"get {names} -A -o json").out)
    assert {each["kind"] for each in whole["items"]} >= {"Node", "Pod", "Event", "Job", "HelmChart"}
    wrong = {
        f"{each['kind']} {each['metadata']['name']}": why
        for each in whole["items"]
        if not each["apiVersion"].partition("/")[0].endswith(OF_CHARTS)
        and (why := why_not(each, "1.35"))
    }
    assert wrong == {}


def paths(value, path=""):
    """Every path in an object, with the JSON type that stands there."""
    if isinstance(value, dict):
        for key, each in value.items():
            if path.rpartition(".")[2] not in OPEN and key not in GONE:
                yield f"{path}.{key}", "null" if each is None else type(each).__name__
                yield from paths(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, f"{path}[]")


@pytest.mark.parametrize("kind", ["Node", "Pod", "Deployment", "Job", "PersistentVolumeClaim",
                                  "Event"])  # fmt: skip
def test_its_objects_have_the_shape_of_real_ones(cluster, kind):
    """What every real one has, the twin's have, and of the same type."""
    theirs = [dict(paths(each)) for each in real()[kind]]
    ours = defaultdict(set)
    for each in cluster.all(kind):
        for path, found in paths(each):
            ours[path].add(found)
    always = set.intersection(*(set(each) for each in theirs))
    always = {path for path in always if not any(part in path for part in OWN)}
    assert always, kind
    assert sorted(always - ours.keys()) == []
    differ = {
        path: (sorted(types), sorted(ours[path]))
        for path in always
        if not ours[path] & (types := {each[path] for each in theirs})
    }
    assert differ == {}


def test_a_cluster_of_real_objects_gets_on(cluster):
    """The controllers bear what real clusters hold, in any mixture."""
    world = fresh("1.36")
    chance = random.Random("real objects")
    pool = [each for many in real().values() for each in many]
    for each in chance.sample(pool, len(pool)):
        document = json.loads(json.dumps(each))
        kind = document["kind"]
        space = document["metadata"].get("namespace", "")
        if space:
            kubectl(world, f"create namespace {space}")
        world.objects[kind, space, document["metadata"]["name"]] = {
            "apiVersion": world.kinds[kind].api_version, **document,
        }  # fmt: skip
        world.world.clock.sleep(30)
    shown = kubectl(world, "get nodes,pods,deployments,jobs,events -A")
    assert shown.status == 0
    assert kubectl(world, "get nodes -A -o yaml").status == 0
