"""Container images that can be pulled, as far as anybody here asks for them."""

import re

from homelab_lib.lab import Lab
from homelab_lib.twin.kubernetes import charts

_PREFIXES = (
    "rancher/",
    "registry.k8s.io/sig-storage/",
    "busybox:",
    "docker.io/library/busybox:",
    "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-",
    # As it is pinned in public repositories; what it takes, by two of these.
    "docker.io/rocm/dev-ubuntu-24.04:7.2.4@sha256:bdc8e61026cbb844ede93d44d2c50055",
    "ghcr.io/druggeri/nut_exporter:",
    "prom/graphite-exporter:",
    "prompve/prometheus-pve-exporter:",
)
_LARGE_BYTES = {
    "ollama/ollama": 3_900_000_000,
    "ghcr.io/open-webui/open-webui": 1_800_000_000,
    "nvcr.io/nvidia/k8s/cuda-sample": 320_000_000,
    "docker.io/rocm/dev-ubuntu-24.04": 1_200_000_000,
}
"""Sizes of images that take a while, as they are transferred."""


def known_image(lab: Lab, image: str) -> bool:
    """Whether a registry has an image: what k3s and its charts use, and what the lab names."""
    named = {w.image for cluster in lab.clusters.values() for w in cluster.workloads}
    if image.startswith("ollama/ollama:"):
        return re.fullmatch(r"\d+\.\d+\.\d+(-rocm)?", image.partition(":")[2]) is not None
    return image in named or image in charts.images() or image.startswith(_PREFIXES)


def size_bytes(image: str) -> int:
    """What has to be fetched of an image; 0 for one that is small [bytes]."""
    return _LARGE_BYTES.get(image.partition("@")[0].rpartition(":")[0], 0)
