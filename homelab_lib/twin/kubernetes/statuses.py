"""What a cluster says of how things are: statuses, as real ones are filled in.

Source: kubernetes.io/docs/reference/kubernetes-api (Pod, Node, Deployment, Job); outputs of real
clusters, with which a test compares them.
"""

import hashlib
from typing import Any

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.machine.machine import Machine

_MIB = 2**20
_HEALTHY = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}


def condition(cluster: Cluster, before: Any, kind: str, status: str, **more: str) -> Object:
    """A condition: the time of its last change is kept for as long as it stays the same."""
    old: Object = next((each for each in before or () if each.get("type") == kind), {})
    same = old.get("status") == status and "lastTransitionTime" in old
    since = old["lastTransitionTime"] if same else cluster.stamp()
    return {"type": kind, "status": status, "lastTransitionTime": since} | more


def pod(
    cluster: Cluster, it: Object, phase: str, states: list[Object], address: str = ""
) -> Object:
    """A pod's status.

    Parameters
    ----------
    cluster, it
        The cluster, and the pod.
    phase
        ``Pending``, ``Running``, ``Succeeded``, ``Failed``.
    states
        Of each container, what it does.
    address
        The pod's own; empty for one that has none yet.
    """
    before = dig(it, "status.conditions")
    running = phase == "Running"
    whole = {
        "PodReadyToStartContainers": bool(address),
        "Initialized": True,
        "Ready": running,
        "ContainersReady": running,
        "PodScheduled": True,
    }
    why = {} if running else {"reason": _reason(phase)}
    host = cluster.members[it["spec"]["nodeName"]].address
    told: Object = {
        "phase": phase,
        "conditions": [
            condition(cluster, before, kind, str(holds), **({} if holds else why))
            | {"lastProbeTime": None}
            for kind, holds in whole.items()
        ],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "startTime": it["metadata"]["creationTimestamp"],
        "qosClass": _quality(it["spec"]),
        "containerStatuses": [
            _container(each, state, running)
            for each, state in zip(it["spec"]["containers"], states, strict=True)
        ],
    }
    return told | ({"podIP": address, "podIPs": [{"ip": address}]} if address else {})


def _reason(phase: str) -> str:
    return "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"


def _quality(spec: Object) -> str:
    resources = [each.get("resources") or {} for each in spec["containers"]]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    whole = all(
        {"cpu", "memory"} <= (each.get("limits") or {}).keys()
        and each["limits"] == each.get("requests", each["limits"])
        for each in resources
    )
    return "Guaranteed" if whole else "Burstable"


def _container(container: Object, state: Object, running: bool) -> Object:
    image = container["image"]
    began = "waiting" not in state
    digest = hashlib.sha256(image.encode()).hexdigest()
    return {
        "name": container["name"],
        "image": image,
        "imageID": f"{image.partition(':')[0]}@sha256:{digest}" if began else "",
        "ready": running,
        "restartCount": 0,
        "started": running,
        "state": state,
        "lastState": {},
    }


def node(cluster: Cluster, machine: Machine, left: str) -> Object:
    """A new node's status; `left` is how many processors pods may have."""
    capacity = {
        "cpu": str(machine.threads),
        "ephemeral-storage": f"{64 * _MIB}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": "110",
    }
    identity = hashlib.sha256(f"{cluster.world.seed}{machine.name}".encode()).hexdigest()
    uuid = "-".join((identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[:12]))
    return {
        "capacity": capacity,
        "allocatable": capacity | {"cpu": left},
        "addresses": [
            {"type": "InternalIP", "address": machine.address or ""},
            {"type": "Hostname", "address": machine.name},
        ],
        "conditions": [],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": [],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": uuid,
            "containerRuntimeVersion": "containerd://2.1.5-k3s1",
            "kernelVersion": machine.kernel,
            "kubeProxyVersion": "",
            "kubeletVersion": cluster.version,
            "machineID": identity[:32],
            "operatingSystem": "linux",
            "osImage": "Linux",
            "systemUUID": uuid,
        },
    }


def node_conditions(cluster: Cluster, before: Any, ready: str, reason: str) -> list[Object]:
    """What a node's kubelet says of its health; of a silent one all is unknown."""
    silent = ready == "Unknown"
    lost = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
    beats = {
        each["type"]: each["lastHeartbeatTime"]
        for each in before or ()
        if silent and "lastHeartbeatTime" in each
    }
    told = []
    for kind, (why, message) in _HEALTHY.items():
        said = lost if silent else {"reason": why, "message": message}
        status = "Unknown" if silent else "False"
        told.append(condition(cluster, before, kind, status, **said))
    message = "kubelet is posting ready status" if ready == "True" else "container runtime is down"
    said = lost if silent else {"reason": reason, "message": message}
    told.append(condition(cluster, before, "Ready", ready, **said))
    for each in told:
        each["lastHeartbeatTime"] = beats.get(each["type"], cluster.stamp())
    return told


def deployment_conditions(cluster: Cluster, it: Object, newest: Object) -> list[Object]:
    """Whether a deployment has what it needs, and whether it gets on."""
    before = dig(it, "status.conditions")
    enough = (dig(newest, "status.readyReplicas") or 0) >= it["spec"]["replicas"]
    available, progressing = (
        ("MinimumReplicasAvailable", "Deployment has minimum availability."),
        ("NewReplicaSetAvailable", "has successfully progressed."),
    )
    if not enough:
        available = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        progressing = "ReplicaSetUpdated", "is progressing."
    name = newest["metadata"]["name"]
    told = [
        condition(
            cluster, before, "Available", str(enough), reason=available[0], message=available[1]
        ),
        condition(
            cluster,
            before,
            "Progressing",
            "True",
            reason=progressing[0],
            message=f'ReplicaSet "{name}" {progressing[1]}',
        ),
    ]
    for each in told:
        each["lastUpdateTime"] = each["lastTransitionTime"]
    return told


def job(cluster: Cluster, it: Object, succeeded: int, failed: int, why: str = "") -> Object:
    """The status of a job that has come to an end; `why` it failed, empty for one that did not."""
    before = it.get("status") or {}
    kind = "Failed" if why else "Complete"
    reason = {"reason": "BackoffLimitExceeded", "message": why} if why else {
        "reason": "CompletionsReached",
        "message": "Reached expected number of succeeded pods",
    }  # fmt: skip
    ended = condition(cluster, before.get("conditions"), kind, "True", **reason)
    ended["lastProbeTime"] = ended["lastTransitionTime"]
    told: Object = {"conditions": [ended], "startTime": it["metadata"]["creationTimestamp"]}
    if succeeded:
        told |= {"succeeded": succeeded, "completionTime": ended["lastTransitionTime"]}
    if failed:
        told["failed"] = failed
    return told | {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
