"""The Kubernetes objects of a cluster's storage, its volume test and its workloads."""

import json
from collections.abc import Iterator
from typing import Any

from homelab_lib.lab.compute import HelmChart, StorageClass, Workload

Object = dict[str, Any]

TEST = "homelab-test"
CLAIM = "volume-test"
WRITER = "volume-test-write"
READER = "volume-test-read"
_BUSYBOX = "busybox:1.37"
_PATTERN = "homelab-volume-test"


def yaml_text(value: Any, indent: int) -> str:
    """What readers of YAML take a value from: JSON, which is YAML but for one thing. Letters beyond
    the first plane stand there themselves: the pair of escapes that JSON has for one is refused by
    all readers of YAML (Helm's and Kustomize's: "invalid Unicode character escape code")."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False)


def namespace(name: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def helm_chart(chart: HelmChart) -> Object:
    """A chart for k3s's Helm controller. When it fails it stays as it is: by default the
    controller would take the release away, with all that is in it, and start anew."""
    oci = chart.repo.startswith("oci://")
    spec: Object = {
        "chart": f"{chart.repo.rstrip('/')}/{chart.chart}" if oci else chart.chart,
        "version": chart.version,
        "targetNamespace": chart.namespace,
        "failurePolicy": "abort",
    }
    if not oci:
        spec["repo"] = chart.repo
    if chart.values:  # as text: older controllers drop `values` without a word
        spec["valuesContent"] = yaml_text(chart.values, 1)
    return {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChart",
        "metadata": {"name": chart.name, "namespace": "kube-system"},
        "spec": spec,
    }


def full_name(release: str, chart: str) -> str:
    """What a chart calls what it makes of a release, as charts that `helm create` began do."""
    return release if chart in release else f"{release}-{chart}"


def helm_chart_config(chart: str, values: dict[str, Any]) -> Object:
    """Values for a chart that k3s itself brings."""
    return {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChartConfig",
        "metadata": {"name": chart, "namespace": "kube-system"},
        "spec": {"valuesContent": yaml_text(values, 1)},
    }


def storage_class(described: StorageClass, path: str) -> Object:
    """Volumes as folders on an NFS share. Deleting a claim leaves its folder where it is."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": described.name},
        "provisioner": "nfs.csi.k8s.io",
        "parameters": {
            "server": described.server_address,
            "share": path,
            "subDir": "${pvc.metadata.namespace}/${pvc.metadata.name}",
            "onDelete": "retain",
            "mountPermissions": "0",
        },
        "reclaimPolicy": "Retain",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "Immediate",
        "mountOptions": list(described.mount_options),
    }


def claim(storage_class_name: str, *, shared: bool) -> Object:
    """A small claim; `shared` by pods on several nodes, or for those of one."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": TEST},
        "spec": {
            "accessModes": ["ReadWriteMany" if shared else "ReadWriteOnce"],
            "storageClassName": storage_class_name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def writer() -> Object:
    """Writes a file and prints its digest."""
    script = (
        f'set -e; mkdir -p /data; echo "{_PATTERN} $HOSTNAME" > /data/probe; sync; '
        "sha256sum /data/probe"
    )
    return _job(WRITER, script)


def reader(away_from: str) -> Object:
    """Prints the digest of what the writer wrote, on another node than the one named.

    The node is named, for a scheduler that is told to keep away from the writer's pod does not
    look at pods that have finished.
    """
    return _job(READER, "sha256sum /data/probe", away_from)


def _job(name: str, script: str, away_from: str = "") -> Object:
    made = job(name, TEST, script, {"data": CLAIM})
    pod = made["spec"]["template"]["spec"]
    if away_from:
        elsewhere = {"key": "metadata.name", "operator": "NotIn", "values": [away_from]}
        terms = [{"matchFields": [elsewhere]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        pod["affinity"] = {"nodeAffinity": required}
    return made


def job(name: str, namespace: str, script: str, claims: dict[str, str]) -> Object:
    """A script that runs once in a pod, with claims by the folders below the root where they are
    seen."""
    mounts = [{"name": folder, "mountPath": f"/{folder}"} for folder in claims]
    container = {
        "name": "probe",
        "image": _BUSYBOX,
        "command": ["sh", "-c", script],
        "volumeMounts": mounts,
    }
    pod: Object = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [
            {"name": folder, "persistentVolumeClaim": {"claimName": claim}}
            for folder, claim in claims.items()
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "backoffLimit": 2,
            "template": {"metadata": {"labels": {"homelab": name}}, "spec": pod},
        },
    }


def workload(described: Workload) -> Iterator[Object]:
    """A deployment, its service, and the host name by which it is reached."""
    labels = {"app": described.name}
    metadata = {"name": described.name, "namespace": described.namespace}
    container = {
        "name": described.name,
        "image": described.image,
        "ports": [{"containerPort": described.port}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": described.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "selector": labels,
            "ports": [{"name": "http", "port": 80, "targetPort": described.port}],
        },
    }
    service = {"name": described.name, "port": {"name": "http"}}
    yield ingress(described.name, described.namespace, described.hostname, service, "traefik")


def ingress(name: str, namespace: str, hostname: str, service: Object, class_name: str) -> Object:
    """The way from a host name to a service's port."""
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "ingressClassName": class_name,
            "rules": [{"host": hostname, "http": {"paths": [path]}}],
        },
    }
