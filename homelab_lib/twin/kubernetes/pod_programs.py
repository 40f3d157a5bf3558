"""Programs in pods that keep something and answer: which image holds which."""

from collections.abc import Callable
from typing import Any

from homelab_lib.twin.kubernetes import model_servers, web_ui
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object, dig

_STARTED: dict[str, Callable[[Cluster, Object], Any]] = {
    model_servers.IMAGE: model_servers.started,
    web_ui.IMAGE: web_ui.started,
}


def serve(cluster: Cluster) -> None:
    """Each pod that runs one has its own; one that is gone has given back what it held. Where the
    node was restarted the pod stays, and what runs in it is begun anew."""
    running = {
        pod["metadata"]["uid"]: pod
        for pod in cluster.all("Pod")
        if dig(pod, "status.phase") == "Running"
        and _image(pod) in _STARTED
        and pod["spec"].get("restartPolicy") == "Always"
    }
    boots = {uid: cluster.members[pod["spec"]["nodeName"]].boots for uid, pod in running.items()}
    for uid in list(cluster.programs):
        if boots.get(uid) != cluster.begun.get(uid):
            cluster.programs.pop(uid).stop()
    for uid, pod in running.items():
        if uid not in cluster.programs:
            cluster.programs[uid] = _STARTED[_image(pod)](cluster, pod)
            cluster.begun[uid] = boots[uid]
            if _image(pod) == model_servers.IMAGE:
                model_servers.hooked(cluster, pod, cluster.programs[uid])


def _image(pod: Object) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image.partition(":")[0]
