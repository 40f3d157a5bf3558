"""Phase 2, Kubernetes learning: VMs, k3s, volumes on the NAS, test workloads, kubectl."""

from collections.abc import Callable

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.phases import desktop, kubernetes, machines, nas
from homelab_lib.runbook.step import Runbook, Step

PHASE = 2


def runbook(lab: Lab, public_key_of: Callable[[str], str]) -> Runbook:
    """The runbook of phase 2 for a lab.

    Parameters
    ----------
    lab
        The lab; it describes one cluster for phase 2.
    public_key_of
        Gives the public key by which a VM will be reached, by the VM's name.

    Raises
    ------
    BadParameter
        The lab has no such cluster, or lacks something the phase needs.
    """
    cluster = _cluster(lab)
    vms = machines.Machines(lab, cluster.vms, public_key_of)
    share = nas.Share(lab, cluster)
    k8s = kubernetes.Kubernetes(lab, cluster)
    client = desktop.Desktop(lab, cluster)
    steps = (
        Step("room", "See that the VMs fit on their host", check=vms.room),
        Step(
            "image",
            "Fetch the cloud image, and what the VMs are made with",
            needs=("room",),
            ensure=vms.image,
        ),
        Step(
            "machines",
            "Make the VMs, and wait until they are reached",
            needs=("image",),
            ensure=vms.machines,
            check=vms.reached,
            measure=vms.sizes,
        ),
        Step(
            "share",
            "Make the dataset and export it to the cluster's network",
            ensure=share.ensure,
            check=share.check,
        ),
        Step(
            "server",
            "Install k3s on the control plane",
            needs=("machines",),
            ensure=k8s.server,
            check=k8s.server_answers,
        ),
        Step(
            "agents",
            "Join the workers",
            needs=("server",),
            ensure=k8s.agents,
            check=k8s.nodes_ready,
            measure=k8s.capacity,
        ),
        Step(
            "storage",
            "Install the NFS driver and its storage class",
            needs=("agents", "share"),
            ensure=k8s.storage,
        ),
        Step(
            "volume",
            "Claim a volume, write in one pod, read in another",
            needs=("storage",),
            ensure=k8s.volume,
            check=k8s.same_on_both,
        ),
        Step(
            "workloads",
            "Deploy the test workloads",
            needs=("agents",),
            ensure=k8s.workloads,
            check=k8s.workloads_answer,
            measure=k8s.replicas,
        ),
        Step(
            "desktop",
            "Set up kubectl on the clients",
            needs=("server",),
            ensure=client.ensure,
            check=client.check,
        ),
    )
    return Runbook("phase2", "Phase 2: Kubernetes learning", steps)


def _cluster(lab: Lab) -> Cluster:
    found = [each for each in lab.clusters.values() if each.phase == PHASE]
    if len(found) != 1:
        raise BadParameter(
            f"phase2 builds one cluster, and lab {lab.name!r} describes {len(found)} for phase 2",
            where="clusters",
            fix="describe it under clusters: with phase: 2, as data/compute.yaml does",
        )
    cluster = found[0]
    if len(cluster.servers) > 1:
        raise BadParameter(
            f"cluster {cluster.name!r} has {len(cluster.servers)} servers, and phase2 sets up one",
            where=f"clusters.{cluster.name}.servers",
            fix="name one of them, and add the others by hand",
        )
    if cluster.nfs is None:
        raise BadParameter(
            f"cluster {cluster.name!r} has no storage class on an NFS share",
            where=f"clusters.{cluster.name}.storage_class",
            fix="describe the NFS share its volumes come from, as data/compute.yaml does",
        )
    if cluster.host_agents:
        names = ", ".join(cluster.host_agents)
        raise BadParameter(
            f"cluster {cluster.name!r} has physical hosts as workers ({names}), which phase2 can't "
            "set up" + (", and which are to be left alone" if _alone(lab, cluster) else ""),
            where=f"clusters.{cluster.name}.host_agents",
            fix="take them out of host_agents, in a decision",
        )
    return cluster


def _alone(lab: Lab, cluster: Cluster) -> bool:
    return any(lab.hosts[name].standalone for name in cluster.host_agents)
