"""What decays of a cluster: its agents, its certificates, who keeps it, and what its pods have.

Sources: NVIDIA/nvidia-container-toolkit#48 (a daemon-reload and containers' cards);
fluxcd.io/flux/components/kustomize (suspended; a revision that can't be applied).
"""

from collections.abc import Iterator
from random import Random

from homelab_lib.twin.decays import decay
from homelab_lib.twin.kubernetes import certificates, gitops, graphics
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.processes import leak

_DAY_S = 86_400.0


def _runs_agent(machine: Machine) -> bool:
    unit = machine.units.get("k3s-agent")
    return unit is not None and unit.active == "active"


@decay(
    "k3s-agent-killed",
    r"k3s-agent runs on|start k3s-agent",
    r"not ready|not running|pods of|answers|no pod of a service|does not hear from|Flux|"
    r"holds too much memory|in pods|No route|was not scheduled|computes|it is not there|"
    r"behind port|does not answer|tells nobody",
    fits=_runs_agent,
)
def agent_killed(machine: Machine) -> Iterator[None]:
    """A worker's agent has taken all memory and was killed, and systemd gave it up."""
    machine.run("sudo systemctl stop k3s-agent").finished()
    yield
    machine.run("sudo systemctl start k3s-agent").finished()


@decay("k3s-agent-leaks", r"k3s-agent holds no more memory", fits=_runs_agent)
def agent_leaks(machine: Machine) -> Iterator[None]:
    """A worker's agent holds more memory each day."""
    days = Random(f"{machine.world.seed}/{machine.name}").uniform(14.0, 30.0)
    leak(machine, "k3s-agent", machine.memory_bytes / (days * _DAY_S))
    yield
    machine.run("sudo systemctl restart k3s-agent").finished()


def _served_by(machine: Machine) -> Cluster | None:
    """The cluster that a machine is the first server of; None for none that runs here alone."""
    found: Cluster | None = machine.world.clusters.get(machine.name)
    return found if found is not None and not found.seeded else None


def _renewed(machine: Machine) -> tuple[Cluster, list[Object]] | None:
    cluster = _served_by(machine)
    if cluster is None or certificates.controller(cluster) is None:
        return None
    found = [c for c in cluster.all(certificates.CERTIFICATES) if not c["spec"].get("isCA")]
    return (cluster, found) if found else None


@decay(
    "certificate-not-renewed",
    r"certificate .+ is good for a while: ",
    r"certificate has expired|is shown with a certificate that is good",
    fits=lambda machine: _renewed(machine) is not None,
)
def certificate_ends(machine: Machine) -> Iterator[None]:
    """cert-manager hangs when a certificate is due, and nobody renews it."""
    cluster, found = _renewed(machine) or (None, [])
    assert cluster is not None
    pod = certificates.controller(cluster)
    assert pod is not None
    meta = pod["metadata"]
    cluster.hanging.add(meta["uid"])
    left_s = Random(f"{machine.world.seed}/{meta['name']}").uniform(2.0, 12.0) * _DAY_S
    for each in found:
        certificates.ends_in(cluster, each, left_s)
    yield
    machine.run(f"sudo k3s kubectl delete pod {meta['name']} -n {meta['namespace']}").finished()


def _kept(machine: Machine) -> tuple[Cluster, Object] | None:
    cluster = _served_by(machine)
    found = cluster.all(gitops.KUSTOMIZATIONS) if cluster is not None else []
    return (cluster, found[0]) if cluster is not None and found else None


@decay("flux-suspended", r"is suspended", fits=lambda machine: _kept(machine) is not None)
def flux_suspended(machine: Machine) -> Iterator[None]:
    """Somebody suspended Flux for an evening's work, and it was never resumed."""
    _, kept = _kept(machine) or (None, {})
    kept["spec"]["suspend"] = True
    yield
    kept["spec"].pop("suspend")


@decay(
    "flux-gives-up",
    r"kustomization \S+ is not ready",
    r"Flux has not applied|commit \d+ files to",
    fits=lambda machine: _kept(machine) is not None,
)
def flux_gives_up(machine: Machine) -> Iterator[None]:
    """A commit came in that can't be applied, and Flux keeps nothing since then."""
    cluster, kept = _kept(machine) or (None, {})
    assert cluster is not None
    branch = gitops.branch_of(cluster, kept)
    files = branch["files"]
    widget = "apiVersion: example.org/v1\nkind: Widget\nmetadata:\n  name: tried-out\n"
    branch["commit"] = "5" * 40
    branch["files"] = {
        **files,
        f"{kept['spec']['path'].lstrip('./')}/tried-out.yaml": ("6" * 40, widget),
    }
    yield
    branch["commit"], branch["files"] = "7" * 40, files  # git revert


def _with_cards(machine: Machine) -> tuple[Cluster, list[Object]] | None:
    """The cluster of a node, and the pods on it that have a card by NVIDIA's runtime."""
    for cluster in machine.world.clusters.values():
        if cluster.members.get(machine.name) is not machine or cluster.seeded:
            continue
        pods = [
            pod
            for pod in cluster.all("Pod")
            if pod["spec"].get("nodeName") == machine.name
            and pod["spec"].get("restartPolicy") == "Always"
            and any(part.vendor == "NVIDIA" for _, part in graphics.visible(cluster, pod))
        ]
        if pods:
            return cluster, pods
    return None


@decay(
    "gpu-lost-by-reload",
    r"still sees its card: Failed to initialize NVML: Unknown Error",
    r"library=cpu|on the card|computes by",
    fits=lambda machine: _with_cards(machine) is not None,
)
def cards_lost(machine: Machine) -> Iterator[None]:
    """A daemon-reload took the cards from the running pods of a node: their containers know of
    them by NVIDIA's old hook alone."""
    cluster, pods = _with_cards(machine) or (None, [])
    assert cluster is not None
    machine.run("sudo systemctl daemon-reload").finished()
    cluster.bereft |= {pod["metadata"]["uid"] for pod in pods}
    yield
    for pod in pods:
        cluster.delete("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
