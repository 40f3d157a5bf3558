"""What Flux keeps of a cluster: whether it is what the repository says, and what has given up.

Source: fluxcd.io/flux/components (source, kustomize, helm), the conditions of each; fluxcd/flux2
#1878 (a release whose retries are used up is not tried again); fluxcd/kustomize-controller
`internal/controller/kustomization_controller.go` (Ready is Unknown each time it looks, and the
history says when it last came to an end).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homelab_lib.answers import Shape, expected
from homelab_lib.control.clock import clock_s
from homelab_lib.control.kubernetes.kubectl import KUBECTL, get, listed
from homelab_lib.control.kubernetes.managers import MANAGER
from homelab_lib.runbook.resource import Diff, Host
from homelab_lib.transport.command import read

SOURCE = "gitrepository.source.toolkit.fluxcd.io"
KUSTOMIZATION = "kustomization.kustomize.toolkit.fluxcd.io"
_RELEASES = "helmreleases.helm.toolkit.fluxcd.io"
LABEL = "kustomize.toolkit.fluxcd.io/name"
_LONG_S = 3600.0
"""How late it may be: a node is restarted, an image is pulled, a repository is away for a while."""
_EVERY_S = 600.0
_GO = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_GO_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def _moment_s(text: str) -> float:
    """A time as the API writes it [s since 1970]."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


_CONDITIONS: Shape = [
    {
        "type": str,
        "status": str,
        "message?": str,
        "reason?": str,
        "lastTransitionTime?": _moment_s,
    }
]
_KEPT: Shape = {
    "metadata": {"name": str, "namespace?": str, "generation?": int},
    "spec?": {"suspend?": bool, "interval?": str},
    "status?": {
        "conditions?": _CONDITIONS,
        "observedGeneration?": int,
        "artifact?": {"revision?": str},
        "lastAppliedRevision?": str,
        "lastAttemptedRevision?": str,
        "history?": [{"lastReconciled": _moment_s}],
    },
}
_OWNED: Shape = {
    "kind": str,
    "metadata": {
        "name": str,
        "namespace?": str,
        "managedFields?": [{"manager?": str, "operation?": str}],
    },
}
_PODS: Shape = {"metadata": {"name": str, "namespace?": str, "uid": str}}


def _ready(found: Any) -> tuple[str, str]:
    """What it says of itself, ``True``, ``False`` or ``Unknown`` while it looks; and why."""
    each = _condition(found, "Ready")
    return each.get("status", ""), " ".join(each.get("message", "").split())


def _condition(found: Any, kind: str) -> Any:
    said = {each["type"]: each for each in found.get("status", {}).get("conditions", ())}
    return said.get(kind, {})


@dataclass(frozen=True)
class Kept:
    """A cluster that is what a commit of its repository says.

    Parameters
    ----------
    host, namespace, object_name
        The server, and the GitRepository and the Kustomization, which are called alike.
    commit
        The branch's newest commit.
    """

    host: str
    namespace: str
    object_name: str
    commit: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"Flux's {self.object_name}"

    def observe(self, host: Host) -> dict[str, Any]:
        source = get(host, SOURCE, self.object_name, self.namespace, shape=_KEPT) or {}
        kept = get(host, KUSTOMIZATION, self.object_name, self.namespace, shape=_KEPT) or {}
        (got, why), (made, trouble) = _ready(source), _ready(kept)
        revision = kept.get("status", {}).get("lastAppliedRevision", "")
        # Every ten minutes it looks again, and for as long says neither that it is as it was, nor
        # that it is not.
        fetched, applied = (
            said == "True" or (said == "Unknown" and bool(revision)) for said in (got, made)
        )
        return {
            "fetched": fetched,
            "trouble": trouble if fetched and not applied else "" if fetched else why,
            "applied": applied,
            "revision": revision,
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["applied"] and observed["revision"].endswith(f":{self.commit}"):
            return Diff()
        what = "applied" if observed["fetched"] else "fetched"
        says = f": {observed['trouble']}" if observed["trouble"] else ""
        return Diff(waiting=f"Flux has not {what} commit {self.commit[:12]} yet{says}")


@dataclass(frozen=True)
class Owned:
    """An object that Flux has taken over.

    Parameters
    ----------
    kind, namespace, object_name
        What it is; the namespace of one that has none is empty.
    shared
        Whether its fields are ours besides: what leaves the repository then stays.
    """

    kind: str
    namespace: str
    object_name: str
    shared: bool

    @property
    def name(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.object_name}"


def owned(host: Host, name: str, kinds: Collection[str]) -> list[Owned]:
    """What Flux has taken over of some kinds, and whether it alone has.

    Parameters
    ----------
    host
        The server.
    name
        The Kustomization by which it did.
    kinds
        With their groups: ``deployment.apps``, ``namespace``.
    """
    words = (*KUBECTL, "get", ",".join(sorted(kinds)), "-A", "-l", f"{LABEL}={name}")
    words += ("--show-managed-fields", "-o", "json")
    line = read(*words).line
    said = expected(host.json(*words, sudo=True), {"items": [_OWNED]}, host=host.name, line=line)
    return [
        Owned(
            each["kind"],
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
            any(
                held.get("manager") == MANAGER and held.get("operation") == "Apply"
                for held in each["metadata"].get("managedFields", ())
            ),
        )
        for each in said["items"]
    ]


def gave_up(host: Host) -> list[str]:
    """What Flux does not go on with, why, and what has it go on: sources, kustomizations and
    releases that are not ready, have stalled, or that somebody has suspended; and kustomizations
    that say all is well, and were not looked at again when that was due."""
    now_s = clock_s(host)
    releases = get(host, "customresourcedefinition", _RELEASES) is not None
    found = []
    for kind in (SOURCE, KUSTOMIZATION, *((_RELEASES,) if releases else ())):
        for each in listed(host, kind, shape=_KEPT):
            called = f"{kind.partition('.')[0].removesuffix('s')} {each['metadata']['name']}"
            ready, why = _ready(each)
            resumes = (
                f"`k3s kubectl patch {kind} {each['metadata']['name']} "
                f"-n {each['metadata'].get('namespace', 'default')} --type=merge -p "
                """'{"spec":{"suspend":false}}'`"""
            )
            if each.get("spec", {}).get("suspend"):
                found.append(f"{called} is suspended; {resumes} resumes it")
            elif ready not in ("True", "Unknown"):
                told = f"{called} is not ready: {why or 'it does not say why'}"
                found.append(told + _goes_on(each, resumes))
            elif silent_s := _silent_s(each, now_s):
                found.append(
                    f"{called} was last looked at {silent_s / 3600:.0f} hours ago, and says "
                    f"{why or 'nothing'}; "
                    f"`k3s kubectl get pods -n {each['metadata'].get('namespace', 'default')}` "
                    "shows whether its controllers run"
                )
    return found


def _silent_s(found: Any, now_s: float) -> float:
    """For how long nobody has looked at it, where that is longer than it may be [s]; else 0.

    Releases of before 2.7 keep no history. What has none, or has never come to an end, is judged by
    how long it has been at it.
    """
    ends = [each["lastReconciled"] for each in found.get("status", {}).get("history", ())]
    ready = _condition(found, "Ready")
    if not ends and ready.get("status") != "Unknown":
        return 0.0
    last_s = max(ends, default=ready.get("lastTransitionTime", now_s))
    told = _GO.findall(found.get("spec", {}).get("interval", ""))
    every_s = sum(float(n) * _GO_S[unit] for n, unit in told) or _EVERY_S
    ago_s = now_s - last_s
    return float(ago_s) if ago_s > 2 * every_s + _LONG_S else 0.0


def _goes_on(found: Any, resumes: str) -> str:
    """What has an object that is not ready tried again."""
    if _condition(found, "Stalled").get("status") == "True":
        return f"; it has stalled and is not tried again: mend that, suspend it, then {resumes}"
    return "; mend that in the repository, it is tried again by itself"


def pods(host: Host) -> dict[str, str]:
    """All pods by their uid: where and what they are called."""
    return {
        each["metadata"]["uid"]: f"{each['metadata'].get('namespace')}/{each['metadata']['name']}"
        for each in listed(host, "pods", shape=_PODS)
    }
