"""The controllers that turn a wish into pods: deployments, replica sets, daemon sets, jobs."""

import copy
import hashlib
import json

from homelab_lib.twin.kubernetes import statuses
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.ingress import endpoints, is_ready
from homelab_lib.twin.kubernetes.nodes import is_going, ready
from homelab_lib.twin.kubernetes.objects import ApiError, Object, dig
from homelab_lib.twin.kubernetes.scheduler import selected, untolerated


def _suffix(*parts: object, length: int = 5) -> str:
    """Letters as Kubernetes appends them; the same for the same parts."""
    digest = hashlib.sha256("".join(map(str, parts)).encode()).digest()
    return "".join("bcdfghjklmnpqrstvwxz2456789"[byte % 27] for byte in digest[:length])


def deployments(cluster: Cluster) -> None:
    """One replica set for each template a deployment has had; only the newest keeps pods."""
    for deployment in cluster.all("Deployment"):
        if not cluster.noticed(deployment):
            continue
        spec = deployment["spec"]
        text = json.dumps(spec["template"], sort_keys=True)
        meta = deployment["metadata"]
        name = f"{meta['name']}-{_suffix(text, length=10)}"
        newest = cluster.get("ReplicaSet", name, meta["namespace"])
        if newest is None:
            newest = cluster.create(
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "metadata": {"name": name, "namespace": meta["namespace"]},
                    "spec": {
                        key: copy.deepcopy(spec[key])
                        for key in ("replicas", "selector", "template")
                    },
                },
                owner=deployment,
            )
        newest["spec"]["replicas"] = spec["replicas"]
        if dig(spec, "strategy.type") == "Recreate":  # the old ones go first
            older = [o for o in cluster.owned("ReplicaSet", deployment) if o is not newest]
            for old in older:
                old["spec"]["replicas"] = 0
            if any(cluster.owned("Pod", old) for old in older):
                newest["spec"]["replicas"] = 0
        notes = meta.setdefault("annotations", {})
        count = len(cluster.owned("ReplicaSet", deployment))
        notes["deployment.kubernetes.io/revision"] = str(count)
        ready = dig(newest, "status.readyReplicas") or 0
        for old in cluster.owned("ReplicaSet", deployment):
            if old is not newest and ready >= spec["replicas"]:
                old["spec"]["replicas"] = 0
        deployment["status"] = {
            "observedGeneration": meta.get("generation", 1),
            "replicas": sum(
                dig(each, "status.replicas") or 0
                for each in cluster.owned("ReplicaSet", deployment)
            ),
            "updatedReplicas": dig(newest, "status.replicas") or 0,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": statuses.deployment_conditions(cluster, deployment, newest),
        }


def replica_sets(cluster: Cluster) -> None:
    """As many pods as are wanted."""
    for each in cluster.all("ReplicaSet"):
        pods = [p for p in cluster.owned("Pod", each) if not is_going(p)]
        wanted = each["spec"]["replicas"]
        for number in range(len(pods), wanted):
            _make_pod(cluster, each, number)
        for pod in pods[wanted:]:
            cluster.delete("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
        pods = [p for p in cluster.owned("Pod", each) if not is_going(p)]
        each["status"] = {"replicas": len(pods), "readyReplicas": sum(map(is_ready, pods))}


def _make_pod(cluster: Cluster, owner: Object, number: int, node: str = "") -> None:
    template = copy.deepcopy(owner["spec"]["template"])
    meta = owner["metadata"]
    used = {p["metadata"]["name"] for p in cluster.all("Pod", meta["namespace"])}
    name = next(
        candidate
        for i in range(100)
        if (candidate := f"{meta['name']}-{_suffix(meta['uid'], number, i)}") not in used
    )
    spec = template["spec"] | ({"nodeName": node} if node else {})
    if owner["kind"] == "DaemonSet":
        spec["tolerations"] = [*spec.get("tolerations", ()), *_STAYS]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "generateName": f"{meta['name']}-",
            "labels": (dig(template, "metadata.labels") or {}) | _ownership(owner),
        },
        "spec": spec,
        "status": {"phase": "Pending"},
    }
    try:
        cluster.create(pod, owner=owner)
    except ApiError as error:
        text = f"Error creating: {error.message}"
        say(cluster, owner, "FailedCreate", text, warning=True)


_STAYS = [
    {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": effect}
    for trouble, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
]
"""What every daemon set's pods tolerate (`pkg/controller/daemon/util`)."""


def _ownership(owner: Object) -> dict[str, str]:
    """The labels by which an owner knows its pods."""
    name, uid = owner["metadata"]["name"], owner["metadata"]["uid"]
    if owner["kind"] == "Job":
        said = {"controller-uid": uid, "job-name": name}
        return said | {f"batch.kubernetes.io/{key}": value for key, value in said.items()}
    if owner["kind"] == "DaemonSet":
        return {"controller-revision-hash": _suffix(uid, length=10), "pod-template-generation": "1"}
    return {"pod-template-hash": name.rpartition("-")[2]}


def daemon_sets(cluster: Cluster) -> None:
    """One pod on each node."""
    for each in cluster.all("DaemonSet"):
        if not cluster.noticed(each):
            continue
        pods = cluster.owned("Pod", each)
        there = {pod["spec"].get("nodeName") for pod in pods}
        template = each["spec"]["template"]
        nodes = [
            node["metadata"]["name"]
            for node in cluster.all("Node")
            if untolerated(template, _without_own_taints(node)) is None and selected(template, node)
        ]
        for pod in [p for p in pods if p["spec"].get("nodeName") not in nodes]:
            cluster.delete("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
        for number, node in enumerate(nodes):
            if node not in there and ready(cluster, node):
                _make_pod(cluster, each, number, node)
        pods = cluster.owned("Pod", each)
        good = sum(is_ready(pod) for pod in pods)
        each["status"] = {
            "observedGeneration": each["metadata"].get("generation", 1),
            "desiredNumberScheduled": len(nodes),
            "currentNumberScheduled": len(pods),
            "updatedNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "numberReady": good,
            "numberAvailable": good,
        }


def stateful_sets(cluster: Cluster) -> None:
    """Pods that are numbered, one after the other, each with claims of its own that outlive it."""
    for each in cluster.all("StatefulSet"):
        if not cluster.noticed(each):
            continue
        meta, spec = each["metadata"], each["spec"]
        text = json.dumps(spec["template"], sort_keys=True)
        revision = f"{meta['name']}-{_suffix(text, length=10)}"
        good = 0
        for number in range(spec["replicas"]):
            pod = cluster.get("Pod", f"{meta['name']}-{number}", meta["namespace"])
            if pod is not None and pod["metadata"]["labels"][_REVISION] != revision:
                cluster.delete("Pod", pod["metadata"]["name"], meta["namespace"])
                pod = None
            if pod is None:
                _numbered(cluster, each, number, revision)
                break
            if not is_ready(pod):
                break
            good += 1
        each["status"] = {
            "observedGeneration": meta.get("generation", 1),
            "replicas": len(cluster.owned("Pod", each)),
            "readyReplicas": good,
            "availableReplicas": good,
            "updatedReplicas": len(cluster.owned("Pod", each)),
            "currentRevision": revision,
            "updateRevision": revision,
        }


_REVISION = "controller-revision-hash"


def _numbered(cluster: Cluster, owner: Object, number: int, revision: str) -> None:
    meta = owner["metadata"]
    name, space = f"{meta['name']}-{number}", meta["namespace"]
    template = copy.deepcopy(owner["spec"]["template"])
    for claim in owner["spec"].get("volumeClaimTemplates", ()):
        called = f"{claim['metadata']['name']}-{name}"
        if cluster.get("PersistentVolumeClaim", called, space) is None:
            whole = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": claim["spec"]}
            cluster.create(whole | {"metadata": {"name": called, "namespace": space}})
        volume = {
            "name": claim["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": called},
        }
        template["spec"].setdefault("volumes", []).append(volume)
    labels = dig(template, "metadata.labels") or {}
    numbered = {
        _REVISION: revision,
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(number),
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": labels | numbered},
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }
    try:
        cluster.create(pod, owner=owner)
    except ApiError as error:
        what = f"create Pod {name} in StatefulSet {meta['name']} failed"
        say(cluster, owner, "FailedCreate", f"{what} error: {error.message}", warning=True)


def _without_own_taints(node: Object) -> Object:
    """A node without the taints that the pods of every daemon set tolerate."""
    taints = node["spec"].get("taints", ())
    kept = [each for each in taints if not each["key"].startswith("node.kubernetes.io/")]
    return node | {"spec": node["spec"] | {"taints": kept}}


def jobs(cluster: Cluster) -> None:
    """A pod that runs to its end; another one when it failed."""
    for job in cluster.all("Job"):
        if job["metadata"].get("labels", {}).get("helm") == "yes":
            continue  # the Helm controller's own work
        by_uid = {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
        job["spec"].setdefault("selector", {"matchLabels": by_uid})
        pods = cluster.owned("Pod", job)
        phases = ["Failed" if is_going(pod) else dig(pod, "status.phase") for pod in pods]
        failed, succeeded = phases.count("Failed"), phases.count("Succeeded")
        if not succeeded and failed == len(pods) and failed <= job["spec"]["backoffLimit"]:
            _make_pod(cluster, job, failed)
        status: Object = {
            "active": len(pods) - failed - succeeded,
            "startTime": job["metadata"]["creationTimestamp"],
        } | ({"failed": failed} if failed else {})
        if succeeded:
            status = statuses.job(cluster, job, succeeded, failed)
        elif failed > job["spec"]["backoffLimit"]:
            why = "Job has reached the specified backoff limit"
            status = statuses.job(cluster, job, 0, failed, why)
        job["status"] = status


def endpoint_slices(cluster: Cluster) -> None:
    """The addresses behind each service."""
    for service in cluster.all("Service"):
        meta = service["metadata"]
        name = f"{meta['name']}-{_suffix(meta['uid'])}"
        found = cluster.get("EndpointSlice", name, meta["namespace"])
        if found is None:
            found = cluster.create(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": name,
                        "namespace": meta["namespace"],
                        "labels": {"kubernetes.io/service-name": meta["name"]},
                    },
                    "addressType": "IPv4",
                },
                owner=service,
            )
        found["endpoints"] = [
            {
                "addresses": [dig(pod, "status.podIP")],
                "conditions": {"ready": True},
                "nodeName": pod["spec"]["nodeName"],
            }
            for pod in endpoints(cluster, service)
        ]
