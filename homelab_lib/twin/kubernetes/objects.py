"""The objects a Kubernetes API keeps: their kinds, the defaults it fills in, what it refuses."""

import copy
import itertools
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

Key = tuple[str, str, str]
"""Kind, namespace (empty for none) and name."""


class Objects(MutableMapping[Key, Object]):
    """Objects by their keys, kept by kind and name, as controllers ask for them all the time."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[Key, Object]] = {}

    def __getitem__(self, key: Key) -> Object:
        return self._kinds[key[0]][key]

    def __setitem__(self, key: Key, document: Object) -> None:
        known = self._kinds.setdefault(key[0], {})
        in_order = key in known or not known or key > next(reversed(known))
        known[key] = document
        if not in_order:
            self._kinds[key[0]] = dict(sorted(known.items(), key=lambda item: item[0]))

    def __delitem__(self, key: Key) -> None:
        del self._kinds[key[0]][key]

    def __iter__(self) -> Iterator[Key]:
        return itertools.chain.from_iterable(self._kinds.values())

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def kinds(self) -> list[str]:
        """The kinds of which there is or was one."""
        return list(self._kinds)

    def of_kind(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Those of a kind by name; of all namespaces for None."""
        found = self._kinds.get(kind, {})
        if namespace is None:
            return list(found.values())
        return [document for key, document in found.items() if key[1] == namespace]


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
    shape
        The schema of a kind that a CustomResourceDefinition made; None for one that is there from
        the beginning.
    """

    name: str
    api_version: str
    plural: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    shape: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """By which a cluster keeps its objects: of two groups' kinds of one name, one each."""
        return self.name if self.shape is None else self.resource

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

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
        Kind("StatefulSet", "apps/v1", "statefulsets", ("sts",)),
        Kind("Job", "batch/v1", "jobs"),
        Kind("RuntimeClass", "node.k8s.io/v1", "runtimeclasses", namespaced=False),
        Kind("Ingress", "networking.k8s.io/v1", "ingresses", ("ing",)),
        Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", ("netpol",)),
        Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
        Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", ("sc",), namespaced=False),
        Kind("CSIDriver", "storage.k8s.io/v1", "csidrivers", namespaced=False),
        Kind("CSINode", "storage.k8s.io/v1", "csinodes", namespaced=False),
        Kind("IngressClass", "networking.k8s.io/v1", "ingressclasses", namespaced=False),
        Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False),
        Kind(
            "ClusterRoleBinding",
            "rbac.authorization.k8s.io/v1",
            "clusterrolebindings",
            namespaced=False,
        ),
        Kind("Role", "rbac.authorization.k8s.io/v1", "roles"),
        Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
        Kind("RuntimeClass", "node.k8s.io/v1", "runtimeclasses", namespaced=False),
        Kind("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", ("pc",), namespaced=False),
        Kind(
            "CustomResourceDefinition",
            "apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            ("crd", "crds"),
            namespaced=False,
        ),
        Kind("HelmChart", "helm.cattle.io/v1", "helmcharts"),
        Kind("HelmChartConfig", "helm.cattle.io/v1", "helmchartconfigs"),
    )
}


def kind_called(word: str, kinds: Mapping[str, Kind] = KINDS) -> Kind:
    """The kind that `kubectl` knows by a plural, singular, short or full name.

    Raises
    ------
    ApiError
        With `kubectl`'s own text.
    """
    wanted = word.lower()
    for kind in kinds.values():
        names = {kind.plural, kind.name.lower(), *kind.short, kind.resource, kind.singular}
        names |= {f"{kind.plural}.{kind.api_version.replace('/', '.')}"}
        if wanted in names or wanted.startswith(f"{kind.plural}.v1."):
            return kind
    raise ApiError("", f'error: the server doesn\'t have a resource type "{word}"')


def kind_of(document: Mapping[str, Any], kinds: Mapping[str, Kind] = KINDS) -> Kind:
    """The kind a document says it is of.

    Raises
    ------
    ApiError
        There is no such kind in that API version.
    """
    name, version = document.get("kind", ""), document.get("apiVersion", "")
    for kind in kinds.values():
        if (kind.name, kind.api_version) == (name, version):
            return kind
    metadata = document.get("metadata")
    space = metadata.get("namespace", "") if isinstance(metadata, Mapping) else ""
    raise ApiError(
        "",
        f'error: resource mapping not found for name: "{name_of(document)}" namespace: '
        f'"{space}" from "STDIN": no matches for kind "{name}" in version "{version}"\n'
        "ensure CRDs are installed first",
    )


def name_of(document: Mapping[str, Any]) -> str:
    """Its name; empty for none."""
    metadata = document.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""


def pruned(value: Any) -> Any:
    """A document without its nulls: to the API server they are fields that aren't there."""
    if isinstance(value, dict):
        return {key: pruned(each) for key, each in value.items() if each is not None}
    return [pruned(each) for each in value] if isinstance(value, list) else value


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
        for key in dropped & existing.keys():
            parts = existing[key], last[key]
            if all(isinstance(part, dict) for part in parts) and (rest := merged(*parts, {})):
                kept[key] = rest
        return kept | {key: merged(existing.get(key), last.get(key), new[key]) for key in new}
    if isinstance(new, list) and all(isinstance(item, dict) and "name" in item for item in new):
        old = {i["name"]: i for i in existing or () if isinstance(i, dict) and "name" in i}
        before = {i["name"]: i for i in last or () if isinstance(i, dict) and "name" in i}
        return [merged(old.get(i["name"]), before.get(i["name"]), i) for i in new]
    return copy.deepcopy(new)


def dig(document: Any, path: str) -> Any:
    """What stands at a dotted path; None for nothing."""
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document
