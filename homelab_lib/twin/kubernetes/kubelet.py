"""The kubelet: pulls images, mounts volumes, runs what is in a pod."""

from collections.abc import Mapping

from homelab_lib.twin.kubernetes import graphics, rocm, statuses
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.nodes import alive
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.registry import known_image, size_bytes
from homelab_lib.twin.kubernetes.volumes import mounted
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.tree import Mount
from homelab_lib.twin.machine.unix import COREUTILS

_PULL_S = 6.0
_TOO_MANY = (
    "failed to copy: httpReadSeeker: failed open: unexpected status code 429 Too Many Requests - "
    "Server message: toomanyrequests: You have reached your unauthenticated pull rate limit."
)
_FINAL = ("Succeeded", "Failed")


def run_pods(cluster: Cluster) -> None:
    """Bring each pod that has a node a little further."""
    for pod in cluster.all("Pod"):
        node = pod["spec"].get("nodeName")
        if node is None or dig(pod, "status.phase") in (*_FINAL, "Running"):
            continue
        if node in cluster.members and alive(cluster, node):
            _start(cluster, pod)


def _start(cluster: Cluster, pod: Object) -> None:
    if why := _pull(cluster, pod):
        _wait(cluster, pod, "ImagePullBackOff", why)
        say(cluster, pod, "Failed", why, warning=True)
        return
    if cluster.age_s(pod) < _pull_s(cluster, pod):
        _wait(cluster, pod, "ContainerCreating", "")
        return
    if missing := _missing_secret(cluster, pod):
        why = f'secret "{missing}" not found'
        _wait(cluster, pod, "CreateContainerConfigError", why)
        say(cluster, pod, "Failed", f"Error: {why}", warning=True)
        return
    if graphics.sandbox_fails(cluster, pod):
        return
    volumes = {}
    for volume in pod["spec"].get("volumes", ()):
        files, folder, why = mounted(cluster, pod, volume)
        if files is None:
            _wait(cluster, pod, "ContainerCreating", why)
            say(cluster, pod, "FailedMount", why, warning=True)
            return
        volumes[volume["name"]] = files, folder
    number = cluster.next_address()
    address = f"10.42.{number // 250}.{number % 250 + 1}"
    if pod["spec"].get("restartPolicy") == "Always":
        _is(cluster, pod, "Running", address)
        return
    status, printed = _run(cluster, pod, volumes)
    cluster.logs[pod["metadata"]["uid"]] = printed
    _is(cluster, pod, "Failed" if status else "Succeeded", address, status)


def _pull_s(cluster: Cluster, pod: Object) -> float:
    """How long its images take: those that a node has already are not fetched again."""
    had = cluster.images.setdefault(pod["spec"]["nodeName"], set())
    missing = [c["image"] for c in pod["spec"]["containers"] if c["image"] not in had]
    fetched = sum(map(size_bytes, missing)) / cluster.world.internet_bytes_per_s
    if cluster.age_s(pod) >= _PULL_S + fetched:
        had.update(missing)
    return _PULL_S + fetched


def _pull(cluster: Cluster, pod: Object) -> str:
    """Why an image can't be had; empty where it can."""
    for container in pod["spec"]["containers"]:
        image = container["image"]
        if not known_image(cluster.world.lab, image):
            return f'failed to pull and unpack image "{image}": not found'
        machine = cluster.members[pod["spec"]["nodeName"]]
        closed = cluster.world.habits.get("hub_closed_until_s", 0.0) > cluster.world.clock.now()
        if closed and not image.startswith(("registry.k8s.io/", "rancher/")):
            return f'failed to pull and unpack image "{image}": {_TOO_MANY}'
        if why := cluster.world.internet(machine):
            return f'failed to pull image "{image}": dial tcp: {why}'
    return ""


def _missing_secret(cluster: Cluster, pod: Object) -> str:
    """The Secret that a container's environment is from and that isn't there; empty for none. Of a
    seeded cluster those of before are not known, and taken for there."""
    space = pod["metadata"]["namespace"]
    for container in pod["spec"]["containers"]:
        sources = [dig(each, "secretRef.name") for each in container.get("envFrom", ())]
        sources += [dig(v, "valueFrom.secretKeyRef.name") for v in container.get("env", ())]
        for name in filter(None, sources):
            unseen = cluster.seeded and (space, name) not in cluster.deleted_secrets
            if cluster.get("Secret", name, space) is None and not unseen:
                return str(name)
    return ""


def _wait(cluster: Cluster, pod: Object, reason: str, message: str) -> None:
    state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    states = [state for _ in pod["spec"]["containers"]]
    pod["status"] = statuses.pod(cluster, pod, "Pending", states)


def _is(cluster: Cluster, pod: Object, phase: str, address: str, exit_code: int = 0) -> None:
    state: Object = {"running": {"startedAt": cluster.stamp()}}
    if phase != "Running":
        reason = "Error" if exit_code else "Completed"
        times = {"startedAt": cluster.stamp(), "finishedAt": cluster.stamp()}
        state = {"terminated": {"exitCode": exit_code, "reason": reason} | times}
    states = [state for _ in pod["spec"]["containers"]]
    pod["status"] = statuses.pod(cluster, pod, phase, states, address)


def _run(
    cluster: Cluster, pod: Object, volumes: Mapping[str, tuple[FileSystem, str]]
) -> tuple[int, str]:
    """Run a pod's first container to its end: status, and what it printed."""
    own = graphics.program(cluster, pod)
    if own is not None:
        return own
    container = pod["spec"]["containers"][0]
    inside = Machine(pod["metadata"]["name"], cluster.world, commands=COREUTILS)
    inside.files.make_folder("/tmp", mode=0o1777)
    for mount in container.get("volumeMounts", ()):
        files, folder = volumes[mount["name"]]
        inside.files.mkdir(mount["mountPath"], parents=True)
        inside.files.mount(Mount(mount["mountPath"], files, folder, "volume", "nfs4"))
    graphics.furnish(cluster, pod, inside)
    rocm.tools(cluster, pod, inside)
    argv = tuple(container.get("command", ())) + tuple(container.get("args", ()))
    env = {each["name"]: str(each.get("value", "")) for each in container.get("env", ())}
    if not argv:
        return 0, ""
    reply = inside.call(Call(argv, env=env | {"HOME": "/root", "HOSTNAME": inside.name})).finished()
    return reply.status, (reply.out + reply.err).decode(errors="replace")
