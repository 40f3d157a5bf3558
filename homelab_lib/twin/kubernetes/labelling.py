"""`kubectl label`: labels of an object that is there.

Source: kubernetes/kubectl `pkg/cmd/label`.
"""

import copy
from collections.abc import Mapping

from homelab_lib.twin.kubernetes.cluster import Cluster, not_found
from homelab_lib.twin.kubernetes.definitions import shape_of
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.objects import ApiError, Kind, Object, dig, kind_called
from homelab_lib.twin.kubernetes.ownership import Path, without
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply

_MANAGER = "kubectl-label"


def label(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Set labels, or with ``KEY-`` take them away; another value only with ``--overwrite``."""
    if len(words.operands) < 4:
        raise ApiError("", "error: one or more resources must be specified as <resource> <name>")
    _, called, name, *pairs = words.operands
    kind = kind_called(called, cluster.kinds)
    found = cluster.get(kind.key, name, words.get("--namespace", "default"))
    if found is None:
        raise not_found(kind, name)
    labels = dict(copy.deepcopy(found["metadata"].get("labels", {})))
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals and key.endswith("-"):
            labels.pop(key[:-1], None)
            continue
        if labels.get(key, value) != value and not words.is_true("--overwrite"):
            what = f"'{key}' already has a value ({labels[key]}), and --overwrite is false"
            raise ApiError("", f"error: {what}")
        labels[key] = value
    before = found["metadata"].get("labels", {})
    same = labels == before
    changed = [k for k in labels.keys() | before.keys() if labels.get(k) != before.get(k)]
    who = words.get("--field-manager", _MANAGER)
    _manage(cluster, kind, found, who, {each: labels.get(each) for each in changed})
    found["metadata"]["labels"] = labels
    cluster.settle()
    said = f"{kind.singular}/{name} {'not labeled' if same else 'labeled'}\n"
    return Reply(0, said, takes_s=0.2)


def _manage(
    cluster: Cluster, kind: Kind, found: Object, manager: str, changed: Mapping[str, str | None]
) -> None:
    """Labels that were changed are managed by whoever did it, and by nobody else."""
    meta, shape = found["metadata"], shape_of(kind, cluster.version)
    key = (kind.key, meta.get("namespace", ""), meta["name"])
    paths: set[Path] = {(".metadata", ".labels", f".{each}") for each in changed}
    for at, who in cluster.applied:
        if at == key:
            cluster.applied[at, who] = without(shape, cluster.applied[at, who], paths)
    cluster.updates.add(manager)
    held = dig(cluster.applied.get((key, manager)), "metadata.labels") or {}
    held |= {name: value for name, value in changed.items() if value is not None}
    cluster.applied[key, manager] = {"metadata": {"labels": held}}
