"""Flux's take-over, on a real API server: all that the repository holds becomes Flux's, whole, and
nothing of it is another than before.

What kustomize-controller asks the API for is asked here by a real kubectl, in its order. Source:
fluxcd/pkg `ssa/manager_apply.go` (a dry run, metadata cleaned up, applied by force where it
differs) and `ssa/patch.go` (`PatchReplaceFieldsManagers`: a manager that is overridden has its
entry renamed); fluxcd/kustomize-controller `internal/controller/kustomization_controller.go`.
"""

import copy
import json

import pytest

from homelab_lib.control.kubernetes.kubectl import differs
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.lab import load_lab
from homelab_lib.recipes.kubernetes.repository import Contents
from kube.sides import shown
from kube.test_objects import APPLY, LATER, group_of, to_built

pytestmark = pytest.mark.kube

LAB = load_lab()
CLUSTER = LAB.clusters["homelab"]
FLUX = "kustomize-controller"
LABELS = {
    "kustomize.toolkit.fluxcd.io/name": "homelab",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}
OVERRIDDEN = ("kubectl", "before-first-apply", "homelab")


def known(document):
    """Whether the built release has its kind."""
    return group_of(document) not in LATER


def ours(document):
    return Applied("here", LAB.name, to_built(document))


def files():
    """What Flux reads of the repository, as objects."""
    contents = Contents(LAB, CLUSTER, CLUSTER.gitops, 4).files
    found = [json.loads(text) for name, text in contents.items() if name.endswith(".yaml")]
    return sorted(filter(known, map(to_built, found)), key=lambda each: each["kind"] != "Namespace")


class Flux:
    """What the controller asks of an API."""

    def __init__(self, real, overridden=OVERRIDDEN):
        self.real, self.overridden = real, overridden

    def keeps(self, document):
        """Whether it had anything to apply."""
        meta = document["metadata"]
        labels = {**meta.get("labels", {}), **LABELS}
        document = {**document, "metadata": {**meta, "labels": labels}}
        there = self.found(document)
        would = json.loads(self._apply(document, "--dry-run=server", "-o", "json"))
        patched = self._clean_up(document, there)
        if not patched and not drifted(there, would):
            return False
        self._apply(document)
        return True

    def _apply(self, document, *more):
        line = ("apply", "--server-side", "--force-conflicts", f"--field-manager={FLUX}")
        ran = self.real.plane.kubectl((*line, *more, "-f", "-"), json.dumps(document))
        assert ran.status == 0, ran.err
        return ran.out

    def _clean_up(self, document, there):
        before = there["metadata"]["managedFields"]
        own = next((e for e in before if (e["manager"], e["operation"]) == (FLUX, "Apply")), None)
        taken = [e for e in before if e is not own and e["manager"].startswith(self.overridden)]
        if not taken:
            return False
        entries = [e for e in before if e is not own and e not in taken]
        for entry in taken:
            fields = joined(own["fieldsV1"], entry["fieldsV1"]) if own else entry["fieldsV1"]
            own = {**(own or entry), "manager": FLUX, "operation": "Apply", "fieldsV1": fields}
        value = [*entries, own]
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": value}]
        words = ("patch", *place(document), "--type=json", f"--field-manager={FLUX}")
        ran = self.real.plane.kubectl((*words, "-p", json.dumps(patch)))
        assert ran.status == 0, ran.err
        return True

    def found(self, document):
        ran = self.real.plane.kubectl(("get", *place(document), "-o", "json"))
        assert ran.status == 0, ran.err
        return json.loads(ran.out)


def joined(some, others):
    """The places of two managers."""
    places = (*some, *(each for each in others if each not in some))
    return {each: joined(some.get(each, {}), others.get(each, {})) for each in places}


def place(document):
    meta = document["metadata"]
    space = ("-n", meta["namespace"]) if "namespace" in meta else ()
    return (document["kind"], meta["name"], *space)


def drifted(there, would):
    return essence(there) != essence(would)


def essence(document):
    meta = document["metadata"]
    kept = {key: each for key, each in document.items() if key not in ("metadata", "status")}
    return kept, meta.get("labels"), meta.get("annotations")


def managers(found):
    return [e["manager"] for e in found["metadata"]["managedFields"] if e["operation"] == "Apply"]


@pytest.fixture(scope="module")
def before(real):
    """All of it as the runbooks have made it, with its pods, and the documents by their places."""
    documents = [each for each in Contents(LAB, CLUSTER, CLUSTER.gitops, 4).documents()
                 if known(each)]  # fmt: skip
    documents.sort(key=lambda each: each["kind"] != "Namespace")
    flux, found = Flux(real), {}
    for each in documents:
        assert real.says(APPLY, ours(each).whole).status == 0
    for space in {each.namespace for each in CLUSTER.workloads}:
        assert real.until(lambda space=space: up(real, space))
    for each in documents:
        found[place(each)] = flux.found(each)
    return found, pods(real)


def up(real, space):
    found = shown(real, "deployments", space)["items"]
    return all(e["status"].get("readyReplicas") == e["spec"]["replicas"] for e in found)


def pods(real):
    ran = real.plane.kubectl(("get", "pods", "-A", "-o", "json"))
    return {each["metadata"]["uid"] for each in json.loads(ran.out)["items"]}


def test_flux_takes_all_of_it_over_and_nothing_is_another_than_before(before, real):
    then, running = before
    assert len(running) >= len(CLUSTER.workloads)
    flux = Flux(real)
    documents = files()
    assert {place(each) for each in documents} == then.keys()
    for each in documents:
        assert flux.keeps(each), "it was the runbook's"
    for each in documents:
        found, was = flux.found(each), then[place(each)]
        for fact in ("uid", "generation", "creationTimestamp"):
            assert found["metadata"].get(fact) == was["metadata"].get(fact), place(each)
        assert found.get("spec") == was.get("spec"), place(each)
        assert managers(found) == [FLUX], place(each)
    assert pods(real) == running


def test_then_neither_has_anything_to_do(before, real):
    """Flux looks again every ten minutes, and a runbook whenever it is carried out."""
    flux = Flux(real)
    for each in files():
        version = flux.found(each)["metadata"]["resourceVersion"]
        assert not flux.keeps(each), place(each)
        assert flux.found(each)["metadata"]["resourceVersion"] == version, place(each)
    for each in filter(known, Contents(LAB, CLUSTER, CLUSTER.gitops, 4).documents()):
        assert ours(each).diff(flux.found(each)).clean, place(each)


def deployment():
    return copy.deepcopy(next(each for each in files() if each["kind"] == "Deployment"))


def test_a_runbook_that_would_change_it_is_refused_by_the_api_too(before, real):
    document = deployment()
    document["spec"]["replicas"] += 1
    ran = real.says(APPLY, document)
    assert ran.status == 1
    assert f'conflict with "{FLUX}"' in ran.err
    assert "Flux keeps it" in ours(document).diff(Flux(real).found(document)).conflict


def test_what_leaves_a_file_leaves_the_object_and_what_changes_in_it_changes(before, real):
    flux, document = Flux(real), deployment()
    was = flux.found(document)
    container = document["spec"]["template"]["spec"]["containers"][0]
    gone = container.pop("resources")
    document["spec"]["replicas"] += 1
    assert flux.keeps(document)
    found = flux.found(document)
    assert found["metadata"]["generation"] == was["metadata"]["generation"] + 1
    assert found["spec"]["replicas"] == document["spec"]["replicas"]
    left = found["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert gone
    assert left == {}
    assert flux.keeps(deployment())
    assert not differs(deployment()["spec"], flux.found(document)["spec"])


def test_without_the_override_two_own_it_and_what_leaves_a_file_stays(before, real):
    flux = Flux(real, OVERRIDDEN[:2])
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "half", "namespace": "test"},
        "data": {"told": "from the runbook", "kept": "yes"},
    }
    assert real.says(APPLY, document).status == 0
    assert flux.keeps(document)
    assert set(managers(flux.found(document))) == {"homelab", FLUX}
    less = {**document, "data": {"kept": "yes"}}
    assert not flux.keeps(less), "it is told that all is as it should be"
    assert flux.found(document)["data"]["told"] == "from the runbook"
    assert Flux(real).keeps(less)
    assert flux.found(document)["data"] == less["data"]
