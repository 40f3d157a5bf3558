"""The repository that a cluster is kept by: all of it is in it, and real programs read it as it is
meant."""

import json

import pytest
import yaml

from contract.carried_out import objects
from contract.kubernetes_schemas import why_not
from contract.programs import MINORS
from contract.programs import carried as program
from homelab_lib.control.kubernetes.objects import LAB as OF_LAB
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.compute import HelmChart
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.recipes.kubernetes.repository import Contents
from homelab_lib.twin.kubernetes import documents
from homelab_lib.twin.kubernetes.objects import ApiError
from recipes import test_gitops
from recipes.in_production import SECRETS, bench_of

pytestmark = pytest.mark.contract
LAB = load_lab()
HOUSE = "das Häuschen 🏠"
TRIED_OUT = ("homelab-test", "homelab-drill", "gpu-test")
"""Namespaces of what tries things and is no part of what runs."""
OWN = {
    ("HelmChart", "flux"), ("Namespace", "flux-system"), ("GitRepository", "homelab"),
    ("Kustomization", "homelab"),
}  # fmt: skip
"""What keeps the cluster is not kept by itself."""


@pytest.fixture(params=MINORS)
def minor(request):
    return request.param


def contents(lab):
    cluster = lab.clusters["homelab"]
    return Contents(lab, cluster, cluster.gitops, 4)


def key(document):
    meta = document["metadata"]
    return document["kind"], meta.get("namespace", ""), meta["name"]


class Loader(yaml.SafeLoader):
    """YAML as Go's reader has it, for which `=` is a text."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


def built(kubectl, files, place):
    """What Kustomize builds of files, as Flux has it do: all of them are listed for it."""
    for name, text in files.items():
        (place / name).write_text(text)
    names = [name for name in files if name.endswith(".yaml")]
    (place / "kustomization.yaml").write_text(yaml.safe_dump({"resources": names}))
    ran = kubectl("kustomize", str(place))
    assert ran.status == 0, ran.err
    return {key(each): each for each in yaml.load_all(ran.out, Loader) if each}


def test_what_flux_builds_of_it_is_what_runbooks_apply(minor, tmp_path):
    """In letters that JSON writes as two escapes, too: one of these stops Flux for all of it."""
    lab = changed(LAB, ("services.grafana.title", HOUSE))
    name = lab.clusters["homelab"].monitoring.service
    values = {**lab.services[name].chart.values, "note": HOUSE}
    lab = test_gitops.with_service(name, lab, chart__values=values)
    files = contents(lab).files
    assert HOUSE in "".join(files.values())
    found = built(program("kubectl", minor), files, tmp_path)
    meant = {key(each): each for each in contents(lab).documents()}
    assert found.keys() == meant.keys()
    for name, document in meant.items():
        told = {**document, "metadata": found[name]["metadata"]}
        assert found[name] == told, name
        notes = found[name]["metadata"].get("annotations", {})
        guarded = notes.get("kustomize.toolkit.fluxcd.io/prune") == "disabled"
        assert guarded == (name[0] in ("HelmChart", "Namespace")), name


def test_helm_takes_a_charts_values_in_any_letters(minor, tmp_path):
    chart = HelmChart(
        name="a", repo="https://a.example", chart="a", version="1", namespace="a",
        values={"title": HOUSE, "path": "c:\\new\n\tline"},
    )  # fmt: skip
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: a\nversion: 0.1.0\n")
    (tmp_path / "templates" / "all.yaml").write_text("{{ .Values | toJson }}\n")
    (tmp_path / "values-0.yaml").write_text(manifests.helm_chart(chart)["spec"]["valuesContent"])
    line = ("template", "a", str(tmp_path), "-f", str(tmp_path / "values-0.yaml"))
    ran = program("helm", minor)(*line, HOME=str(tmp_path))
    assert ran.status == 0, ran.err
    assert json.loads(ran.out.partition("all.yaml\n")[2]) == chart.values


def test_the_twin_s_flux_refuses_what_the_real_builder_does(minor, tmp_path):
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
                "data": {"a": HOUSE}}  # fmt: skip
    kubectl = program("kubectl", minor)
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        (tmp_path / "a.yaml").write_text(text)
        try:
            taken = documents.read(text, json=False) == [document]
        except ApiError:
            taken = False
        assert taken == (kubectl("kustomize", str(tmp_path)).status == 0)
        assert documents.read(text) == [document], "kubectl reads it as JSON"


def test_all_that_runbooks_keep_in_a_cluster_is_in_its_repository(carried):
    """But for Secrets, claims, Flux itself, and what tries things: of those each is named."""
    applied = {
        key(each)
        for each in objects(carried)
        if each["metadata"].get("labels", {}).get(OF_LAB) == LAB.name
    }
    assert len(applied) > 40
    kept = {key(each) for each in contents(LAB).documents()}
    left = {
        each
        for each in applied - kept
        if each[1] not in TRIED_OUT
        and not (each[0] == "Namespace" and each[2] in TRIED_OUT)
        and (each[0], each[2]) not in OWN
    }
    assert left == set()
    assert kept - applied == set(), "nothing is in it that no runbook made"


def test_what_the_twin_says_of_flux_is_what_its_schemas_allow(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    bench = bench_of(test_gitops.PLAIN, *test_gitops.ONLY)
    assert bench.stops() == ("", "")
    cluster = test_gitops.cluster_of(bench)
    bench.world.clock.sleep(1500)
    cluster.settle()
    kinds = ("gitrepositories.source.toolkit.fluxcd.io",
             "kustomizations.kustomize.toolkit.fluxcd.io")  # fmt: skip
    found = [each for kind in kinds for each in cluster.all(kind)]
    assert [why_not(each, "1.34") for each in found] == ["", ""]
    assert found[1]["status"]["history"][0]["totalReconciliations"] > 1
