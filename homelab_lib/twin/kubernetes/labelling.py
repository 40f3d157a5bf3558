"""`kubectl label`: labels of an object that is there.

Source: kubernetes/kubectl `pkg/cmd/label`.
"""

import copy

from homelab_lib.twin.kubernetes.cluster import Cluster, not_found
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.objects import ApiError, kind_called
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply


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
    same = labels == found["metadata"].get("labels", {})
    found["metadata"]["labels"] = labels
    cluster.settle()
    said = f"{kind.singular}/{name} {'not labeled' if same else 'labeled'}\n"
    return Reply(0, said, takes_s=0.2)
