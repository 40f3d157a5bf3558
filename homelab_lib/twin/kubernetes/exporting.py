"""Exporters in pods: what they ask when they are asked, and what is sent to them.

Source: prometheus/graphite_exporter `main.go` (it answers whoever sends or does not; the time of
what came last is a number of its own, 0 before); DRuggeri/nut_exporter and
prometheus-pve/prometheus-pve-exporter (a scrape is status 500 where what they ask does not answer).
"""

from collections.abc import Iterator

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import endpoints
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.machine.machine import Machine

INSIDE = ".svc"
_FAILED = "server returned HTTP status 500 Internal Server Error"
_NUT, _API, _GRAPHITE = 3493, 8006, 9109


def unheard(cluster: Cluster, scrape: Object, address: str) -> str:
    """Why Prometheus gets nothing from a service of the cluster; empty where it does, or where
    the address is another.

    Parameters
    ----------
    cluster, scrape
        The cluster, and the ScrapeConfig.
    address
        ``NAME.NAMESPACE.svc:PORT``.
    """
    host, _, port = address.rpartition(":")
    if not host.endswith(INSIDE):
        return ""
    name, _, space = host.removesuffix(INSIDE).partition(".")
    service = cluster.get("Service", name, space)
    if service is None:
        return f"dial tcp: lookup {host}: no such host"
    pods = endpoints(cluster, service)
    if not pods or int(port) not in (each["port"] for each in service["spec"]["ports"]):
        return f"dial tcp {address}: connect: connection refused"
    container, member = pods[0]["spec"]["containers"][0], pods[0]["spec"]["nodeName"]
    asked = _asked(container, scrape)
    if asked is None:
        return ""
    machine = cluster.members[member]
    return _FAILED if cluster.world.reach(machine, *asked) else ""


def _asked(container: Object, scrape: Object) -> tuple[str, int] | None:
    """Whom an exporter asks while it is asked itself."""
    image = container["image"]
    if "/nut_exporter:" in image:
        words = dict(each.partition("=")[::2] for each in container.get("args", ()))
        return words.get("--nut.server", "127.0.0.1"), _NUT
    if "/prometheus-pve-exporter:" in image:
        return (dig(scrape, "spec.params.target") or ["localhost"])[0], _API
    return None


def silent_for_s(cluster: Cluster, job: str) -> float | None:
    """How long nothing has been sent to a job's exporter [s]; None where there is no such job."""
    for scrape in cluster.all("scrapeconfigs.monitoring.coreos.com"):
        if dig(scrape, "spec.jobName") == job:
            space = scrape["metadata"]["namespace"]
            target = scrape["spec"]["staticConfigs"][0]["targets"][0]
            name = target.partition(".")[0]
            pods = endpoints(cluster, cluster.get("Service", name, space))
            heard = any(_sends(cluster, machine, port) for port in _ports(cluster, space, pods)
                        for machine in cluster.world.machines.values())  # fmt: skip
            return 1.0 if heard else cluster.world.clock.now()
    return None


def _ports(cluster: Cluster, space: str, pods: list[Object]) -> Iterator[int]:
    """The nodes' ports that lead to pods."""
    for service in cluster.all("Service", space):
        for port in service["spec"]["ports"]:
            leads = "nodePort" in port and port["port"] == _GRAPHITE
            if leads and any(pod in endpoints(cluster, service) for pod in pods):
                yield port["nodePort"]


def _sends(cluster: Cluster, machine: Machine, port: int) -> bool:
    """Whether a NAS sends its numbers to a port of a node, and they get there."""
    tables = getattr(machine, "tables", {})
    if "reporting.exporters" not in tables:
        return False
    for row in tables["reporting.exporters"].rows():
        told = row["attributes"]
        address = told["destination_ip"]
        there = address in {member.address for member in cluster.members.values()}
        if row["enabled"] and there and told["destination_port"] == port:
            return not cluster.world.reach(machine, address, port)
    return False
