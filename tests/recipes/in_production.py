"""A cluster with what its own phase makes, and the steps that make it fit for daily use."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.kubernetes import production, volumes, workloads
from recipes.bench import Bench

LAB = changed(load_lab(), ("services.open-webui.hostname", None))
"""Without what phase 3 leaves in the cluster."""
CLUSTER = LAB.clusters["homelab"]
HOSTS = "10.0.30.21 nginx.home.arpa whoami.home.arpa grafana.home.arpa\n"


def of_cluster(lab, *, storage=False):
    """What phase 2 leaves in a cluster: its workloads, and its storage class."""
    cluster = lab.clusters["homelab"]
    if storage:
        yield from volumes.steps(lab, cluster, "", ())
    yield workloads.step(lab, cluster, "", ())


def bench_of(lab, *only, names=HOSTS, storage=False):
    """A twin before phase 4; `only` some of its steps, besides those of the cluster itself."""
    steps = [s for s in production.steps(lab, 4) if not only or s.name in only]
    bench = Bench(lab, (*of_cluster(lab, storage=storage), *steps), phase=4)
    desktop = bench.world.machines["desktop"]
    desktop.files.put("/etc/hosts", desktop.files.text("/etc/hosts") + names)
    return bench


def cluster_of(bench):
    """The cluster behind its server."""
    return bench.world.clusters["k3s-control"]


def with_cluster(lab=LAB, **changes):
    """The lab with another cluster; a name with dots leads into its parts."""
    cluster = lab.clusters["homelab"]
    for path, value in changes.items():
        head, _, rest = path.partition("__")
        part = getattr(cluster, head)
        new = part.model_copy(update={rest: value}) if rest else value
        cluster = cluster.model_copy(update={head: new})
    return lab.model_copy(update={"clusters": {**lab.clusters, "homelab": cluster}})


def with_service(name, lab=LAB, **changes):
    """The lab with another service; chart__… leads into its chart."""
    service = lab.services[name]
    for path, value in changes.items():
        head, _, rest = path.partition("__")
        part = getattr(service, head)
        new = part.model_copy(update={rest: value}) if rest else value
        service = service.model_copy(update={head: new})
    return lab.model_copy(update={"services": {**lab.services, name: service}})


SECRETS = {
    "GRAFANA_USER": "keeper-of-graphs",
    "GRAFANA_PASSWORD": "kestrel-over-4-lakes",
    "FLUX_DEPLOY_PUBLIC": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample7 flux",
    "PVE_METRICS_TOKEN": "5f1c7a90-3b1d-4c55-9e0a-7d2f4e8b6a13",
    "ALERT_WEBHOOK": "https://hooks.example.org/9f27c1d0a3",
    "FLUX_DEPLOY_KEY": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA0000\n"
    "-----END OPENSSH PRIVATE KEY-----",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
