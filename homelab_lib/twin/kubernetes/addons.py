"""What k3s brings with it, and what its Helm controller installs.

Source: k3s-io/k3s `manifests/`; k3s-io/helm-controller.
"""

from typing import Any

from homelab_lib import yaml_safe
from homelab_lib.twin.kubernetes import (
    certificates,
    charts,
    controllers,
    gitops,
    graphics,
    kubelet,
    monitoring,
    nodes,
    pod_programs,
    scheduler,
    services,
    statuses,
    traefik,
    volumes,
)
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.definitions import establish, is_established
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.nodes import ready
from homelab_lib.twin.kubernetes.objects import Object

_HELM_S = 15.0
_MADE = "creationTimestamp"
_SYSTEM = {
    "coredns": "rancher/mirrored-coredns-coredns:1.13.1",
    "local-path-provisioner": "rancher/local-path-provisioner:v0.0.32",
    "metrics-server": "rancher/mirrored-metrics-server:v0.8.0",
    "traefik": "rancher/mirrored-library-traefik:3.5.1",
}
_SERVED_S = 2.0


def bring_up(cluster: Cluster) -> None:
    """Fill a new cluster with what k3s deploys, and set its controllers to work."""
    cluster.admission.append(certificates.admit)
    cluster.controllers += [
        nodes.watch,
        controllers.deployments,
        controllers.replica_sets,
        controllers.daemon_sets,
        controllers.jobs,
        controllers.stateful_sets,
        definitions_served,
        helm_charts,
        traefik.configured,
        certificates.run,
        monitoring.operate,
        gitops.run,
        volumes.provision,
        scheduler.schedule,
        kubelet.run_pods,
        graphics.plugins,
        services.addressed,
        pod_programs.serve,
        services.publish,
        controllers.endpoint_slices,
    ]
    traefik.bring(cluster)
    graphics.bring_runtime_classes(cluster)
    for name, image in _SYSTEM.items():
        cluster.create(deployment(name, image, tolerate=True))
    cluster.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "local-path",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "traefik", "namespace": "kube-system"},
            "spec": {
                "type": "LoadBalancer",
                "selector": {"app": "traefik"},
                "ports": [{"name": "web", "port": 80}, {"name": "websecure", "port": 443}],
            },
        }
    )


def deployment(
    name: str, image: str, *, namespace: str = "kube-system", tolerate: bool = False
) -> Object:
    """A deployment of one pod."""
    spec: dict[str, Any] = {"containers": [{"name": name, "image": image}]}
    if tolerate:
        spec["tolerations"] = [
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
        ]
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def helm_charts(cluster: Cluster) -> None:
    """k3s's Helm controller: a job for each chart, and what the chart holds when it is done."""
    for chart in cluster.all("HelmChart"):
        if not cluster.noticed(chart):
            continue  # the job of before is still the one that is there
        meta = chart["metadata"]
        name = f"helm-install-{meta['name']}"
        if cluster.installed.get(meta["uid"]) == meta.get("generation", 1):
            continue
        key = f"{meta['uid']}{meta.get('generation')}"
        job = cluster.get("Job", name, meta["namespace"])
        if job is not None and key not in cluster.since:
            cluster.delete("Job", name, meta["namespace"])
            job = None
        if job is None:
            job = cluster.create(_job(name, meta["namespace"]), owner=chart)
        began = cluster.since.setdefault(key, cluster.world.clock.now())
        if cluster.world.clock.now() - began < _HELM_S or not _somewhere(cluster):
            continue
        if why := _unavailable(cluster, chart):
            say(cluster, job, "BackOff", "Back-off restarting failed container helm", warning=True)
            job["status"] = {"active": 1, "ready": 0, "startTime": job["metadata"][_MADE]}
            cluster.logs[job["metadata"]["uid"]] = f"{why}\n"
            continue
        if cluster.get("Namespace", _namespace(chart)) is None:
            space = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": _namespace(chart)},
            }
            cluster.create(space)
        row = charts.row_of(chart["spec"])
        if row is not None and not charts.install(cluster, chart, row, _namespace(chart)):
            continue
        job["status"] = statuses.job(cluster, job, 1, 0)
        chart["status"] = {"jobName": name}
        cluster.logs.pop(job["metadata"]["uid"], None)
        _release(cluster, chart)
        cluster.installed[meta["uid"]] = meta.get("generation", 1)


def definitions_served(cluster: Cluster) -> None:
    """A definition that a chart brings is served a moment after it is there."""
    for definition in cluster.all("CustomResourceDefinition"):
        if not is_established(definition) and cluster.age_s(definition) >= _SERVED_S:
            establish(definition, cluster.stamp())
            cluster.serve(definition)


def _job(name: str, namespace: str) -> Object:
    pod = {
        "restartPolicy": "OnFailure",
        "containers": [{"name": "helm", "image": "rancher/klipper-helm:v0.9.8-build20250709"}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": {"helm": "yes"}},
        "spec": {"template": {"metadata": {}, "spec": pod}},
    }


def _somewhere(cluster: Cluster) -> bool:
    return any(ready(cluster, name) for name in cluster.members)


def _unavailable(cluster: Cluster, chart: Object) -> str:
    """Why a chart can't be fetched or installed; empty where it can."""
    spec = chart.get("spec") or {}
    if why := cluster.world.internet(cluster.server):
        return f"Error: looks like {spec.get('repo')} is not a valid chart repository: {why}"
    if cluster.world.habits.pop("helm_cut", False):  # its first job is cut off at its end
        _release(cluster, chart)
        _releases(cluster, chart)[-1]["metadata"]["labels"]["status"] = "pending-install"
    if _half_released(cluster, chart):
        return "Error: INSTALLATION FAILED: cannot re-use a name that is still in use"
    if charts.row_of(spec) is None:
        what = f'chart "{spec.get("chart", "")}" version "{spec.get("version")}"'
        return f"Error: {what} not found in {spec.get('repo')} repository"
    try:
        charts.values_of(spec)
    except yaml_safe.BadYaml as error:
        return f"Error: failed to parse /config/values-01_HelmChart.yaml: {error}"
    namespace = _namespace(chart)
    if cluster.get("Namespace", namespace) is None and not spec.get("createNamespace"):
        return (
            "Error: INSTALLATION FAILED: create: failed to create: namespaces "
            f'"{namespace}" not found'
        )
    return ""


def _releases(cluster: Cluster, chart: Object) -> list[Object]:
    """Helm's own records of a chart: a Secret for each revision."""
    wanted = {"owner": "helm", "name": chart["metadata"]["name"]}
    return [
        each
        for each in cluster.all("Secret", _namespace(chart))
        if wanted.items() <= each["metadata"].get("labels", {}).items()
    ]


def _half_released(cluster: Cluster, chart: Object) -> bool:
    """Whether a job was cut off before: then Helm has a release that is neither there nor gone."""
    states = [each["metadata"]["labels"].get("status") for each in _releases(cluster, chart)]
    return bool(states) and states[-1] in ("pending-install", "uninstalling")


def _release(cluster: Cluster, chart: Object) -> None:
    """Record a revision that stands; the one before it is superseded."""
    before = _releases(cluster, chart)
    for each in before:
        each["metadata"]["labels"]["status"] = "superseded"
    name, version = chart["metadata"]["name"], str(len(before) + 1)
    labels = {"name": name, "owner": "helm", "status": "deployed", "version": version}
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {
                "name": f"sh.helm.release.v1.{name}.v{version}",
                "namespace": _namespace(chart),
                "labels": labels,
            },
            "data": {"release": ""},
        }
    )


def _namespace(chart: Object) -> str:
    """Where a chart's objects go."""
    return str((chart.get("spec") or {}).get("targetNamespace") or chart["metadata"]["namespace"])
