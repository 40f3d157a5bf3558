"""What our runbooks apply, applied to a real API server by the same calls; and what it makes of it.

Kinds that the built release does not know are listed, and judged by the schemas.
"""

import json
from collections import Counter

import pytest

from contract.carried_out import objects
from contract.kubernetes_schemas import why_not
from kube.sides import shown

pytestmark = pytest.mark.kube

APPLY = "apply --server-side --field-manager=homelab -f -"
LATER = {
    "helm.cattle.io": "k3s's own",
    "cert-manager.io": "cert-manager's chart brings it",
    "monitoring.coreos.com": "Prometheus' chart brings it",
    "traefik.io": "Traefik's chart brings it",
    "source.toolkit.fluxcd.io": "Flux's chart brings it",
    "kustomize.toolkit.fluxcd.io": "Flux's chart brings it",
}
"""Groups that Kubernetes itself has not, and where they are from."""
UNJUDGED = ("AlertmanagerConfig",)  # its schema is none of those that are here
NEWER = {
    "Service.spec.internalTrafficPolicy": "1.21",
    "Service.spec.ipFamilies": "1.20 tells it only where two families are switched on",
    "Service.spec.ipFamilyPolicy": "the same",
    "Job.spec.completionMode": "1.21",
    "Job.spec.suspend": "1.21",
    "Job.spec.manualSelector": "1.20 leaves out what is false",
}
"""Fields that the built release has not yet, or does not fill in."""


@pytest.fixture(scope="module")
def ours(carried):
    """Each object once: of several labs' with one name the first."""
    found = {}
    for each in objects(carried):
        meta = each["metadata"]
        found.setdefault((each["kind"], meta.get("namespace", ""), meta["name"]), each)
    return sorted(found.values(), key=lambda each: each["kind"] != "Namespace")


def group_of(document):
    group, slash, _ = document["apiVersion"].partition("/")
    return group if slash else ""


def to_built(document):
    """An object as the built release takes it: what tells a service's ports apart has no default
    there, and is left out by us, as newer ones allow."""
    if document["kind"] != "Service":
        return document
    ports = [{"protocol": "TCP"} | each for each in document["spec"]["ports"]]
    return document | {"spec": document["spec"] | {"ports": ports}}


@pytest.fixture(scope="module")
def native(ours, real, twin):
    """Those that the built release knows, with the namespaces that they need."""
    found = [to_built(each) for each in ours if group_of(each) not in LATER]
    spaces = {each["metadata"].get("namespace") for each in found} - {None}
    for side in (real, twin):
        for space in spaces:
            side.says(f"create namespace {space}")
    return found


def test_what_the_built_release_does_not_know_is_judged_by_schemas(ours, record_property):
    others = [each for each in ours if group_of(each) in LATER]
    listed = Counter(f"{each['kind']} ({LATER[group_of(each)]})" for each in others)
    print("\n".join(f"not applied: {count} {kind}" for kind, count in sorted(listed.items())))
    judged = [each for each in others if each["kind"] not in UNJUDGED]
    assert {why_not(each, "1.34") for each in judged} == {""}
    assert len(others) > 5


def leaves(value, path=""):
    """Every value with its place."""
    if isinstance(value, dict) and value:
        return {
            k: v for key, each in value.items() for k, v in leaves(each, f"{path}.{key}").items()
        }
    if isinstance(value, list) and value:
        return {
            k: v for at, each in enumerate(value) for k, v in leaves(each, f"{path}[{at}]").items()
        }
    return {path: value}


def essence(document):
    """What an object is to be, without what is drawn for it."""
    drawn = ("clusterIP", "volumeName", "controller-uid", "nodePort", "selector.matchLabels.batch",
             "job-name")  # fmt: skip
    kept = {key: value for key, value in document.items() if key in ("spec", "data", "parameters",
            "provisioner", "reclaimPolicy", "volumeBindingMode", "mountOptions")}  # fmt: skip
    return {
        path: value
        for path, value in leaves(kept).items()
        if not any(each in path for each in drawn) and value not in ({}, [])
    }


def test_all_that_it_knows_it_takes_and_fills_in_as_the_twin_does(native, real, twin):
    """By the very call that runs at home: what is said, and what the object then is."""
    counted, differ = Counter(), {}
    for document in native:
        meta, kind = document["metadata"], document["kind"]
        name, space = meta["name"], meta.get("namespace", "default")
        there, here = (side.says(APPLY, document) for side in (real, twin))
        assert (there.status, here.status) == (0, 0), (kind, name, there.err, here.err)
        assert here.out == there.out
        what = f"{there.out.split()[0]}".replace("/", " ").replace(" ", "/", 1)
        stored = [essence(shown(side, what, space)) for side in (real, twin)]
        if kind == "Job":  # its pods know it by its uid
            stored = [{k: v for k, v in e.items() if "uid" not in k} for e in stored]
        counted[kind] += 1
        for path in sorted(stored[0].keys() | stored[1].keys()):
            pair = [each.get(path) for each in stored]
            if pair[0] != pair[1]:
                differ.setdefault(f"{kind}{path}", pair)
    print("applied:", ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items())))
    newer = {each for path in differ for each in NEWER if path.startswith(each)}
    assert {path: pair for path, pair in differ.items() if not path.startswith(tuple(newer))} == {}
    assert newer == set(NEWER), "what is no difference needs no excuse"
    assert set(counted) >= {"Deployment", "Ingress", "Job", "NetworkPolicy", "Namespace",
                            "PersistentVolumeClaim", "Service", "StorageClass"}  # fmt: skip


def test_a_second_time_nothing_changes_and_nothing_differs(native, real):
    for document in native:
        meta = document["metadata"]
        if document["kind"] == "Job":
            continue  # it may have come to its end meanwhile
        what = f"{document['kind']} {meta['name']}"
        space = meta.get("namespace", "default")
        real.says(APPLY, document)
        before = shown(real, what, space)["metadata"].get("generation")
        assert real.says(APPLY, document).status == 0
        assert shown(real, what, space)["metadata"].get("generation") == before, what
        found = real.says("diff --server-side --field-manager=homelab -f -", document)
        assert (found.status, found.out) == (0, ""), what


def test_workloads_come_up_where_their_nodes_have_what_they_ask_for(native, real, twin):
    """Our jobs and deployments whose claims need no driver: both say the same of each."""
    for document in native:
        if document["kind"] not in ("Deployment", "Job"):
            continue
        pod = document["spec"]["template"]["spec"]
        if any("persistentVolumeClaim" in each for each in pod.get("volumes", ())):
            continue
        if "nvidia" in json.dumps(pod) or "amd.com" in json.dumps(pod):
            continue
        if "envFrom" in json.dumps(pod) or "secretKeyRef" in json.dumps(pod):
            continue
        meta, kind = document["metadata"], document["kind"].lower()
        key = "succeeded" if kind == "job" else "readyReplicas"

        def come_up(meta=meta, kind=kind, key=key):
            found = shown(real, f"{kind} {meta['name']}", meta["namespace"])
            return found["status"].get(key)

        assert real.until(come_up), meta["name"]
