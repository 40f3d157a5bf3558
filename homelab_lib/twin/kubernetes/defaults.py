"""The defaults that the API server writes into an object."""

from typing import Any

from homelab_lib.twin.kubernetes.objects import Kind, Object


def fill_in(kind: Kind, document: Object) -> None:
    """The defaults that the API server writes into an object."""
    spec: Any = document.get("spec")
    if kind.name in ("Deployment", "DaemonSet", "ReplicaSet", "StatefulSet"):
        if kind.name != "ReplicaSet":
            spec.setdefault("revisionHistoryLimit", 10)
        if kind.name != "DaemonSet":
            spec.setdefault("replicas", 1)
        if kind.name == "Deployment":
            spec.setdefault("progressDeadlineSeconds", 600)
            spec.setdefault(
                "strategy",
                {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                },
            )
        _fill_in_pod(spec["template"]["spec"], "Always")
    elif kind.name == "Job":
        for name, value in (("backoffLimit", 6), ("completions", 1), ("parallelism", 1)):
            spec.setdefault(name, value)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        _fill_in_pod(spec["template"]["spec"], "")
    elif kind.name == "Pod":
        _fill_in_pod(spec, "Always")
        for container in spec["containers"]:
            if limits := container["resources"].get("limits"):
                asked = container["resources"].get("requests") or {}
                container["resources"]["requests"] = {**limits, **asked}
        _admit(spec)
        document.setdefault("status", {"phase": "Pending"})
    elif kind.name == "Service":
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in ("LoadBalancer", "NodePort"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        for port in spec.get("ports", ()):
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
    elif kind.name == "PersistentVolumeClaim":
        spec.setdefault("volumeMode", "Filesystem")
    elif kind.name == "StorageClass":
        document.setdefault("reclaimPolicy", "Delete")
        document.setdefault("volumeBindingMode", "Immediate")
    elif kind.name == "Namespace":
        meta = document["metadata"]
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
        document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        document.setdefault("status", {"phase": "Active"})


def _admit(spec: Object) -> None:
    """What the admission of a pod adds to it: an account, a priority, a while to sit out."""
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerated = spec.setdefault("tolerations", [])
    for trouble in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{trouble}"
        if not any(each.get("key") in (None, key) for each in tolerated):
            waits = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            tolerated.append({"key": key} | waits)


def _fill_in_pod(spec: Object, restart: str) -> None:
    if restart:
        spec.setdefault("restartPolicy", restart)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in spec["containers"]:
        tag = container["image"].rpartition(":")[2] if ":" in container["image"] else "latest"
        container.setdefault("imagePullPolicy", "Always" if tag == "latest" else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for port in container.get("ports", ()):
            port.setdefault("protocol", "TCP")
