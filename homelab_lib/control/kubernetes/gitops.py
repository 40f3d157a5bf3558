"""What Flux keeps of a cluster: whether it is what the repository says, and what has given up.

Source: fluxcd.io/flux/components (source, kustomize, helm), the conditions of each; fluxcd/flux2
#1878 (a release whose retries are used up is not tried again).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, expected
from homelab_lib.control.kubernetes.kubectl import KUBECTL, get, listed
from homelab_lib.control.kubernetes.managers import MANAGER
from homelab_lib.runbook.resource import Diff, Host
from homelab_lib.transport.command import read

SOURCE = "gitrepository.source.toolkit.fluxcd.io"
KUSTOMIZATION = "kustomization.kustomize.toolkit.fluxcd.io"
_RELEASES = "helmreleases.helm.toolkit.fluxcd.io"
LABEL = "kustomize.toolkit.fluxcd.io/name"
_CONDITIONS: Shape = [{"type": str, "status": str, "message?": str, "reason?": str}]
_KEPT: Shape = {
    "metadata": {"name": str, "namespace?": str, "generation?": int},
    "spec?": {"suspend?": bool},
    "status?": {
        "conditions?": _CONDITIONS,
        "observedGeneration?": int,
        "artifact?": {"revision?": str},
        "lastAppliedRevision?": str,
        "lastAttemptedRevision?": str,
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


def _ready(found: Any) -> tuple[bool, str]:
    said = {each["type"]: each for each in found.get("status", {}).get("conditions", ())}
    each = said.get("Ready", {})
    return each.get("status") == "True", " ".join(each.get("message", "").split())


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
        fetched, why = _ready(source)
        applied, trouble = _ready(kept)
        status = kept.get("status", {})
        return {
            "fetched": fetched,
            "trouble": trouble if fetched and not applied else "" if fetched else why,
            "applied": applied,
            "revision": status.get("lastAppliedRevision", ""),
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
    releases that are not ready, have stalled, or that somebody has suspended."""
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
            elif not ready:
                told = f"{called} is not ready: {why or 'it does not say why'}"
                found.append(told + _goes_on(each, resumes))
    return found


def _goes_on(found: Any, resumes: str) -> str:
    """What has an object that is not ready tried again."""
    if any(
        each["type"] == "Stalled" and each["status"] == "True"
        for each in found.get("status", {}).get("conditions", ())
    ):
        return f"; it has stalled and is not tried again: mend that, suspend it, then {resumes}"
    return "; mend that in the repository, it is tried again by itself"


def pods(host: Host) -> dict[str, str]:
    """All pods by their uid: where and what they are called."""
    return {
        each["metadata"]["uid"]: f"{each['metadata'].get('namespace')}/{each['metadata']['name']}"
        for each in listed(host, "pods", shape=_PODS)
    }
