"""Prometheus and Alertmanager of a cluster, asked through the API server.

Source: prometheus.io/docs, HTTP API; prometheus/alertmanager `api/v2/openapi.yaml`;
prometheus-operator `Documentation/api-reference` (conditions).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL, listed
from homelab_lib.runbook.resource import Diff, Host
from homelab_lib.transport.command import read

_CONDITIONS: Shape = [{"type": str, "status": str, "message?": str, "reason?": str}]
_MANAGED: Shape = {"metadata": {"name": str}, "status?": {"conditions?": _CONDITIONS}}
_TARGETS: Shape = {
    "data": {
        "activeTargets": [{"scrapePool": str, "health": str, "scrapeUrl?": str, "lastError?": str}]
    }
}
_RULES: Shape = {"data": {"groups": [{"name": str, "rules": [{"name": str, "health?": str}]}]}}


def _sample(pair: list[Any]) -> float:
    """A sample of Prometheus: a time, and a number as text."""
    value = float(pair[1]) if len(pair) == 2 and isinstance(pair[1], str) else math.nan
    if not math.isfinite(value):
        raise ValueError("expected is a time, and a number as text")
    return value


_VECTOR: Shape = {"data": {"result": [{"value": _sample}]}}
_SILENCES: Shape = [{"status": {"state": str}, "matchers": [{"name": str, "value": str}]}]


@dataclass(frozen=True)
class Web:
    """A web service of a cluster.

    Parameters
    ----------
    host, namespace, service, port
        The server by which the cluster is reached, and where the service is.
    """

    host: str
    namespace: str
    service: str
    port: int

    def ask(self, host: Host, path: str, query: Mapping[str, str], shape: Shape) -> Any:
        """What it answers."""
        place = f"namespaces/{self.namespace}/services/http:{self.service}:{self.port}"
        asked = "&".join(f"{key}={quote(value)}" for key, value in query.items())
        raw = f"/api/v1/{place}/proxy/{path}" + (f"?{asked}" if asked else "")
        words = (*KUBECTL, "get", "--raw", raw)
        said = host.json(*words, sudo=True)
        return answers.expected(said, shape, host=host.name, line=read(*words).line)


@dataclass(frozen=True)
class Reconciled:
    """What the operator of Prometheus has to make, made.

    Parameters
    ----------
    host, namespace, kind
        The server, where it is, and ``prometheuses`` or ``alertmanagers``.
    """

    host: str
    namespace: str
    kind: str
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"{self.kind} in {self.namespace}"

    def observe(self, host: Host) -> dict[str, str]:
        kind = f"{self.kind}.monitoring.coreos.com"
        return {
            each["metadata"]["name"]: _lacks(each)
            for each in listed(host, kind, self.namespace, shape=_MANAGED)
        }

    def diff(self, observed: dict[str, str]) -> Diff:
        if not observed:
            return Diff(waiting=f"there are no {self.kind} yet")
        for name, lacks in observed.items():
            if lacks:
                return Diff(waiting=f"{name} is not {lacks}")
        return Diff()


@dataclass(frozen=True)
class Fed:
    """An exporter that somebody sends numbers to, and does.

    Parameters
    ----------
    prometheus
        Prometheus itself.
    job
        The exporter's job.
    lately_s
        How old what came last may be [s].
    """

    prometheus: Web
    job: str
    lately_s: float = 300.0
    timeout_s: float = 600.0

    @property
    def host(self) -> str:
        return self.prometheus.host

    @property
    def name(self) -> str:
        return f"numbers that {self.job} sends"

    def observe(self, host: Host) -> bool:
        last = f'graphite_last_processed_timestamp_seconds{{job="{self.job}"}}'
        query = {"query": f"time() - {last} < {self.lately_s:.0f}"}
        said = self.prometheus.ask(host, "api/v1/query", query, _VECTOR)
        return bool(said["data"]["result"])

    def diff(self, observed: bool) -> Diff:
        if observed:
            return Diff()
        return Diff(waiting=f"nothing that {self.job} sends has arrived: see its reporting "
                    "exporter, and what is between it and the port of the node")  # fmt: skip


def _lacks(found: Any) -> str:
    """Which of the two conditions does not hold, and why; empty where both do."""
    said = {each["type"]: each for each in found.get("status", {}).get("conditions", ())}
    for kind in ("Reconciled", "Available"):
        each = said.get(kind)
        if each is None or each["status"] != "True":
            why = (each or {}).get("message") or (each or {}).get("reason") or ""
            return f"{kind}: {why}" if why else kind
    return ""


@dataclass(frozen=True)
class TargetsUp:
    """Prometheus hears from everybody whom it asks.

    Parameters
    ----------
    prometheus
        Prometheus itself.
    pools
        What it has to ask: none of these may be empty.
    """

    prometheus: Web
    pools: tuple[str, ...]
    timeout_s: float = 300.0

    @property
    def host(self) -> str:
        return self.prometheus.host

    @property
    def name(self) -> str:
        return "targets of Prometheus"

    def observe(self, host: Host) -> dict[str, Any]:
        said = self.prometheus.ask(host, "api/v1/targets", {"state": "active"}, _TARGETS)
        found = said["data"]["activeTargets"]
        down = [each for each in found if each["health"] != "up"]
        there = {each["scrapePool"] for each in found}
        return {
            "missing": [each for each in self.pools if each not in there],
            "down": [_told(each) for each in down],
            "up": len(found) - len(down),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["missing"]:
            return Diff(waiting=f"Prometheus asks nobody of {', '.join(observed['missing'])}")
        if observed["down"]:
            return Diff(waiting=f"Prometheus does not hear from {'; '.join(observed['down'])}")
        return Diff()


def _told(target: Any) -> str:
    why = target.get("lastError", "")
    return f"{target['scrapePool']} ({target.get('scrapeUrl', '')})" + (f": {why}" if why else "")


@dataclass(frozen=True)
class RulesLoaded:
    """Rules that Prometheus has taken in.

    Parameters
    ----------
    prometheus
        Prometheus itself.
    alerts
        Their names.
    """

    prometheus: Web
    alerts: tuple[str, ...]
    timeout_s: float = 300.0

    @property
    def host(self) -> str:
        return self.prometheus.host

    @property
    def name(self) -> str:
        return "alert rules of this lab"

    def observe(self, host: Host) -> dict[str, list[str]]:
        said = self.prometheus.ask(host, "api/v1/rules", {"type": "alert"}, _RULES)
        rules = [rule for group in said["data"]["groups"] for rule in group["rules"]]
        known = {rule["name"] for rule in rules}
        failing = {rule["name"] for rule in rules if rule.get("health") == "err"}
        return {
            "missing": [each for each in self.alerts if each not in known],
            "failing": [each for each in self.alerts if each in failing],
        }

    def diff(self, observed: dict[str, list[str]]) -> Diff:
        if observed["missing"]:
            return Diff(waiting=f"Prometheus has not read {', '.join(observed['missing'])} yet")
        if observed["failing"]:
            return Diff(waiting=f"Prometheus can't reckon {', '.join(observed['failing'])}")
        return Diff()


@dataclass(frozen=True)
class Told:
    """A message of Alertmanager that its receiver took.

    Parameters
    ----------
    prometheus
        Prometheus, which counts what Alertmanager sends.
    integration
        The kind of the receiver: ``webhook``.
    """

    prometheus: Web
    integration: str
    timeout_s: float = 600.0

    @property
    def host(self) -> str:
        return self.prometheus.host

    @property
    def name(self) -> str:
        return f"a message by {self.integration}"

    def observe(self, host: Host) -> dict[str, float]:
        names = ("notifications_total", "notifications_failed_total")
        sent, failed = (self._sum(host, f"alertmanager_{name}") for name in names)
        return {"sent": sent, "failed": failed}

    def _sum(self, host: Host, metric: str) -> float:
        query = f'sum({metric}{{integration="{self.integration}"}})'
        said = self.prometheus.ask(host, "api/v1/query", {"query": query}, _VECTOR)
        return sum(each["value"] for each in said["data"]["result"])

    def diff(self, observed: dict[str, float]) -> Diff:
        if observed["sent"] > observed["failed"]:
            return Diff()
        if observed["failed"]:
            return Diff(
                waiting=f"none of {observed['failed']:.0f} messages by {self.integration} was "
                "taken; see kubectl logs of Alertmanager, and whether the receiver's secret is "
                "right"
            )
        return Diff(waiting="Alertmanager has sent no message yet")


def silenced(host: Host, alertmanager: Web, alert: str) -> bool:
    """Whether somebody has silenced an alert: so people say that they have seen it."""
    found = alertmanager.ask(host, "api/v2/silences", {}, _SILENCES)
    return any(
        each["status"]["state"] == "active"
        and any(m["name"] == "alertname" and m["value"] == alert for m in each["matchers"])
        for each in found
    )
