"""Where pods go: a cluster of two nodes, without the machines behind it."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.nodes import join
from homelab_lib.twin.kubernetes.scheduler import refusal

WRITER = {"matchLabels": {"homelab": "write"}}
AWAY_FROM_THE_POD = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": WRITER, "topologyKey": "kubernetes.io/hostname"}
        ]
    }
}
AWAY_FROM_THE_NODE = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchFields": [
                        {"key": "metadata.name", "operator": "NotIn", "values": ["proxmox"]}
                    ]
                }
            ]
        }
    }
}


@pytest.fixture
def cluster():
    world = built(load_lab(), before_phase=2)
    cluster = Cluster(world, world.machines["proxmox"], "v1.35.1+k3s1")
    for name in ("proxmox", "desktop"):
        join(cluster, world.machines[name], server=name == "proxmox", config={})
        node = cluster.get("Node", name)
        node["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    return cluster


def pod(cluster, name, phase, affinity=None, **spec):
    return cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"homelab": name}},
            "spec": {"containers": [{"name": "c", "image": "busybox:1.37"}]}
            | spec
            | ({"affinity": affinity} if affinity else {}),
            "status": {"phase": phase},
        }
    )


@pytest.mark.parametrize(
    ("affinity", "phase", "apart"),
    [
        (AWAY_FROM_THE_POD, "Running", True),
        (AWAY_FROM_THE_POD, "Succeeded", False),  # the old way: it held by chance
        (AWAY_FROM_THE_NODE, "Succeeded", True),
    ],
)
def test_what_keeps_a_reader_away_from_a_writer(cluster, affinity, phase, apart):
    pod(cluster, "write", phase, nodeName="proxmox")
    reader = pod(cluster, "read", "Pending", affinity)
    nodes = {name: cluster.get("Node", name) for name in ("proxmox", "desktop")}
    assert bool(refusal(cluster, reader, nodes["proxmox"])) == apart
    assert refusal(cluster, reader, nodes["desktop"]) is None


@pytest.mark.parametrize(
    ("arguments", "left"),
    [([], "32"), (["kube-reserved=cpu=200m"], "31800m"), (["system-reserved=cpu=1"], "31")],
)
def test_a_node_may_keep_processors_back(cluster, arguments, left):
    machine = cluster.world.machines["truenas"]
    machine.threads = 32
    join(cluster, machine, server=False, config={"kubelet-arg": arguments})
    assert cluster.get("Node", "truenas")["status"]["allocatable"]["cpu"] == left
