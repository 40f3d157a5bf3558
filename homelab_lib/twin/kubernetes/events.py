"""The events that controllers leave: what they did, and what they complain of."""

import hashlib

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object


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
    cluster.objects[key] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": key[2], "namespace": key[1], "creationTimestamp": cluster.stamp()},
        "involvedObject": {
            "kind": about["kind"],
            "name": meta["name"],
            "namespace": meta.get("namespace", ""),
            "uid": meta["uid"],
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "count": 1,
        "firstTimestamp": cluster.stamp(),
        "lastTimestamp": cluster.stamp(),
    }
