"""What a node says of itself beyond its pods: its labels, its runtimes, the cards that it offers.

Sources: docs.k3s.io (advanced: alternative container runtimes); NVIDIA/k8s-device-plugin 0.20.0 and
ROCm/k8s-device-plugin, their charts' daemon sets; kubectl `pkg/cmd/label` (``--field-manager``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control.kubernetes.kubectl import KUBECTL, OBJECT, get, listed, warnings_about
from homelab_lib.control.kubernetes.managers import MANAGED, MANAGER, others
from homelab_lib.control.linux import read_file
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import change

CONTAINERD = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"
_TAINTS: Shape = {"spec": {"taints?": [{"key": str, "value?": str, "effect": str}]}}
_PLUGIN: Shape = OBJECT | {
    "spec": {
        "template": {
            "spec": {
                "tolerations?": [
                    {"key?": str, "operator?": str, "value?": str, "effect?": str},
                ]
            }
        }
    }
}
_POD: Shape = OBJECT | {"spec": {"nodeName?": str}, "status?": {"phase?": str}}


@dataclass(frozen=True)
class NodeLabels:
    """Labels of a node; what else it has stays, and what others have set to another value.

    Parameters
    ----------
    host, lab, node
        The server by which the cluster is reached, whose labels they are, and which node.
    labels
        What it is to have.
    """

    host: str
    lab: str
    node: str
    labels: Mapping[str, str] = field(hash=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"labels of node {self.node}"

    @property
    def _manager(self) -> str:
        """By whom the API says that they were set: a label has no room for a mark of its own."""
        return f"{MANAGER}-{self.lab}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        """Those of its labels that are meant, and who set those that are not as wanted."""
        found = get(host, "node", self.node, shape=MANAGED, managers=True)
        if found is None:
            return None
        labels = found["metadata"].get("labels", {})
        held = others({"metadata": {"labels": dict(self.labels)}}, found)
        return {
            "labels": {key: labels[key] for key in self.labels if key in labels},
            "held": {at.removeprefix("metadata.labels."): who for at, who in held.items()},
        }

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff(conflict=f"the cluster has no node {self.node}")
        labels, held = observed["labels"], observed["held"]
        other = {k: v for k, v in self.labels.items() if labels.get(k) != v}
        if not other:
            return Diff()
        theirs = [k for k in other if k in labels and held.get(k) != [self._manager]]
        if theirs:
            return Diff(conflict=self._foreign(theirs, labels, held))
        pairs = [f"{key}={value}" for key, value in other.items()]
        before = ", ".join(f"{key}={labels[key]}" for key in other if key in labels)
        back = " ".join(f"{k}={labels[k]}" if k in labels else f"{k}-" for k in other)
        words = ("label", "node", self.node, *pairs, f"--field-manager={self._manager}")
        over = ("--overwrite",) if before else ()
        return Diff(
            (
                Change(
                    f"label node {self.node} {' '.join(pairs)}",
                    change(*KUBECTL, *words, *over, sudo=True),
                    replaces=before,
                    undo=f"kubectl label node {self.node} {back}{' --overwrite' if over else ''}",
                ),
            )
        )

    def _foreign(
        self, keys: list[str], labels: Mapping[str, str], held: Mapping[str, list[str]]
    ) -> str:
        has = ", ".join(
            f"{key}={labels[key]} (by {' and '.join(held.get(key, ['nobody that it names']))})"
            for key in keys
        )
        return (
            f"node {self.node} has {has}, and we did not set that for lab {self.lab}: what selects "
            "nodes by it would lose this one. If nothing does: kubectl label node "
            f"{self.node} {' '.join(f'{key}-' for key in keys)}, and run this again"
        )


@dataclass(frozen=True)
class RuntimeFound:
    """A container runtime that k3s has found on a node: it looks for them when it starts.

    Parameters
    ----------
    host, runtime, unit
        The node's machine, the runtime (``nvidia``), and k3s's service there.
    """

    host: str
    runtime: str
    unit: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"container runtime {self.runtime}"

    def observe(self, host: Host) -> dict[str, bool]:
        said = read_file(host, CONTAINERD)
        there = any(
            line.strip().startswith("[") and f"runtimes.{quote}{self.runtime}{quote}]" in line
            for line in said.splitlines()
            for quote in ("", "'", '"')
        )
        # What nobody heard of may never have come, and is asked for by its unit.
        restarted = bool(host.sent(self.name)) and not host.begun(self.name)
        return {"known": there, "restarted": restarted}

    def diff(self, observed: dict[str, bool]) -> Diff:
        if observed["known"]:
            return Diff()
        if observed["restarted"]:
            return Diff(waiting=f"{self.unit} has not found runtime {self.runtime} yet")
        call = change("systemctl", "restart", self.unit, sudo=True, timeout_s=300)
        what = f"restart {self.unit}, which looks for {self.runtime} when it starts"
        undo = f"{NOTHING_TO_UNDO}: it starts anew; what runs on the node runs on"
        return Diff((Change(what, call, detached=True, undo=undo),))


@dataclass(frozen=True)
class Allocatable:
    """Cards that a node offers to pods.

    Parameters
    ----------
    host, node
        The server by which the cluster is reached, and which node.
    resource, count
        ``nvidia.com/gpu``, and how many.
    namespace, plugin
        The daemon set that tells the cluster of them.
    """

    host: str
    node: str
    resource: str
    count: int
    namespace: str
    plugin: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"{self.resource} of node {self.node}"

    def observe(self, host: Host) -> dict[str, Any]:
        shape = _TAINTS | {"status": {"allocatable": {f"{self.resource}?": whole}}}
        node = get(host, "node", self.node, shape=shape)
        offers = node["status"]["allocatable"].get(self.resource, 0) if node else 0
        facts: dict[str, Any] = {"there": node is not None, "offers": offers, "why": ""}
        if node is not None and offers < self.count:
            facts["why"] = self._why_not(host, node)
        return facts

    def _why_not(self, host: Host, node: Mapping[str, Any]) -> str:
        """What keeps the plugin away, or what it says."""
        plugin = get(host, "daemonset", self.plugin, self.namespace, shape=_PLUGIN)
        if plugin is None:
            return f"there is no daemon set {self.namespace}/{self.plugin}"
        allowed = plugin["spec"]["template"]["spec"].get("tolerations", ())
        for taint in node["spec"].get("taints", ()):
            if taint["effect"] != "PreferNoSchedule" and not _tolerated(taint, allowed):
                text = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
                return f"taint {text} of {self.node} keeps {self.plugin} away"
        pods = listed(host, "pods", self.namespace, shape=_POD)
        mine = [
            pod
            for pod in pods
            if pod["metadata"]["name"].startswith(f"{self.plugin}-")
            and pod["spec"].get("nodeName") == self.node
        ]
        if not mine:
            return (
                f"{self.plugin} wants no pod on {self.node}: its node affinity asks for labels, "
                "such as nvidia.com/gpu.present=true"
            )
        pod = mine[0]["metadata"]["name"]
        words = ("logs", "-n", self.namespace, pod, "--tail", "20")
        said = host.read(*KUBECTL, *words, sudo=True, ok=None).stdout.splitlines()
        wrong = [line for line in said if "rror" in line or "ncompatible" in line]
        trouble = warnings_about(host, self.namespace, pod)
        return trouble or (wrong[-1].strip() if wrong else f"{pod} says nothing of it")

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["there"]:
            return Diff(conflict=f"the cluster has no node {self.node}")
        if observed["offers"] >= self.count:
            return Diff()
        offers = observed["offers"]
        text = f"{self.node} offers {offers} of {self.count} {self.resource}: {observed['why']}"
        return Diff(waiting=text)


def _tolerated(taint: Mapping[str, str], allowed: Any) -> bool:
    for each in allowed:
        if each.get("key") not in (None, taint["key"]):
            continue
        if each.get("effect") not in (None, "", taint["effect"]):
            continue
        if each.get("operator") == "Exists" or each.get("value", "") == taint.get("value", ""):
            return True
    return False
