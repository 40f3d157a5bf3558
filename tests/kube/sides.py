"""The same questions to a real control plane and to the twin's, and their answers in one language.

The real one is older than any that runs at home. Where its words have become others since, they
are read as the newer ones; each such place is named here.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Protocol

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.kubernetes import graphics
from homelab_lib.twin.kubernetes.cluster import Cluster
from kube.plane import Plane, Reply

Object = dict[str, Any]
VERSION = "v1.34.4+k3s1"

SINCE = (
    # 1.22: what keeps a pod from every node alike is no longer counted
    (r"\d+ (pod has unbound immediate|persistentvolumeclaim \")", r"\1"),
    # 1.24, and kubernetes#134740
    (r"had taint \{[^}]*\}, that the pod didn't tolerate", "had untolerated taint(s)"),
    # 1.21
    (r"didn't match Pod's node affinity(?!/)", "didn't match Pod's node affinity/selector"),
    (r"\d+ node\(s\) didn't match pod affinity/anti-affinity, ", ""),
    # 1.24: whether others could make room
    (r" (no new claims to deallocate, )?preemption: .*", ""),
    # 1.29
    (
        r"waiting for a volume to be created, either by external provisioner \"(.*)\" or manually "
        r"created by system administrator",
        r"Waiting for a volume to be created either by the external provisioner '\1' or manually "
        r"by the system administrator. If volume creation is delayed, please verify that the "
        r"provisioner is running and correctly registered.",
    ),
    # 1.25
    (
        r"http://k8s.io/docs/reference/using-api/api-concepts/#",
        "https://kubernetes.io/docs/reference/using-api/server-side-apply/#",
    ),
)
"""What the built release says, as newer ones do."""


def newer(text: str) -> str:
    """A text in the words of today."""
    for old, new in SINCE:
        text = re.sub(old, new, text)
    return text


class Side(Protocol):
    """Somebody who answers."""

    def says(self, line: str, document: Any = None) -> Reply:
        """What kubectl prints of a call."""

    def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds."""

    def silence(self, node: str, *, away: bool) -> None:
        """Have a node tell nothing any more, or tell again."""


class Real:
    """A control plane that runs."""

    def __init__(self, plane: Plane, silent: set[str] | None = None) -> None:
        self.plane, self._silent = plane, set() if silent is None else silent

    def says(self, line: str, document: Any = None) -> Reply:
        return self.plane.kubectl(line.split(), json.dumps(document) if document else "")

    def until(self, holds: Callable[[], Any]) -> Any:
        return self.plane.until("what was waited for", holds, timeout_s=120.0)

    def silence(self, node: str, *, away: bool) -> None:
        if away:
            self._silent.add(node)
        else:
            self._silent.discard(node)


class Twin:
    """The shipped lab's cluster, whose nodes offer what they are told to."""

    def __init__(self) -> None:
        world = built(load_lab(), before_phase=4, clock=SimulatedClock())
        (self.cluster,) = world.clusters.values()
        self.cluster: Cluster
        self.cluster.version = VERSION
        self.cluster.controllers.remove(graphics.plugins)
        world.clock.sleep(300)

    def says(self, line: str, document: Any = None) -> Reply:
        text = json.dumps(document) if document else ""
        ran = self.cluster.server.run(f"sudo -n -- k3s kubectl {line}", text.encode()).finished()
        return Reply(ran.status, ran.out.decode(), ran.err.decode())

    def until(self, holds: Callable[[], Any]) -> Any:
        for _ in range(200):
            self.cluster.settle()
            if found := holds():
                return found
            self.cluster.world.clock.sleep(2)
        raise AssertionError("not yet after 400 s")

    def silence(self, node: str, *, away: bool) -> None:
        machine = self.cluster.members[node]
        if away:
            machine.power_off()
        else:
            machine.power_on()


def shown(side: Side, what: str, namespace: str = "test") -> Any:
    """An object, or all of a kind."""
    reply = side.says(f"get {what} -n {namespace} -o json")
    return json.loads(reply.out) if reply.status == 0 else None


def with_managers(side: Side, what: str) -> Any:
    """An object with who manages what; None where there is none. Before 1.21 that is always shown,
    and by no flag."""
    flag = "" if isinstance(side, Real) else " --show-managed-fields"
    reply = side.says(f"get {what} -n test{flag} -o json")
    return json.loads(reply.out) if reply.status == 0 else None


def told(
    side: Side, name: str, *, wait: bool = True, reason: str = ""
) -> set[tuple[str, str, str]]:
    """What events say of whatever has this name, or one that begins with it."""

    def found() -> set[tuple[str, str, str]]:
        return {
            (each["type"], each["reason"], newer(each["message"]))
            for each in shown(side, "events")["items"]
            if re.fullmatch(rf"{name}(-[0-9a-z]+)?", each["involvedObject"]["name"])
            and each["reason"] in (reason or each["reason"])
        }

    return side.until(found) if wait else found()
