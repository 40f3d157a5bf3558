"""The operator of Prometheus, and what Prometheus, Alertmanager and Grafana answer.

Source: prometheus-operator `pkg/prometheus/server`, `pkg/alertmanager`; prometheus.io/docs, HTTP
API; alertmanager `api/v2/openapi.yaml`; grafana `pkg/api/health.go`.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from homelab_lib.twin.kubernetes import exporting
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import endpoints, is_ready
from homelab_lib.twin.kubernetes.objects import Object, dig

_GROUP = "monitoring.coreos.com"
_IMAGES = {
    "Prometheus": "quay.io/prometheus/prometheus:v3.14.0-distroless",
    "Alertmanager": "quay.io/prometheus/alertmanager:v0.34.0",
}
_PLURALS = {"Prometheus": "prometheuses", "Alertmanager": "alertmanagers"}
_EVALUATED_S = 45.0
_SENT_S = 60.0
_MADE_UP = re.compile("[0-9a-f]+")
_FED = re.compile(r'time\(\) - graphite_last_processed_timestamp_seconds\{job="([^"]+)"\} < (\d+)')
_QUERY = re.compile(r'sum\((alertmanager_notifications_\w*total)\{integration="(\w+)"\}\)')


def operate(cluster: Cluster) -> None:
    """Make of each Prometheus and Alertmanager what it wants to be."""
    if not any(_is(pod, "prometheus-operator") for pod in cluster.all("Pod")):
        return
    for kind, plural in _PLURALS.items():
        for it in cluster.all(f"{plural}.{_GROUP}"):
            _reconcile(cluster, it, kind)


def _is(pod: Object, image: str) -> bool:
    return f"/{image}:" in pod["spec"]["containers"][0]["image"] and is_ready(pod)


def _reconcile(cluster: Cluster, it: Object, kind: str) -> None:
    meta, spec = it["metadata"], it["spec"]
    name = f"{kind.lower()}-{meta['name']}"
    if why := _unsettled(cluster, it):
        _say(cluster, it, "False", "False", "ReconciliationFailed", why)
        return
    labels = {"app": name}
    pod = {"containers": [{"name": kind.lower(), "image": _IMAGES[kind]}]}
    wanted: Object = {
        "replicas": spec.get("replicas", 1),
        "selector": {"matchLabels": labels},
        "serviceName": f"{kind.lower()}-operated",
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    kept = dig(spec, "storage.volumeClaimTemplate.spec")
    if kept:
        claim = {"metadata": {"name": f"{name}-db"}, "spec": kept}
        wanted["volumeClaimTemplates"] = [claim]
    found = cluster.get("StatefulSet", name, meta["namespace"])
    if found is None:
        where = {"name": name, "namespace": meta["namespace"]}
        whole = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": where, "spec": wanted}
        found = cluster.create(whole, owner=it)
    ready = (dig(found, "status.readyReplicas") or 0) >= wanted["replicas"]
    lacks = "" if ready else "pods are not ready"
    _say(cluster, it, str(ready), "True", "" if ready else "NoPodReady", lacks)


def _unsettled(cluster: Cluster, it: Object) -> str:
    """Why an Alertmanager can't be configured; empty where it can."""
    name = dig(it, "spec.alertmanagerConfiguration.name")
    if not name:
        return ""
    space = it["metadata"]["namespace"]
    config = cluster.get(f"alertmanagerconfigs.{_GROUP}", name, space)
    head = "provision alertmanager configuration: "
    if config is None:
        missing = f'alertmanagerconfigs.{_GROUP} "{name}" not found'
        return f"{head}failed to get global AlertmanagerConfig: {missing}"
    for reference in _secrets(config):
        secret = cluster.get("Secret", reference["name"], space)
        seeded = cluster.seeded
        if secret is None and not seeded:
            return f'{head}unable to get secret: secrets "{reference["name"]}" not found'
    return ""


def _secrets(config: Object) -> Iterator[Object]:
    for receiver in config["spec"].get("receivers", ()):
        for key, field in (("webhookConfigs", "urlSecret"), ("telegramConfigs", "botToken")):
            for each in receiver.get(key, ()):
                if field in each:
                    yield each[field]


def _say(
    cluster: Cluster, it: Object, available: str, reconciled: str, reason: str, message: str
) -> None:
    before = {c["type"]: c for c in dig(it, "status.conditions") or ()}
    told = []
    for kind, status in (("Available", available), ("Reconciled", reconciled)):
        old = before.get(kind, {})
        same = old.get("status") == status
        since = old["lastTransitionTime"] if same else cluster.stamp()
        said = {"reason": reason, "message": message} if status != "True" else {}
        told.append({"type": kind, "status": status, "lastTransitionTime": since} | said)
    it.setdefault("status", {})["conditions"] = told


# What they answer ---------------------------------------------------------------------------------


def answer(
    cluster: Cluster, pod: Object, path: str, query: Mapping[str, str]
) -> tuple[int, Any] | None:
    """What a pod of these three says to a GET: status and document; None for another pod."""
    if _is(pod, "prometheus"):
        return _prometheus(cluster, path, query)
    if _is(pod, "alertmanager") and path == "api/v2/silences":
        return 200, cluster.silences
    if _is(pod, "grafana") and path == "api/health":
        return 200, {"database": "ok", "version": "13.2.0", "commit": "0" * 7}
    return None


def _prometheus(cluster: Cluster, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
    if path == "api/v1/targets":
        return 200, _good({"activeTargets": list(_targets(cluster)), "droppedTargets": []})
    if path == "api/v1/rules":
        return 200, _good({"groups": list(_groups(cluster))})
    if path == "api/v1/query" and (found := _QUERY.fullmatch(query.get("query", ""))):
        return 200, _good({"resultType": "vector", "result": _counted(cluster, *found.groups())})
    fed = _FED.fullmatch(query.get("query", ""))
    if path == "api/v1/query" and fed:
        found_s = exporting.silent_for_s(cluster, fed[1])
        sample = {"metric": {"job": fed[1]}, "value": [cluster.world.clock.now(), f"{found_s}"]}
        result = [sample] if found_s is not None and found_s < float(fed[2]) else []
        return 200, _good({"resultType": "vector", "result": result})
    text = f"twin: it knows nothing of {path} {query.get('query', '')}"
    return 422, {"status": "error", "errorType": "execution", "error": text}


def _good(data: Any) -> Object:
    return {"status": "success", "data": data}


def _groups(cluster: Cluster) -> Iterator[Object]:
    for it in cluster.all(f"prometheusrules.{_GROUP}"):
        if cluster.age_s(it) < _EVALUATED_S:
            continue  # its file is not reloaded yet
        for group in it["spec"]["groups"]:
            rules = [
                {"name": rule["alert"], "query": rule["expr"], "health": "ok", "type": "alerting"}
                for rule in group["rules"]
                if "alert" in rule
            ]
            yield {"name": group["name"], "file": it["metadata"]["name"], "rules": rules}


def _targets(cluster: Cluster) -> Iterator[Object]:
    for it in cluster.all(f"servicemonitors.{_GROUP}"):
        pool = f"serviceMonitor/{it['metadata']['namespace']}/{it['metadata']['name']}/0"
        labels = dig(it, "spec.selector.matchLabels") or {}
        for address in _behind(cluster, labels):
            yield _target(pool, address, "")
    for it in cluster.all(f"podmonitors.{_GROUP}"):
        pool = f"podMonitor/{it['metadata']['namespace']}/{it['metadata']['name']}/0"
        labels = dig(it, "spec.selector.matchLabels") or {}
        for pod in cluster.all("Pod"):
            if is_ready(pod) and labels.items() <= pod["metadata"].get("labels", {}).items():
                yield _target(pool, f"{dig(pod, 'status.podIP')}:9402", "")
    for it in cluster.all(f"scrapeconfigs.{_GROUP}"):
        pool = f"scrapeConfig/{it['metadata']['namespace']}/{it['metadata']['name']}"
        for static in it["spec"].get("staticConfigs", ()):
            for address in static["targets"]:
                why = exporting.unheard(cluster, it, address) or _unheard(cluster, address)
                yield _target(pool, address, why)


def _behind(cluster: Cluster, labels: Mapping[str, str]) -> Iterator[str]:
    """Addresses of what a monitor selects; of k3s's own parts those that have a port."""
    nodes = [machine.address or "" for machine in cluster.members.values()]
    if labels.get("k8s-app") == "kubelet":
        yield from (f"{address}:10250" for address in nodes)
    elif labels.get("component") == "apiserver":
        yield from (f"{server.address}:6443" for server in cluster.servers)
    for service in cluster.all("Service"):
        if labels and labels.items() <= service["metadata"].get("labels", {}).items():
            for pod in endpoints(cluster, service):
                yield f"{dig(pod, 'status.podIP')}:{service['spec']['ports'][0]['port']}"


def _unheard(cluster: Cluster, address: str) -> str:
    """Why the node that Prometheus runs on gets no numbers from an address; empty if it does."""
    host, _, port = address.rpartition(":")
    if host.endswith(exporting.INSIDE):
        return ""
    pods = [pod for pod in cluster.all("Pod") if _is(pod, "prometheus")]
    member = cluster.members[pods[0]["spec"]["nodeName"]]
    found = cluster.world.resolve(member, host)
    if not found:
        return f"dial tcp: lookup {host}: no such host"
    why = cluster.world.reach(member, found, int(port))
    return f"dial tcp {address}: connect: {why}" if why else ""


def _target(pool: str, address: str, why: str) -> Object:
    url = f"http://{address}/metrics"
    return {
        "labels": {"instance": address, "job": pool.rpartition("/")[2]},
        "scrapePool": pool,
        "scrapeUrl": url,
        "lastError": f'Get "{url}": {why}' if why else "",
        "health": "down" if why else "up",
        "scrapeInterval": "30s",
    }


def _counted(cluster: Cluster, metric: str, integration: str) -> list[Object]:
    """How many messages Alertmanager has sent so, or has failed to."""
    config = next(iter(cluster.all(f"alertmanagerconfigs.{_GROUP}")), None)
    always = [
        it
        for it in cluster.all(f"prometheusrules.{_GROUP}")
        if cluster.age_s(it) >= _EVALUATED_S + _SENT_S
        and any(rule.get("expr") == "vector(1)" and rule.get("alert") != "Watchdog"
                for group in it["spec"]["groups"] for rule in group["rules"])
    ]  # fmt: skip
    keys = {"webhook": "webhookConfigs", "telegram": "telegramConfigs"}
    wanted = [r for r in (config or {}).get("spec", {}).get("receivers", ())
              if keys.get(integration) in r]  # fmt: skip
    if not always or not wanted:
        return []
    failed = bool(_undelivered(cluster, config))
    number = int(failed) if "failed" in metric else 1
    return [{"metric": {}, "value": [cluster.world.clock.now(), str(number)]}]


def _undelivered(cluster: Cluster, config: Object | None) -> str:
    """Why a receiver does not take messages; empty where it does."""
    assert config is not None
    for reference in _secrets(config):
        secret = cluster.get("Secret", reference["name"], config["metadata"]["namespace"])
        if secret is None:
            continue  # of a twin that is seeded: the real one has it
        text = base64.b64decode(secret["data"].get(reference["key"], "")).decode()
        if _MADE_UP.fullmatch(text):
            continue  # nobody has set it: a rehearsal needs nobody's
        if reference["key"] == "url" and urlsplit(text).scheme not in ("http", "https"):
            return f"unsupported scheme in {reference['name']}"
    return cluster.world.internet(cluster.server)
