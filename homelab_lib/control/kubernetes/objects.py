"""Kubernetes objects by server-side apply."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.kubernetes.kubectl import KUBECTL, Object, differs, get, standing_at
from homelab_lib.control.kubernetes.managers import MANAGED, MANAGER, is_a_person, others
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

MANAGED_BY = "app.kubernetes.io/managed-by"
LAB = "homelab/lab"
_KEPT = "kustomize.toolkit.fluxcd.io/name"
"""The label of what Flux has taken over."""


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
        held = others(self.document, observed)
        if any(not is_a_person(who) for managers in held.values() for who in managers):
            return Diff(conflict=self._managed(held))
        by_force = f", by force: {_told(held)}" if held else ""
        places = dict.fromkeys((where, *held))
        return Diff(
            (
                Change(
                    f"change {where} of {self.name}{by_force}",
                    self._apply(*(("--force-conflicts",) if held else ())),
                    replaces="; ".join(dict.fromkeys(self._before(observed, at) for at in places)),
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

    def _before(self, observed: Any, where: str) -> str:
        """What stands at `where` now; where secrets may stand, never more than the place."""
        if self.kind == "Secret" or "valuesContent" in where:
            return where
        return f"{where}: {json.dumps(standing_at(observed, where), sort_keys=True)}"

    def _managed(self, held: Mapping[str, list[str]]) -> str:
        space = f" -n {self.namespace}" if self.namespace else ""
        return (
            f"{self.name} is not as the lab says, and not ours alone: {_told(held)}. It would set "
            "it back, or be broken by ours. Have it leave that be (an autoscaler deleted, its "
            f"chart or repository changed) or the lab say the same; kubectl get {self.resource} "
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


def _told(held: Mapping[str, list[str]]) -> str:
    """Who manages what."""
    return ", ".join(
        f"{' and '.join(who)} {'manage' if len(who) > 1 else 'manages'} {place}"
        for place, who in held.items()
    )
