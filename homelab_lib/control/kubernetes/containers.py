"""What the programs in containers see of their node's cards.

Sources: NVIDIA/nvidia-container-toolkit#48; kubectl `pkg/cmd/exec`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL, listed
from homelab_lib.runbook.resource import Host

_POD: Shape = {
    "metadata": {"name": str, "namespace?": str},
    "spec?": {
        "nodeName?": str,
        "restartPolicy?": str,
        "containers?": [{"resources?": {"limits?": {"nvidia.com/gpu?": str}}}],
    },
    "status?": {"phase?": str},
}


@dataclass(frozen=True)
class Sight:
    """What a running pod sees of NVIDIA's cards.

    Parameters
    ----------
    namespace, pod, node
        Which, and where it runs.
    asked
        How many cards it asked for.
    says
        A line for each card that it sees, or what the tool says instead.
    """

    namespace: str
    pod: str
    node: str
    asked: int
    says: str

    @property
    def whole(self) -> bool:
        """Whether it sees as many as it asked for."""
        return sum(line.startswith("GPU ") for line in self.says.splitlines()) >= self.asked


def sights(host: Host) -> Iterator[Sight]:
    """Every pod that goes on running with a card of NVIDIA's, and what it sees of it."""
    for pod in listed(host, "pods", shape=_POD):
        spec, meta = pod.get("spec", {}), pod["metadata"]
        limits = [
            each.get("resources", {}).get("limits", {}) for each in spec.get("containers", ())
        ]
        asked = sum(int(each.get("nvidia.com/gpu", "0")) for each in limits)
        runs = pod.get("status", {}).get("phase") == "Running"
        if asked and runs and spec.get("restartPolicy", "Always") == "Always":
            space, name = meta.get("namespace", "default"), meta["name"]
            words = (*KUBECTL, "exec", "-n", space, name, "--", "nvidia-smi", "-L")
            said = host.read(*words, ok=None, sudo=True)
            text = said.stdout.strip() or said.stderr.strip()
            yield Sight(space, name, spec.get("nodeName", ""), asked, text)
