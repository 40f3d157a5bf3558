"""What k3s brings with it, and what its Helm controller installs.

Source: k3s-io/k3s `manifests/`; kubernetes-csi/csi-driver-nfs chart 4.13.4.
"""

from typing import Any

from homelab_lib.twin.kubernetes import controllers, kubelet, nodes, scheduler, statuses, volumes
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.nodes import ready
from homelab_lib.twin.kubernetes.objects import Object

_HELM_S = 15.0
_SYSTEM = {
    "coredns": "rancher/mirrored-coredns-coredns:1.13.1",
    "local-path-provisioner": "rancher/local-path-provisioner:v0.0.32",
    "metrics-server": "rancher/mirrored-metrics-server:v0.8.0",
    "traefik": "rancher/mirrored-library-traefik:3.5.1",
}
CSI_NFS = "registry.k8s.io/sig-storage/nfsplugin:v4.13.4"


def bring_up(cluster: Cluster) -> None:
    """Fill a new cluster with what k3s deploys, and set its controllers to work."""
    cluster.controllers += [
        nodes.watch,
        controllers.deployments,
        controllers.replica_sets,
        controllers.daemon_sets,
        controllers.jobs,
        helm_charts,
        volumes.provision,
        scheduler.schedule,
        kubelet.run_pods,
        controllers.endpoint_slices,
    ]
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
        meta = chart["metadata"]
        name = f"helm-install-{meta['name']}"
        job = cluster.get("Job", name, meta["namespace"])
        if job is None:
            job = cluster.create(_job(name, meta["namespace"]), owner=chart)
            cluster.since[f"{meta['uid']}{meta.get('generation')}"] = cluster.world.clock.now()
        began = cluster.since.setdefault(
            f"{meta['uid']}{meta.get('generation')}", cluster.world.clock.now()
        )
        if cluster.installed.get(meta["uid"]) == meta.get("generation", 1):
            continue
        if cluster.world.clock.now() - began < _HELM_S or not _somewhere(cluster):
            continue
        if why := _unavailable(cluster, chart):
            say(cluster, job, "BackoffLimitExceeded", why, warning=True)
            job["status"] = statuses.job(cluster, job, 0, 1, why)
            continue
        _install(cluster, chart)
        job["status"] = statuses.job(cluster, job, 1, 0)
        chart["status"] = {"jobName": name}
        cluster.installed[meta["uid"]] = meta.get("generation", 1)


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
    known = {
        (c.nfs.chart.repo, c.nfs.chart.chart, c.nfs.chart.version)
        for c in cluster.world.lab.clusters.values()
        if c.nfs
    }
    if (spec.get("repo"), spec.get("chart"), spec.get("version")) not in known:
        what = f'chart "{spec.get("chart", "")}" version "{spec.get("version")}"'
        return f"Error: {what} not found in repository"
    namespace = spec.get("targetNamespace") or chart["metadata"]["namespace"]
    if cluster.get("Namespace", namespace) is None and not spec.get("createNamespace"):
        return (
            "Error: INSTALLATION FAILED: create: failed to create: namespaces "
            f'"{namespace}" not found'
        )
    return ""


def _install(cluster: Cluster, chart: Object) -> None:
    spec = chart["spec"]
    if spec["chart"] != "csi-driver-nfs":
        return
    namespace = spec.get("targetNamespace") or chart["metadata"]["namespace"]
    if cluster.get("Namespace", namespace) is None:
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    if cluster.get("CSIDriver", "nfs.csi.k8s.io") is None:
        cluster.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSIDriver",
                "metadata": {"name": "nfs.csi.k8s.io"},
                "spec": {"attachRequired": False, "volumeLifecycleModes": ["Persistent"]},
            }
        )
    if cluster.get("Deployment", "csi-nfs-controller", namespace) is None:
        made = deployment("csi-nfs-controller", CSI_NFS, namespace=namespace, tolerate=True)
        cluster.create(made, owner=chart)
    if cluster.get("DaemonSet", "csi-nfs-node", namespace) is None:
        made = deployment("csi-nfs-node", CSI_NFS, namespace=namespace)
        made |= {"kind": "DaemonSet"}
        made["spec"].pop("replicas")
        made["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
        cluster.create(made, owner=chart)
