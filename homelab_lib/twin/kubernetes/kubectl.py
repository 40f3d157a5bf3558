"""`kubectl`, as far as runbooks and people use it against a twin."""

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import yaml

from homelab_lib.twin.kubernetes.cluster import Cluster, not_found
from homelab_lib.twin.kubernetes.k3s import KUBECONFIG, cluster_of
from homelab_lib.twin.kubernetes.objects import (
    KINDS,
    ApiError,
    Kind,
    Object,
    dig,
    kind_called,
    kind_of,
)
from homelab_lib.twin.machine.entry import NOTHING, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

kubectl = Commands()
_VALUES = (
    "-n",
    "--namespace",
    "-o",
    "--output",
    "-l",
    "--selector",
    "--kubeconfig",
    "--context",
    "-f",
    "--filename",
    "--field-manager",
    "--request-timeout",
    "--timeout",
    "--tail",
    "--for",
    "--raw",
    "--cluster",
    "-c",
    "--field-selector",
)
_LONG = {
    "-n": "--namespace",
    "-o": "--output",
    "-l": "--selector",
    "-f": "--filename",
    "-A": "--all-namespaces",
}


class _Words:
    """Operands and options of a call."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self.operands: list[str] = []
        self.options: dict[str, str] = {}
        rest = iter(argv[1:])
        for word in rest:
            if not word.startswith("-") or word == "-":
                self.operands.append(word)
                continue
            name, equals, value = word.partition("=")
            if not equals and name in _VALUES:
                value = next(rest, "")
            self.options[_LONG.get(name, name)] = value

    def get(self, name: str, default: str = "") -> str:
        return self.options.get(name, default)


def on_node(machine: Machine, call: Call) -> Reply:
    """`k3s kubectl` on a server: by the administrator's kubeconfig that k3s wrote."""
    words = _Words(call.argv)
    path = words.get("--kubeconfig") or KUBECONFIG
    return _run(machine, call, words, path)


@kubectl("kubectl")
def client(machine: Machine, call: Call) -> Reply:
    """The client, where it was put."""
    if not machine.files.exists("/usr/local/bin/kubectl"):
        return Reply(127, stderr="sh: 1: kubectl: not found\n")
    words = _Words(call.argv)
    home = machine.home_of(call.user)
    path = words.get("--kubeconfig") or call.env.get("KUBECONFIG") or f"{home}/.kube/config"
    return _run(machine, call, words, call.path(path))


def _run(machine: Machine, call: Call, words: _Words, path: str) -> Reply:
    verb = words.operands[0] if words.operands else ""
    if verb == "version" and "--client" in words.options:
        return Reply(0, json.dumps({"clientVersion": {"gitVersion": _own_version(machine)}}) + "\n")
    try:
        config = yaml.safe_load(machine.files.read(path, machine.who(call))) or {}
    except FileError as error:
        if error.says != NOTHING or path == KUBECONFIG:
            why = f"open {path}: {error.says.lower()}"
            return Reply(1, stderr=f'error: error loading config file "{path}": {why}\n')
        config = {}
    if verb == "config":
        return _config(config, words)
    if verb not in _VERBS:
        return Reply(1, stderr=f'error: unknown command "{verb}" for "kubectl"\n')
    try:
        cluster = _connected(machine, config, words)
        cluster.settle()
        return _VERBS[verb](cluster, words, call)
    except ApiError as error:
        head = f"Error from server ({error.reason}): " if error.reason else ""
        return Reply(1, stderr=f"{head}{error.message}\n")


def _own_version(machine: Machine) -> str:
    entry = machine.files.entry("/usr/local/bin/kubectl")
    for download in machine.world.lab.downloads.values():
        if entry is not None and entry.sha256 == download.sha256:
            return download.version if download.version.startswith("v") else f"v{download.version}"
    return "v0.0.0"


def _named(config: dict[str, Any], room: str, name: str) -> dict[str, Any]:
    return next((each for each in config.get(room) or () if each["name"] == name), {})


def _connected(machine: Machine, config: dict[str, Any], words: _Words) -> Cluster:
    """The cluster that a kubeconfig leads to.

    Raises
    ------
    ApiError
        As kubectl would fail.
    """
    name = words.get("--context") or config.get("current-context", "")
    context = _named(config, "contexts", name).get("context")
    if context is None:
        if words.get("--context"):
            raise ApiError("", f'error: context "{name}" does not exist')
        raise ApiError(
            "",
            "The connection to the server localhost:8080 was refused - did you "
            "specify the right host or port?",
        )
    place = _named(config, "clusters", context["cluster"])["cluster"]
    user = _named(config, "users", context["user"])["user"]
    url = urlsplit(place["server"])
    host = url.hostname or ""
    address = machine.address if host == "127.0.0.1" else machine.world.resolve(machine, host)
    if not address:
        raise ApiError(
            "", f"Unable to connect to the server: dial tcp: lookup {host}: no such host"
        )
    if why := machine.world.reach(machine, address, url.port or 6443):
        raise ApiError("", f"Unable to connect to the server: dial tcp {address}: {why}")
    cluster = cluster_of(machine.world.find_ip(address))
    if cluster is None:
        raise ApiError("", f"Unable to connect to the server: dial tcp {address}: no API there")
    if host not in cluster.tls_names:
        raise ApiError(
            "",
            f"Unable to connect to the server: tls: failed to verify certificate: "
            f"x509: certificate is not valid for {host}",
        )
    if base64.b64decode(user.get("client-key-data", "")).decode() != cluster.token:
        raise ApiError("", "error: You must be logged in to the server (Unauthorized)")
    return cluster


def _config(config: dict[str, Any], words: _Words) -> Reply:
    match words.operands[1:2]:
        case ["current-context"]:
            name = config.get("current-context", "")
            return (
                Reply(0, f"{name}\n")
                if name
                else Reply(1, stderr="error: current-context is not set\n")
            )
        case ["get-contexts"]:
            return Reply(0, "".join(f"{c['name']}\n" for c in config.get("contexts") or ()))
        case ["view"]:
            return Reply(
                0, json.dumps(config) if "json" in words.get("--output") else yaml.safe_dump(config)
            )
    return Reply(1, stderr="error: unknown command\n")


# Verbs -------------------------------------------------------------------------------------------


def _get(cluster: Cluster, words: _Words, call: Call) -> Reply:
    if raw := words.get("--raw"):
        return (
            Reply(0, "ok")
            if raw.partition("?")[0] in ("/readyz", "/livez", "/healthz")
            else Reply(1)
        )
    kinds, names = _wanted(words.operands[1:])
    namespace = None if "--all-namespaces" in words.options else words.get("--namespace", "default")
    if len(kinds) == 1 and names:
        asked = [_one(cluster, kinds[0], name, namespace or "default", words) for name in names]
        found = [each for each in asked if each]
        if len(names) == 1:
            return _print(found[0], words, kinds[0]) if found else Reply()
    else:
        found = [
            each
            for kind in kinds
            for each in cluster.all(kind.name, namespace if kind.namespaced else None)
        ]
        found = [each for each in found if _selected(each, words.get("--selector"))]
    return _print({"apiVersion": "v1", "kind": "List", "items": found}, words, kinds[0])


def _wanted(operands: list[str]) -> tuple[list[Kind], list[str]]:
    if not operands:
        raise ApiError("", "error: You must specify the type of resource to get")
    if "/" in operands[0]:
        pairs = [operand.split("/", 1) for operand in operands]
        return [kind_called(pairs[0][0])], [name for _, name in pairs]
    return [kind_called(word) for word in operands[0].split(",")], operands[1:]


def _one(cluster: Cluster, kind: Kind, name: str, namespace: str, words: _Words) -> Object | None:
    found = cluster.get(kind.name, name, namespace)
    if found is None and "--ignore-not-found" not in words.options:
        raise not_found(kind, name)
    return found


def _selected(document: Object, selector: str) -> bool:
    labels = document["metadata"].get("labels", {})
    pairs = [pair.partition("=") for pair in selector.split(",") if pair]
    return all(labels.get(key) == value.lstrip("=") for key, _, value in pairs)


def _print(document: Object, words: _Words, kind: Kind) -> Reply:
    form = words.get("--output")
    if form == "json":
        return Reply(0, json.dumps(document) + "\n")
    if form == "yaml":
        return Reply(0, yaml.safe_dump(document))
    rows = document["items"] if document.get("kind") == "List" else [document]
    if form == "name":
        return Reply(0, "".join(f"{kind.singular}/{row['metadata']['name']}\n" for row in rows))
    if not rows:
        return Reply(0, stderr="No resources found\n")
    lines = [f"{row['metadata']['name']:<40} {_status(row)}\n" for row in rows]
    return Reply(0, f"{'NAME':<40} STATUS\n" + "".join(lines))


def _status(row: Object) -> str:
    status = row.get("status", {})
    if row["kind"] == "Node":
        ready = [c["status"] for c in status.get("conditions", ()) if c["type"] == "Ready"]
        return "Ready" if ready == ["True"] else "NotReady"
    ready = status.get("readyReplicas", status.get("numberReady"))
    return str(status.get("phase") or (f"{ready} ready" if ready is not None else ""))


def _apply(cluster: Cluster, words: _Words, call: Call) -> Reply:
    if "--server-side" not in words.options:
        raise ApiError("", "error: this twin knows only apply --server-side")
    out = ""
    for document in _documents(call.stdin.decode()):
        namespace = words.get("--namespace")
        if namespace and kind_of(document).namespaced:
            document.setdefault("metadata", {}).setdefault("namespace", namespace)
        manager = words.get("--field-manager", "kubectl")
        dry = words.get("--dry-run") == "server"
        cluster.apply(document, manager, dry_run=dry)
        name = document["metadata"]["name"]
        out += f"{kind_of(document).singular}/{name} serverside-applied\n"
    cluster.settle()
    return Reply(0, out, takes_s=0.3)


def _documents(text: str) -> list[Object]:
    found: list[Object] = []
    for document in yaml.safe_load_all(text):
        if document and document.get("kind") == "List":
            found += document["items"]
        elif document:
            found.append(document)
    if not found:
        raise ApiError("", "error: no objects passed to apply")
    return found


def _delete(cluster: Cluster, words: _Words, call: Call) -> Reply:
    kinds, names = _wanted(words.operands[1:])
    out = ""
    for name in names:
        try:
            cluster.delete(kinds[0].name, name, words.get("--namespace", "default"))
        except ApiError:
            if "--ignore-not-found" not in words.options:
                raise
            continue
        out += f'{kinds[0].singular} "{name}" deleted\n'
    cluster.settle()
    return Reply(0, out, takes_s=1.0)


def _logs(cluster: Cluster, words: _Words, call: Call) -> Reply:
    target = words.operands[1] if len(words.operands) > 1 else ""
    namespace = words.get("--namespace", "default")
    if "/" in target:
        kind = kind_called(target.partition("/")[0])
        owner = _one(cluster, kind, target.partition("/")[2], namespace, words)
        pods = _pods_of(cluster, owner or {})
    else:
        pods = [p for p in [_one(cluster, KINDS["Pod"], target, namespace, words)] if p]
    if not pods:
        raise ApiError("", f"error: no pods found for {target}")
    if dig(pods[0], "status.phase") in (None, "Pending"):
        name = pods[0]["metadata"]["name"]
        raise ApiError(
            "BadRequest", f'container in pod "{name}" is waiting to start: ContainerCreating'
        )
    meta = pods[0]["metadata"]
    if meta["uid"] not in cluster.logs:
        cluster.logs[meta["uid"]] = cluster.old_log(meta["namespace"], meta["name"])
    return Reply(0, cluster.logs[meta["uid"]])


def _pods_of(cluster: Cluster, owner: Object) -> list[Object]:
    pods = cluster.owned("Pod", owner)
    for between in cluster.owned("ReplicaSet", owner):
        pods += cluster.owned("Pod", between)
    return pods


def _version(cluster: Cluster, words: _Words, call: Call) -> Reply:
    return Reply(0, json.dumps({"serverVersion": {"gitVersion": cluster.version}}) + "\n")


def _auth(cluster: Cluster, words: _Words, call: Call) -> Reply:
    return Reply(0, "yes\n")


def _rollout(cluster: Cluster, words: _Words, call: Call) -> Reply:
    kind, _, name = words.operands[2].partition("/")
    found = _one(cluster, kind_called(kind), name, words.get("--namespace", "default"), words)
    if dig(found, "status.readyReplicas") == dig(found, "spec.replicas"):
        return Reply(0, f'deployment "{name}" successfully rolled out\n')
    return Reply(1, stderr="error: timed out waiting for the condition\n")


_VERBS = {
    "get": _get,
    "apply": _apply,
    "delete": _delete,
    "logs": _logs,
    "version": _version,
    "auth": _auth,
    "rollout": _rollout,
}
