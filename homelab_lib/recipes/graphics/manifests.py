"""The Kubernetes objects about graphics cards: what tells of them, and pods that try them.

Sources: the charts nvidia-device-plugin 0.20.0 and amd-gpu 0.21.0, their values and templates;
ROCm/ROCm-docker, dev/Dockerfile-ubuntu-24.04 (what is in AMD's image: ``rocm-dev``); Linux,
drivers/gpu/drm/amd/amdkfd/kfd_topology.c (what a container may read of cards: its own).
"""

from pathlib import Path
from typing import Any

from homelab_lib.recipes.graphics.placed import RESOURCES
from homelab_lib.recipes.kubernetes.manifests import Object, full_name

TEST = "gpu-test"
PASSED = "Test PASSED"
"""What a test pod prints when its card computed, and rightly."""
_IMAGES = {
    "NVIDIA": "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0",
    # hipcc and HIP without the libraries on them; this digest stands in many public repositories.
    "AMD": "docker.io/rocm/dev-ubuntu-24.04:7.2.4@sha256:"
    "bdc8e61026cbb844ede93d44d2c50055f51ebb2041906b60182bf3bee3139054",
}
_PROGRAM = Path(__file__).with_name("vector_add.hip")
# Compiled for what the kernel calls the card, so that no library has to know it, and no
# HSA_OVERRIDE_GFX_VERSION is needed: 100301 is gfx1031, 90010 is gfx90a.
_COMPUTE = r"""
fail() { echo "Test FAILED: $1"; exit 1; }
[ -e /dev/kfd ] || fail 'no /dev/kfd in the container; see "dmesg | grep amdgpu" on the node'
targets=
for version in $(cat /sys/class/kfd/kfd/topology/nodes/*/properties 2>/dev/null |
    sed -n 's/^gfx_target_version \([1-9][0-9]*\)$/\1/p'); do
  target=$(printf 'gfx%d%x%x' $((version / 10000)) $((version / 100 % 100)) $((version % 100)))
  targets="$targets --offload-arch=$target"
done
[ "$targets" ] || fail 'the kernel has no card to compute on; see "dmesg | grep kfd" on the node'
printf '%s\n' "$PROGRAM" > /tmp/vector_add.hip
/opt/rocm/bin/hipcc -O2 $targets -o /tmp/vector_add /tmp/vector_add.hip 2>&1 ||
  fail "hipcc of this image makes nothing for$targets: if it does not know it, take a newer image"
status=0
timeout -k 10 120 /tmp/vector_add || status=$?
case $status in
  0 | 1) exit "$status" ;;
  124 | 137) fail 'no answer of the card in 120 s; see dmesg on the node, and restart its host' ;;
  *) fail "the program broke off with status $status; see dmesg on the node" ;;
esac
"""


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
    pod: Object = {
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/hostname": machine},
        "tolerations": [{"key": RESOURCES[vendor], "operator": "Exists"}],
        "containers": [container],
    }
    if vendor == "NVIDIA":
        pod["runtimeClassName"] = "nvidia"
    else:
        container |= _compiles()
        pod["automountServiceAccountToken"] = False
        pod["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": TEST},
        "spec": {
            "backoffLimit": 1,
            "template": {"metadata": {"labels": {"homelab": name}}, "spec": pod},
        },
    }


def _compiles() -> Object:
    """A container that compiles its program and runs it, as a root that may do nothing more than
    own its devices: the group that may use them has another number on each node.

    Source: ROCm/k8s-device-plugin#39.
    """
    return {
        "command": ["sh", "-c", _COMPUTE],
        "env": [{"name": "PROGRAM", "value": _PROGRAM.read_text(encoding="utf-8")}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
