"""Exporters that run in the cluster and ask, or are told by, machines on which nothing is
installed: a NAS, a UPS's server, a hypervisor's API, and NVIDIA's cards.

What a TrueNAS sends as Graphite is no use to watch a pool by, so no rule goes by it but that it
sends at all:

- A pool's state is not among it. Netdata has a chart of that (``zfspool.state_POOL``), and
  TrueNAS's `netdata.conf.mako` has switched it off since 25.04 (``/proc/spl/kstat/zfs/pool/state =
  no``). Somebody who wrote down all 476 names that a 25.10 sends found none, and says so.
  Supporterino/truenas-graphite-to-prometheus maps it all the same, from before.
- How full a pool is, is sent from 25.10 on, every five minutes (`truenas_pool.chart.py`): by the
  names of its dimensions as ``truenas_pool.usage.used`` for every pool alike, by their ids under
  the pool's GUID. Netdata's exporter (`process_data.c`) steps back three such intervals and sends
  what was then, with the time of then: graphite_exporter takes it for too old (five minutes) and
  shows nothing.

A node exporter on the NAS tells both: see `node_exporter`.

Sources: TrueNAS middleware 25.04 to 26, `reporting.exporters` (Graphite is the one kind that it
has); netdata v2.3, `src/exporting`; prometheus/graphite_exporter 0.17; DRuggeri/nut_exporter;
prometheus-pve/prometheus-pve-exporter; NVIDIA/dcgm-exporter 4.8.2, its chart.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.lab.production import Target
from homelab_lib.recipes.kubernetes.manifests import Object

TOKEN_KEY = "token"
NVIDIA_VALUES: Mapping[str, Any] = {
    "runtimeClassName": "nvidia",
    "nodeSelector": {"nvidia.com/gpu.present": "true"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
}
"""What the exporter for NVIDIA's cards needs to see one: their runtime, and no card of its own,
which it would take from a model. A taint on a node keeps it away without a word."""
GRAPHITE_PORT = 9109


@dataclass(frozen=True)
class Exporter:
    """A program that turns what somebody tells into Prometheus's numbers.

    Parameters
    ----------
    image, port, path
        Its container image, and where Prometheus asks it.
    arguments
        Its words; ``{address}`` stands for the machine.
    asked
        What Prometheus says besides; ``{address}`` as before.
    """

    image: str
    port: int
    path: str = "/metrics"
    arguments: tuple[str, ...] = ()
    asked: Mapping[str, str] | None = None


EXPORTERS = {
    "graphite": Exporter("prom/graphite-exporter:v0.17.0", 9108),
    "nut": Exporter(
        "ghcr.io/druggeri/nut_exporter:3.3.0",
        9199,
        "/ups_metrics",
        ("--nut.server={address}",),
    ),
    "pve": Exporter(
        "prompve/prometheus-pve-exporter:3.10.0",
        9221,
        "/pve",
        asked={"target": "{address}", "cluster": "1", "node": "1"},
    ),
}
"""By what a target says of how it is asked."""


def unsent(targets: Iterable[Target]) -> str:
    """A sentence on what is not sent of machines that send; nothing where none does."""
    senders = [target.name for target in targets if target.exporter == "graphite"]
    if not senders:
        return ""
    return (
        f" Of its pools {' and '.join(senders)} sends no state, and how full they are too late to "
        "count: a node exporter there tells both."
    )


def secret_name(target: Target) -> str:
    """The Secret with the token by which a target is asked."""
    return f"{target.name}-token"


def documents(target: Target, namespace: str) -> Iterator[Object]:
    """The exporter of a target, and its service; none for one that answers Prometheus itself.

    Parameters
    ----------
    target, namespace
        The target, and where its exporter runs.
    """
    exporter = EXPORTERS.get(target.exporter)
    if exporter is None:
        return
    meta = {"name": _name(target), "namespace": namespace}
    labels = {"app": meta["name"]}
    ports = [{"name": "http", "containerPort": exporter.port}]
    if target.node_port is not None:
        ports.append({"name": "graphite", "containerPort": GRAPHITE_PORT})
    container: Object = {
        "name": "exporter",
        "image": exporter.image,
        "ports": ports,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if exporter.arguments:
        container["args"] = [each.format(address=target.address) for each in exporter.arguments]
    if target.token is not None:
        container["env"] = list(_login(target))
    pod = {"automountServiceAccountToken": False, "containers": [container]}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    # One service for each way, so that Prometheus's is not open on every node.
    yield _service(meta, labels, {"name": "http", "port": exporter.port})
    if target.node_port is not None:
        told = {"name": "graphite", "port": GRAPHITE_PORT, "nodePort": target.node_port}
        yield _service({**meta, "name": f"{meta['name']}-in"}, labels, told)


def scraped(target: Target, namespace: str) -> Object:
    """Whom Prometheus asks for a target, and how."""
    exporter = EXPORTERS.get(target.exporter)
    spec: Object = {"jobName": target.name}
    if exporter is None:
        spec["staticConfigs"] = [{"targets": [f"{target.address}:{target.port}"]}]
    else:
        place = f"{_name(target)}.{namespace}.svc:{exporter.port}"
        labels = {"instance": str(target.address)}
        spec["staticConfigs"] = [{"targets": [place], "labels": labels}]
        spec["metricsPath"] = exporter.path
        if exporter.asked:
            spec["params"] = {
                key: [value.format(address=target.address)] for key, value in exporter.asked.items()
            }
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": {"name": target.name, "namespace": namespace},
        "spec": spec,
    }


def _name(target: Target) -> str:
    return f"{target.name}-exporter"


def _service(meta: Mapping[str, str], labels: Mapping[str, str], port: Object) -> Object:
    spec: Object = {"selector": labels, "ports": [{"targetPort": port["name"], **port}]}
    if "nodePort" in port:
        spec["type"] = "NodePort"
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def _login(target: Target) -> Iterator[Object]:
    """How its exporter logs in: the token's value stands in a Secret alone."""
    user, _, token = (target.token_id or "").partition("!")
    for key, value in (
        ("PVE_USER", user),
        ("PVE_TOKEN_NAME", token),
        ("PVE_VERIFY_SSL", "false"),  # a node's own certificate, which nobody here has signed
    ):
        yield {"name": key, "value": value}
    source = {"secretKeyRef": {"name": secret_name(target), "key": TOKEN_KEY}}
    yield {"name": "PVE_TOKEN_VALUE", "valueFrom": source}
