"""Container images that can be pulled, as far as anybody here asks for them."""

from homelab_lib.lab import Lab
from homelab_lib.twin.kubernetes import charts

_PREFIXES = (
    "rancher/",
    "registry.k8s.io/sig-storage/",
    "busybox:",
    "docker.io/library/busybox:",
)


def known_image(lab: Lab, image: str) -> bool:
    """Whether a registry has an image: what k3s and its charts use, and what the lab names."""
    named = {w.image for cluster in lab.clusters.values() for w in cluster.workloads}
    return image in named or image in charts.images() or image.startswith(_PREFIXES)
