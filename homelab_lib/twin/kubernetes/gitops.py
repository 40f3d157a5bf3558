"""Flux: it fetches a repository, and makes the cluster what the files in it say.

Source: fluxcd/source-controller `internal/controller/gitrepository_controller.go`;
fluxcd/kustomize-controller `internal/controller/kustomization_controller.go`; fluxcd/pkg `ssa`.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from homelab_lib.twin.kubernetes import documents
from homelab_lib.twin.kubernetes.certificates import duration_s
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import is_ready
from homelab_lib.twin.kubernetes.objects import ApiError, Key, Object, dig, kind_of, merged
from homelab_lib.twin.machine.git import repository

_SOURCES = "gitrepositories.source.toolkit.fluxcd.io"
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
_MANAGER = "kustomize-controller"
_OVERRIDES = "--override-manager="
_LABELS = "kustomize.toolkit.fluxcd.io"
_INTERVAL_S = 600.0


def run(cluster: Cluster) -> None:
    """What its controllers do, where they run."""
    if cluster.seeded and not cluster.all(_SOURCES):
        return
    if _controller(cluster, "source-controller") is not None:
        for source in cluster.all(_SOURCES):
            _fetch(cluster, source)
    keeper = _controller(cluster, _MANAGER)
    if keeper is not None:
        for kustomization in cluster.all(KUSTOMIZATIONS):
            _keep(cluster, kustomization, keeper)


def _controller(cluster: Cluster, image: str) -> Object | None:
    for pod in cluster.all("Pod"):
        if f"/{image}:" in pod["spec"]["containers"][0]["image"] and is_ready(pod):
            return pod
    return None


def _say(cluster: Cluster, it: Object, holds: bool, reason: str, message: str) -> None:
    said = {"type": "Ready", "status": str(holds), "reason": reason, "message": message}
    before: Any = dig(it, "status.conditions") or [{}]
    same = before[0].get("status") == said["status"]
    since = before[0].get("lastTransitionTime") if same else cluster.stamp()
    it.setdefault("status", {})["conditions"] = [said | {"lastTransitionTime": since}]
    it["status"]["observedGeneration"] = it["metadata"].get("generation", 1)


def branch_of(cluster: Cluster, kustomization: Object) -> dict[str, Any]:
    """The branch that a Kustomization is kept by: its commit, and its files."""
    space = kustomization["metadata"]["namespace"]
    source = cluster.get(_SOURCES, kustomization["spec"]["sourceRef"]["name"], space)
    where = urlsplit(dig(source, "spec.url"))
    machine = cluster.world.find_ip(where.hostname or "")
    held = repository(machine, where.path) or {}
    branch: dict[str, Any] = held[dig(source, "spec.ref.branch") or "master"]
    return branch


def _fetch(cluster: Cluster, source: Object) -> None:
    spec, space = source["spec"], source["metadata"]["namespace"]
    where = urlsplit(spec["url"])
    branch = dig(spec, "ref.branch") or "master"
    if why := _unreadable(cluster, source, where):
        _say(cluster, source, False, "GitOperationFailed", why)
        return
    machine = cluster.world.find_ip(where.hostname or "")
    held = repository(machine, where.path) or {}
    if branch not in held:
        if machine.ask is None:  # of a twin that is seeded the real one is fetched already
            text = f"failed to checkout and determine revision: reference not found: {branch}"
            _say(cluster, source, False, "GitOperationFailed", text)
        return
    revision = f"{branch}@sha1:{held[branch]['commit']}"
    if dig(source, "status.artifact.revision") != revision:
        at = f"gitrepository/{space}/{source['metadata']['name']}/{held[branch]['commit']}.tar.gz"
        source.setdefault("status", {})["artifact"] = {
            "digest": f"sha256:{hashlib.sha256(revision.encode()).hexdigest()}",
            "lastUpdateTime": cluster.stamp(),
            "path": at,
            "revision": revision,
            "url": f"http://source-controller.{space}.svc.cluster.local./{at}",
        }
    _say(cluster, source, True, "Succeeded", f"stored artifact for revision '{revision}'")


def _unreadable(cluster: Cluster, source: Object, where: Any) -> str:
    """Why a repository can't be fetched by SSH; empty where it can."""
    member = next(iter(cluster.members.values()))
    head = f"failed to checkout and determine revision: unable to clone '{source['spec']['url']}': "
    if why := cluster.world.reach(member, where.hostname or "", where.port or 22):
        return f"{head}dial tcp {where.hostname}:22: {why}"
    name = dig(source, "spec.secretRef.name") or ""
    space = source["metadata"]["namespace"]
    if cluster.get("Secret", name, space) is None and cluster.server.ask is None:
        return f"failed to get secret '{space}/{name}': Secret \"{name}\" not found"
    machine = cluster.world.find_ip(where.hostname or "")
    user = machine.accounts.users.get(where.username or "")
    files = [f"{user.home}/.ssh/authorized_keys{n}" for n in ("", "2")] if user else []
    keys = "".join(machine.files.text(file) for file in files)
    if f"git-upload-pack '{where.path}'" not in keys:
        return f"{head}ssh: handshake failed: ssh: unable to authenticate"
    if machine.files.exists(where.path) and machine.files.stat(where.path).user != where.username:
        why = f"fatal: detected dubious ownership in repository at '{where.path}'"
        return f"{head}unknown error: {why}"
    return ""


def _keep(cluster: Cluster, it: Object, keeper: Object) -> None:
    spec, space = it["spec"], it["metadata"]["namespace"]
    if spec.get("suspend"):
        return
    source = cluster.get(_SOURCES, spec["sourceRef"]["name"], space)
    revision = dig(source, "status.artifact.revision")
    ready = any(c["status"] == "True" for c in dig(source, "status.conditions") or ())
    if not revision or not ready:
        _say(cluster, it, False, "ArtifactFailed", "Source artifact not found, retrying in 30s")
        return
    if dig(it, "status.lastAppliedRevision") == revision and not _due(cluster, it):
        return
    it.setdefault("status", {})["lastAttemptedRevision"] = revision
    try:
        found = _files(cluster, source or {}, spec["path"])
        kept = [_apply(cluster, it, document, keeper) for document in found]
    except ApiError as error:
        _say(cluster, it, False, "ReconciliationFailed", error.message)
        return
    _prune(cluster, it, kept)
    it["status"]["lastAppliedRevision"] = revision
    it["status"]["history"] = [_snapshot(cluster, it, revision)]
    _say(cluster, it, True, "ReconciliationSucceeded", f"Applied revision: {revision}")


def _due(cluster: Cluster, it: Object) -> bool:
    """Whether it is time to look again whether all is still as the same commit says."""
    history: Any = dig(it, "status.history") or [{}]
    at = history[0].get("lastReconciled")
    if at is None or cluster.seeded:  # of a twin that is seeded the real one has looked
        return False
    ago_s = cluster.world.clock.now() - datetime.fromisoformat(at).timestamp()
    return ago_s >= duration_s(it["spec"].get("interval"), _INTERVAL_S)


def _snapshot(cluster: Cluster, it: Object, revision: str) -> Object:
    before: Any = (dig(it, "status.history") or [{}])[0]
    again = (before.get("metadata") or {}).get("revision") == revision
    return {
        "digest": f"sha256:{hashlib.sha256(revision.encode()).hexdigest()}",
        "firstReconciled": before["firstReconciled"] if again else cluster.stamp(),
        "lastReconciled": cluster.stamp(),
        "lastReconciledDuration": "1s",
        "lastReconciledStatus": "ReconciliationSucceeded",
        "totalReconciliations": before["totalReconciliations"] + 1 if again else 1,
        "metadata": {"revision": revision},
    }


def _prune(cluster: Cluster, it: Object, kept: Iterable[Key]) -> None:
    """Take away what has left the repository, where that is asked for, but for what says no."""
    now = {_entry(cluster, key): key for key in kept}
    before = {each["id"] for each in dig(it, "status.inventory.entries") or ()}
    it["status"]["inventory"] = {
        "entries": [
            {"id": entry, "v": cluster.kinds[key[0]].api_version.rpartition("/")[2]}
            for entry, key in now.items()
        ]
    }
    if not it["spec"].get("prune"):
        return
    for key in [each for each in cluster.objects if _entry(cluster, each) in before - now.keys()]:
        meta = cluster.objects[key]["metadata"]
        if (meta.get("annotations") or {}).get(f"{_LABELS}/prune") != "disabled":
            cluster.delete(key[0], key[2], key[1])


def _entry(cluster: Cluster, key: Key) -> str:
    """An object as the list of what is kept has it."""
    kind = cluster.kinds[key[0]]
    return f"{key[1]}_{key[2]}_{kind.api_version.rpartition('/')[0]}_{kind.name}"


def _files(cluster: Cluster, source: Object, path: str) -> list[Object]:
    where = urlsplit(source["spec"]["url"])
    machine = cluster.world.find_ip(where.hostname or "")
    held = repository(machine, where.path) or {}
    files = held[dig(source, "spec.ref.branch")]["files"]
    folder = path.removeprefix("./").rstrip("/")
    texts = [t for name, (_, t) in sorted(files.items())
             if name.startswith(f"{folder}/") and name.endswith((".yaml", ".yml"))]  # fmt: skip
    found = [document for text in texts for document in documents.read(text, json=False)]
    first = ("Namespace", "CustomResourceDefinition", "StorageClass")
    return sorted(found, key=lambda document: document["kind"] not in first)


def _apply(cluster: Cluster, it: Object, document: Object, keeper: Object) -> Key:
    """By server-side apply, with force; whose fields it takes over say its own arguments."""
    kind = kind_of(document, cluster.kinds)
    meta = document["metadata"]
    space = (meta.get("namespace") or "default") if kind.namespaced else ""
    key: Key = (kind.key, space, meta["name"])
    args = keeper["spec"]["containers"][0].get("args", ())
    taken = {a.removeprefix(_OVERRIDES) for a in args if a.startswith(_OVERRIDES)}
    for manager in [each for at, each in cluster.applied if at == key and each != _MANAGER]:
        if manager in taken or manager.startswith(("kubectl", "before-first-apply")):
            before = cluster.applied.pop((key, manager))
            cluster.applied.setdefault((key, _MANAGER), before)
        else:  # who owns a field, too, keeps it there
            document = merged(document, {}, cluster.applied[key, manager]) | {"metadata": meta}
    marks = {f"{_LABELS}/name": it["metadata"]["name"],
             f"{_LABELS}/namespace": it["metadata"]["namespace"]}  # fmt: skip
    labels = {**meta.get("labels", {}), **marks}
    cluster.apply(document | {"metadata": meta | {"labels": labels}}, _MANAGER, force=True)
    return key
