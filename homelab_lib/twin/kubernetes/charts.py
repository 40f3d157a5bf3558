"""What a chart installs: a table of charts by name and version, and an installer that reads it.

Source: helm (`pkg/action/install.go`, the labels and annotations of a release's objects); the
charts' own templates, as the table says.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from homelab_lib import yaml_safe
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object, dig, kind_of

Row = Mapping[str, Any]

_TABLE = Path(__file__).with_name("charts.yaml")
_CLUSTER_WIDE = " cluster-wide"


@cache
def table() -> tuple[Row, ...]:
    """The charts that are known."""
    return tuple(yaml.safe_load(_TABLE.read_text(encoding="utf-8")))


@cache
def images() -> frozenset[str]:
    """The images that they use."""
    found = {each["image"] for row in table() for each in row.get("workloads", ())}
    return frozenset(found | {image for row in table() for image in row.get("images", ())})


def definitions() -> Iterator[Object]:
    """What all of them define."""
    for row in table():
        for version, kinds in row.get("crds", {}).items():
            for kind in kinds:
                yield definition(version, kind)


def row_of(spec: Mapping[str, Any]) -> Row | None:
    """The row of the chart that a HelmChart asks for; None where its repository has none.

    A repository that nobody here knows is taken for a mirror.
    """
    repo, chart = str(spec.get("repo") or ""), str(spec.get("chart") or "")
    if chart.startswith("oci://"):
        repo, _, chart = chart.rpartition("/")
    repo = repo.rstrip("/")
    mirror = all(repo not in row["repos"] for row in table())
    for row in table():
        if row["chart"] == chart and (mirror or repo in row["repos"]):
            return row if str(spec.get("version")) in row["versions"] else None
    return None


def values_of(spec: Mapping[str, Any]) -> Any:
    """The values that a HelmChart gives.

    Raises
    ------
    BadYaml
        They are no YAML.
    """
    return yaml_safe.load(spec.get("valuesContent") or "") or {}


def install(cluster: Cluster, chart: Object, row: Row, namespace: str) -> bool:
    """Make what a chart holds, or make it what it has become; whether all of it is there.

    Parameters
    ----------
    cluster, chart
        The HelmChart, and where it is.
    row
        The chart's row in the table.
    namespace
        Where its objects go.
    """
    return Installing(cluster, chart, row, namespace).all()


class Installing:
    """One run of Helm; see `install`."""

    def __init__(self, cluster: Cluster, chart: Object, row: Row, namespace: str) -> None:
        self.cluster, self.row, self.space = cluster, row, namespace
        self.values = values_of(chart["spec"])
        release, name = chart["metadata"]["name"], row["chart"]
        self.names = {"release": release, "full": release if name in release else
                      f"{release}-{name}"}  # fmt: skip
        self.marks = {
            "labels": {
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": f"{name}-{row['versions'][0]}",
            },
            "annotations": {
                "meta.helm.sh/release-name": release,
                "meta.helm.sh/release-namespace": namespace,
            },
        }

    def all(self) -> bool:
        """Definitions first, and the rest once the API server serves them; whether all is made."""
        for document in self.definitions():
            self._put(document)
        served = self.cluster.kinds
        if not all(document["metadata"]["name"] in served for document in self.definitions()):
            return False
        for document in self.documents():
            self._put(document)
        return True

    def _put(self, document: Object) -> None:
        key = kind_of(document, self.cluster.kinds).key
        space = document["metadata"].get("namespace", "")
        found = self.cluster.get(key, document["metadata"]["name"], space)
        if found is None:
            self.cluster.create(document)
        elif document["kind"] != "CustomResourceDefinition":
            self.cluster.update(found, document["spec"])

    def documents(self) -> Iterator[Object]:
        """What it renders besides."""
        for each in self._parts("objects"):
            yield self._object(each)
        for each in self._parts("claims"):
            yield self._claim(each)
        for each in self._parts("services"):
            yield self._service(each)
        for each in self._parts("workloads"):
            yield self._workload(each)

    def definitions(self) -> Iterator[Object]:
        """Its custom resources' definitions."""
        if "crds_only_if" in self.row and not dig(self.values, self.row["crds_only_if"]):
            return
        for version, kinds in self.row.get("crds", {}).items():
            for kind in kinds:
                yield definition(version, kind)

    def _parts(self, name: str) -> Iterator[Row]:
        for each in self.row.get(name, ()):
            off = "unless_off" in each and dig(self.values, each["unless_off"]) is False
            on = "only_if" not in each or dig(self.values, each["only_if"])
            if on and not off:
                yield each

    def _named(self, text: str) -> str:
        return text.format(**self.names)

    def _made(self, each: Row, version: str) -> Object:
        meta = {"name": self._named(each["name"])} | self.marks
        if each["kind"] != "CSIDriver":
            meta["namespace"] = self.space
        return {"apiVersion": version, "kind": each["kind"], "metadata": meta}

    def _object(self, each: Row) -> Object:
        spec = each.get("spec") or dig(self.values, each.get("spec_from", "")) or {}
        renames = each.get("renames", {})
        told = {renames.get(key, key): value for key, value in spec.items()}
        return self._made(each, each["apiVersion"]) | {"spec": self._filled(told)}

    def _filled(self, value: Any) -> Any:
        """The release's names in a row's own texts."""
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        named = isinstance(value, str) and value.startswith(("{release}", "{full}"))
        return self._named(value) if named else value

    def _service(self, each: Row) -> Object:
        spec: Object = {
            "selector": {"app": self._named(each["selects"])},
            "ports": [{"name": "http", "port": each["port"]}],
        }
        kind = dig(self.values, each.get("type_from", ""))
        port = dig(self.values, each.get("node_port_from", ""))
        if kind:
            spec["type"] = kind
        if kind == "NodePort" and port:
            spec["ports"][0]["nodePort"] = port
        made = self._made({**each, "kind": "Service"}, "v1")
        labels = made["metadata"]["labels"] | {"app": made["metadata"]["name"]}
        return made | {"metadata": made["metadata"] | {"labels": labels}, "spec": spec}

    def _claim(self, each: Row) -> Object:
        size = dig(self.values, each["size_from"]) or each["size"]
        spec: Object = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }
        if name := dig(self.values, each["class_from"]):
            spec["storageClassName"] = name
        return self._made({**each, "kind": "PersistentVolumeClaim"}, "v1") | {"spec": spec}

    def _image(self, each: Row) -> str:
        """An image; its tag is another one where the values say so, or by what they choose."""
        name, _, tag = each["image"].partition(":")
        for other in each.get("suffixes", ()):
            if dig(self.values, other["value"]) == other["is"]:
                tag += other["suffix"]
        return f"{name}:{dig(self.values, each.get('tag_from', '')) or tag}"

    def _workload(self, each: Row) -> Object:
        made = self._made(each, "apps/v1")
        labels = {"app": made["metadata"]["name"]} | self._filled(each.get("labels", {}))
        container: Object = {"name": each["image"].rpartition("/")[2].partition(":")[0]}
        container["image"] = self._image(each)
        if args := dig(self.values, each.get("args_from", "")):
            container["args"] = list(args)
        if needed := dig(self.values, each.get("needs_secret", "")):
            container["envFrom"] = [{"secretRef": {"name": needed}}]
        pod: Object = {"containers": [container], **each.get("pod", {})}
        for key, path in each.get("pod_from", {}).items():
            if value := dig(self.values, path):
                pod[key] = value
        if allowed := [*each.get("tolerations", ()), *pod.get("tolerations", ())]:
            pod["tolerations"] = allowed
        if hooks := dig(self.values, each.get("hooks_from", "")):
            container["lifecycle"] = hooks
        if env := dig(self.values, each.get("env_from", "")):
            container["env"] = list(env)
        for name, path in each.get("joined_env", {}).items():
            if several := dig(self.values, path):
                told = {"name": name, "value": ";".join(several)}
                container["env"] = [told, *container.get("env", ())]
        for limit in each.get("limits", ()):
            if dig(self.values, limit["value"]) == limit["is"]:
                count = str(dig(self.values, limit["count_from"]) or 1)
                container["resources"] = {"limits": {limit["resource"]: count}}
        for claim in self._parts("claims"):
            name = self._named(claim["name"])
            pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
            container["volumeMounts"] = [{"name": "data", "mountPath": claim["mounted_at"]}]
        spec: Object = {
            "selector": {"matchLabels": {"app": labels["app"]}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        if each["kind"] != "DaemonSet":
            spec["replicas"] = 1
        if each["kind"] == "StatefulSet":
            spec["serviceName"] = made["metadata"]["name"]
        if "strategy" in each:
            spec["strategy"] = {"type": each["strategy"]}
        return made | {"spec": spec}


def plural(kind: str) -> str:
    """``gitrepositories``, ``prometheuses``."""
    word = kind.lower()
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def definition(version: str, kind: str) -> Object:
    """A definition, without its schema: what its objects look like is not the twin's to know."""
    name = kind.removesuffix(_CLUSTER_WIDE)
    group, _, served = version.partition("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural(name)}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": name, "plural": plural(name)},
            "scope": "Cluster" if kind != name else "Namespaced",
            "versions": [
                {
                    "name": served,
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }
