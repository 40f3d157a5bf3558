"""What Kubernetes adds to a world: its programs, its installers, its services."""

from functools import partial

from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.kubernetes.etcd import etcd_programs, snapshot
from homelab_lib.twin.kubernetes.founding import found
from homelab_lib.twin.kubernetes.grounds import GROUNDS
from homelab_lib.twin.kubernetes.k3s import (
    BINARY,
    cluster_of,
    installed_version,
    installer,
    unit_for,
)
from homelab_lib.twin.kubernetes.kubectl import kubectl, on_node
from homelab_lib.twin.kubernetes.seeding import seed_cluster
from homelab_lib.twin.kubernetes.services import known_inside
from homelab_lib.twin.machine import exporter
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.surroundings import Answering
from homelab_lib.twin.world import World

k3s = Commands()


def register(world: World) -> None:
    """Tell the world what may be installed from the internet, and what that does."""
    world.programs += [k3s, kubectl, etcd_programs]
    world.units |= {"k3s": lambda: unit_for("server"), "k3s-agent": lambda: unit_for("agent")}
    world.services[exporter.PACKAGE] = exporter.brought  # for whom its Prometheus asks
    world.seeds.append(seed_cluster)
    world.founders.append(found)
    world.inside.append(partial(_inside, world))
    world.shelves.append(Shelf("k3s", GROUNDS, installed_version))
    for cluster in world.lab.clusters.values():
        script = world.lab.downloads[cluster.installer]
        world.scripts[script.sha256] = installer(cluster)


def _inside(world: World, source: Machine, address: str, port: int) -> Answering | None:
    """What answers at an address that a cluster's nodes alone know."""
    ways = (known_inside(each, source, address, port) for each in world.clusters.values())
    return next((way for way in ways if way is not None), None)


@k3s("k3s")
def run(machine: Machine, call: Call) -> Reply:
    """The binary: its version, and the kubectl in it."""
    if not machine.files.exists(BINARY):
        return Reply(127, stderr="sh: 1: k3s: not found\n")
    if call.argv[1:2] == ("--version",):
        version = installed_version(machine)
        return Reply(0, f"k3s version {version} (00000000)\ngo version go1.24.6\n")
    if call.argv[1:2] == ("kubectl",):
        return on_node(machine, call.other(*call.argv[1:]))
    if call.argv[1:2] == ("etcd-snapshot",):
        return snapshot(machine, cluster_of(machine), call)
    return Reply(1, stderr=f"No help topic for '{' '.join(call.argv[1:])}'\n")
