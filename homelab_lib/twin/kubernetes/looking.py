"""What `kubectl` shows of a cluster, and what it takes away.

Source: kubernetes.io/docs/reference/kubectl/generated (get, logs, delete, rollout, auth);
kubernetes.io/docs/reference/using-api/server-side-apply (managedFields).
"""

from homelab_lib.twin.kubernetes import ownership, volumes
from homelab_lib.twin.kubernetes.cluster import Cluster, not_found
from homelab_lib.twin.kubernetes.definitions import shape_of
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.objects import (
    KINDS,
    ApiError,
    Kind,
    Object,
    dig,
    kind_called,
    kind_of,
)
from homelab_lib.twin.kubernetes.printing import show
from homelab_lib.twin.kubernetes.proxied import answered
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply

_HEALTH = ("/readyz", "/livez", "/healthz")


def get(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Objects, or the health of the API."""
    if raw := words.get("--raw"):
        if raw.partition("?")[0] in _HEALTH:
            return Reply(0, "ok")
        if (page := answered(cluster, raw)) is not None:
            return Reply(0, page)
        return Reply(1, stderr="Error from server (NotFound): the server could not find the "
                     "requested resource\n")  # fmt: skip
    kinds, names = _wanted(cluster, words.operands[1:])
    everywhere = words.is_true("--all-namespaces")
    namespace = None if everywhere else words.get("--namespace", "default")
    if len(kinds) == 1 and names:
        if everywhere:
            raise ApiError(
                "", "error: a resource cannot be retrieved by name across all namespaces"
            )
        if (said := _of_before(machine, cluster, kinds[0], names, namespace, call)) is not None:
            return said
        asked = [_one(cluster, kinds[0], name, namespace or "default", words) for name in names]
        found = _with_managers(cluster, [each for each in asked if each], words)
        if len(names) == 1 and not found:
            return Reply()
        return show(found, words.get("--output"), kinds[0], alone=len(names) == 1)
    found = [
        each
        for kind in kinds
        for each in cluster.all(kind.key, namespace if kind.namespaced else None)
        if _selected(each, words.get("--selector"))
    ]
    found = _with_managers(cluster, found, words)
    return show(found, words.get("--output"), kinds[0], alone=False)


def _with_managers(cluster: Cluster, found: list[Object], words: Words) -> list[Object]:
    """Objects with who owns their fields, where that is asked for: since 1.21 it is left out."""
    if not words.is_true("--show-managed-fields"):
        return found
    shown = []
    for each in found:
        meta = each["metadata"]
        kind = kind_of(each, cluster.kinds)
        key, shape = (
            (kind.key, meta.get("namespace", ""), meta["name"]),
            shape_of(kind, cluster.version),
        )
        managers = [
            {
                "manager": manager,
                "operation": "Update" if manager in cluster.updates else "Apply",
                "apiVersion": each["apiVersion"],
                "fieldsType": "FieldsV1",
                "fieldsV1": ownership.written(shape, said),
            }
            for (at, manager), said in cluster.applied.items()
            if at == key
        ]
        shown.append(each | {"metadata": meta | {"managedFields": managers}})
    return shown


def _of_before(
    machine: Machine, cluster: Cluster, kind: Kind, names: list[str], space: str | None, call: Call
) -> Reply | None:
    """What the real cluster says of a Secret that was there before the twin was: no twin asks for
    all of them."""
    here = space or "default"
    if kind.name != "Secret" or cluster.get("Secret", names[0], here):
        return None
    if not cluster.seeded or (here, names[0]) in cluster.deleted_secrets:
        return None
    head = ("k3s",) if machine in cluster.servers else ()
    return machine.said(*head, *call.argv)


def _wanted(cluster: Cluster, operands: list[str]) -> tuple[list[Kind], list[str]]:
    if not operands:
        raise ApiError("", "error: You must specify the type of resource to get")
    if "/" in operands[0]:
        pairs = [operand.split("/", 1) for operand in operands]
        return [kind_called(pairs[0][0], cluster.kinds)], [name for _, name in pairs]
    kinds = [kind_called(word, cluster.kinds) for word in operands[0].split(",")]
    return kinds, operands[1:]


def _one(cluster: Cluster, kind: Kind, name: str, namespace: str, words: Words) -> Object | None:
    found = cluster.get(kind.key, name, namespace)
    if found is None and "--ignore-not-found" not in words:
        raise not_found(kind, name)
    return found


def _selected(document: Object, selector: str) -> bool:
    """Whether an object has the labels: ``a=b``, ``a==b``, ``a!=b``, ``a``, ``!a``."""
    labels = document["metadata"].get("labels") or {}
    for part in filter(None, selector.split(",")):
        if "!=" in part:
            key, _, value = part.partition("!=")
            fits = labels.get(key) != value
        elif "=" in part:
            key, _, value = part.partition("=")
            fits = labels.get(key) == value.lstrip("=")
        else:
            fits = (part.removeprefix("!") in labels) != part.startswith("!")
        if not fits:
            return False
    return True


def delete(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Take objects away, by name."""
    kinds, names = _wanted(cluster, words.operands[1:])
    if not names:
        raise ApiError("", "error: resource(s) were provided, but no name was specified")
    kind, out, complaints = kinds[0], "", ""
    for name in names:
        if kind.name == "Secret":
            cluster.deleted_secrets.add((words.get("--namespace", "default"), name))
        try:
            gone = cluster.delete(kind.key, name, words.get("--namespace", "default"))
            if kind.name == "PersistentVolumeClaim":
                volumes.reclaim(cluster, gone)
        except ApiError as error:
            if "--ignore-not-found" not in words:
                complaints += f"Error from server ({error.reason}): {error.message}\n"
            continue
        out += f'{kind.singular} "{name}" deleted\n'
    cluster.settle()
    return Reply(1 if complaints else 0, out, complaints, takes_s=1.0)


def logs(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """What a pod printed, or the first of those that an owner has."""
    target = words.operands[1] if len(words.operands) > 1 else ""
    namespace = words.get("--namespace", "default")
    if "/" in target:
        kind = kind_called(target.partition("/")[0], cluster.kinds)
        owner = _one(cluster, kind, target.partition("/")[2], namespace, words)
        if owner and owner["metadata"]["uid"] in cluster.logs:
            return Reply(0, cluster.logs[owner["metadata"]["uid"]])
        pods = _pods_of(cluster, owner) if owner else []
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


def auth(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """An administrator may do everything."""
    if words.operands[1:2] != ["can-i"]:
        raise ApiError("", f'error: unknown command "{" ".join(words.operands[1:2])}"')
    return Reply(0, "yes\n")


def rollout(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Whether a deployment's pods are all there."""
    if words.operands[1:2] != ["status"] or len(words.operands) < 3:
        raise ApiError("", "error: this twin knows only rollout status KIND/NAME")
    kind, _, name = words.operands[2].partition("/")
    known = kind_called(kind, cluster.kinds)
    found = _one(cluster, known, name, words.get("--namespace", "default"), words)
    if dig(found, "status.readyReplicas") == dig(found, "spec.replicas"):
        return Reply(0, f'deployment "{name}" successfully rolled out\n')
    return Reply(1, stderr="error: timed out waiting for the condition\n")
