"""Ollama in pods.

Source: ollama/ollama Dockerfile (the image for AMD holds ROCm and the processor, the plain one CUDA
and Vulkan); kubernetes.io, Container Lifecycle Hooks.
"""

from homelab_lib.twin.kubernetes import graphics, statuses
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.ingress import endpoints
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.ollama import Server, discover
from homelab_lib.twin.machine.ollama_real import Remembered, remembered
from homelab_lib.twin.machine.ollama_service import client
from homelab_lib.twin.machine.program import Call, Commands
from homelab_lib.twin.machine.unix import COREUTILS

IMAGE = "ollama/ollama"
_EPHEMERAL = "a folder of the pod's own"


def started(cluster: Cluster, pod: Object) -> Server:
    """The server of a pod that runs it."""
    machine = cluster.members[pod["spec"]["nodeName"]]
    container = pod["spec"]["containers"][0]
    tag = container["image"].partition(":")[2]
    env = {each["name"]: str(each.get("value", "")) for each in container.get("env", ())}
    built = ("ROCm",) if tag.endswith("-rocm") else ("CUDA", "Vulkan")
    uid = pod["metadata"]["uid"]
    claims = (dig(v, "persistentVolumeClaim.claimName") for v in pod["spec"].get("volumes", ()))
    claim = next(filter(None, claims), f"{_EPHEMERAL} {uid}")
    kept = machine.kept.setdefault("ollama", {})
    store = kept.setdefault(f"{pod['metadata']['namespace']}/{claim}", {})
    # Once: what is started anew here, or in a pod that is made here, is the real one no more.
    real = _real(cluster, pod) if uid in cluster.ran_before else None
    cluster.ran_before.discard(uid)
    cluster.logs[uid] = ""
    if real is not None:
        store |= real.store
        cluster.logs[uid] = cluster.old_log(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def log(line: str) -> None:
        cluster.logs[uid] += f"time={cluster.stamp()} {line}\n"

    seen = discover(list(graphics.visible(cluster, pod)), built, env)
    version = tag.removesuffix("-rocm")
    name, loaded = pod["metadata"]["name"], real.loaded if real else {}
    return Server(machine, name, version, env, seen, store, log, loaded, real is not None)


def hooked(cluster: Cluster, pod: Object, server: Server) -> None:
    """What its container does once it has started; a hook that fails has it killed."""
    command = dig(pod["spec"]["containers"][0], "lifecycle.postStart.exec.command")
    if not command or server.runs_already:
        return
    tools = Commands()
    tools("ollama")(lambda machine, call: client(server, call.argv[1:]))
    inside = Machine(pod["metadata"]["name"], cluster.world, commands=(*COREUTILS, tools))
    reply = inside.call(Call(tuple(command))).finished()
    if reply.status:
        why = f"PostStartHook failed: {reply.err.decode(errors='replace').strip()}"
        say(cluster, pod, "FailedPostStartHook", why, warning=True)
        states = [{"waiting": {"reason": "CrashLoopBackOff", "message": why}}]
        pod["status"] = statuses.pod(cluster, pod, "Pending", states)


def _real(cluster: Cluster, pod: Object) -> Remembered | None:
    """What the real server in a pod has, by the port of its node that leads there."""
    for service in cluster.all("Service", pod["metadata"]["namespace"]):
        if dig(service, "spec.type") == "NodePort" and pod in endpoints(cluster, service):
            port = service["spec"]["ports"][0].get("nodePort")
            address = cluster.members[pod["spec"]["nodeName"]].address
            return remembered(cluster.server, f"http://{address}:{port}")
    return None
