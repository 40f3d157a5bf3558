"""A cluster of the twin, as it stands once phase 2 is done."""

from functools import cache

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.machine.program import Reply

MINORS = ("1.34", "1.35", "1.36", "1.37")
"""The minor releases of Kubernetes that we know; kubernetes-validate has all of them."""


@cache
def standing(minor: str = "1.34") -> Cluster:
    """The cluster that all tests of a process share; what they do to it, the others find."""
    return fresh(minor)


def fresh(minor: str) -> Cluster:
    """The shipped lab's cluster, at a minor release, for one test alone."""
    world = built(load_lab(), before_phase=3, clock=SimulatedClock())
    (cluster,) = world.clusters.values()
    cluster.version = f"v{minor}.1+k3s1"
    world.clock.sleep(120)
    for name in ("test", "homelab-test", "play"):
        assert kubectl(cluster, f"create namespace {name}").status == 0
    return cluster


def kubectl(cluster: Cluster, line: str, stdin: str = "") -> Reply:
    """What the twin's kubectl answers on the cluster's server."""
    return cluster.server.run(f"sudo -n -- k3s kubectl {line}", stdin.encode()).finished()
