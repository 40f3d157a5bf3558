"""Waiting until a cluster has done what it was told."""

from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL, OBJECT, get, listed, warnings_about
from homelab_lib.runbook.resource import Diff, Host

_CONDITIONS: Shape = [{"type": str, "status": str, "message?": str, "reason?": str}]
_NODE: Shape = OBJECT | {
    "status": {"conditions?": _CONDITIONS, "nodeInfo": {"kubeletVersion": str}}
}
_COUNTS = (
    "observedGeneration",
    "desiredNumberScheduled",
    "updatedNumberScheduled",
    "numberAvailable",
    "updatedReplicas",
    "availableReplicas",
    "readyReplicas",
    "replicas",
)
_WORKLOAD: Shape = {
    "metadata": {"generation?": int},
    "status?": dict.fromkeys((f"{name}?" for name in _COUNTS), int),
    "spec?": {"replicas?": int},
}
_CLAIM: Shape = {"status?": {"phase?": str}}
_JOB: Shape = {"status?": {"conditions?": _CONDITIONS, "succeeded?": int}}


@dataclass(frozen=True)
class NodesReady:
    """Nodes that have joined, at one version, and are ready."""

    looks_at: ClassVar[str] = "runs"
    host: str
    nodes: tuple[str, ...]
    version: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"nodes {', '.join(self.nodes)}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = {}
        for node in listed(host, "nodes", shape=_NODE):
            conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", ())}
            found[node["metadata"]["name"]] = {
                "ready": conditions.get("Ready", "Unknown"),
                "version": node["status"]["nodeInfo"]["kubeletVersion"],
            }
        return found

    def diff(self, observed: dict[str, Any]) -> Diff:
        for node in self.nodes:
            if node not in observed:
                return Diff(waiting=f"{node} has not joined yet")
            if observed[node]["ready"] != "True":
                return Diff(waiting=f"{node} is not ready")
            if observed[node]["version"] != self.version:
                return Diff(waiting=f"{node} is at {observed[node]['version']}")
        return Diff()


@dataclass(frozen=True)
class Rollout:
    """A deployment, daemon set or stateful set of which every pod is the newest, and available."""

    looks_at: ClassVar[str] = "runs"
    host: str
    kind: str
    namespace: str
    object_name: str
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"pods of {self.kind} {self.namespace}/{self.object_name}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        found = get(host, self.kind, self.object_name, self.namespace, shape=_WORKLOAD)
        if found is None:
            return None
        status = found.get("status", {})
        seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 1)
        if self.kind == "daemonset":
            wanted = status.get("desiredNumberScheduled", 0)
            updated = status.get("updatedNumberScheduled", 0)
            available, old = status.get("numberAvailable", 0), 0
        else:
            wanted = found.get("spec", {}).get("replicas", 1)
            updated = status.get("updatedReplicas", 0)
            available = status.get("availableReplicas", 0)
            old = max(status.get("replicas", 0) - updated, 0)
        ready = min(updated, available)
        done = seen and ready >= wanted and not old
        trouble = "" if done else warnings_about(host, self.namespace, self.object_name)
        return {"seen": seen, "wanted": wanted, "ready": ready, "old": old, "trouble": trouble}

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff(waiting=f"{self.kind} {self.object_name} is not there yet")
        if not observed["seen"]:
            return Diff(waiting=f"the cluster has not looked at {self.object_name} yet")
        none = self.kind == "daemonset" and not observed["wanted"]
        if observed["ready"] >= observed["wanted"] and not observed["old"] and not none:
            return Diff()
        text = f"{observed['ready']} of {observed['wanted']} pods of {self.object_name} are ready"
        if observed["old"]:
            text += f", and {observed['old']} of before still there"
        return Diff(waiting=f"{text}: {observed['trouble']}" if observed["trouble"] else text)


@dataclass(frozen=True)
class Bound:
    """A claim that has its volume."""

    looks_at: ClassVar[str] = "runs"
    host: str
    namespace: str
    claim: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"volume for claim {self.namespace}/{self.claim}"

    def observe(self, host: Host) -> dict[str, Any]:
        claim = get(host, "persistentvolumeclaim", self.claim, self.namespace, shape=_CLAIM)
        found = claim or {}
        phase = found.get("status", {}).get("phase", "")
        trouble = "" if phase == "Bound" else warnings_about(host, self.namespace, self.claim)
        return {"phase": phase, "trouble": trouble}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["phase"] == "Bound":
            return Diff()
        trouble = f": {observed['trouble']}" if observed["trouble"] else ""
        return Diff(waiting=f"claim {self.claim} is {observed['phase'] or 'missing'}{trouble}")


@dataclass(frozen=True)
class Finished:
    """A job that has come to its good end."""

    looks_at: ClassVar[str] = "runs"
    host: str
    namespace: str
    job: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"job {self.namespace}/{self.job}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = get(host, "job", self.job, self.namespace, shape=_JOB) or {}
        status = found.get("status", {})
        failed = [
            condition
            for condition in status.get("conditions", ())
            if condition["type"] == "Failed" and condition["status"] == "True"
        ]
        done = bool(status.get("succeeded"))
        trouble = "" if done else warnings_about(host, self.namespace, self.job)
        why = [c.get("message") or c.get("reason") or "it does not say why" for c in failed]
        said = self._last_said(host) if failed else ""
        return {"succeeded": done, "failed": "; ".join(why), "trouble": trouble, "said": said}

    def _last_said(self, host: Host) -> str:
        """What the job printed last; nothing where its pods are gone."""
        words = (*KUBECTL, "logs", "-n", self.namespace, f"job/{self.job}", "--tail", "20")
        lines = host.read(*words, sudo=True, ok=None).stdout.split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["succeeded"]:
            return Diff()
        if observed["failed"]:
            why = observed["failed"]
            if observed["said"]:
                why += f", and printed at last “{observed['said']}”"
            return Diff(
                conflict=f"job {self.job} failed: {why}; see `kubectl logs -n {self.namespace} "
                f"job/{self.job}`, then delete the job and run again"
            )
        trouble = f": {observed['trouble']}" if observed["trouble"] else ""
        return Diff(waiting=f"job {self.job} runs{trouble}")
