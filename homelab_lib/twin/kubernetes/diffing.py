"""`kubectl diff --server-side`: what an apply would change, by a dry run of it.

Source: kubectl `pkg/cmd/diff/diff.go`; a real one runs beside it in tests/kube.
"""

import difflib

import yaml

from homelab_lib.twin.kubernetes.applying import failure, given, into_namespace
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.objects import ApiError, Kind, Object, kind_of, name_of
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply

_SAME, _DIFFERS, _TROUBLE = 0, 1, 2


def diff(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """Exit status 0 for no difference, 1 for one, more for trouble."""
    if not words.is_true("--server-side"):
        raise ApiError("", "error: this twin knows only diff --server-side")
    out = ""
    try:
        for document in given(machine, words, call, "diff"):
            kind = kind_of(document, cluster.kinds)
            into_namespace(document, kind, words)
            out += _difference(cluster, kind, document, words)
    except ApiError as error:
        said = failure(error).replace("error: Apply failed", _CONFLICT).partition(_REVIEW)[0]
        return Reply(_TROUBLE, out, said.rstrip("\n") + "\n", takes_s=0.3)
    return Reply(_DIFFERS if out else _SAME, out, takes_s=0.3)


_CONFLICT = "Error from server (Conflict): Apply failed"
_REVIEW = "\nPlease review"


def _difference(cluster: Cluster, kind: Kind, document: Object, words: Words) -> str:
    manager = words.get("--field-manager", "kubectl")
    force = words.is_true("--force-conflicts")
    metadata = document.get("metadata") or {}
    space = metadata.get("namespace") or ("default" if kind.namespaced else "")
    old = cluster.get(kind.key, name_of(document), space)
    new = cluster.apply(document, manager, dry_run=True, force=force)
    version = kind.api_version.replace("/", ".")
    file = f"{version}.{kind.name}.{space}.{name_of(document)}"
    there, wanted = (yaml.safe_dump(each).splitlines(True) if each else [] for each in (old, new))
    before, after = f"/tmp/LIVE-1/{file}", f"/tmp/MERGED-1/{file}"
    lines = list(difflib.unified_diff(there, wanted, before, after))
    return "".join([f"diff -u -N {before} {after}\n", *lines]) if lines else ""
