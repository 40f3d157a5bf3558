"""Kubernetes objects by server-side apply."""

import json
from dataclasses import dataclass
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.kubernetes.kubectl import KUBECTL, Object, differs, get
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

MANAGER = mark.TAG
MANAGED_BY = "app.kubernetes.io/managed-by"
LAB = "homelab/lab"
_KEPT = "kustomize.toolkit.fluxcd.io/name"
"""The label of what Flux has taken over."""


@dataclass(frozen=True)
class Applied:
    """An object, as far as we say what it is.

    Parameters
    ----------
    host, lab
        The server by which the cluster is reached, and the lab that the object belongs to.
    document
        The object.
    immutable
        Dotted paths that can't change: a difference there is a conflict.
    """

    host: str
    lab: str
    document: Object
    immutable: tuple[str, ...] = ()
    timeout_s: float = 60.0

    @property
    def kind(self) -> str:
        return str(self.document["kind"])

    @property
    def namespace(self) -> str:
        return str(self.document["metadata"].get("namespace", ""))

    @property
    def object_name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def name(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.object_name}"

    @property
    def resource(self) -> str:
        """With its group, so that two kinds of one name are not mixed up."""
        group = str(self.document["apiVersion"]).rpartition("/")[0]
        return f"{self.kind.lower()}.{group}" if group else self.kind.lower()

    @property
    def _marks(self) -> dict[str, str]:
        return {MANAGED_BY: mark.TAG, LAB: self.lab}

    def observe(self, host: Host) -> Any:
        found = get(host, self.resource, self.object_name, self.namespace)
        if found is not None:
            found["metadata"].pop("managedFields", None)
        return found

    def diff(self, observed: Any) -> Diff:
        where = differs(self.document, observed)
        if not where:
            return Diff()
        if observed is None:
            space = f" -n {self.namespace}" if self.namespace else ""
            undo = f"kubectl delete {self.resource} {self.object_name}{space}"
            return Diff((Change(f"make {self.name}", self._apply(), undo=undo),))
        labels = observed["metadata"].get("labels", {})
        if {key: labels.get(key) for key in self._marks} != self._marks:
            return Diff(conflict=self._foreign(where))
        if _KEPT in labels:
            return Diff(
                conflict=f"{self.name} has another {where}, and Flux keeps it as its repository "
                "says: a change here would be undone. Carry out the step that writes the "
                'repository first (only=["repository"], or its name for this cluster, in the '
                "runbook of the phase that Flux came with)"
            )
        if any(where.startswith(path) for path in self.immutable):
            return Diff(
                conflict=f"{self.name} is there with another {where}, which can't be changed; "
                "delete it by hand if nothing needs it"
            )
        return Diff(
            (
                Change(
                    f"change {where} of {self.name}",
                    self._apply("--force-conflicts"),
                    replaces=self._before(observed, where),
                    undo="kubectl apply it as the record's before.json has it",
                ),
            )
        )

    @property
    def whole(self) -> dict[str, Any]:
        """The object with our marks, as it is applied."""
        metadata = self.document["metadata"]
        labels = {**metadata.get("labels", {}), **self._marks}
        return {**self.document, "metadata": {**metadata, "labels": labels}}

    def _apply(self, *more: str) -> Any:
        """Apply it. What somebody changed of ours is theirs to the API, which gives it back only by
        force; that it is ours say its marks, and what stood there says the plan."""
        return change(
            *KUBECTL,
            "apply",
            "--server-side",
            f"--field-manager={MANAGER}",
            *more,
            "-f",
            "-",
            stdin=json.dumps(self.whole, indent=1, sort_keys=True),
            sudo=True,
        )

    def _before(self, observed: Any, where: str) -> str:
        """What stands at `where` now; where secrets may stand, never more than the place."""
        if self.kind == "Secret" or "valuesContent" in where:
            return where
        key, rest = where.partition(".")[::2]
        found = observed.get(key)
        while rest and isinstance(found, dict) and "[" not in rest.partition(".")[0]:
            key, _, rest = rest.partition(".")
            found = found.get(key)
        return f"{where}: {json.dumps(found, sort_keys=True)}"

    def _foreign(self, where: str) -> str:
        space = f" -n {self.namespace}" if self.namespace else ""
        labels = " ".join(f"{key}={value}" for key, value in self._marks.items())
        return (
            f"{self.name} is there with another {where}, and we did not make it for lab "
            f"{self.lab}. If the lab may change it: kubectl label {self.resource} "
            f"{self.object_name}{space} {labels}; else delete it by hand, or name ours otherwise"
        )
