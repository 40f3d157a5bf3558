"""GitOps of phase 4: a repository without secrets, and Flux that takes over without a restart."""

import copy
import json
import os
from dataclasses import replace

import pytest

from homelab_lib.control.kubernetes.gitops import gave_up
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.kubernetes.repository import Contents
from homelab_lib.runbook.step import Check, Step
from recipes.in_production import (
    LAB,
    SECRETS,
    bench_of,
    cluster_of,
    secrets,
    with_cluster,
    with_service,
)
from test_canary import forms

ONLY = ("repository", "gitops")
PATH = "/var/lib/homelab-gitops.git"
PLAIN = with_cluster(ingress=None, certificates=None, monitoring=None)
MARK = "kustomize.toolkit.fluxcd.io/name"
MEANT = next(
    each for each in Contents(PLAIN, PLAIN.clusters["homelab"], None, 4).documents()
    if each["kind"] == "Deployment" and each["metadata"]["name"] == "nginx"
)  # fmt: skip
"""A deployment as the lab has it."""
__all__ = ["secrets"]


def of(lab):
    cluster = lab.clusters["homelab"]
    return Contents(lab, cluster, cluster.gitops, 4)


def files(bench):
    return bench.world.machines["proxmox"].kept["git"][PATH]["main"]["files"]


@pytest.fixture(scope="module")
def _done():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        bench = bench_of(PLAIN, *ONLY, storage=True)
        for step in bench.steps[:-2]:
            bench.step(step.name)
        before = uids(bench)
        planned = bench.likeness()
        assert planned.stops() == ("", "")
        bench.wire.sent.clear()
        assert bench.stops() == ("", "")
        assert bench.wire.sent == planned.wire.sent
        bench.everything_sent = list(bench.wire.sent)
        bench.before = before
        yield bench


def uids(bench):
    space = ("test", "kube-system", "homelab-test")
    return {pod["metadata"]["uid"] for s in space for pod in cluster_of(bench).all("Pod", s)}


@pytest.fixture
def done(_done):
    _done.wire.sent.clear()
    return _done


def test_flux_has_every_object_and_no_pod_was_started_anew(done):
    cluster = cluster_of(done)
    assert done.before <= uids(done)
    taken = [
        each
        for document in of(PLAIN).documents()
        for each in cluster.objects.values()
        if (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace"))
        == (document["kind"], document["metadata"]["name"], document["metadata"].get("namespace"))
    ]
    assert len(taken) == len(list(of(PLAIN).documents()))
    assert all(each["metadata"]["labels"][MARK] == "homelab" for each in taken)


def test_a_second_run_and_its_plan_send_nothing(done):
    assert done.stops() == ("", "")
    again = done.likeness()
    assert again.stops() == ("", "")
    assert done.wire.sent == again.wire.sent == []


def test_a_change_goes_by_the_repository(done):
    workloads = PLAIN.clusters["homelab"].workloads
    more = (workloads[0].model_copy(update={"replicas": 2}), *workloads[1:])
    lab = with_cluster(PLAIN, workloads=more)
    other = copy.copy(done)
    other.steps = bench_of(lab, *ONLY, storage=True).steps
    step, says = other.stops()
    assert step == "workloads"
    assert "Flux keeps it as its repository says" in says
    assert 'only=["repository", "gitops"]' in says
    for name in ONLY:
        other.step(name)
    assert cluster_of(done).get("Deployment", "nginx", "test")["spec"]["replicas"] == 2
    other.wire.sent.clear()
    assert other.stops() == ("", "")
    assert other.wire.sent == []
    for name in ONLY:
        done.step(name)
    assert done.stops() == ("", "")


def test_what_somebody_else_committed_is_not_written_over(done):
    held = done.world.machines["proxmox"].kept["git"][PATH]["main"]
    kept = copy.deepcopy(held)
    held["by"] = "Somebody"
    held["files"]["clusters/homelab/README.md"] = ("0" * 40, "mine")
    step, says = done.stops()
    assert step == "repository"
    assert "Somebody has changed clusters/homelab" in says
    assert "README.md" in says
    held.update(kept)


def test_a_folder_of_others_stays(done):
    held = done.world.machines["proxmox"].kept["git"][PATH]["main"]
    held["files"]["notes/todo.md"] = ("1" * 40, "buy milk")
    held["files"]["clusters/homelab/gone.yaml"] = ("2" * 40, "")
    assert done.stops() == ("", "")
    assert "notes/todo.md" in files(done)
    assert "clusters/homelab/gone.yaml" not in files(done)


@pytest.mark.slow
def test_another_value_of_a_chart_goes_by_the_repository_and_k3s_upgrades_its_release(done):
    """Flux keeps the HelmChart, and k3s goes on installing what it says."""
    cluster = cluster_of(done)
    before = copy.deepcopy(cluster.get("HelmChart", "csi-driver-nfs", "kube-system"))
    job = cluster.get("Job", "helm-install-csi-driver-nfs", "kube-system")["metadata"]["uid"]
    assert revisions(cluster) == ["deployed"]
    there = uids(done)
    values = {"controller": {"replicas": 1}, "feature": {"note": "das Häuschen 🏠"}}
    chart = PLAIN.clusters["homelab"].nfs.chart.model_copy(update={"values": values})
    lab = with_cluster(PLAIN, storage_class__chart=chart)
    other = copy.copy(done)
    other.steps = bench_of(lab, *ONLY, storage=True).steps
    step, says = other.stops()
    assert step == "storage"
    assert "Flux keeps it as its repository says" in says
    for name in ONLY:
        other.step(name)
    done.world.clock.sleep(120)
    cluster.settle()
    after = cluster.get("HelmChart", "csi-driver-nfs", "kube-system")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert "🏠" in after["spec"]["valuesContent"]
    upgraded = cluster.get("Job", "helm-install-csi-driver-nfs", "kube-system")
    assert upgraded["metadata"]["uid"] != job
    assert revisions(cluster) == ["superseded", "deployed"]
    assert there <= uids(done), "the chart's templates are as they were"
    assert other.stops() == ("", "")
    for name in ONLY:
        done.step(name)
    done.world.clock.sleep(120)
    assert done.stops() == ("", "")


def revisions(cluster):
    return [
        each["metadata"]["labels"]["status"]
        for each in cluster.all("Secret", "kube-system")
        if each["metadata"].get("labels", {}).get("name") == "csi-driver-nfs"
    ]


def test_what_a_person_changes_by_hand_flux_sets_back_and_a_runbook_does_nothing(done):
    cluster = cluster_of(done)
    by_hand = {**MEANT, "spec": {**MEANT["spec"], "replicas": 7}}
    cluster.apply(by_hand, "kubectl", force=True)
    assert cluster.get("Deployment", "nginx", "test")["spec"]["replicas"] == 7
    done.world.clock.sleep(700)
    assert done.stops() == ("", "")
    assert done.wire.sent == []
    meant = MEANT["spec"]["replicas"]
    assert cluster.get("Deployment", "nginx", "test")["spec"]["replicas"] == meant


@pytest.mark.slow
def test_hours_later_nothing_of_it_was_set_back_or_started_anew(done):
    """Neither of the two who own objects here changes what is the other's."""
    cluster = cluster_of(done)
    there = uids(done)
    state = {key: each["metadata"]["resourceVersion"] for key, each in cluster.objects.items()
             if "homelab/lab" in each["metadata"].get("labels", {})}  # fmt: skip
    for _ in range(6):
        done.world.clock.sleep(700)
        assert done.stops() == ("", "")
    assert done.wire.sent == []
    assert there <= uids(done)
    assert len(state) > 10
    for key, version in state.items():
        assert cluster.objects[key]["metadata"]["resourceVersion"] == version, key


def test_what_takes_others_along_stays_even_where_somebody_has_flux_prune(done):
    cluster = cluster_of(done)
    [kept] = cluster.all("kustomizations.kustomize.toolkit.fluxcd.io")
    held = done.world.machines["proxmox"].kept["git"][PATH]["main"]
    before, there = copy.deepcopy(held), dict(cluster.objects)
    kept["spec"]["prune"] = True
    held["files"] = {name: each for name, each in held["files"].items()
                     if "/service-test-nginx." in name}  # fmt: skip
    held["commit"] = "8" * 40
    done.world.clock.sleep(700)
    cluster.settle()
    gone = {(each["kind"], each["metadata"]["name"]) for key, each in there.items()
            if key not in cluster.objects}  # fmt: skip
    try:
        assert ("Deployment", "nginx") in gone
        assert ("Service", "nginx") not in gone
        assert {kind for kind, _ in gone} & {"Namespace", "HelmChart", "Secret"} == set()
    finally:
        held.update(before)
        kept["spec"]["prune"] = False
        done.world.clock.sleep(700)
        assert done.stops() == ("", "")
        done.before = uids(done)


def told_by_flux(bench):
    """What `health` finds of it."""
    told = []

    def look(ctx):
        told.extend(gave_up(ctx.host("k3s-control")))
        yield Check("looked", holds=True)

    other = copy.copy(bench)
    other.steps = (Step("look", "Look", check=look),)
    assert other.stops() == ("", "")
    return told


def test_what_gave_up_is_told(done):
    kustomizations = cluster_of(done).all("kustomizations.kustomize.toolkit.fluxcd.io")
    assert told_by_flux(done) == []
    kustomizations[0]["spec"]["suspend"] = True
    [said] = told_by_flux(done)
    kustomizations[0]["spec"]["suspend"] = False
    assert said.startswith("kustomization homelab is suspended; `k3s kubectl patch kustomization")
    assert "-n flux-system" in said


def test_flux_that_looks_just_now_has_not_given_up(done):
    """Each time that it looks, Ready is Unknown for as long."""
    [kept] = cluster_of(done).all("kustomizations.kustomize.toolkit.fluxcd.io")
    before = copy.deepcopy(kept["status"])
    kept["status"]["conditions"][0] |= {
        "status": "Unknown", "reason": "Progressing", "message": "Reconciliation in progress",
        "lastTransitionTime": cluster_of(done).stamp(),
    }  # fmt: skip
    try:
        assert told_by_flux(done) == []
        assert done.stops() == ("", "")
        assert done.wire.sent == []
    finally:
        kept["status"] = before


def test_flux_that_nobody_runs_any_more_is_told_though_it_says_that_all_is_well(done):
    cluster = cluster_of(done)
    keeper = cluster.get("Deployment", "kustomize-controller", "flux-system")
    cluster.update(keeper, keeper["spec"] | {"replicas": 0})
    try:
        done.world.clock.sleep(1800)
        assert told_by_flux(done) == [], "a restart takes a while"
        done.world.clock.sleep(86_400)
        [said] = told_by_flux(done)
        assert said.startswith("kustomization homelab was last looked at 25 hours ago, and says "
                               "Applied revision: main@sha1:")  # fmt: skip
        assert "`k3s kubectl get pods -n flux-system`" in said
    finally:
        cluster.update(keeper, keeper["spec"] | {"replicas": 1})
        done.world.clock.sleep(700)
        assert told_by_flux(done) == []


def test_no_canary_is_in_the_repository_nor_in_what_was_sent_for_it(done):
    """In none of the forms in which one could stand there: files, commit, calls, and the node."""
    branch = done.world.machines["proxmox"].kept["git"][PATH]["main"]
    node = done.world.machines["proxmox"].files
    left = json.dumps(branch, ensure_ascii=False) + json.dumps(done.everything_sent)
    left += "".join(node.text(file) for file in node.walk(PATH) if not node.is_dir(file))
    for name in SECRETS.keys() - {"FLUX_DEPLOY_PUBLIC"}:  # that one opens nothing
        found = [form for form, text in forms(SECRETS[name]).items() if text in left.encode()]
        assert found == [], name


def test_no_canary_is_in_what_the_whole_lab_writes(monkeypatch):
    acme = {
        "server": "https://acme.example/directory",
        "email": "a@example.org",
        "zones": ["home.arpa"],
        "token": "env:ACME_TOKEN",
    }
    lab = changed(load_lab(), ("clusters.homelab.certificates.acme", acme))
    told = {"ACME_TOKEN", "OPEN_WEBUI_PASSWORD", "OPEN_WEBUI_SESSION_KEY"}
    for name in told:
        monkeypatch.setenv(name, f"canary & <{name}> 'x' \\ 7Zq")
    texts = of(lab).files
    whole = "\n".join(texts.values())
    for value in [*SECRETS.values(), *(os.environ[name] for name in told)]:
        assert [form for form, text in forms(value).items() if text in whole.encode()] == []
    assert '"kind": "Secret"' not in whole
    for name in (SECRETS.keys() | told) - {"FLUX_DEPLOY_PUBLIC"}:
        assert f"env:{name}" in texts["README.md"], "by reference, for whoever rebuilds it"


def test_files_are_told_apart_and_named_after_what_is_in_them():
    texts = of(LAB).files
    assert len(texts) == 1 + len(list(of(LAB).documents()))
    assert "deployment-test-nginx.yaml" in texts
    assert "helmchart-kube-system-cert-manager.yaml" in texts


# Who owns what -----------------------------------------------------------------------------------


def test_objects_of_the_repository_are_flux_s_alone_and_ours_are_the_others(done):
    """Whom the API names as the one that applied."""
    kinds = "ns,sc,deploy,svc,ing,runtimeclass,networkpolicy,helmchart.helm.cattle.io"
    words = f"sudo -n -- k3s kubectl get {kinds} -A --show-managed-fields -o json"
    said = json.loads(done.world.machines["k3s-control"].run(words).finished().out)
    applied = {
        (each["kind"], each["metadata"]["name"]): [
            held["manager"]
            for held in each["metadata"]["managedFields"]
            if held["operation"] == "Apply"
        ]
        for each in said["items"]
    }
    for document in of(PLAIN).documents():
        key = (document["kind"], document["metadata"]["name"])
        assert applied[key] == ["kustomize-controller"], key
    assert applied["HelmChart", PLAIN.services["fluxcd"].chart.name] == ["homelab"], (
        "Flux does not keep itself"
    )


def test_what_left_the_repository_and_stayed_is_named(done):
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "old", "namespace": "test", "labels": {MARK: "homelab"}},
        "spec": {
            "selector": {"matchLabels": {"app": "old"}},
            "template": {
                "metadata": {"labels": {"app": "old"}},
                "spec": {"containers": [{"name": "old", "image": "nginx:1.29-alpine"}]},
            },
        },
    }
    cluster = cluster_of(done)
    cluster.apply(document, "kustomize-controller")
    try:
        step, says = done.stops()
        assert step == "gitops"
        assert "Deployment test/old: delete it by hand" in says
    finally:
        cluster.delete("Deployment", "old", "test")


# Flux that takes over half -----------------------------------------------------------------------


@pytest.mark.parametrize(("overrides", "left"), [(True, None), (False, "from the runbook")])
def test_what_leaves_the_repository_leaves_the_cluster_only_if_flux_took_all_over(overrides, left):
    lab = PLAIN
    if not overrides:
        values = {"kustomizeController": {"container": {"additionalArgs": ["--log-level=info"]}}}
        lab = with_service("fluxcd", PLAIN, chart__values=values)
    bench = bench_of(lab, *ONLY)
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"},
        "data": {"told": "from the runbook", "kept": "yes"},
    }
    cluster = cluster_of(bench)
    cluster.apply(document, "homelab")
    step, says = bench.stops()
    assert step == ("" if overrides else "gitops")
    assert overrides or "has to run with --override-manager=homelab" in says
    name = "clusters/homelab/settings.yaml"
    held = bench.world.machines["proxmox"].kept["git"][PATH]["main"]
    for number, data in enumerate((document["data"], {"kept": "yes"})):
        text = json.dumps(document | {"data": data})
        held["files"][name] = ("3" * 40, text)
        held["commit"] = str(number) * 40
        cluster.settle()
        bench.world.clock.sleep(60)
    assert cluster.get("ConfigMap", "settings", "default")["data"].get("told") == left


# Seeded mistakes ---------------------------------------------------------------------------------


@pytest.mark.sample
def test_a_repository_that_flux_may_not_read_is_told_in_its_own_words():
    bench = bench_of(PLAIN, *ONLY)
    for name in ("workloads", "repository"):
        bench.step(name)
    node = bench.world.machines["proxmox"]
    keys = node.files.text("/root/.ssh/authorized_keys2")
    assert keys.startswith(f"restrict,command=\"git-upload-pack '{PATH}'\" ssh-ed25519 ")
    node.files.put("/root/.ssh/authorized_keys2", keys.replace(PATH, "/elsewhere.git"))
    bench.steps = [replace(bench.steps[-1], needs=())]
    step, says = bench.stops()
    assert step == "gitops"
    assert "unable to authenticate" in says


def test_the_key_goes_to_where_its_user_is_at_home_and_belongs_to_that_group():
    bench = bench_of(with_cluster(PLAIN, gitops__user="git"), *ONLY)
    node = bench.world.machines["proxmox"]
    node.accounts.add("git", group="users", home="/srv/git")
    assert bench.stops() == ("", ""), "Flux reads it as that user"
    key = node.files.stat("/srv/git/.ssh/authorized_keys2")
    assert (key.user, key.group) == ("git", "users")
    assert not node.files.exists("/home/git")
    assert node.files.stat(PATH).user == "git", "Git lets nobody read what is another's"
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_a_repository_that_is_another_s_than_who_reads_it_is_given_to_him_or_named():
    bench = bench_of(PLAIN, *ONLY)
    for name in ("workloads", "repository"):
        bench.step(name)
    node = bench.world.machines["proxmox"]
    node.accounts.add("git", group="users", home="/srv/git")
    bench.steps = bench_of(with_cluster(PLAIN, gitops__user="git"), *ONLY).steps
    held = node.kept["git"][PATH]["main"]
    by, held["by"] = held["by"], "Somebody"
    step, says = bench.stops()
    assert step == "repository"
    assert f"{PATH} is root's, and Git lets git read none that is another's" in says
    held["by"] = by
    assert bench.stops() == ("", "")
    assert node.files.stat(PATH).user == "git"


def test_a_repositorys_user_whom_nobody_knows_is_named():
    bench = bench_of(with_cluster(PLAIN, gitops__user="git"), *ONLY)
    step, says = bench.stops()
    assert step == "repository"
    assert "proxmox does not say where the home of git is" in says


def test_a_folder_that_is_no_repository_is_left_alone():
    bench = bench_of(PLAIN, *ONLY)
    bench.world.machines["proxmox"].files.put(f"{PATH}/letters.txt", "dear all")
    step, says = bench.stops()
    assert step == "repository"
    assert "is no bare Git repository" in says
