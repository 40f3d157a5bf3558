"""Secrets of a cluster: their values come from references, and go to it on standard input alone."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL
from homelab_lib.control.kubernetes.managers import (
    MANAGED_FIELDS,
    MANAGER,
    of_persons,
    others,
    told,
)
from homelab_lib.control.kubernetes.objects import is_ours, marks
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change, read

_TEXTS: Shape = {str: str}


@dataclass(frozen=True)
class SecretObject:
    """A Secret with values that nobody sees.

    Parameters
    ----------
    host, lab
        The server by which the cluster is reached, and the lab that the Secret belongs to.
    object_name, namespace
        Its name, and where it is.
    values
        Of each key, what it holds.
    """

    host: str
    lab: str
    object_name: str
    namespace: str
    values: Mapping[str, Secret] = field(hash=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"Secret {self.namespace}/{self.object_name}"

    def observe(self, host: Host) -> dict[str, Any]:
        asks = (*KUBECTL, "get", "secret", self.object_name, "-n", self.namespace)
        asks += ("--ignore-not-found",)
        words = (*asks, "-o")
        if not host.read(*words, "name", sudo=True).stdout.strip():
            return {"there": False, "ours": False, "other": [], "held": {}}
        labels = _texts(host, *words, "jsonpath={.metadata.labels}")
        held = _texts(host, *words, "jsonpath={.data}", secret=True)
        other = [key for key, value in self.values.items() if held.get(key) != _encoded(value)]
        ours = is_ours(labels, self.lab)
        theirs = [key for key in other if key in held] if ours else []
        by = _managed(host, asks, theirs) if theirs else {}
        found = {"there": True, "ours": ours, "other": sorted(other), "held": by}
        if by:  # which state of it is replaced: the values themselves are nowhere written
            state = host.read(*words, "jsonpath={.metadata.resourceVersion}", sudo=True).stdout
            found["state"] = state.strip()
        return found

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["there"] and not observed["other"]:
            return Diff()
        if observed["there"] and not observed["ours"]:
            labels = " ".join(f"{key}={value}" for key, value in marks(self.lab).items())
            return Diff(
                conflict=f"{self.name} is there with another value of "
                f"{', '.join(observed['other'])}, and we did not make it for lab {self.lab}. If "
                f"the lab may change it: kubectl label secret {self.object_name} -n "
                f"{self.namespace} {labels}; else delete it by hand"
            )
        held = observed["held"]
        if not of_persons(held):
            return Diff(
                conflict=f"{self.name} has another value of {', '.join(observed['other'])}, and is "
                f"not ours alone: {told(held)}. It would set it back; have it leave that be, or "
                "the lab refer to the same value"
            )
        call = change(
            *KUBECTL,
            "apply",
            "--server-side",
            f"--field-manager={MANAGER}",
            *(("--force-conflicts",) if held else ()),
            "-f",
            "-",
            stdin=Secret(f"{self.name} with its values", self._document),
            sudo=True,
        )
        verb = "change" if observed["there"] else "make"
        keys = ", ".join(observed["other"] if observed["there"] else sorted(self.values))
        by_force = f", by force: {told(held)}" if held else ""
        replaces = f"the value of {keys}" if observed["there"] else ""
        if held:
            replaces += f" ({told(held)}), state {observed['state']}"
        undo = f"kubectl delete secret {self.object_name} -n {self.namespace}"
        if observed["there"]:
            undo = f"{NOT_UNDONE}: the values of before are secret, and kept nowhere"
        return Diff(
            (
                Change(
                    f"{verb} {keys} of {self.name}{by_force}",
                    call,
                    replaces=replaces,
                    undo=undo,
                ),
            )
        )

    def _document(self) -> str:
        metadata = {
            "name": self.object_name,
            "namespace": self.namespace,
            "labels": marks(self.lab),
        }
        data = {key: _encoded(value) for key, value in self.values.items()}
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        return json.dumps(whole, sort_keys=True)


def _managed(host: Host, words: tuple[str, ...], keys: list[str]) -> dict[str, list[str]]:
    """Who else manages keys that are to have another value; no value is asked for."""
    words += ("--show-managed-fields", "-o", "jsonpath={.metadata.managedFields}")
    said, line = host.read(*words, sudo=True).stdout, read(*words).line
    managed = answers.understood(said, MANAGED_FIELDS, host=host.name, line=line) if said else []
    there = {"metadata": {"managedFields": managed}, "data": dict.fromkeys(keys, "theirs")}
    return others({"data": dict.fromkeys(keys, "ours")}, there)


def _texts(host: Host, *words: str, secret: bool = False) -> dict[str, str]:
    """A map of texts, of which nothing is printed when it is empty."""
    said = host.read(*words, sudo=True, secret_output=secret).stdout
    if not said.strip():
        return {}
    shown = (
        (lambda text, characters: "") if secret else (lambda text, characters: text[:characters])
    )
    line = read(*words).line
    found: dict[str, str] = answers.understood(said, _TEXTS, host=host.name, line=line, cut=shown)
    return found


def _encoded(value: Secret) -> str:
    return base64.b64encode(value.reveal().encode()).decode()
