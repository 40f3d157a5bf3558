"""Fields and their managers, as an object's `managedFields` have them."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.twin.kubernetes import ownership
from homelab_lib.twin.kubernetes.definitions import shape_of
from homelab_lib.twin.kubernetes.objects import KINDS

LAB = load_lab()
DOCUMENTS = [
    *(d for each in LAB.clusters["homelab"].workloads for d in manifests.workload(each)),
    manifests.job("look", "test", "ls /data", {"data": "volume-test"}),
]


def shape(document):
    return shape_of(KINDS[document["kind"]], "v1.34.4+k3s1")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d["kind"])
def test_what_is_written_of_a_manager_is_read_as_what_it_says(document):
    theirs = {"metadata": {"labels": {"theirs": "yes"}}, "status": {"conditions": []}}
    whole = json.loads(json.dumps(document)) | {"status": theirs["status"]}
    whole["metadata"].setdefault("labels", {}).update(theirs["metadata"]["labels"])
    places = json.loads(json.dumps(ownership.written(shape(document), document)))
    said = ownership.read(shape(document), places, whole)
    assert ownership.fields(shape(document), said) == ownership.fields(shape(document), document)


def test_fields_of_the_documentation_s_kind():
    """As kubernetes.io/docs/reference/using-api/server-side-apply and meta/v1 FieldsV1 write it."""
    ports = [{"containerPort": 80, "name": "a,b=]"}]
    containers = [{"name": 'the "web"', "image": "nginx", "args": ["-v"], "ports": ports}]
    meta = {"name": "p", "finalizers": ["example.org/x"], "labels": {"app.kubernetes.io/name": "p"}}
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": containers},
    }
    port = {".": {}, "f:containerPort": {}, "f:name": {}}
    assert ownership.written(shape(document), document) == {
        "f:metadata": {
            "f:finalizers": {'v:"example.org/x"': {}},
            "f:labels": {"f:app.kubernetes.io/name": {}},
        },
        "f:spec": {
            "f:containers": {
                'k:{"name":"the \\"web\\""}': {
                    ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': port},
                }
            }
        },
    }  # fmt: skip


def test_who_changed_one_field_of_an_entry_says_that_of_this_entry():
    containers = [{"name": "a", "image": "one"}, {"name": "b", "image": "two", "args": ["x"]}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": containers},
    }
    places = {"f:spec": {"f:containers": {'k:{"name":"b"}': {"f:image": {}}}}}
    assert ownership.read(shape(pod), places, pod) == {
        "spec": {"containers": [{"name": "b", "image": "two"}]}
    }
