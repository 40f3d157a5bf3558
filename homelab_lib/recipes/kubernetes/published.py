"""What a cluster publishes at its ingress: which host names, and what answers there."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster, Service
from homelab_lib.recipes.kubernetes import manifests


@dataclass(frozen=True)
class Name:
    """A host name at the ingress, and a text in what answers there; empty for any."""

    hostname: str
    expect: str = ""


def names(lab: Lab, cluster: Cluster, phase: int) -> list[Name]:
    """Everything that is published once a phase is over.

    Parameters
    ----------
    lab, cluster
        What is described.
    phase
        The number of the phase.
    """
    found = [Name(each.hostname, each.expect) for each in cluster.workloads]
    found += [
        Name(service.hostname, service.title)
        for service in services(lab, cluster)
        if service.hostname and service.phase is not None and service.phase <= phase
    ]
    return found


def services(lab: Lab, cluster: Cluster) -> list[Service]:
    """The services of a cluster that have a host name and say what answers."""
    return [
        each
        for each in lab.services.values()
        if each.runs_on == cluster.name and each.hostname and each.backend
    ]


def ingress(lab: Lab, cluster: Cluster, service: Service) -> manifests.Object:
    """The way to a service, beside the objects of the chart that brings it."""
    assert service.backend is not None
    name, _, port = service.backend.partition(":")
    brought_by = lab.services.get(service.within or "", service)
    assert brought_by.chart is not None
    class_name = cluster.ingress.class_name if cluster.ingress else "traefik"
    return manifests.ingress(
        service.name,
        brought_by.chart.namespace,
        service.hostname or "",
        {"name": name, "port": {"number": int(port)}},
        class_name,
    )


def published(lab: Lab, cluster: Cluster, phase: int) -> Iterator[manifests.Object]:
    """The ingresses of a phase's services; see `earlier` for those before it."""
    for service in services(lab, cluster):
        if service.phase == phase and service.web_ui is None:
            yield ingress(lab, cluster, service)


def earlier(lab: Lab, cluster: Cluster, phase: int) -> Iterator[manifests.Object]:
    """The namespaces and ingresses of services that are there before a phase's own way in is: of
    earlier phases, and pages in front of models, which come before it in a phase."""
    for service in services(lab, cluster):
        if service.phase is not None and (
            service.phase < phase or (service.phase == phase and service.web_ui is not None)
        ):
            document = ingress(lab, cluster, service)
            yield manifests.namespace(document["metadata"]["namespace"])
            yield document
