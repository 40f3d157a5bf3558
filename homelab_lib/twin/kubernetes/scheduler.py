"""The scheduler: which node a pod goes to, or why none will have it."""

from collections import Counter

from homelab_lib.twin.kubernetes import graphics
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.nodes import ready
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.values import quantity
from homelab_lib.twin.kubernetes.volumes import node_of, waits_for_pod


def schedule(cluster: Cluster) -> None:
    """Give each waiting pod a node."""
    for pod in cluster.all("Pod"):
        if pod["spec"].get("nodeName") or dig(pod, "status.phase") != "Pending":
            continue
        if (why := _unbound(cluster, pod)) is not None:
            nodes = len(cluster.all("Node"))
            text = f"0/{nodes} nodes are available: {why}"
            say(cluster, pod, "FailedScheduling", text, warning=True)
            continue
        fitting, refusals = [], Counter[str]()
        for node in cluster.all("Node"):
            if why := refusal(cluster, pod, node):
                refusals[why] += 1
            else:
                fitting.append(node)
        if not fitting:
            total = sum(refusals.values())
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(refusals.items()))
            text = f"0/{total} nodes are available: {reasons or 'no nodes'}."
            say(cluster, pod, "FailedScheduling", text, warning=True)
            continue
        chosen = min(fitting, key=lambda node: (_load(cluster, node), node["metadata"]["name"]))
        pod["spec"]["nodeName"] = chosen["metadata"]["name"]
        cluster.since[pod["metadata"]["uid"]] = cluster.world.clock.now()


def _unbound(cluster: Cluster, pod: Object) -> str | None:
    """Why the pod's claims keep it waiting; None where they don't."""
    for volume in pod["spec"].get("volumes", ()):
        name = dig(volume, "persistentVolumeClaim.claimName")
        if name is None:
            continue
        claim = cluster.get("PersistentVolumeClaim", name, pod["metadata"]["namespace"])
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found.'
        if dig(claim, "status.phase") != "Bound" and not waits_for_pod(cluster, claim):
            return "pod has unbound immediate PersistentVolumeClaims."
    return None


def refusal(cluster: Cluster, pod: Object, node: Object) -> str:
    """Why a node does not take a pod, in the scheduler's words; empty where it does."""
    name = node["metadata"]["name"]
    if not ready(cluster, name):
        return "node(s) were not ready"
    if why := kept_away(pod, node):
        return why
    if any(place not in ("", name) for place in _places(cluster, pod)):
        return "node(s) had volume node affinity conflict"
    if _avoids(cluster, pod, name):
        return "node(s) didn't match pod anti-affinity rules"
    for resource in ("cpu", "memory"):
        free = quantity(node["status"]["allocatable"][resource]) - sum(
            _request(other, resource) for other in _pods_on(cluster, name)
        )
        if _request(pod, resource) > free:
            return f"Insufficient {resource}"
    return graphics.lacks(cluster, pod, node)


def kept_away(pod: Object, node: Object) -> str:
    """The taint or the selector that keeps a pod away from a node; empty for none."""
    for taint in node["spec"].get("taints", ()):
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    labels = node["metadata"].get("labels", {})
    selected = (pod["spec"].get("nodeSelector") or {}).items() <= labels.items()
    if not selected or not _wants(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def _places(cluster: Cluster, pod: Object) -> list[str]:
    """The nodes that a pod's volumes are on."""
    names = (dig(v, "persistentVolumeClaim.claimName") for v in pod["spec"].get("volumes", ()))
    claims = (
        cluster.get("PersistentVolumeClaim", name, pod["metadata"]["namespace"])
        for name in names
        if name is not None
    )
    return [node_of(cluster, claim) for claim in claims if claim is not None]


def _tolerates(pod: Object, taint: Object) -> bool:
    for toleration in pod["spec"].get("tolerations", ()):
        if toleration.get("key") not in (None, taint["key"]):
            continue
        if toleration.get("effect") not in (None, taint["effect"]):
            continue
        if toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get(
            "value", ""
        ):
            return True
    return False


def _wants(pod: Object, node: Object) -> bool:
    """Whether a node fits one of the terms of a pod's node affinity."""
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    terms = dig(pod, f"{path}.nodeSelectorTerms")
    fields = {"metadata.name": node["metadata"]["name"]}
    labels = node["metadata"].get("labels", {})
    return terms is None or any(
        all(_fits(one, labels) for one in term.get("matchExpressions") or ())
        and all(_fits(one, fields) for one in term.get("matchFields") or ())
        for term in terms
    )


def _fits(expression: Object, values: dict[str, str]) -> bool:
    found = values.get(expression["key"])
    return {
        "In": found in expression.get("values", ()),
        "NotIn": found not in expression.get("values", ()),
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }[expression["operator"]]


def _avoids(cluster: Cluster, pod: Object, node: str) -> bool:
    """Whether a pod that it must not share a node with is on this one. Pods that have come to
    their end are none."""
    path = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    for term in dig(pod, path) or ():
        wanted = dig(term, "labelSelector.matchLabels") or {}
        for other in cluster.all("Pod", pod["metadata"]["namespace"]):
            labels = other["metadata"].get("labels", {})
            ended = dig(other, "status.phase") in ("Succeeded", "Failed")
            fits = other is not pod and not ended and wanted.items() <= labels.items()
            if fits and other["spec"].get("nodeName") == node:
                return True
    return False


def _pods_on(cluster: Cluster, node: str) -> list[Object]:
    return [
        pod
        for pod in cluster.all("Pod")
        if pod["spec"].get("nodeName") == node
        and dig(pod, "status.phase") in ("Pending", "Running")
    ]


def _request(pod: Object, resource: str) -> float:
    return sum(
        quantity(dig(container, "resources.requests").get(resource, 0))
        for container in pod["spec"]["containers"]
        if dig(container, "resources.requests")
    )


def _load(cluster: Cluster, node: Object) -> int:
    return len(_pods_on(cluster, node["metadata"]["name"]))
