"""Clusters, services and models."""

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from homelab_lib.lab.checks.addresses import subnets
from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.checks.hardware import devices
from homelab_lib.lab.compute import Cluster, GpuAllocation, Service
from homelab_lib.lab.document import Steps
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import at, every


def faults(lab: Lab) -> Iterator[Fault]:
    for name, reservation in lab.reservations.items():
        if reservation.host not in lab.hosts:
            yield unknown(("reservations", name, "host"), reservation.host, lab.hosts, "host")
    nodes = list[tuple[Steps, str]]()
    for name, cluster in lab.clusters.items():
        yield from _cluster(("clusters", name), cluster, lab)
        yield from _networks(("clusters", name), cluster, lab)
        nodes += _nodes(("clusters", name), cluster)
    yield from twice(nodes, "the node")
    yield from _users_of_devices(lab)
    yield from _services(lab)


def _cluster(path: Steps, cluster: Cluster, lab: Lab) -> Iterator[Fault]:
    yield from each_known((*path, "servers"), cluster.servers, lab.vms, "VM")
    yield from each_known((*path, "agents"), cluster.agents, lab.vms, "VM")
    yield from each_known((*path, "host_agents"), cluster.host_agents, lab.hosts, "host")
    yield from each_known((*path, "clients"), cluster.clients, lab.hosts, "host")
    for field in ("installer", "kubectl"):
        name = getattr(cluster, field)
        if name is not None and name not in lab.downloads:
            yield unknown((*path, field), name, lab.downloads, "download")
    if cluster.nfs is not None and at(lab.nfs_shares, cluster.nfs.share) is None:
        here = (*path, "storage_class", "share")
        known = [share.id for share in every(lab.nfs_shares)]
        yield unknown(here, cluster.nfs.share, known, "NFS share")
    yield from _production(path, cluster, lab)
    yield from _databases(cluster, lab)
    names = (((*path, "workloads", i, "name"), w.name) for i, w in enumerate(cluster.workloads))
    yield from twice(names, "the workload")


def _nodes(path: Steps, cluster: Cluster) -> Iterator[tuple[Steps, str]]:
    """Its machines: k3s runs on one once, and is a part of one cluster."""
    for role in ("servers", "agents", "host_agents"):
        for place, machine in enumerate(getattr(cluster, role)):
            yield (*path, role, place), machine


def _production(path: Steps, cluster: Cluster, lab: Lab) -> Iterator[Fault]:
    for field in ("ingress", "certificates", "monitoring", "gitops"):
        part = getattr(cluster, field)
        if part is not None and part.service not in lab.services:
            yield unknown((*path, field, "service"), part.service, lab.services, "service")
    certificates, monitoring, gitops = cluster.certificates, cluster.monitoring, cluster.gitops
    if certificates is not None:
        here = (*path, "certificates", "trusted_by")
        yield from each_known(here, certificates.trusted_by, lab.hosts, "host")
    if gitops is not None and gitops.host not in lab.hosts:
        yield unknown((*path, "gitops", "host"), gitops.host, lab.hosts, "host")
    classes = [*_classes(cluster)]
    if monitoring is not None and monitoring.nvidia not in (None, *lab.services):
        here = (*path, "monitoring", "nvidia")
        yield unknown(here, str(monitoring.nvidia), lab.services, "service")
    if monitoring is not None:
        here = (*path, "monitoring", "storage_class")
        if cluster.nfs is not None and monitoring.storage_class == cluster.nfs.name:
            what = (
                f"{monitoring.storage_class} is on NFS, where Prometheus and other databases lose "
                "data: its locks don't hold there; write local-path"
            )
            yield Fault(here, what)
        elif monitoring.storage_class not in classes:
            yield unknown(here, monitoring.storage_class, classes, "storage class")
    nodes = (*cluster.servers, *cluster.agents)
    for index, move in enumerate(cluster.moves):
        here = (*path, "moves", index)
        if move.storage_class not in classes:
            yield unknown((*here, "storage_class"), move.storage_class, classes, "storage class")
        if move.node is not None and move.node not in nodes:
            yield unknown((*here, "node"), move.node, nodes, "node")


def _databases(cluster: Cluster, lab: Lab) -> Iterator[Fault]:
    """Somebody's own values for a chart that keeps a database: Prometheus, Alertmanager and
    Grafana, and pages in front of models, whose accounts are in SQLite."""
    if cluster.nfs is None:
        return
    watches = cluster.monitoring.service if cluster.monitoring is not None else None
    for service in lab.services.values():
        keeps = service.name == watches or service.web_ui is not None
        if keeps and service.runs_on == cluster.name and service.chart is not None:
            for key in _at_class(service.chart.values, cluster.nfs.name):
                what = (
                    f"{cluster.nfs.name} is on NFS, where databases lose data: their locks don't "
                    "hold there; write local-path"
                )
                yield Fault(("services", service.name, "chart", "values", *key), what)


def _at_class(values: Any, name: str) -> Iterator[tuple[str | int, ...]]:
    """Where a chart's values ask for a storage class; each chart has its own key for it."""
    parts = values.items() if isinstance(values, Mapping) else ()
    parts = enumerate(values) if isinstance(values, (list, tuple)) else parts
    for key, value in parts:
        if value == name and str(key).lower().startswith("storageclass"):
            yield (key,)
        yield from ((key, *below) for below in _at_class(value, name))


def _classes(cluster: Cluster) -> Iterator[str]:
    """The storage classes that a cluster has: k3s brings one along."""
    yield "local-path"
    if cluster.nfs is not None:
        yield cluster.nfs.name


def _networks(path: tuple[str, ...], cluster: Cluster, lab: Lab) -> Iterator[Fault]:
    """The cluster's own networks must differ from each other and from the house's."""
    networks = {
        "service_cidr": ipaddress.ip_network(cluster.service_cidr),
        "pod_cidr": ipaddress.ip_network(cluster.pod_cidr),
    }
    for subnet, id_ in subnets(lab).items():
        for field, network in networks.items():
            if network.overlaps(subnet):
                yield Fault((*path, field), f"{network} overlaps {subnet} of VLAN {id_}")
    for (_, a), (field, b) in combinations(networks.items(), 2):
        if a.overlaps(b):
            yield Fault((*path, field), f"{b} overlaps {a}, the cluster's other network")


def _users_of_devices(lab: Lab) -> Iterator[Fault]:
    known = devices(lab)
    for name, allocation in lab.gpu_allocation.items():
        if allocation.device not in known:
            yield unknown(("gpu_allocation", name, "device"), allocation.device, known, "device")
        elif allocation.phase is not None or allocation.exists:
            yield from _passed_through(name, allocation, lab)
    for room in ("models", "services"):
        for name, user in getattr(lab, room).items():
            yield from each_known((room, name, "devices"), user.devices, known, "device")
    for name, model in lab.models.items():
        if model.file is not None and model.file not in lab.downloads:
            yield unknown(("models", name, "file"), model.file, lab.downloads, "download")
    for room in ("link_budgets", "codecs", "transcoding"):
        for index, row in enumerate(getattr(lab, room)):
            if row.device not in known:
                yield unknown((room, index, "device"), row.device, known, "device")
    for room in ("model_classes", "pooled_vram"):
        for index, row in enumerate(getattr(lab, room)):
            yield from each_known((room, index, "devices"), row.devices, known, "device")
    for index, row in enumerate(lab.inspection):
        if row.host not in lab.hosts:
            yield unknown(("inspection", index, "host"), row.host, lab.hosts, "host")
        elif lab.hosts[row.host].cpu is None:
            what = f"the processor of {row.host} decides this, and is not described: write its cpu"
            yield Fault(("inspection", index, "host"), what)


def _passed_through(name: str, allocation: GpuAllocation, lab: Lab) -> Iterator[Fault]:
    """A card that is passed through is in a hypervisor, and its VM is there by then."""
    path = ("gpu_allocation", name, "phase" if allocation.phase is not None else "exists")
    host = allocation.device.partition(".")[0]
    if host not in lab.hosts or lab.hosts[host].os.kind != "proxmox":
        yield Fault(path, f"only a Proxmox host passes cards through, and {host} is none")
        return
    for vm in lab.vms_with(allocation.device):
        if vm.phase and allocation.phase and vm.phase > allocation.phase:
            what = f"phase {allocation.phase} passes it to {vm.name}, which phase {vm.phase} makes"
            yield Fault(path, what)


def _services(lab: Lab) -> Iterator[Fault]:
    places = [*lab.hosts, *lab.vms, *lab.containers, *lab.clusters]
    datasets = [dataset.id for dataset in every(lab.datasets)]
    for name, service in lab.services.items():
        path = ("services", name)
        if service.runs_on is not None and service.runs_on not in places:
            kind = "host, VM, container or cluster"
            yield unknown((*path, "runs_on"), service.runs_on, places, kind)
        system = lab.system(service.runs_on) if service.runs_on else None
        if service.app is not None and (system is None or system.kind != "truenas"):
            where = service.runs_on or "nowhere"
            what = f"an app of TrueNAS's catalog runs on a TrueNAS, and this one on {where}"
            yield Fault((*path, "app"), what)
        yield from _on_cluster(path, service, lab)
        yield from _inference(path, service, lab)
        yield from each_known((*path, "datasets"), service.datasets, datasets, "dataset")
        yield from each_known((*path, "needs"), service.needs, lab.services, "service")
        yield from each_known((*path, "instead_of"), service.instead_of, lab.services, "service")


def _on_cluster(path: Steps, service: Service, lab: Lab) -> Iterator[Fault]:
    """A chart, and a host name at the ingress, are of a cluster."""
    for field in ("chart", "within", "hostname"):
        if getattr(service, field) is not None and service.runs_on not in lab.clusters:
            where = service.runs_on or "nowhere"
            what = f"what has a {field} runs on a cluster, and this one on {where}"
            yield Fault((*path, field), what)
    if service.within is None or service.within == service.runs_on:
        return
    brought_by = lab.services.get(service.within)
    if brought_by is None:
        yield unknown((*path, "within"), service.within, lab.services, "service")
    elif brought_by.chart is None:
        yield Fault((*path, "within"), f"{service.within} has no chart that could bring it along")


def _not_given(path: Steps, service: Service, lab: Lab) -> Iterator[Fault]:
    """A card of a hypervisor that is to serve models, and that nothing gives to its VM by then."""
    given = {
        each.device
        for each in lab.gpu_allocation.values()
        if each.exists or (each.phase and service.phase and each.phase <= service.phase)
    }
    for index, device in enumerate(service.devices):
        vms = [vm.name for vm in lab.vms_with(device) if not vm.exists]
        if service.phase is not None and len(vms) == 1 and device not in given:
            entry = f"{{device: {device}, use: …, phase: {service.phase}}}"
            what = f"nothing gives it to {vms[0]} by phase {service.phase}: write gpu_allocation: "
            yield Fault((*path, index), f"{what}{{{device.partition('.')[2]}: {entry}}}")


def _inference(path: Steps, service: Service, lab: Lab) -> Iterator[Fault]:
    """What serves models: where it runs, and what it names."""
    where = service.runs_on or "nowhere"
    if service.ollama is not None:
        here = (*path, "ollama", "archives")
        yield from each_known(here, service.ollama.archives, lab.downloads, "download")
        if not service.devices:
            what = "Ollama has a server for each device, and this one has none: write devices"
            yield Fault((*path, "ollama"), what)
        if service.chart is None and not service.ollama.archives:
            what = f"on a cluster it needs a chart, elsewhere archives; this one is on {where}"
            yield Fault((*path, "ollama"), what)
        yield from _not_given((*path, "devices"), service, lab)
    if service.llama_cpp is not None:
        here = (*path, "llama_cpp", "archive")
        if service.llama_cpp.archive not in lab.downloads:
            yield unknown(here, service.llama_cpp.archive, lab.downloads, "download")
        if service.runs_on not in lab.hosts and service.runs_on not in lab.vms:
            what = f"its server runs on a host or a VM, and this one on {where}"
            yield Fault((*path, "llama_cpp"), what)
        if len(service.devices) < 2:
            what = "it spreads a model over several cards: write them in devices"
            yield Fault((*path, "llama_cpp"), what)
        others = [name for name in service.llama_cpp.vulkan if name not in service.devices]
        if others:
            yield unknown((*path, "llama_cpp", "vulkan"), others[0], service.devices, "device")
        yield from _not_given((*path, "devices"), service, lab)
    if service.web_ui is not None:
        model = service.web_ui.embeds_with
        if model is not None and model not in lab.models:
            yield unknown((*path, "web_ui", "embeds_with"), model, lab.models, "model")
        if service.chart is None:
            yield Fault((*path, "web_ui"), "it is installed by a chart: write that")
    if service.balancer is not None:
        if service.runs_on not in lab.hosts and service.runs_on not in lab.vms:
            what = f"it runs on a host or a VM, and this one on {where}"
            yield Fault((*path, "balancer"), what)
        for index, route in enumerate(service.balancer.routes):
            here = (*path, "balancer", "routes", index, "models")
            yield from each_known(here, route.models, lab.models, "model")
            tags = {
                model.published.tag if model.published else name
                for name in route.models
                if (model := lab.models.get(name)) is not None
            }
            if len(tags) > 1:
                what = f"one can't stand in for the other: {', '.join(sorted(tags))}"
                yield Fault(here, what)
