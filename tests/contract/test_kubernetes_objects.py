"""Kubernetes objects: ours against the API's schemas, and the twin's verdicts against theirs."""

import copy
import json
import random
import re

import pytest

from contract.carried_out import objects
from contract.clusters import MINORS, kubectl, standing
from contract.kubernetes_schemas import utils, why_not
from contract.mutations import mutated
from contract.oracle import contract
from homelab_lib.twin.kubernetes import charts, traefik
from homelab_lib.twin.kubernetes.objects import ApiError

pytestmark = pytest.mark.contract

UNJUDGED = ("AlertmanagerConfig",)  # its schema is none of those that are here
MUTATIONS = 5000  # for each minor release


@pytest.fixture(scope="module")
def ours(carried):
    """What our runbooks apply, over every lab that is here; each object once."""
    found = objects(carried)
    assert {each["kind"] for each in found} >= {"Deployment", "Job", "StorageClass", "HelmChart"}
    return found


@pytest.fixture(scope="module")
def native(ours):
    """Those of kinds that k3s itself serves: of what charts define the twin has no schema."""
    brought = {each["spec"]["group"] for each in (*charts.definitions(), *traefik.definitions())}
    found = [each for each in ours if each["apiVersion"].partition("/")[0] not in brought]
    spaces = {each["metadata"].get("namespace") for each in found}
    for cluster in map(standing, MINORS):
        there = {each["metadata"]["name"] for each in cluster.all("Namespace")}
        for name in sorted(spaces - there - {None}):
            assert kubectl(cluster, f"create namespace {name}").status == 0
    return found


def test_all_that_we_apply_is_applied_by_the_server(ours, carried):
    """A client keeps what it applied in an annotation, which a chart's definitions don't fit in."""
    sends = re.compile(r" kubectl (apply|create|replace) ")
    lines = [change.call for change in carried.changes if sends.search(change.call)]
    assert len(lines) > 20
    assert [line for line in lines if "apply --server-side" not in line] == []


@pytest.mark.parametrize("minor", MINORS)
def test_the_api_takes_what_we_apply(ours, minor):
    assert minor in {utils.major_minor(each) for each in utils.all_versions()}
    refused = {
        f"{each['kind']} {each['metadata']['name']}": why
        for each in ours
        if (why := why_not(each, minor)) != "" and each["kind"] not in UNJUDGED
    }
    assert refused == {}


@pytest.mark.parametrize("minor", MINORS)
def test_the_twin_takes_what_we_apply(native, minor):
    for document in native:
        line = "apply --server-side --dry-run=server --field-manager=homelab -f -"
        reply = kubectl(standing(minor), line, json.dumps(document))
        assert reply.status == 0, reply.err


@pytest.mark.parametrize("minor", MINORS)
def test_the_twin_takes_nothing_that_the_schemas_refuse(native, minor):
    """And it answers whatever it is given, and goes on afterwards."""
    cluster, chance = standing(minor), random.Random(f"mutations for {minor}")
    # k3s has made its runtime classes itself: of one that is there a part is enough.
    chosen = [each for each in native if each["kind"] != "RuntimeClass"]
    wrong, refused, taken = [], 0, 0
    for count in range(MUTATIONS):
        document = mutated(chance.choice(chosen), chance)
        why = why_not(document, minor)
        try:
            dry = bool(count % 10)  # one of ten is kept, and its controllers have to bear it
            cluster.apply(copy.deepcopy(document), "mutations", dry_run=dry)
        except ApiError:
            refused += 1
        else:
            taken += 1
            wrong += [(why, json.dumps(document))] if why != "" else []
            if not dry:
                cluster.world.clock.sleep(30)
    assert wrong == []
    assert taken > MUTATIONS / 20, "what is right has to be taken"
    assert refused > MUTATIONS / 2


def test_the_whole_way_of_a_mutation(native):
    """By the command itself, as it comes over SSH."""
    cluster, chance = standing(), random.Random("the whole way")
    for _ in range(100):
        document = mutated(chance.choice(native), chance)
        line = "apply --server-side --dry-run=server -f -"
        reply = kubectl(cluster, line, json.dumps(document))
        assert reply.status in (0, 1)
        assert (reply.status == 0) == bool(reply.out)
        assert reply.status == 0 or reply.err.strip()
        assert reply.status == 1 or why_not(document, "1.34") == ""


CUSTOM = (
    "helm.cattle.io/helmchart_v1",
    "traefik.io/middleware_v1alpha1",
    "cert-manager.io/certificate_v1",
    "monitoring.coreos.com/probe_v1",
    "metallb.io/ipaddresspool_v1beta1",
)


@pytest.mark.parametrize("name", CUSTOM)
def test_a_definition_makes_a_kind_that_is_judged_by_it(name):
    """Whatever somebody defines: its schema is the one that counts."""
    group, _, kind = name.partition("/")
    singular, _, version = kind.partition("_")
    schema = contract("crds.json.gz")["schemas"][name]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.test.{group}"},
        "spec": {
            "group": f"test.{group}",
            "names": {"kind": singular.title(), "plural": f"{singular}s"},
            "scope": "Namespaced",
            "versions": [{"name": version, "served": True, "storage": True,
                          "schema": {"openAPIV3Schema": schema}}],
        },
    }  # fmt: skip
    cluster = standing()
    reply = kubectl(cluster, "apply --server-side -f -", json.dumps(definition))
    assert reply.status == 0, reply.err
    whole = {"apiVersion": f"test.{group}/{version}", "kind": singular.title(),
             "metadata": {"name": "x", "namespace": "test"}}  # fmt: skip
    made = kubectl(cluster, "apply --server-side -f -", json.dumps(whole | {"nonsense": 1}))
    assert b"field not declared in schema" in made.err
    made = kubectl(cluster, "apply --server-side -f -", json.dumps(whole | {"spec": {"zzz": []}}))
    assert b".spec.zzz: field not declared" in made.err
    shown = kubectl(cluster, f"get {singular}s.test.{group} -n test -o name")
    assert (shown.status, shown.out) == (0, b"")


def test_what_we_wait_for_is_what_the_charts_bring(ours):
    """The workloads of the driver's chart, by their names; the chart is the one that we name."""
    facts = contract("charts.json")["charts"]["csi-driver-nfs"]
    charts = [each for each in ours if each["kind"] == "HelmChart"]
    # Several labs have it.
    (named,) = {(c["spec"]["chart"], c["spec"]["version"]) for c in charts
                if c["spec"]["chart"] == facts["chart"]}  # fmt: skip
    assert named[1] == facts["version"]
    chart = next(each for each in charts if each["spec"]["chart"] == facts["chart"])
    cluster = standing()
    cluster.apply(chart, "homelab")
    cluster.world.clock.sleep(300)
    space = chart["spec"]["targetNamespace"]
    for each in facts["ours"]["workloads"]:
        assert cluster.get(each["kind"], each["name"], space), each
    (driver,) = [each for each in facts["ours"]["objects"] if each.startswith("CSIDriver/")]
    (provisioner,) = {each["provisioner"] for each in ours if each["kind"] == "StorageClass"}
    assert driver == f"CSIDriver/{provisioner}"
    assert cluster.get("CSIDriver", provisioner)
