"""`kubectl exec`: a program in a container that runs.

Source: kubectl `pkg/cmd/exec`; containerd and runc, `exec failed`;
NVIDIA/nvidia-container-toolkit#48 and NVIDIA's "Troubleshooting with the Container Toolkit"
(containers that lose their cards).
"""

from dataclasses import replace

from homelab_lib.twin.kubernetes import graphics
from homelab_lib.twin.kubernetes.cluster import Cluster, not_found
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.ingress import is_ready
from homelab_lib.twin.kubernetes.objects import KINDS, ApiError
from homelab_lib.twin.machine.graphics_drivers import nvidia_smi
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply

_NO_PROGRAM = (
    "error: Internal error occurred: error executing command in container: failed to exec in "
    "container: OCI runtime exec failed: exec failed: unable to start container process: exec: "
    '"{}": executable file not found in $PATH: unknown\n'
)
_LOST = "Failed to initialize NVML: Unknown Error\n"


def execute(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """``exec -n SPACE POD -- nvidia-smi -L``: which cards the programs in a container see."""
    space, name = words.get("--namespace", "default"), words.operands[1]
    pod = cluster.get("Pod", name, space)
    if pod is None:
        raise not_found(KINDS["Pod"], name)
    if not is_ready(pod):
        container = pod["spec"]["containers"][0]["name"]
        raise ApiError(
            "", f'error: unable to upgrade connection: container not found ("{container}")'
        )
    program = tuple(words.operands[2:])
    if program != ("nvidia-smi", "-L"):
        return Reply(127, stderr="twin: its kubectl exec runs nvidia-smi -L alone\n")
    if pod["spec"].get("runtimeClassName") != "nvidia":
        return Reply(1, stderr=_NO_PROGRAM.format(program[0]))
    if pod["metadata"]["uid"] in cluster.bereft:
        return Reply(255, _LOST, "command terminated with exit code 255\n")
    node = cluster.members[pod["spec"]["nodeName"]]
    said = nvidia_smi(node, Call(program))
    if said.status:
        return replace(said, stderr=f"command terminated with exit code {said.status}\n")
    seen = len(list(graphics.visible(cluster, pod)))
    return Reply(0, b"".join(said.out.splitlines(keepends=True)[:seen]))
