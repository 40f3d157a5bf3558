"""Kubernetes through `kubectl -o json`: objects by server-side apply, and waiting until they work.

What the API server fills in is not compared: an object is as desired when everything that we say
of it is so, whatever else it says.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

KUBECTL = ("k3s", "kubectl")
MANAGER = "homelab"
Object = Mapping[str, Any]


def get(host: Host, kind: str, name: str, namespace: str = "") -> Any:
    """An object, or None."""
    where = ("-n", namespace) if namespace else ()
    words = (*KUBECTL, "get", kind, name, *where, "--ignore-not-found", "-o", "json")
    text = host.read(*words, sudo=True).stdout
    return json.loads(text) if text.strip() else None


def listed(host: Host, kind: str, namespace: str = "", selector: str = "") -> list[Any]:
    """All objects of a kind."""
    where = ("-n", namespace) if namespace else ("-A",)
    chosen = ("-l", selector) if selector else ()
    found = host.json(*KUBECTL, "get", kind, *where, *chosen, "-o", "json", sudo=True)
    items: list[Any] = found["items"]
    return items


def warnings_about(host: Host, namespace: str, name: str) -> str:
    """What the cluster complains of about an object, the newest complaint."""
    events = listed(host, "events", namespace)
    found = [
        event["message"]
        for event in events
        if event.get("type") == "Warning"
        and event["involvedObject"].get("name", "").startswith(name)
    ]
    return found[-1] if found else ""


def differs(wanted: Any, found: Any, path: str = "") -> str:
    """Where `found` is not what `wanted` says; empty where it is."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return path or "it is missing"
        for key, value in wanted.items():
            if where := differs(value, found.get(key), f"{path}.{key}".lstrip(".")):
                return where
        return ""
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, Sequence) or len(found) != len(wanted):
            return path
        pairs = zip(wanted, found, strict=True)
        return next(
            (w for i, (a, b) in enumerate(pairs) if (w := differs(a, b, f"{path}[{i}]"))), ""
        )
    return "" if wanted == found else path


@dataclass(frozen=True)
class Applied:
    """An object, as far as we say what it is.

    Parameters
    ----------
    host
        The server by which the cluster is reached.
    document
        The object.
    immutable
        Dotted paths that can't change: a difference there is a conflict.
    """

    host: str
    document: Object
    immutable: tuple[str, ...] = ()
    timeout_s: float = 60.0

    @property
    def kind(self) -> str:
        return str(self.document["kind"])

    @property
    def namespace(self) -> str:
        return str(self.document["metadata"].get("namespace", ""))

    @property
    def object_name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def name(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.object_name}"

    @property
    def _resource(self) -> str:
        """With its group, so that two kinds of one name are not mixed up."""
        group = str(self.document["apiVersion"]).rpartition("/")[0]
        return f"{self.kind.lower()}.{group}" if group else self.kind.lower()

    def observe(self, host: Host) -> Any:
        found = get(host, self._resource, self.object_name, self.namespace)
        if found is not None:
            found["metadata"].pop("managedFields", None)
        return found

    def diff(self, observed: Any) -> Diff:
        where = differs(self.document, observed)
        if not where:
            return Diff()
        if observed is not None and any(where.startswith(path) for path in self.immutable):
            return Diff(
                conflict=f"{self.name} is there with another {where}, which can't be changed; "
                "delete it by hand if nothing needs it"
            )
        command = change(
            *KUBECTL,
            "apply",
            "--server-side",
            f"--field-manager={MANAGER}",
            "-f",
            "-",
            stdin=json.dumps(self.document, indent=1, sort_keys=True),
            sudo=True,
        )
        verb = "make" if observed is None else f"change {where} of"
        undo = ""
        if observed is None:
            space = f" -n {self.namespace}" if self.namespace else ""
            undo = f"kubectl delete {self._resource} {self.object_name}{space}"
        return Diff((Change(f"{verb} {self.name}", command, undo=undo),))


@dataclass(frozen=True)
class NodesReady:
    """Nodes that have joined, at one version, and are ready."""

    host: str
    nodes: tuple[str, ...]
    version: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"nodes {', '.join(self.nodes)}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = {}
        for node in listed(host, "nodes"):
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
    """A deployment or daemon set of which every pod is ready."""

    host: str
    kind: str
    namespace: str
    object_name: str
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"pods of {self.kind} {self.namespace}/{self.object_name}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        found = get(host, self.kind, self.object_name, self.namespace)
        if found is None:
            return None
        status = found.get("status", {})
        if self.kind == "daemonset":
            wanted = status.get("desiredNumberScheduled", 0)
            ready = status.get("numberReady", 0)
        else:
            wanted, ready = found["spec"]["replicas"], status.get("readyReplicas", 0)
            updated = status.get("updatedReplicas", 0)
            ready = min(ready, updated)
        trouble = "" if wanted and ready >= wanted else self._trouble(host)
        return {"wanted": wanted, "ready": ready, "trouble": trouble}

    def _trouble(self, host: Host) -> str:
        return warnings_about(host, self.namespace, self.object_name)

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff(waiting=f"{self.kind} {self.object_name} is not there yet")
        if observed["wanted"] and observed["ready"] >= observed["wanted"]:
            return Diff()
        text = f"{observed['ready']} of {observed['wanted']} pods of {self.object_name} are ready"
        return Diff(waiting=f"{text}: {observed['trouble']}" if observed["trouble"] else text)


@dataclass(frozen=True)
class Bound:
    """A claim that has its volume."""

    host: str
    namespace: str
    claim: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"volume for claim {self.namespace}/{self.claim}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = get(host, "persistentvolumeclaim", self.claim, self.namespace) or {}
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

    host: str
    namespace: str
    job: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"job {self.namespace}/{self.job}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = get(host, "job", self.job, self.namespace) or {}
        status = found.get("status", {})
        failed = [c for c in status.get("conditions", ()) if c["type"] == "Failed"]
        done = bool(status.get("succeeded"))
        trouble = "" if done else warnings_about(host, self.namespace, self.job)
        return {
            "succeeded": done,
            "failed": failed[0].get("message") or failed[0]["reason"] if failed else "",
            "trouble": trouble,
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["succeeded"]:
            return Diff()
        if observed["failed"]:
            why = observed["failed"]
            return Diff(
                conflict=f"job {self.job} failed: {why}; see `kubectl logs -n {self.namespace} "
                f"job/{self.job}`, then delete the job and run again"
            )
        trouble = f": {observed['trouble']}" if observed["trouble"] else ""
        return Diff(waiting=f"job {self.job} runs{trouble}")
