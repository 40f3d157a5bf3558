"""Nodes that aren't there: what a kubelet tells the API, and no container."""

import threading
import urllib.error
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kube.plane import Plane

Object = dict[str, Any]
_BEAT_S = 0.15
_FINAL = ("Succeeded", "Failed")


class Kubelets:
    """The kubelets of all nodes: each runs what is given to its node, at once.

    Parameters
    ----------
    plane
        The control plane.
    nodes
        Names, labels, taints and what they offer, as objects.
    exits
        With what a pod ends that is to come to an end: its exit status.
    """

    def __init__(
        self,
        plane: Plane,
        nodes: Mapping[str, Object],
        exits: Callable[[Object], int] = lambda pod: 0,
    ) -> None:
        self._plane, self._nodes, self.exits = plane, nodes, exits
        self.silent: set[str] = set()  # that tell nothing any more
        self._stopped = threading.Event()
        self._trouble: list[BaseException] = []
        self._work = threading.Thread(target=self._run, name="kubelets")

    def __enter__(self) -> "Kubelets":
        for name, node in self._nodes.items():
            metadata = {"name": name, "labels": node["metadata"].get("labels", {})}
            spec = {"taints": node["spec"].get("taints", [])}
            made = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}
            self._plane.send("POST", "/api/v1/nodes", made)
        self._work.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._work.join()
        if self._trouble:
            raise self._trouble[0]

    def _run(self) -> None:
        while not self._stopped.wait(_BEAT_S):
            try:
                self._beat()
            except urllib.error.HTTPError as error:
                if error.code not in (404, 409):  # gone, or changed, meanwhile
                    self._trouble.append(error)
                    return
            except OSError:
                continue  # the API is away for a while

    def _beat(self) -> None:
        for name, node in self._nodes.items():
            if name not in self.silent:
                room = {key: node["status"][key] for key in ("capacity", "allocatable")}
                status = {**room, "conditions": [_condition("Ready", "KubeletReady")]}
                self._plane.send("PATCH", f"/api/v1/nodes/{name}/status", {"status": status})
        for pod in self._plane.found("/api/v1/pods")["items"]:
            node = pod["spec"].get("nodeName")
            if node in self._nodes and node not in self.silent:
                self._further(pod)

    def _further(self, pod: Object) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if "deletionTimestamp" in meta:
            self._plane.send("DELETE", path, {"gracePeriodSeconds": 0})
            return
        phase = pod["status"]["phase"]
        if phase in _FINAL or (phase == "Running" and pod["spec"]["restartPolicy"] == "Always"):
            return
        status, ends = 0, pod["spec"]["restartPolicy"] != "Always"
        if ends:
            status = self.exits(pod)
        phase = ("Failed" if status else "Succeeded") if ends else "Running"
        ready = _condition("Ready", "" if not ends else "PodCompleted", not ends)
        done = {"terminated": {"exitCode": status, "startedAt": _now(), "finishedAt": _now()}}
        states = [
            {
                **{key: each[key] for key in ("name", "image")},
                **{"imageID": each["image"], "ready": not ends, "restartCount": 0},
                "state": done if ends else {"running": {"startedAt": _now()}},
            }
            for each in pod["spec"]["containers"]
        ]
        said = {"phase": phase, "conditions": [ready], "containerStatuses": states}
        self._plane.send("PATCH", f"{path}/status", {"status": said})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, reason: str, holds: bool = True) -> Object:
    said = {"type": kind, "status": str(holds), "lastHeartbeatTime": _now()}
    if kind != "Ready" or not reason.startswith("Kubelet"):
        del said["lastHeartbeatTime"]
    return said | {"reason": reason} if reason else said
