"""Ways to what runs in pods: a port of every node, an address that nodes and pods alone know, and a
name that pods alone know.

Sources: kubernetes.io, Service and DNS for Services and Pods; kube-proxy rejects what has no pod.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import endpoints, of_pod
from homelab_lib.twin.kubernetes.nodes import answers_at
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.policies import Peer
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.surroundings import FROM, Answer, Answering, NetError

_REFUSED = "Failed to connect to {} port {} after 0 ms: Connection refused"


def addressed(cluster: Cluster) -> None:
    """Each service has an address of the cluster's own."""
    for service in cluster.all("Service"):
        spec = service["spec"]
        if "clusterIP" not in spec and spec.get("type") != "ExternalName":
            meta = service["metadata"]
            drawn = hashlib.sha256(f"{meta['namespace']}/{meta['name']}".encode()).digest()
            room = ipaddress.ip_network(cluster.agreed.get("service-cidr") or "10.43.0.0/16")
            number = int.from_bytes(drawn[:4]) % (room.num_addresses - 20) + 11
            spec["clusterIP"] = str(room[number])
            spec["clusterIPs"] = [spec["clusterIP"]]


def publish(cluster: Cluster) -> None:
    """Open the ports of nodes that services have."""
    for service in cluster.all("Service"):
        if dig(service, "spec.type") != "NodePort":
            continue
        name, space = service["metadata"]["name"], service["metadata"]["namespace"]
        for port in service["spec"]["ports"]:
            if "nodePort" not in port:
                continue
            for node, machine in cluster.members.items():
                way = partial(_by_node, cluster, name, space, node)
                machine.http[port["nodePort"]] = way
                machine.listeners[port["nodePort"]] = partial(_listens, cluster, name, space, node)


def _listens(cluster: Cluster, name: str, space: str, node: str) -> bool:
    cluster.settle()
    return answers_at(cluster, node) and bool(
        endpoints(cluster, cluster.get("Service", name, space))
    )


def _by_node(
    cluster: Cluster, name: str, space: str, node: str, path: str, headers: Mapping[str, str]
) -> Answer:
    """What comes in at a node's port: for a pod on another node it goes on as from this node."""
    cluster.settle()
    pods = endpoints(cluster, cluster.get("Service", name, space))
    if not pods:
        raise NetError(7, _REFUSED.format(cluster.members[node].address, "of the service"))
    address = headers.get(FROM, "")
    if pods[0]["spec"]["nodeName"] != node:
        address = cluster.members[node].address or ""
    return of_pod(cluster, pods[0], _peer(cluster, address), path, headers)


def known_inside(cluster: Cluster, source: Machine, address: str, port: int) -> Answering | None:
    """What answers at a service's own address; None where `source` is no node, or nobody has it."""
    if cluster.members.get(source.name) is not source:
        return None
    cluster.settle()
    for service in cluster.all("Service"):
        if service["spec"].get("clusterIP") == address:
            return partial(_inside, cluster, service, port, Peer(source.address or "", source.name))
    return None


def _inside(
    cluster: Cluster, service: Object, port: int, peer: Peer, path: str, headers: Mapping[str, str]
) -> Answer:
    pods = endpoints(cluster, service)
    if not pods or port not in (each["port"] for each in service["spec"]["ports"]):
        raise NetError(7, _REFUSED.format(service["spec"]["clusterIP"], port))
    return of_pod(cluster, pods[0], peer, path, headers)


def ask(cluster: Cluster, pod: Object, url: str, path: str, headers: Mapping[str, str]) -> Answer:
    """What a program in a pod is told by a server.

    Raises
    ------
    NetError
        It does not get there.
    """
    parts = urlsplit(url)
    name, _, rest = (parts.hostname or "").partition(".")
    space, _, kind = rest.partition(".")
    if kind in ("svc", "svc.cluster.local"):
        service = cluster.get("Service", name, space)
        if service is None:
            raise NetError(6, f"Could not resolve host: {parts.hostname}")
        return _inside(cluster, service, parts.port or 80, Peer(pod=pod), path, headers)
    machine = cluster.members[pod["spec"]["nodeName"]]
    status, entry = machine.world.fetch(machine, f"{url.rstrip('/')}{path}", headers)
    return status, entry.data, entry.served_s


def _peer(cluster: Cluster, address: str) -> Peer:
    own = (name for name, each in cluster.members.items() if each.address == address)
    return Peer(address, next(own, ""))
