"""The way in to a cluster's web services: Traefik on ports 80 and 443 of every node."""

from collections.abc import Mapping

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.nodes import answers_at, ready
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.policies import Peer, admits
from homelab_lib.twin.machine.surroundings import Answer, NetError

CLASS = "traefik"
_NO_ROUTE = (404, b"404 page not found\n")
_MOVED = (301, b"Moved Permanently")
_REDIRECTS = "--entryPoints.web.http.redirections.entryPoint.to=:443"
_GRAFANA = (
    '<!DOCTYPE html>\n<html lang="en-US">\n<head>\n<title>Grafana</title>\n</head>\n</html>\n'
)
_NGINX = (
    "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n"
    "<h1>Welcome to nginx!</h1>\n</body>\n</html>\n"
)


def publishes(cluster: Cluster, node: str) -> bool:
    """Whether a node's port 80 leads to a running Traefik."""
    traefik = cluster.get("Deployment", "traefik", "kube-system")
    return answers_at(cluster, node) and bool(dig(traefik, "status.readyReplicas"))


def redirects(cluster: Cluster) -> bool:
    """Whether Traefik sends everybody on to https."""
    traefik = cluster.get("Deployment", "traefik", "kube-system")
    pods = [p for p in cluster.all("Pod", "kube-system") if p["metadata"]["name"].startswith(
        "traefik-") and is_ready(p)] if traefik else []  # fmt: skip
    return any(_REDIRECTS in p["spec"]["containers"][0].get("args", ()) for p in pods)


def plain(cluster: Cluster, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """What port 80 says."""
    cluster.settle()
    return _MOVED if redirects(cluster) else answer(cluster, path, headers)


def answer(cluster: Cluster, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """What the ingress says to a request: status and body."""
    cluster.settle()
    if _is_blind(cluster):
        return _NO_ROUTE
    host = headers.get("host", "").partition(":")[0]
    for ingress in cluster.all("Ingress"):
        if ingress["spec"].get("ingressClassName", CLASS) != CLASS:
            continue  # somebody else's, whom nobody installed
        for rule in ingress["spec"]["rules"]:
            if rule.get("host") not in (None, host):
                continue
            for way in rule["http"]["paths"]:
                if path.startswith(way.get("path", "/")):
                    service = way["backend"]["service"]["name"]
                    return _of_service(
                        cluster, ingress["metadata"]["namespace"], service, path, headers
                    )
    return _NO_ROUTE


def _is_blind(cluster: Cluster) -> bool:
    """Whether Traefik has not heard of any route yet, from the first request on for a while."""
    habits, now = cluster.world.habits, cluster.world.clock.now()
    if "ingress_blind_s" not in habits:
        return False
    return bool(now < habits.setdefault("ingress_blind_until_s", now + habits["ingress_blind_s"]))


def _of_service(
    cluster: Cluster, namespace: str, name: str, path: str, headers: dict[str, str]
) -> tuple[int, bytes]:
    pods = endpoints(cluster, cluster.get("Service", name, namespace))
    if not pods:
        return 503, b"no available server\n"
    cluster.requests += 1
    own = (pod for pod in cluster.all("Pod", "kube-system") if _is_traefik(pod))
    peer = Peer(pod=next(own, None))
    try:
        return of_pod(cluster, pods[cluster.requests % len(pods)], peer, path, headers)[:2]
    except NetError:
        return 502, b"Bad Gateway"


def _is_traefik(pod: Object) -> bool:
    return (pod["metadata"].get("labels") or {}).get("app") == "traefik"


def of_pod(
    cluster: Cluster, pod: Object, peer: Peer, path: str, headers: Mapping[str, str]
) -> Answer:
    """What the program in a pod answers to somebody.

    Raises
    ------
    NetError
        The pod's policies do not let it in.
    """
    if not admits(cluster, pod, peer):
        asked = headers.get("host") or dig(pod, "status.podIP")
        raise NetError(7, f"Failed to connect to {asked} after 0 ms: Connection refused")
    program = cluster.programs.get(pod["metadata"]["uid"])
    if program is None:
        return *page(pod, dict(headers)), 0.0
    answered: Answer = program(path, headers)
    return answered


def endpoints(cluster: Cluster, service: Object | None) -> list[Object]:
    """Ready pods behind a service."""
    if service is None:
        return []
    selector = dig(service, "spec.selector") or {}
    return [
        pod
        for pod in cluster.all("Pod", service["metadata"]["namespace"])
        if selector.items() <= pod["metadata"].get("labels", {}).items()
        and is_ready(pod)
        and ready(cluster, pod["spec"]["nodeName"])
    ]


def is_ready(pod: Object) -> bool:
    """Whether a pod's containers run."""
    conditions = dig(pod, "status.conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def page(pod: Object, headers: dict[str, str]) -> tuple[int, bytes]:
    """What the program in a pod answers."""
    image = pod["spec"]["containers"][0]["image"].rpartition("/")[2].partition(":")[0]
    if image == "whoami":
        lines = [
            f"Hostname: {pod['metadata']['name']}",
            f"IP: {dig(pod, 'status.podIP')}",
            "GET / HTTP/1.1",
            *(f"{k.title()}: {v}" for k, v in headers.items() if not k.startswith(":")),
        ]
        return 200, ("\n".join(lines) + "\n").encode()
    if image == "nginx":
        return 200, _NGINX.encode()
    if image == "grafana":
        return 200, _GRAFANA.encode()
    return 502, b"Bad Gateway\n"
