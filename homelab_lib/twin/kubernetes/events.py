"""The events that controllers leave: what they did, and what they complain of."""

import hashlib

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object

_SPEAKS = {"Pod": "kubelet", "PersistentVolumeClaim": "persistentvolume-controller"}
"""Who speaks of objects of a kind."""


def say(
    cluster: Cluster, about: Object, reason: str, message: str, *, warning: bool = False
) -> None:
    """Leave an event; the same one again only counts up."""
    meta = about["metadata"]
    digest = hashlib.sha256(f"{meta['uid']}{reason}{message}".encode()).hexdigest()[:16]
    key = ("Event", meta.get("namespace", "default"), f"{meta['name']}.{digest}")
    event = cluster.objects.get(key)
    if event is not None:
        event["count"] += 1
        event["lastTimestamp"] = cluster.stamp()
        return
    made, who = cluster.stamp(), _SPEAKS.get(about["kind"], "controller-manager")
    cluster.objects[key] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": key[2],
            "namespace": key[1],
            "creationTimestamp": made,
            "resourceVersion": meta.get("resourceVersion", "1"),
            "uid": f"{digest[:8]}-{digest[8:12]}-4000-8000-{digest[:12]}",
        },
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": meta["name"],
            "namespace": meta.get("namespace", ""),
            "resourceVersion": meta.get("resourceVersion", "1"),
            "uid": meta["uid"],
        },
        "reason": reason,
        "message": message,
        "source": {"component": who},
        "type": "Warning" if warning else "Normal",
        "count": 1,
        "firstTimestamp": made,
        "lastTimestamp": made,
        "eventTime": None,
        "reportingComponent": who,
        "reportingInstance": "",
    }
