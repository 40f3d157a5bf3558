"""What the API server refuses beyond the shape of an object: values, names, what can't change.

Source: kubernetes `pkg/apis/*/validation/validation.go`; apimachinery `util/validation`.
"""

import re
from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.kubernetes.objects import Kind, Object, dig, name_of
from homelab_lib.twin.kubernetes.podspec import pod_problems
from homelab_lib.twin.kubernetes.schema import invalid
from homelab_lib.twin.kubernetes.values import (
    LABEL,
    SUBDOMAIN,
    labels_problems,
    of_these,
    port,
    quantity_problem,
)

_REQUIRED = {
    "Deployment": ("spec.selector", "spec.template"),
    "DaemonSet": ("spec.selector", "spec.template"),
    "ReplicaSet": ("spec.selector", "spec.template"),
    "StatefulSet": ("spec.selector", "spec.template"),
    "Job": ("spec.template",),
    "Pod": ("spec.containers",),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.resources.requests.storage"),
    "StorageClass": ("provisioner",),
    "RuntimeClass": ("handler",),
    "CustomResourceDefinition": ("spec.names.plural", "spec.versions"),
}
_FORBIDDEN = "Forbidden: updates to {} are forbidden."
_IMMUTABLE = {
    "StorageClass": {
        each: _FORBIDDEN.format(each) for each in ("parameters", "provisioner", "reclaimPolicy")
    },
    "Deployment": {"spec.selector": "Invalid value: field is immutable"},
    "DaemonSet": {"spec.selector": "Invalid value: field is immutable"},
    "StatefulSet": dict.fromkeys(
        ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
        "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
        "'template', 'updateStrategy', 'revisionHistoryLimit', "
        "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ),
    "Job": {"spec.template": "Invalid value: field is immutable"},
    "PersistentVolumeClaim": dict.fromkeys(
        ("spec.accessModes", "spec.storageClassName", "spec.volumeMode"),
        "Forbidden: spec is immutable after creation except resources.requests and "
        "volumeAttributesClassName for bound claims",
    ),
}
_DNS_LABEL = ("Namespace", "Service")
_PATH_NAME = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_COUNTS = {
    "Deployment": ("replicas", "minReadySeconds", "revisionHistoryLimit"),
    "ReplicaSet": ("replicas", "minReadySeconds"),
    "StatefulSet": ("replicas", "minReadySeconds", "revisionHistoryLimit"),
    "DaemonSet": ("minReadySeconds", "revisionHistoryLimit"),
    "Job": ("backoffLimit", "parallelism", "completions", "ttlSecondsAfterFinished"),
}
_CLAIM_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def refuse(kind: Kind, new: Object, old: Object | None) -> None:
    """Raise what the API server would say of an object that can't be, or can't become so."""
    problems = [*_metadata(kind, new), *_required(kind, new)]
    if old is not None:
        problems += [
            f"{path}: {says}"
            for path, says in _IMMUTABLE.get(kind.name, {}).items()
            if _differ(kind, path, old, new)
        ]
    if not problems:
        problems = [*_counts(kind, new), *_OF_KIND.get(kind.name, _nothing)(new)]
    if problems:
        raise invalid(kind, new, problems)


def _differ(kind: Kind, path: str, old: Object, new: Object) -> bool:
    """Whether what can't change does; of a claim, a class that the server chose may be left out."""
    wanted = dig(new, path)
    left_out = wanted is None and kind.name in ("PersistentVolumeClaim", "StorageClass")
    return not left_out and dig(old, path) != wanted


def _required(kind: Kind, new: Object) -> list[str]:
    paths = _REQUIRED.get(kind.name, ())
    return [f"{path}: Required value" for path in paths if not dig(new, path)]


def _metadata(kind: Kind, new: Object) -> Iterator[str]:
    metadata = new.get("metadata") or {}
    name = name_of(new)
    if kind.name in _DNS_LABEL:
        good = len(name) <= 63 and LABEL.fullmatch(name)
        says = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters"
    elif kind.name in _PATH_NAME:
        good = not re.search(r"[/%]", name) and name not in (".", "..")
        says = "may not contain '/' or '%'"
    else:
        good = len(name) <= 253 and SUBDOMAIN.fullmatch(name)
        says = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters"
    if not good:
        yield f"metadata.name: Invalid value: \"{name}\": {says}, '-' or '.'"
    yield from labels_problems(metadata.get("labels"), "metadata.labels")
    if sum(len(k) + len(v) for k, v in (metadata.get("annotations") or {}).items()) > 2**18:
        yield "metadata.annotations: Too long: may not be more than 262144 bytes"


def _counts(kind: Kind, new: Object) -> Iterator[str]:
    for name in _COUNTS.get(kind.name, ()):
        count = dig(new, f"spec.{name}")
        if count is not None and not 0 <= count < 2**31:
            yield f"spec.{name}: Invalid value: {count}: must be greater than or equal to 0"


def _template(new: Object) -> Iterator[str]:
    """The pods that a workload makes, and how it finds them again."""
    labels = dig(new, "spec.template.metadata.labels") or {}
    yield from labels_problems(labels, "spec.template.metadata.labels")
    yield from pod_problems(dig(new, "spec.template.spec") or {}, "spec.template.spec")
    selector = dig(new, "spec.selector") or {}
    wanted = selector.get("matchLabels") or {}
    if not wanted and not selector.get("matchExpressions"):
        yield "spec.selector: Invalid value: empty selector is invalid for deployment"
    yield from labels_problems(wanted, "spec.selector.matchLabels")
    if not wanted.items() <= labels.items():
        yield (
            "spec.template.metadata.labels: Invalid value: `selector` does not match template "
            "`labels`"
        )
    restart = dig(new, "spec.template.spec.restartPolicy")
    yield from of_these(restart, "spec.template.spec.restartPolicy", "Always")


def _job(new: Object) -> Iterator[str]:
    labels = dig(new, "spec.template.metadata.labels")
    yield from labels_problems(labels, "spec.template.metadata.labels")
    pod = dig(new, "spec.template.spec") or {}
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        yield (
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
        )
    yield from pod_problems(pod, "spec.template.spec")
    yield from of_these(
        dig(new, "spec.completionMode"), "spec.completionMode", "NonIndexed", "Indexed"
    )


def _pod(new: Object) -> Iterator[str]:
    return pod_problems(new["spec"], "spec")


def _service(new: Object) -> Iterator[str]:
    spec = new.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    yield from of_these(kind, "spec.type", "ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    yield from labels_problems(spec.get("selector"), "spec.selector")
    ports = spec.get("ports") or []
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield "spec.ports: Required value"
    seen = set()
    for at, each in enumerate(ports):
        path = f"spec.ports[{at}]"
        yield from port(each.get("port"), f"{path}.port")
        target = each.get("targetPort")
        if isinstance(target, int):
            yield from port(target, f"{path}.targetPort")
        yield from of_these(each.get("protocol"), f"{path}.protocol", "SCTP", "TCP", "UDP")
        name = each.get("name", "")
        if not name and len(ports) > 1:
            yield f"{path}.name: Required value"
        if name and (len(name) > 63 or not LABEL.fullmatch(name)):
            yield f'{path}.name: Invalid value: "{name}": a lowercase RFC 1123 label'
        if name in seen:
            yield f'{path}.name: Duplicate value: "{name}"'
        seen.add(name)


def _ingress(new: Object) -> Iterator[str]:
    spec = new.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield "spec: Invalid value: either `defaultBackend` or `rules` must be specified"
    for at, rule in enumerate(spec.get("rules") or ()):
        path = f"spec.rules[{at}]"
        host = rule.get("host", "")
        if host and not SUBDOMAIN.fullmatch(host.removeprefix("*.")):
            yield f'{path}.host: Invalid value: "{host}": a lowercase RFC 1123 subdomain'
        ways = dig(rule, "http.paths")
        if "http" in rule and not ways:
            yield f"{path}.http.paths: Required value"
        for number, way in enumerate(ways or ()):
            yield from _way(way, f"{path}.http.paths[{number}]")


def _way(way: Object, path: str) -> Iterator[str]:
    kind, where = way.get("pathType"), way.get("path", "")
    kinds = ("Exact", "ImplementationSpecific", "Prefix")
    yield from of_these(kind, f"{path}.pathType", *kinds)
    if kind in ("Exact", "Prefix") and not where.startswith("/"):
        yield f'{path}.path: Invalid value: "{where}": must be an absolute path'
    backend = way.get("backend") or {}
    service = backend.get("service")
    if service is None and "resource" not in backend:
        yield f"{path}.backend: Required value: a service or a resource"
    if service is not None:
        if not LABEL.fullmatch(service.get("name", "")):
            yield f"{path}.backend.service.name: Invalid value: a DNS-1035 label"
        number, name = dig(service, "port.number"), dig(service, "port.name")
        if bool(number) == bool(name):
            yield f"{path}.backend.service.port: Required value: name or number"
        if number:
            yield from port(number, f"{path}.backend.service.port.number")


def _claim(new: Object) -> Iterator[str]:
    for mode in dig(new, "spec.accessModes"):
        yield from of_these(mode, "spec.accessModes", *_CLAIM_MODES)
    size = dig(new, "spec.resources.requests.storage")
    yield from quantity_problem(size, "spec.resources[storage]", positive=True)
    mode = dig(new, "spec.volumeMode")
    yield from of_these(mode, "spec.volumeMode", "Block", "Filesystem")


def _storage_class(new: Object) -> Iterator[str]:
    yield from of_these(new.get("reclaimPolicy"), "reclaimPolicy", "Delete", "Retain")
    modes = ("Immediate", "WaitForFirstConsumer")
    yield from of_these(new.get("volumeBindingMode"), "volumeBindingMode", *modes)


def _nothing(_: Object) -> Iterator[str]:
    return iter(())


_OF_KIND: dict[str, Any] = {
    "Deployment": _template,
    "DaemonSet": _template,
    "ReplicaSet": _template,
    "StatefulSet": _template,
    "Job": _job,
    "Pod": _pod,
    "Service": _service,
    "Ingress": _ingress,
    "PersistentVolumeClaim": _claim,
    "StorageClass": _storage_class,
}
