"""Ollama in pods, and services that a port of every node leads to.

Sources: ollama/ollama Dockerfile (the image for AMD holds ROCm and the processor, the plain one
CUDA and Vulkan); kubernetes.io, Service, type NodePort.
"""

from functools import partial

from homelab_lib.twin.kubernetes import graphics
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.ingress import endpoints, is_ready, page
from homelab_lib.twin.kubernetes.nodes import answers_at
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.machine.ollama import Answer, Remembered, Server, discover, remembered

IMAGE = "ollama/ollama"
_EPHEMERAL = "a folder of the pod's own"


def serve(cluster: Cluster) -> None:
    """Each pod that runs Ollama has a server; one that is gone has given its memory back."""
    running = {
        pod["metadata"]["uid"]: pod
        for pod in cluster.all("Pod")
        if is_ready(pod)
        and _image(pod)[0] == IMAGE
        and pod["spec"].get("restartPolicy") == "Always"
    }
    for uid in [each for each in cluster.programs if each not in running]:
        cluster.programs.pop(uid).stop()
    for uid, pod in running.items():
        if uid not in cluster.programs:
            cluster.programs[uid] = _server(cluster, pod)
    _publish(cluster)


def _image(pod: Object) -> tuple[str, str]:
    """The image of a pod's first container, and its tag."""
    name, _, tag = pod["spec"]["containers"][0]["image"].partition(":")
    return name, tag


def _server(cluster: Cluster, pod: Object) -> Server:
    machine = cluster.members[pod["spec"]["nodeName"]]
    container, (_, tag) = pod["spec"]["containers"][0], _image(pod)
    env = {each["name"]: str(each.get("value", "")) for each in container.get("env", ())}
    built = ("ROCm",) if tag.endswith("-rocm") else ("CUDA", "Vulkan")
    uid = pod["metadata"]["uid"]
    claims = (dig(v, "persistentVolumeClaim.claimName") for v in pod["spec"].get("volumes", ()))
    claim = next(filter(None, claims), f"{_EPHEMERAL} {uid}")
    kept = machine.kept.setdefault("ollama", {})
    store = kept.setdefault(f"{pod['metadata']['namespace']}/{claim}", {})
    real = _real(cluster, pod) if cluster.server.ask else None
    cluster.logs[uid] = ""
    if real is not None:
        store |= real.store
        cluster.logs[uid] = cluster.old_log(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def say(line: str) -> None:
        cluster.logs[uid] += f"time={cluster.stamp()} {line}\n"

    seen = discover(list(graphics.visible(cluster, pod)), built, env)
    version = tag.removesuffix("-rocm")
    name, loaded = pod["metadata"]["name"], real.loaded if real else {}
    return Server(machine, name, version, env, seen, store, say, loaded, real is not None)


def _real(cluster: Cluster, pod: Object) -> Remembered | None:
    """What the real server in a pod has, by the port of its node that leads there."""
    for service in cluster.all("Service", pod["metadata"]["namespace"]):
        if dig(service, "spec.type") == "NodePort" and pod in endpoints(cluster, service):
            port = service["spec"]["ports"][0].get("nodePort")
            address = cluster.members[pod["spec"]["nodeName"]].address
            return remembered(cluster.server, f"http://{address}:{port}")
    return None


def _publish(cluster: Cluster) -> None:
    """Open the ports of nodes that services have."""
    for service in cluster.all("Service"):
        if dig(service, "spec.type") != "NodePort":
            continue
        name, space = service["metadata"]["name"], service["metadata"]["namespace"]
        for port in service["spec"]["ports"]:
            if "nodePort" not in port:
                continue
            for node, machine in cluster.members.items():
                machine.http[port["nodePort"]] = partial(_answer, cluster, name, space)
                machine.listeners[port["nodePort"]] = partial(_listens, cluster, name, space, node)


def _listens(cluster: Cluster, name: str, space: str, node: str) -> bool:
    cluster.settle()
    return answers_at(cluster, node) and bool(
        endpoints(cluster, cluster.get("Service", name, space))
    )


def _answer(
    cluster: Cluster, name: str, space: str, path: str, headers: dict[str, str]
) -> Answer | tuple[int, bytes]:
    cluster.settle()
    pods = endpoints(cluster, cluster.get("Service", name, space))
    if not pods:
        return 503, b""
    server = cluster.programs.get(pods[0]["metadata"]["uid"])
    if server is None:
        return page(pods[0], headers)
    return server.answer(headers.get(":method", "GET"), path, headers.get(":body", ""))
