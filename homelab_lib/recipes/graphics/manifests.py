"""The Kubernetes objects about graphics cards: what tells of them, and pods that try them.

Source: the charts nvidia-device-plugin 0.20.0 and amd-gpu 0.21.0, their values and templates.
"""

from typing import Any

from homelab_lib.recipes.graphics.placed import RESOURCES
from homelab_lib.recipes.kubernetes.manifests import Object, full_name

TEST = "gpu-test"
EXPECTED = {"NVIDIA": "Test PASSED", "AMD": "gfx_target_version"}
"""What a test pod prints when it could use its card."""
_IMAGES = {
    "NVIDIA": "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0",
    "AMD": "busybox:1.37",
}
_ASK_KERNEL = (
    "set -e; ls -l /dev/kfd /dev/dri; "
    "grep -h gfx_target_version /sys/class/kfd/kfd/topology/nodes/*/properties | grep -v ' 0$'"
)


def runtime_class(name: str) -> Object:
    """Pods that ask for a runtime by its name; k3s brings it along for those that it found."""
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": name,
    }


def plugin(vendor: str, release: str) -> str:
    """The daemon set that a plugin's chart makes of a release."""
    if vendor == "AMD":
        return f"{release}-device-plugin-daemonset"
    return full_name(release, "nvidia-device-plugin")


def plugin_values(vendor: str) -> dict[str, Any]:
    """What a plugin's chart is told: NVIDIA's needs its own runtime to see a card."""
    if vendor == "NVIDIA":
        return {"runtimeClassName": "nvidia"}
    return {"nfd": {"enabled": False}, "labeller": {"enabled": True}}


def test_name(machine: str, vendor: str) -> str:
    """What a test job is called."""
    return f"gpu-test-{machine}-{vendor.lower()}"


def test_job(machine: str, vendor: str) -> Object:
    """A job that uses a card of a node, and prints what came of it."""
    name = test_name(machine, vendor)
    container: Object = {
        "name": "test",
        "image": _IMAGES[vendor],
        "resources": {"limits": {RESOURCES[vendor]: "1"}},
    }
    if vendor == "AMD":
        container["command"] = ["sh", "-c", _ASK_KERNEL]
    pod: Object = {
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/hostname": machine},
        "tolerations": [{"key": RESOURCES[vendor], "operator": "Exists"}],
        "containers": [container],
    }
    if vendor == "NVIDIA":
        pod["runtimeClassName"] = "nvidia"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": TEST},
        "spec": {
            "backoffLimit": 1,
            "template": {"metadata": {"labels": {"homelab": name}}, "spec": pod},
        },
    }
