"""What each call of Kubernetes and k3s rests on."""

from homelab_lib.twin.fidelity import Fidelity, Grounds

_SHOWN = (
    "nodes",
    "pods",
    "pod",
    "events",
    "deployment",
    "deployment.apps",
    "job",
    "job.batch",
    "persistentvolumeclaim",
)
"""Kinds of which outputs of real clusters are compared with the twin's."""


def _kubectl(call: str, rests: Fidelity, source: str) -> tuple[Grounds, ...]:
    """On a server, and on a client."""
    # Schemas say nothing of what an object leads to: that is read in the controllers' source.
    does = Fidelity.SOURCE if rests is Fidelity.VALIDATOR else None
    return tuple(
        Grounds(f"{head} {call}", rests, source, does=does) for head in ("k3s kubectl", "kubectl")
    )


GROUNDS: tuple[Grounds, ...] = (
    *_kubectl(
        "apply",
        Fidelity.VALIDATOR,
        "the API's schemas of each minor release; an API server beside it (tests/kube)",
    ),
    *_kubectl(
        "create", Fidelity.VALIDATOR, "the API's schemas; kubectl and an API server beside it"
    ),
    *_kubectl("diff", Fidelity.RECORDED, "kubectl and an API server beside it (tests/kube)"),
    *_kubectl("config", Fidelity.RECORDED, "kubectl 1.34 and 1.37 beside it"),
    *_kubectl("version", Fidelity.RECORDED, "kubectl 1.34 and 1.37 beside it"),
    *_kubectl("get", Fidelity.SOURCE, "the API's schemas, kubernetes/kubectl"),
    *(
        grounds
        for kind in _SHOWN
        for grounds in _kubectl(f"get {kind}", Fidelity.RECORDED, "outputs of real clusters")
    ),
    *_kubectl("get --raw", Fidelity.DOCUMENTATION, "kubernetes.io, API health endpoints"),
    *_kubectl(
        "exec", Fidelity.DOCUMENTATION, "its words; NVIDIA/nvidia-container-toolkit#48, nvidia-smi"
    ),
    *_kubectl(
        "delete", Fidelity.DOCUMENTATION, "kubernetes.io; for one pod an API server beside it"
    ),
    *_kubectl(
        "logs",
        Fidelity.DOCUMENTATION,
        "kubernetes.io, kubectl logs; a program on a card by its source, nobody ran it on one",
    ),
    *_kubectl("label", Fidelity.RECORDED, "kubectl and an API server beside it (tests/kube)"),
    *_kubectl("auth", Fidelity.DOCUMENTATION, "kubernetes.io, kubectl auth can-i"),
    *_kubectl("rollout", Fidelity.DOCUMENTATION, "kubernetes.io, kubectl rollout status"),
    Grounds(
        "k3s etcd-snapshot",
        Fidelity.SOURCE,
        "k3s-io/k3s, pkg/etcd/snapshot.go, pkg/cli/etcdsnapshot",
    ),
    Grounds("etcdctl snapshot", Fidelity.SOURCE, "etcd 3.5; etcdctl 3.4 beside it (tests/kube)"),
    Grounds("k3s --version", Fidelity.RECORDED, "an output of a real one"),
    Grounds("/usr/local/bin/k3s --version", Fidelity.RECORDED, "an output of a real one"),
    Grounds(
        "sh /var/lib/homelab/k3s-install.sh", Fidelity.SOURCE, "k3s-io/k3s, install.sh 0136cf2"
    ),
)
