"""`kubectl apply` and `kubectl create`: objects that somebody hands in.

Source: kubernetes.io/docs/reference/kubectl/generated (apply, create); kubectl `pkg/cmd/apply`,
`pkg/cmd/create`.
"""

import base64
import json

from homelab_lib.twin.kubernetes import documents
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.objects import ApiError, Kind, Object, kind_of, name_of
from homelab_lib.twin.kubernetes.printing import printed
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BY_HAND = "kubectl-client-side-apply"


def failure(error: ApiError) -> str:
    """What kubectl prints of an answer that is none."""
    head = f"Error from server ({error.reason}): " if error.reason else ""
    return f"{head}{error.message}\n"


def apply(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Make objects what documents say; one that is refused keeps none of the others back."""
    if words.is_true("--force-conflicts") and "--server-side" not in words:
        raise ApiError("", "error: --force-conflicts only works with --server-side")
    if words.dry_run not in ("", "server"):
        raise ApiError("", "error: this twin knows no apply --dry-run=client")
    out, complaints = "", ""
    for document in given(machine, words, call, "apply"):
        try:
            kind = kind_of(document, cluster.kinds)
            into_namespace(document, kind, words)
            out += f"{kind.singular}/{name_of(document)} {_applied(cluster, document, kind, words)}"
            out += " (server dry run)\n" if words.dry_run else "\n"
        except ApiError as error:
            complaints += failure(error)
    cluster.settle()
    return Reply(1 if complaints else 0, out, complaints, takes_s=0.3)


def _applied(cluster: Cluster, document: Object, kind: Kind, words: Words) -> str:
    dry = bool(words.dry_run)
    if "--server-side" in words:
        manager, force = words.get("--field-manager", "kubectl"), words.is_true("--force-conflicts")
        cluster.apply(document, manager, dry_run=dry, force=force)
        return "serverside-applied"
    metadata = document.get("metadata") or {}
    before = cluster.get(kind.key, name_of(document), metadata.get("namespace") or "default")
    text = json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n"
    notes = (metadata.get("annotations") or {}) | {LAST_APPLIED: text}
    marked = document | {"metadata": metadata | {"annotations": notes}}
    after = cluster.apply(marked, _BY_HAND, dry_run=dry, force=True)
    if before is None:
        return "created"
    versions = (before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"])
    return "unchanged" if versions[0] == versions[1] else "configured"


def create(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Make objects that aren't there yet."""
    out, complaints = "", ""
    for document in _new(machine, words, call):
        try:
            kind = kind_of(document, cluster.kinds)
            into_namespace(document, kind, words)
            space = (document.get("metadata") or {}).get("namespace") or "default"
            if cluster.get(kind.key, name_of(document), space) is not None:
                what = f'{kind.resource} "{name_of(document)}" already exists'
                raise ApiError("AlreadyExists", what)
            cluster.apply(document, "kubectl-create", dry_run=bool(words.dry_run))
            out += f"{kind.singular}/{name_of(document)} created"
            out += " (server dry run)\n" if words.dry_run else "\n"
        except ApiError as error:
            complaints += failure(error)
    cluster.settle()
    return Reply(1 if complaints else 0, out, complaints, takes_s=0.3)


def shown(machine: Machine, words: Words, call: Call) -> Reply:
    """`kubectl create --dry-run=client`: no cluster is asked."""
    form, out = words.get("--output"), ""
    for document in _new(machine, words, call):
        kind = kind_of(document)
        space = words.get("--namespace")
        if space and kind.namespaced:
            document["metadata"]["namespace"] = space
        what = f"{kind.singular}/{name_of(document)}"
        text = {"": f"{what} created (dry run)\n", "name": f"{what}\n"}
        out += text[form] if form in text else printed(document, form)
    return Reply(0, out)


def given(machine: Machine, words: Words, call: Call, verb: str) -> list[Object]:
    """The documents that a call hands in."""
    if "--filename" not in words:
        raise ApiError("", "error: must specify one of -f and -k")
    found: list[Object] = []
    for name in words.values("--filename"):
        if name == "-":
            found += documents.read(call.stdin.decode(errors="replace"))
            continue
        try:
            text = machine.files.read(call.path(name), machine.who(call)).decode(errors="replace")
        except FileError as error:
            why = "does not exist" if error.says.startswith("No such") else error.says.lower()
            raise ApiError("", f'error: the path "{name}" {why}') from None
        found += documents.read(text, name)
    if not found:
        raise ApiError("", f"error: no objects passed to {verb}")
    return found


def into_namespace(document: Object, kind: Kind, words: Words) -> None:
    """Put a document where the call says, unless it says so itself."""
    wanted = words.get("--namespace")
    if not wanted or not kind.namespaced:
        return
    metadata = document["metadata"] = document.get("metadata") or {}
    said = metadata.setdefault("namespace", wanted)
    if said != wanted:
        raise ApiError(
            "",
            f'error: the namespace from the provided object "{said}" does not match the namespace '
            f"\"{wanted}\". You must pass '--namespace={said}' to perform this operation.",
        )


def _new(machine: Machine, words: Words, call: Call) -> list[Object]:
    if "--filename" in words:
        return given(machine, words, call, "create")
    kind, *names = words.operands[1:] or [""]
    if kind == "secret":
        if names[:1] != ["generic"]:
            raise ApiError("", "error: this twin makes only generic secrets")
        names = names[1:]
    maker = _MAKERS.get(kind)
    if maker is None:
        raise ApiError("", f"error: Unexpected args: {words.operands[1:]}")
    if len(names) != 1:
        raise ApiError("", f"error: exactly one NAME is required, got {len(names)}")
    return [maker(names[0], words)]


def _namespace(name: str, words: Words) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "spec": {},
        "status": {},
    }


def _literals(words: Words) -> dict[str, str]:
    pairs = [each.partition("=") for each in words.values("--from-literal")]
    return {name: value for name, _, value in pairs}


def _config_map(name: str, words: Words) -> Object:
    return {
        "apiVersion": "v1",
        "data": _literals(words),
        "kind": "ConfigMap",
        "metadata": {"name": name},
    }


def _secret(name: str, words: Words) -> Object:
    pairs = _literals(words).items()
    data = {key: base64.b64encode(value.encode()).decode() for key, value in pairs}
    return {"apiVersion": "v1", "data": data, "kind": "Secret", "metadata": {"name": name}}


def _deployment(name: str, words: Words) -> Object:
    image, labels = words.get("--image"), {"app": name}
    if not image:
        raise ApiError("", 'error: required flag(s) "image" not set')
    container: Object = {
        "image": image,
        "name": image.rpartition("/")[2].partition("@")[0].partition(":")[0],
        "resources": {},
    }
    if "--port" in words:
        container["ports"] = [{"containerPort": int(words.get("--port"))}]
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": labels, "name": name},
        "spec": {
            "replicas": int(words.get("--replicas", "1")),
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": pod,
        },
        "status": {},
    }


_MAKERS = {
    "namespace": _namespace,
    "ns": _namespace,
    "configmap": _config_map,
    "cm": _config_map,
    "secret": _secret,
    "deployment": _deployment,
    "deploy": _deployment,
}
