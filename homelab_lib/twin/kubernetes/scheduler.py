"""The scheduler: which node a pod goes to, or why none will have it.

Source: kubernetes `pkg/scheduler/framework/types.go` (FitError), its plugins in the order of their
filters, `preemption/preemption.go`. A real scheduler runs beside it in tests/kube.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from homelab_lib.twin.kubernetes import graphics
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.values import quantity
from homelab_lib.twin.kubernetes.volumes import node_of, waits_for_pod

_HOPELESS = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"


def schedule(cluster: Cluster) -> None:
    """Give each waiting pod a node."""
    for pod in cluster.all("Pod"):
        if pod["spec"].get("nodeName") or dig(pod, "status.phase") != "Pending":
            continue
        nodes = cluster.all("Node")
        if (why := _unbound(cluster, pod)) is not None:
            says = _unavailable(cluster, len(nodes), why, {_HOPELESS: len(nodes)})
            say(cluster, pod, "FailedScheduling", says, warning=True)
            continue
        fitting, refusals, others = [], Counter[str](), Counter[str]()
        for node in nodes:
            if refused := refusal(cluster, pod, node):
                refusals.update(refused.reasons)
                others[_HOPELESS if refused.for_good else _NO_VICTIMS] += 1
            else:
                fitting.append(node)
        if not fitting:
            says = _unavailable(cluster, len(nodes), _counted(refusals) or "no nodes", others)
            say(cluster, pod, "FailedScheduling", says, warning=True)
            continue
        chosen = min(fitting, key=lambda node: (_load(cluster, node), node["metadata"]["name"]))
        pod["spec"]["nodeName"] = chosen["metadata"]["name"]
        cluster.since[pod["metadata"]["uid"]] = cluster.world.clock.now()


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{count} {why}" for why, count in reasons.items()))


def _unavailable(cluster: Cluster, nodes: int, why: str, others: Mapping[str, int]) -> str:
    """What is said of a pod that stays, and of whether others could make room for it."""
    said = f"0/{nodes} nodes are available"
    claims = "no new claims to deallocate, " if cluster.release >= (1, 34) else ""
    return f"{said}: {why.rstrip('.')}. {claims}preemption: {said}: {_counted(others)}."


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


@dataclass(frozen=True)
class Refusal:
    """Why a node does not take a pod.

    Parameters
    ----------
    reasons
        In the scheduler's words.
    for_good
        Whether it would not even if all others left.
    """

    reasons: tuple[str, ...]
    for_good: bool = True


def refusal(cluster: Cluster, pod: Object, node: Object) -> Refusal | None:
    """Why a node does not take a pod; None where it does. The first filter that refuses speaks."""
    name = node["metadata"]["name"]
    if (taint := untolerated(pod, node)) is not None:
        known = f" {{{taint['key']}: {taint.get('value', '')}}}"
        silent = cluster.release >= (1, 34, 2)  # kubernetes#134740
        return Refusal((f"node(s) had untolerated taint{'(s)' if silent else known}",))
    if not selected(pod, node):
        return Refusal(("node(s) didn't match Pod's node affinity/selector",))
    if (lacking := _lacking(cluster, pod, node)) is not None:
        return lacking
    if any(place not in ("", name) for place in _places(cluster, pod)):
        return Refusal(("node(s) had volume node affinity conflict",))
    if _avoids(cluster, pod, name):
        return Refusal(("node(s) didn't match pod anti-affinity rules",), for_good=False)
    return None


def _lacking(cluster: Cluster, pod: Object, node: Object) -> Refusal | None:
    """What a node has too little of: all of it is told."""
    there, others = node["status"]["allocatable"], _pods_on(cluster, node["metadata"]["name"])
    cards = graphics.asked_cards(pod)
    wanted = {name: _request(pod, name) for name in ("cpu", "memory")} | cards
    taken = {
        name: sum(
            graphics.asked_cards(other).get(name, 0) if name in cards else _request(other, name)
            for other in others
        )
        for name in wanted
    }
    has = {name: quantity(str(there.get(name, 0))) for name in wanted}
    short = [name for name, want in wanted.items() if want and want > has[name] - taken[name]]
    if not short:
        return None
    reasons = tuple(f"Insufficient {name}" for name in short)
    return Refusal(reasons, for_good=any(wanted[name] > has[name] for name in short))


def untolerated(pod: Object, node: Object) -> Object | None:
    """The first taint that keeps a pod away from a node; None for none."""
    taints: list[Object] = node["spec"].get("taints", [])
    kept_away = (t for t in taints if t["effect"] != "PreferNoSchedule" and not _tolerates(pod, t))
    return next(kept_away, None)


def selected(pod: Object, node: Object) -> bool:
    """Whether a node is one of those that a pod asks for."""
    labels = node["metadata"].get("labels", {})
    return (pod["spec"].get("nodeSelector") or {}).items() <= labels.items() and _wants(pod, node)


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
