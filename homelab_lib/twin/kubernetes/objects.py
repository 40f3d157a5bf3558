"""The objects a Kubernetes API keeps: their kinds, the defaults it fills in, what it refuses."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

Key = tuple[str, str, str]
"""Kind, namespace (empty for none) and name."""


class ApiError(Exception):
    """What the API server answers instead of an object.

    Parameters
    ----------
    reason
        ``NotFound``, ``Invalid``, ``Forbidden`` …, as `kubectl` prints it.
    message
        The text behind it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Parameters
    ----------
    name, api_version, plural
        ``Deployment``, ``apps/v1``, ``deployments``.
    short
        Short names `kubectl` takes.
    namespaced
        Whether it lives in a namespace.
    """

    name: str
    api_version: str
    plural: str
    short: tuple[str, ...] = ()
    namespaced: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """As in messages: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """As `kubectl` prints what it did: ``deployment.apps``."""
        return f"{self.name.lower()}.{self.group}" if self.group else self.name.lower()


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Namespace", "v1", "namespaces", ("ns",), namespaced=False),
        Kind("Node", "v1", "nodes", ("no",), namespaced=False),
        Kind("Pod", "v1", "pods", ("po",)),
        Kind("Service", "v1", "services", ("svc",)),
        Kind("ConfigMap", "v1", "configmaps", ("cm",)),
        Kind("Secret", "v1", "secrets"),
        Kind("ServiceAccount", "v1", "serviceaccounts", ("sa",)),
        Kind("Event", "v1", "events", ("ev",)),
        Kind("PersistentVolume", "v1", "persistentvolumes", ("pv",), namespaced=False),
        Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims", ("pvc",)),
        Kind("Deployment", "apps/v1", "deployments", ("deploy",)),
        Kind("ReplicaSet", "apps/v1", "replicasets", ("rs",)),
        Kind("DaemonSet", "apps/v1", "daemonsets", ("ds",)),
        Kind("Job", "batch/v1", "jobs"),
        Kind("Ingress", "networking.k8s.io/v1", "ingresses", ("ing",)),
        Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
        Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", ("sc",), namespaced=False),
        Kind("CSIDriver", "storage.k8s.io/v1", "csidrivers", namespaced=False),
        Kind("HelmChart", "helm.cattle.io/v1", "helmcharts"),
        Kind("HelmChartConfig", "helm.cattle.io/v1", "helmchartconfigs"),
    )
}


def kind_called(word: str) -> Kind:
    """The kind that `kubectl` knows by a plural, singular, short or full name.

    Raises
    ------
    ApiError
        With `kubectl`'s own text.
    """
    wanted = word.lower()
    for kind in KINDS.values():
        names = {kind.plural, kind.name.lower(), *kind.short, kind.resource, kind.singular}
        names |= {f"{kind.plural}.{kind.api_version.replace('/', '.')}"}
        if wanted in names or wanted.startswith(f"{kind.plural}.v1."):
            return kind
    raise ApiError("", f'error: the server doesn\'t have a resource type "{word}"')


def kind_of(document: Mapping[str, Any]) -> Kind:
    """The kind a document says it is of.

    Raises
    ------
    ApiError
        There is no such kind in that API version.
    """
    name, version = document.get("kind", ""), document.get("apiVersion", "")
    kind = KINDS.get(name)
    if kind is None or kind.api_version != version:
        raise ApiError(
            "",
            f'error: resource mapping not found for name: "{_name(document)}" namespace: '
            f'"{document.get("metadata", {}).get("namespace", "")}" from "STDIN": no matches for '
            f'kind "{name}" in version "{version}"\nensure CRDs are installed first',
        )
    return kind


def _name(document: Mapping[str, Any]) -> str:
    return document.get("metadata", {}).get("name", "")


# Server-side apply -------------------------------------------------------------------------------


def merged(existing: Any, last: Any, new: Any) -> Any:
    """What a field becomes when its manager applies `new` after having applied `last`.

    What the manager no longer says is taken away; what others or the server say stays. Lists
    are the manager's as a whole; entries that keep their name keep what the server filled in.
    """
    if isinstance(new, dict):
        existing = existing if isinstance(existing, dict) else {}
        last = last if isinstance(last, dict) else {}
        dropped = set(last) - set(new)
        kept = {key: value for key, value in existing.items() if key not in dropped}
        return kept | {key: merged(existing.get(key), last.get(key), new[key]) for key in new}
    if isinstance(new, list) and all(isinstance(item, dict) and "name" in item for item in new):
        old = {i["name"]: i for i in existing or () if isinstance(i, dict) and "name" in i}
        before = {i["name"]: i for i in last or () if isinstance(i, dict) and "name" in i}
        return [merged(old.get(i["name"]), before.get(i["name"]), i) for i in new]
    return copy.deepcopy(new)


# Defaults ----------------------------------------------------------------------------------------


def fill_in(kind: Kind, document: Object) -> None:
    """The defaults that the API server writes into an object."""
    spec: Any = document.get("spec")
    if kind.name in ("Deployment", "DaemonSet", "ReplicaSet"):
        spec.setdefault("revisionHistoryLimit", 10)
        if kind.name != "DaemonSet":
            spec.setdefault("replicas", 1)
        if kind.name == "Deployment":
            spec.setdefault("progressDeadlineSeconds", 600)
            spec.setdefault(
                "strategy",
                {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                },
            )
        _fill_in_pod(spec["template"]["spec"], "Always")
    elif kind.name == "Job":
        for name, value in (("backoffLimit", 6), ("completions", 1), ("parallelism", 1)):
            spec.setdefault(name, value)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        _fill_in_pod(spec["template"]["spec"], "")
    elif kind.name == "Pod":
        _fill_in_pod(spec, "Always")
        document.setdefault("status", {"phase": "Pending"})
    elif kind.name == "Service":
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        for port in spec["ports"]:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
    elif kind.name == "PersistentVolumeClaim":
        spec.setdefault("volumeMode", "Filesystem")
    elif kind.name == "StorageClass":
        document.setdefault("reclaimPolicy", "Delete")
        document.setdefault("volumeBindingMode", "Immediate")
    elif kind.name == "Namespace":
        document.setdefault("spec", {"finalizers": ["kubernetes"]})
        document.setdefault("status", {"phase": "Active"})


def _fill_in_pod(spec: Object, restart: str) -> None:
    if restart:
        spec.setdefault("restartPolicy", restart)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in spec["containers"]:
        tag = container["image"].rpartition(":")[2] if ":" in container["image"] else "latest"
        container.setdefault("imagePullPolicy", "Always" if tag == "latest" else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for port in container.get("ports", ()):
            port.setdefault("protocol", "TCP")


# Refusals ----------------------------------------------------------------------------------------

_REQUIRED = {
    "Deployment": ("spec.selector", "spec.template.spec.containers"),
    "DaemonSet": ("spec.selector", "spec.template.spec.containers"),
    "Job": ("spec.template.spec.containers",),
    "Pod": ("spec.containers",),
    "Service": ("spec.ports",),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.resources.requests.storage"),
    "StorageClass": ("provisioner",),
    "Ingress": ("spec.rules",),
    "HelmChart": ("spec.chart",),
}
_IMMUTABLE = {
    "StorageClass": {
        "parameters": "Forbidden: updates to parameters are forbidden.",
        "provisioner": "Forbidden: updates to provisioner are forbidden.",
        "reclaimPolicy": "Forbidden: updates to reclaimPolicy are forbidden.",
    },
    "Deployment": {"spec.selector": "Invalid value: field is immutable"},
    "DaemonSet": {"spec.selector": "Invalid value: field is immutable"},
    "Job": {"spec.template": "Invalid value: field is immutable"},
    "PersistentVolumeClaim": dict.fromkeys(
        ("spec.accessModes", "spec.storageClassName", "spec.volumeMode"),
        "Forbidden: spec is immutable after creation except resources.requests and "
        "volumeAttributesClassName for bound claims",
    ),
}


def dig(document: Any, path: str) -> Any:
    """What stands at a dotted path; None for nothing."""
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def refuse(kind: Kind, new: Object, old: Object | None) -> None:
    """Raise what the API server would say of an object that can't be, or can't become so."""
    problems = [
        f"{path}: Required value" for path in _REQUIRED.get(kind.name, ()) if not dig(new, path)
    ]
    if old is not None:
        problems += [
            f"{path}: {says}"
            for path, says in _IMMUTABLE.get(kind.name, {}).items()
            if dig(old, path) != dig(new, path)
        ]
    template = dig(new, "spec.template") or {}
    if kind.name == "Job" and dig(template, "spec.restartPolicy") not in ("Never", "OnFailure"):
        problems.append(
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
        )
    if kind.name in ("Deployment", "DaemonSet") and not problems:
        labels = dig(template, "metadata.labels") or {}
        selector = dig(new, "spec.selector.matchLabels") or {}
        if not selector.items() <= labels.items():
            problems.append(
                "spec.template.metadata.labels: Invalid value: `selector` does not match template "
                "`labels`"
            )
    if problems:
        said = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise ApiError("", f'The {kind.name} "{_name(new)}" is invalid: {said}')
