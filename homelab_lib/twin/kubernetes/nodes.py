"""The nodes of a cluster: how one joins, whether it is alive, and what comes of the pods of one
that is not.

Sources: kube-controller-manager, `--node-monitor-grace-period` (40 s, and 50 s from 1.32 on:
kubernetes#126287); `pkg/controller/nodelifecycle` and `pkg/controller/tainteviction` (pods are not
ready at once, and go when the time is up for which they tolerate it, 300 s unless they say
otherwise; what goes stays until its kubelet is back); `pkg/controller/podgc`.
"""

import math
import re
from typing import Any

from homelab_lib.twin.kubernetes import statuses
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.machine.machine import Machine

_READY_S = 20.0
_GONE = "deletionTimestamp"
_FINAL = ("Succeeded", "Failed")

_TROUBLE = {
    "False": "node.kubernetes.io/not-ready",
    "Unknown": "node.kubernetes.io/unreachable",
}
"""The taint of a node that is not ready, by what is known of it."""


def join(cluster: Cluster, machine: Machine, *, server: bool, config: dict[str, Any]) -> None:
    """A node registers; labels and taints of its configuration count only now."""
    name = machine.name
    cluster.members[name] = machine
    if cluster.get("Node", name) is not None:
        return
    roles = ("control-plane", "etcd", "master") if server else ()
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": "k3s",
    } | {f"node-role.kubernetes.io/{role}": "true" for role in roles}
    labels |= dict(pair.split("=", 1) for pair in config.get("node-label", ()))
    taints = [_taint(text) for text in config.get("node-taint", ())]
    cidr = f"10.42.{len(cluster.members) - 1}.0/24"
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": _notes(machine, config)},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "providerID": f"k3s://{name}"}
            | ({"taints": taints} if taints else {}),
            "status": statuses.node(cluster, machine, _left(machine.threads, config)),
        }
    )


def _notes(machine: Machine, config: dict[str, Any]) -> dict[str, str]:
    """What k3s and flannel write on a node. The latter takes the network card of the default route,
    whatever address the node has, unless it is told another: its `LookupExtInterface`."""
    address = machine.address or ""
    taken = machine.world.habits.get("flannel_at", {}).get(machine.name, address)
    return {
        "alpha.kubernetes.io/provided-node-ip": address,
        "flannel.alpha.coreos.com/backend-type": "vxlan",
        "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        "flannel.alpha.coreos.com/public-ip": address if "flannel-iface" in config else taken,
        "k3s.io/hostname": machine.name,
        "k3s.io/internal-ip": address,
        "node.alpha.kubernetes.io/ttl": "0",
    }


def alive(cluster: Cluster, name: str) -> bool:
    """Whether a node's machine runs its agent, and reaches the server."""
    machine = cluster.members[name]
    unit = machine.units.get("k3s") or machine.units.get("k3s-agent")
    if not machine.up or unit is None or unit.active != "active":
        return False
    if machine in cluster.servers:
        return True
    return any(not cluster.world.reach(machine, s.address or "", 6443) for s in cluster.servers)


def answers_at(cluster: Cluster, name: str) -> bool:
    """Whether a node's containers run: they do without the API, too."""
    return name in cluster.members and cluster.members[name].up


def ready(cluster: Cluster, name: str) -> bool:
    """Whether a node is called ready."""
    node = cluster.get("Node", name)
    conditions = node["status"]["conditions"] if node else []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def watch(cluster: Cluster) -> None:
    """Say of each node whether it is ready: a silent one is unknown after a while."""
    now = cluster.world.clock.now()
    for name in cluster.members:
        node = cluster.get("Node", name)
        if node is None:
            continue
        if alive(cluster, name):
            cluster.last_seen[name] = now
            status, reason = "True", "KubeletReady"
            if cluster.age_s(node) < _READY_S:
                status, reason = "False", "KubeletNotReady"
        elif _silent_s(cluster, name) < _silence_s(cluster):
            continue
        else:
            status, reason = "Unknown", "NodeStatusUnknown"
        before = node["status"].get("conditions")
        node["status"]["conditions"] = statuses.node_conditions(cluster, before, status, reason)
        kept = [
            each for each in node["spec"].get("taints", ()) if each["key"] not in _TROUBLE.values()
        ]
        if status in _TROUBLE:
            effects = ("NoSchedule", "NoExecute")
            kept += [{"key": _TROUBLE[status], "effect": effect} for effect in effects]
        node["spec"].pop("taints", None)
        if kept:
            node["spec"]["taints"] = kept
        for pod in [each for each in cluster.all("Pod") if each["spec"].get("nodeName") == name]:
            _see_to(cluster, pod, status)


def _silence_s(cluster: Cluster) -> float:
    """How long a node may be silent before it is called unknown."""
    return 50.0 if cluster.release >= (1, 32) else 40.0


def _silent_s(cluster: Cluster, name: str) -> float:
    now = cluster.world.clock.now()
    return now - cluster.last_seen.get(name, now)


def is_going(pod: Object) -> bool:
    """Whether a pod is to go, and is there still: nobody counts on it any more."""
    return _GONE in pod["metadata"]


def _see_to(cluster: Cluster, pod: Object, ready: str) -> None:
    """What comes of a pod by how its node is."""
    meta = pod["metadata"]
    if ready != "Unknown" and is_going(pod):
        cluster.delete("Pod", meta["name"], meta["namespace"])
        return
    if dig(pod, "status.phase") == "Running" and ready != "False":
        for each in pod["status"]["conditions"]:
            wanted = "False" if ready == "Unknown" else "True"
            if each["type"] == "Ready" and each["status"] != wanted:
                each |= {"status": wanted, "lastTransitionTime": cluster.stamp()}
    if ready != "Unknown" or is_going(pod) or dig(pod, "status.phase") in _FINAL:
        return
    if _silent_s(cluster, pod["spec"]["nodeName"]) - _silence_s(cluster) >= _tolerates_s(pod):
        meta |= {_GONE: cluster.stamp(), "deletionGracePeriodSeconds": 30}


def _tolerates_s(pod: Object) -> float:
    """For how long a pod stays on a node that nobody hears of."""
    found = [
        each.get("tolerationSeconds", math.inf)
        for each in pod["spec"].get("tolerations", ())
        if each.get("key") in (None, _TROUBLE["Unknown"])
        and each.get("effect") in (None, "NoExecute")
        and (each.get("operator") == "Exists" or not each.get("value"))
    ]
    return float(min(found, default=0.0))


def _left(threads: int, config: dict[str, Any]) -> str:
    """Processors that pods may have: all, less what kubelet was told to keep back."""
    kept_milli = 0
    for argument in config.get("kubelet-arg", ()):
        name, _, reserved = str(argument).partition("=")
        if name in ("kube-reserved", "system-reserved"):
            found = re.search(r"cpu=(\d+)(m?)", reserved)
            kept_milli += int(found[1]) * (1 if found[2] else 1000) if found else 0
    left_milli = threads * 1000 - kept_milli
    return f"{left_milli}m" if left_milli % 1000 else str(left_milli // 1000)


def _taint(text: str) -> dict[str, str]:
    """``key=value:Effect`` as an object."""
    body, _, effect = text.rpartition(":")
    key, _, value = body.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})
