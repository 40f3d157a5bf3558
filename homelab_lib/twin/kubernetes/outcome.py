"""What has come of a cluster, without what depends on chance or on the moment."""

from collections.abc import Mapping
from typing import Any

from homelab_lib.twin.kubernetes.objects import Key, Object


def outcome(objects: Mapping[Key, Object]) -> dict[str, Any]:
    """What has to be equal in two clusters that were built alike."""
    names = ("Node", "HelmChart", "StorageClass", "PersistentVolumeClaim", "Deployment")
    wanted = (*names, "DaemonSet", "Job", "Service", "Ingress", "Namespace", "CSIDriver")
    return {
        f"{kind}/{namespace}/{name}": {
            part: _wish(document, part) for part in ("spec", "parameters", "provisioner")
        }
        | {"ready": _readiness(document)}
        for (kind, namespace, name), document in sorted(objects.items())
        if kind in wanted
    }


def _wish(document: Object, part: str) -> Any:
    """A part of an object, without what depends on which of two nodes was the quicker."""
    value = document.get(part)
    drawn = ("podCIDR", "podCIDRs", "volumeName")
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key not in drawn}
    return value


def _readiness(document: Object) -> Any:
    status = document.get("status", {})
    names = ("readyReplicas", "numberReady", "succeeded", "failed", "phase")
    return {name: status[name] for name in names if name in status}
