"""Kubernetes objects by server-side apply."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.kubernetes.kubectl import KUBECTL, Object, differs, get, standing_at
from homelab_lib.control.kubernetes.managers import MANAGED, MANAGER, of_persons, others, told
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

MANAGED_BY = "app.kubernetes.io/managed-by"
LAB = "homelab/lab"
_FLUX = "kustomize.toolkit.fluxcd.io/name"
"""The label of what Flux has taken over."""
_KEEPERS = {
    "helm.toolkit.fluxcd.io/name": "a HelmRelease of Flux",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
}
"""Labels and annotations of what others keep as they have it written, whatever they call themselves
to the API: Argo CD applies by client, too."""


def marks(lab: str) -> dict[str, str]:
    """The labels of what a lab's runbooks have made."""
    return {MANAGED_BY: mark.TAG, LAB: lab}


def is_ours(labels: Mapping[str, str], lab: str) -> bool:
    """Whether labels have all of a lab's marks."""
    return marks(lab).items() <= labels.items()


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

    def observe(self, host: Host) -> Any:
        names = (self.resource, self.object_name, self.namespace)
        return get(host, *names, shape=MANAGED, managers=True)

    def diff(self, observed: Any) -> Diff:
        where = differs(self.document, observed)
        if not where:
            return Diff()
        if observed is None:
            space = f" -n {self.namespace}" if self.namespace else ""
            undo = f"kubectl delete {self.resource} {self.object_name}{space}"
            return Diff((Change(f"make {self.name}", self._apply(), undo=undo),))
        labels = observed["metadata"].get("labels", {})
        if not is_ours(labels, self.lab):
            return Diff(conflict=self._foreign(where))
        if _FLUX in labels:
            return Diff(
                conflict=f"{self.name} has another {where}, and Flux keeps it as its repository "
                "says: a change here would be undone. Carry out the steps that write the "
                'repository and wait for Flux first (only=["repository", "gitops"], or their names '
                "for this cluster, in the runbook of the phase that Flux came with)"
            )
        if any(where.startswith(path) for path in self.immutable):
            return Diff(
                conflict=f"{self.name} is there with another {where}, which can't be changed; "
                "delete it by hand if nothing needs it"
            )
        marked = labels | observed["metadata"].get("annotations", {})
        if keeper := next((who for sign, who in _KEEPERS.items() if sign in marked), ""):
            return Diff(
                conflict=f"{self.name} has another {where}, and {keeper} keeps it: a change here "
                "would be undone. Make it there, or have it leave this object to the lab"
            )
        held = others(self.document, observed)
        if not of_persons(held):
            return Diff(conflict=self._managed(held))
        by_force = f", by force: {told(held)}" if held else ""
        before = [self._before(observed, at, held.get(at, ())) for at in (where, *held)]
        return Diff(
            (
                Change(
                    f"change {where} of {self.name}{by_force}",
                    self._apply(*(("--force-conflicts",) if held else ())),
                    replaces="; ".join(dict.fromkeys(before)),
                    undo="kubectl apply it as the record's before.json has it, without the "
                    "managedFields and the resourceVersion of its metadata",
                ),
            )
        )

    @property
    def whole(self) -> dict[str, Any]:
        """The object with our marks, as it is applied."""
        metadata = self.document["metadata"]
        labels = {**metadata.get("labels", {}), **marks(self.lab)}
        return {**self.document, "metadata": {**metadata, "labels": labels}}

    def _apply(self, *more: str) -> Any:
        """Apply it. What a person changed of ours is theirs to the API, which gives it back only by
        force: that is for those fields which the plan names, with whose they are and what stands
        there. What a controller manages is never taken from it."""
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

    def _before(self, observed: Any, where: str, whose: Collection[str]) -> str:
        """What stands at `where` now, and whose it is: an approval is for both. Where secrets may
        stand never more than the place, and which state of the object was looked at."""
        by = f" ({' and '.join(whose)})" if whose else ""
        if self.kind == "Secret" or "valuesContent" in where:
            meta = observed["metadata"]
            state = meta.get("generation", meta.get("resourceVersion", "unknown"))
            return f"{where}{by}, state {state}" if by else where
        return f"{where}: {json.dumps(standing_at(observed, where), sort_keys=True)}{by}"

    def _managed(self, held: Mapping[str, list[str]]) -> str:
        space = f" -n {self.namespace}" if self.namespace else ""
        return (
            f"{self.name} is not as the lab says, and not ours alone: {told(held)}. "
            "Whoever that is would set it back, or be broken by ours. Have it leave that be (an "
            "autoscaler deleted, its chart or repository changed) or the lab say the same; "
            f"kubectl get {self.resource} "
            f"{self.object_name}{space} --show-managed-fields -o yaml shows whose is what"
        )

    def _foreign(self, where: str) -> str:
        space = f" -n {self.namespace}" if self.namespace else ""
        labels = " ".join(f"{key}={value}" for key, value in marks(self.lab).items())
        return (
            f"{self.name} is there with another {where}, and we did not make it for lab "
            f"{self.lab}. If the lab may change it: kubectl label {self.resource} "
            f"{self.object_name}{space} {labels}; else delete it by hand, or name ours otherwise"
        )
