"""Flux: it fetches a repository, and makes the cluster what the files in it say.

Source: fluxcd/source-controller `internal/controller/gitrepository_controller.go`;
fluxcd/kustomize-controller `internal/controller/kustomization_controller.go`; fluxcd/pkg `ssa`.
"""

from typing import Any
from urllib.parse import urlsplit

from homelab_lib.twin.kubernetes import documents
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import is_ready
from homelab_lib.twin.kubernetes.objects import ApiError, Key, Object, dig, kind_of, merged
from homelab_lib.twin.machine.git import repository

_SOURCES = "gitrepositories.source.toolkit.fluxcd.io"
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
_MANAGER = "kustomize-controller"
_OVERRIDES = "--override-manager="
_LABELS = "kustomize.toolkit.fluxcd.io"


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
    source.setdefault("status", {})["artifact"] = {"revision": revision}
    _say(cluster, source, True, "Succeeded", f"stored artifact for revision '{revision}'")
    assert space


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
    if dig(it, "status.lastAppliedRevision") == revision:
        return
    it.setdefault("status", {})["lastAttemptedRevision"] = revision
    try:
        for document in _files(cluster, source or {}, spec["path"]):
            _apply(cluster, it, document, keeper)
    except ApiError as error:
        _say(cluster, it, False, "ReconciliationFailed", error.message)
        return
    it["status"]["lastAppliedRevision"] = revision
    _say(cluster, it, True, "ReconciliationSucceeded", f"Applied revision: {revision}")


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


def _apply(cluster: Cluster, it: Object, document: Object, keeper: Object) -> None:
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
