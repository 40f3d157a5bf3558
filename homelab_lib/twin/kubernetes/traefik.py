"""Traefik as k3s brings it: its settings by HelmChartConfig, and the certificates that it shows.

Source: docs.k3s.io, networking; k3s-io/helm-controller; Traefik v3 `pkg/tls/tlsmanager.go`,
`pkg/middlewares/redirect`.
"""

import base64
from functools import partial

import yaml

from homelab_lib.twin.kubernetes.charts import definition, values_of
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import CLASS, answer, plain, publishes
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.statuses import job as ended
from homelab_lib.twin.machine.certificates import drawn, issued
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.yaml_safe import BadYaml

_SPACE = "kube-system"
_JOB = "helm-install-traefik"
_HELM_S = 15.0
_STORES = "tlsstores.traefik.io"
_KINDS = ("IngressRoute", "Middleware", "ServersTransport", "TLSOption", "TLSStore",
          "TraefikService")  # fmt: skip


def definitions() -> list[Object]:
    """Its own kinds."""
    return [definition("traefik.io/v1alpha1", kind) for kind in _KINDS]


def bring(cluster: Cluster) -> None:
    """Its kinds, and its ingress class."""
    for each in definitions():
        cluster.apply(each, "helm")
    cluster.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {
                "name": CLASS,
                "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
            },
            "spec": {"controller": "traefik.io/ingress-controller"},
        }
    )


def open_on(cluster: Cluster, machine: Machine) -> None:
    """Its ports on a node."""
    machine.http.setdefault(80, partial(plain, cluster))
    machine.http.setdefault(443, partial(answer, cluster))
    machine.tls[443] = partial(shown, cluster)
    for port in (80, 443):
        machine.listeners[port] = partial(publishes, cluster, machine.name)


def configured(cluster: Cluster) -> None:
    """Its chart installed anew with what a HelmChartConfig says."""
    config = cluster.get("HelmChartConfig", "traefik", _SPACE)
    traefik = cluster.get("Deployment", "traefik", _SPACE)
    if config is None or traefik is None or not cluster.noticed(config):
        return
    meta = config["metadata"]
    if cluster.installed.get(meta["uid"]) == meta.get("generation", 1):
        return
    key = f"{meta['uid']}{meta.get('generation')}"
    job = cluster.get("Job", _JOB, _SPACE)
    if job is not None and key not in cluster.since:
        cluster.delete("Job", _JOB, _SPACE)
        job = None
    if job is None:
        job = cluster.create(_job())
    began = cluster.since.setdefault(key, cluster.world.clock.now())
    if cluster.world.clock.now() - began < _HELM_S:
        return
    try:
        values = values_of(config["spec"])
    except BadYaml as error:
        cluster.logs[job["metadata"]["uid"]] = f"Error: failed to parse values: {error}\n"
        return
    spec = yaml.safe_load(yaml.safe_dump(traefik["spec"]))
    container = spec["template"]["spec"]["containers"][0]
    container["args"] = list(values.get("additionalArguments") or ())
    cluster.update(traefik, spec)
    job["status"] = ended(cluster, job, 1, 0)
    cluster.installed[meta["uid"]] = meta.get("generation", 1)


def _job() -> Object:
    container = {"name": "helm", "image": "rancher/klipper-helm:v0.9.8-build20250709"}
    pod = {"restartPolicy": "OnFailure", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _JOB, "namespace": _SPACE, "labels": {"helm": "yes"}},
        "spec": {"template": {"metadata": {}, "spec": pod}},
    }


def shown(cluster: Cluster, name: str) -> str:
    """The chain that it shows to whoever asks for a name."""
    chains = [_of_secret(cluster, space, secret) for space, secret in _named(cluster, name)]
    chains += [_of_secret(cluster, space, secret) for space, secret in _defaults(cluster)]
    for chain in filter(None, chains):
        return chain
    key = drawn(f"{cluster.world.seed}/traefik")
    return issued(["TRAEFIK DEFAULT CERT"], key, None, now_s=0, valid_s=4e9).pem


def _named(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    return [
        (ingress["metadata"]["namespace"], tls["secretName"])
        for ingress in cluster.all("Ingress")
        for tls in ingress["spec"].get("tls", ())
        if name in tls.get("hosts", ()) and "secretName" in tls
    ]


def _defaults(cluster: Cluster) -> list[tuple[str, str]]:
    """The certificate for all that have none of their own."""
    stores = [each for each in cluster.all(_STORES) if each["metadata"]["name"] == "default"]
    return [
        (store["metadata"]["namespace"], secret)
        for store in stores
        if (secret := dig(store, "spec.defaultCertificate.secretName"))
    ]


def _of_secret(cluster: Cluster, namespace: str, name: str) -> str:
    found = cluster.get("Secret", name, namespace)
    encoded = (dig(found, "data") or {}).get("tls.crt") or _of_before(cluster, namespace, name)
    return base64.b64decode(encoded).decode()


def _of_before(cluster: Cluster, namespace: str, name: str) -> str:
    """The same of a Secret that the real cluster has: no twin asks for all of them."""
    words = ("k3s", "kubectl", "get", "secret", name, "-n", namespace, "--ignore-not-found")
    said = cluster.server.said(*words, "-o", r"jsonpath={.data.tls\.crt}")
    return said.out.decode() if said is not None and not said.status else ""
