"""Who may ask a cluster's model servers: they have no password, so a network policy says it.

Sources: kubernetes.io, Network Policies; kube-router, by which k3s enforces them: what comes from
the pod's own node always passes, and of what comes by another node's port that node is the sender.
A client that asks at the node on which the server runs, as ours do, keeps its own address.
"""

import ipaddress
from collections.abc import Iterator

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Service
from homelab_lib.recipes.inference.servers import PORT, ModelServer, address_of
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.runbook.step import Check, Context

_PATIENCE_S = 5
_NO_CONNECTION = (7, 28)
"""How curl ends where a connection was refused, or nobody answered."""


def policy(lab: Lab, server: ModelServer) -> manifests.Object:
    """The policy of a server's pod.

    Parameters
    ----------
    lab, server
        The lab, and a server that runs on a cluster.
    """
    chart = server.service.chart
    assert chart is not None
    labels = {"app.kubernetes.io/name": chart.chart, "app.kubernetes.io/instance": server.name}
    blocks = [{"ipBlock": {"cidr": each}} for each in admitted(lab, server)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": server.release, "namespace": chart.namespace},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [*blocks, *_pods(lab, server)],
                    "ports": [{"port": PORT, "protocol": "TCP"}],
                }
            ],
        },
    }


def admitted(lab: Lab, server: ModelServer) -> list[str]:
    """The networks from which it is asked: the machine from which we look at it, balancers in front
    of it, nodes of other clusters whose pages need it, and those that the lab names.

    Raises
    ------
    BadParameter
        The address of one is not known, and the lab names no network.
    """
    machines = [server.asks]
    own = {model.name for model in server.models}
    for service in lab.services.values():
        routes = service.balancer.routes if service.balancer is not None else ()
        if service.runs_on is not None and any(own & set(route.models) for route in routes):
            machines.append(service.runs_on)
        if _is_page_of(lab, service, server) and service.runs_on != _cluster(server):
            machines += lab.clusters[service.runs_on or ""].vms
    found = [_alone(lab, machine, server) for machine in machines]
    return list(dict.fromkeys((*filter(None, found), *server.ollama.asked_from)))


def _pods(lab: Lab, server: ModelServer) -> Iterator[manifests.Object]:
    """The pages of its own cluster."""
    for service in lab.services.values():
        if _is_page_of(lab, service, server) and service.runs_on == _cluster(server):
            chart = service.chart
            assert chart is not None
            labels = {
                "app.kubernetes.io/component": chart.chart,
                "app.kubernetes.io/instance": chart.name,
            }
            space = {"kubernetes.io/metadata.name": chart.namespace}
            yield {
                "namespaceSelector": {"matchLabels": space},
                "podSelector": {"matchLabels": labels},
            }


def _is_page_of(lab: Lab, service: Service, server: ModelServer) -> bool:
    page = service.web_ui
    if page is None:
        return False
    own = {model.name for model in server.models}
    return server.service.name in service.needs or page.embeds_with in own


def _cluster(server: ModelServer) -> str:
    return server.card.cluster.name if server.card.cluster is not None else ""


def _alone(lab: Lab, machine: str, server: ModelServer) -> str:
    """A machine as a network of its own; empty where only a network that the lab names has it."""
    address = address_of(lab, machine)
    try:
        return str(ipaddress.ip_network(address))
    except ValueError:
        if server.ollama.asked_from:
            return ""
        raise BadParameter(
            f"{machine} asks {server.name}, which lets in addresses and no names, and the lab has "
            f"{address or 'none'} for it",
            where=f"services.{server.service.name}.ollama.asked_from",
            fix=f"write the network that {machine} is in, or its own address where it is described",
        ) from None


def closed(ctx: Context, lab: Lab, server: ModelServer) -> Iterator[Check]:
    """Another node of the cluster, which is none of those, gets no answer."""
    cluster = server.card.cluster
    assert cluster is not None
    may = admitted(lab, server)
    others = [
        name
        for name in cluster.vms
        if name != server.card.machine and _alone(lab, name, server) not in may
    ]
    if not others or server.ollama.asked_from:
        return
    words = ("curl", "-sS", "-m", str(_PATIENCE_S), f"{server.url}/api/version")
    said = ctx.host(others[0]).read(*words, ok=None)
    says = said.stderr.strip() if said.exit_status else f"it answers: {said.stdout.strip()[:60]}"
    title = f"{server.name} is closed to {others[0]}, which the lab does not name"
    yield Check(title, said.exit_status in _NO_CONNECTION, says)
