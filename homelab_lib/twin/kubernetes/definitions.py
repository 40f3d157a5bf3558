"""Kinds that Kubernetes itself has not: those that k3s brings, and those that somebody defines.

Source: k3s-io/helm-controller `pkg/apis/helm.cattle.io/v1`; apiextensions.k8s.io/v1.
"""

from functools import cache
from typing import Any

from homelab_lib.twin.kubernetes import schema
from homelab_lib.twin.kubernetes.fitting import Schema
from homelab_lib.twin.kubernetes.objects import ApiError, Kind, Object

_POD = "#/$defs/io.k8s.api.core.v1."
_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}
_SECRET = {"type": "object", "properties": {"name": _TEXT}}
_POLICY = {"type": "string", "enum": ["abort", "reinstall"]}
_VALUES_SECRETS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": _TEXT,
            "keys": {"type": "array", "items": _TEXT},
            "ignoreUpdates": _FLAG,
        },
    },
}
_CHART = (
    dict.fromkeys(
        ("chart", "chartContent", "helmVersion", "jobImage", "repo", "repoCA", "targetNamespace",
         "timeout", "valuesContent", "version"),
        _TEXT,
    )
    | dict.fromkeys(
        ("authPassCredentials", "bootstrap", "createNamespace", "insecureSkipTLSVerify",
         "plainHTTP", "takeOwnership"),
        _FLAG,
    )
    | dict.fromkeys(("authSecret", "dockerRegistrySecret", "repoCAConfigMap"), _SECRET)
    | {
        "backOffLimit": {"type": "integer"},
        "driver": {"type": "string", "enum": ["secret", "configmap"]},
        "failurePolicy": _POLICY,
        "podSecurityContext": {"$ref": f"{_POD}PodSecurityContext"},
        "securityContext": {"$ref": f"{_POD}SecurityContext"},
        "set": {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "values": _ANYTHING,
        "valuesSecrets": _VALUES_SECRETS,
    }
)  # fmt: skip
_CONDITIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": dict.fromkeys(("message", "reason", "status", "type"), _TEXT),
        "required": ["status", "type"],
    },
}
_CHART_STATUS = {"jobName": _TEXT, "conditions": _CONDITIONS}


def _whole(spec: dict[str, Any], status: dict[str, Any] | None = None) -> Schema:
    parts: dict[str, Any] = {"spec": {"type": "object", "properties": spec}}
    if status is not None:
        parts["status"] = {"type": "object", "properties": status}
    return {"type": "object", "properties": parts}


K3S = {
    "HelmChart": _whole(_CHART, _CHART_STATUS),
    "HelmChartConfig": _whole(
        {
            "failurePolicy": _POLICY,
            "values": _ANYTHING,
            "valuesContent": _TEXT,
            "valuesSecrets": _VALUES_SECRETS,
        }
    ),
}
"""The schemas of k3s's own custom resources, as far as runbooks use them."""


def shape_of(kind: Kind, version: str) -> schema.Shape:
    """What the objects of a kind look like, in a cluster of a version."""
    minor = schema.minor_of(version)
    if kind.shape is not None:
        return schema.custom(minor, kind.shape)
    if kind.name in K3S:
        return _of_k3s(minor, kind.name)
    return schema.core(minor, kind.name, kind.api_version)


@cache
def _of_k3s(minor: str, name: str) -> schema.Shape:
    return schema.custom(minor, K3S[name])


def is_established(definition: Object) -> bool:
    """Whether the API server answers for what a definition makes."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def establish(definition: Object, stamp: str) -> None:
    """Take a definition in: from then on its kind is served."""
    if not is_established(definition):
        reasons = {"NamesAccepted": "NoConflicts", "Established": "InitialNamesAccepted"}
        definition["status"] = {
            "conditions": [
                {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": stamp}
                for kind, reason in reasons.items()
            ]
        }


def defined(definition: Object) -> Kind:
    """The kind that a CustomResourceDefinition makes; it is known by its plural and group.

    Raises
    ------
    ApiError
        It has no version that is served and stored.
    """
    spec = definition["spec"]
    names = spec["names"]
    if definition["metadata"]["name"] != f"{names['plural']}.{spec['group']}":
        raise ApiError(
            "",
            f'The CustomResourceDefinition "{definition["metadata"]["name"]}" is invalid: '
            f'metadata.name: Invalid value: "{definition["metadata"]["name"]}": must be '
            'spec.names.plural+"."+spec.group',
        )
    stored = [each for each in spec["versions"] if each.get("storage") and each.get("served")]
    if len(stored) != 1:
        raise ApiError(
            "",
            f'The CustomResourceDefinition "{definition["metadata"]["name"]}" is invalid: '
            "spec.versions: Invalid value: must have exactly one version marked as storage version",
        )
    return Kind(
        names["kind"],
        f"{spec['group']}/{stored[0]['name']}",
        names["plural"],
        tuple(names.get("shortNames") or ()),
        namespaced=spec["scope"] == "Namespaced",
        shape=(stored[0].get("schema") or {}).get("openAPIV3Schema") or _ANYTHING,
    )
