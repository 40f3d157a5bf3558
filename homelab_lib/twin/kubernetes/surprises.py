"""What a k3s cluster does to surprise whoever deploys on it."""

from collections.abc import Callable

from homelab_lib.twin.kubernetes import decays
from homelab_lib.twin.kubernetes.passwords import PASSWORD
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.surprises import surprise

_REFUSED = (
    "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or "
    "port?\n"
)
_BLINKS = (
    "Error from server: etcdserver: request timed out\n",
    "Error from server: etcdserver: leader changed\n",
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request"
    "\n",
)


def _is_kubectl(call: Call) -> bool:
    return call.argv[:2] == ("k3s", "kubectl") and len(call.argv) > 2


@surprise("api-blink", on="cluster")
def api_blink(server: Machine, *, for_s: float = 20.0, every: int = 12, times: int = 3) -> None:
    """etcd's disk is slow: k3s loses its leader now and then, and restarts.

    Parameters
    ----------
    server
        A server of the cluster.
    for_s
        How long the API is away each time [s].
    every
        At which of the calls that reach it, counted anew after each.
    times
        How often.
    """
    clock = server.world.clock
    count, left, until = [0], [times], [0.0]

    def blinks(call: Call, go: Callable[[], Reply]) -> Reply | None:
        if not _is_kubectl(call):
            return None
        if clock.now() < until[0]:
            return Reply(1, stderr=_REFUSED)
        count[0] += 1
        if count[0] < every or not left[0]:
            return None
        count[0], until[0] = 0, clock.now() + for_s
        left[0] -= 1
        if left[0] % 2 == 0:
            go().finished()  # it was done, and the answer says nothing of that
        return Reply(1, stderr=_BLINKS[left[0] % len(_BLINKS)])

    server.instead.append(blinks)


@surprise("k3s-frozen", on="cluster")
def k3s_frozen(server: Machine) -> None:
    """k3s runs, says nothing and answers nobody, until it is started anew.

    Parameters
    ----------
    server
        The server of the cluster.
    """
    frozen = [True]

    def silent(call: Call, go: Callable[[], Reply]) -> Reply | None:
        if call.argv[:3] == ("systemctl", "restart", "k3s"):
            frozen[0] = False
        return Reply(1, stderr=_REFUSED) if frozen[0] and _is_kubectl(call) else None

    server.instead.append(silent)


@surprise("csi-not-registered", on="cluster")
def csi_not_registered(server: Machine, *, after_s: float = 35.0) -> None:
    """The pods of the NFS driver are ready, and the kubelet does not know the driver yet.

    Parameters
    ----------
    server
        A server of the cluster.
    after_s
        How long after the pod was made the driver is known [s].
    """
    server.world.habits["csi_known_after_s"] = after_s


@surprise("traefik-ready-without-routes", on="cluster")
def blind_ingress(server: Machine, *, for_s: float = 90.0) -> None:
    """Traefik is ready and knows no route: 404 for everything.

    Parameters
    ----------
    server
        A server of the cluster.
    for_s
        How long after the first request [s].
    """
    server.world.habits["ingress_blind_s"] = for_s


@surprise("hub-429", on="cluster")
def hub_limit(server: Machine, *, for_s: float = 6 * 3600.0) -> None:
    """Docker Hub gives this address no more images for hours; what k3s brings is there already.

    Parameters
    ----------
    server
        A server of the cluster.
    for_s
        How long from now [s].
    """
    server.world.habits["hub_closed_until_s"] = server.world.clock.now() + for_s


@surprise("helm-half-release", on="cluster")
def helm_half_release(server: Machine) -> None:
    """The job that installs the next chart is cut off: Helm has a release that is half there.

    Parameters
    ----------
    server
        A server of the cluster.
    """
    server.world.habits["helm_cut"] = True


@surprise("node-password")
def node_password(worker: Machine) -> None:
    """A worker has lost the password by which its server knows it, and starts anew.

    Parameters
    ----------
    worker
        A machine that is a node of a cluster.
    """
    worker.files.remove(PASSWORD)
    worker.run("systemctl restart k3s-agent").finished()


@surprise("flannel-wrong-nic")
def flannel_wrong_nic(node: Machine, *, address: str = "10.99.0.12") -> None:
    """The default route of a node leads by another network card, and flannel takes that one.

    Its pods find those of no other node, and the node is ready all the same.

    Parameters
    ----------
    node
        A machine that joins a cluster afterwards.
    address
        Of the other card.
    """
    node.world.habits.setdefault("flannel_at", {})[node.name] = address


@surprise("nvml-lost")
def nvml_lost(node: Machine) -> None:
    """A daemon-reload has taken the cards from the pods that run on a node.

    Parameters
    ----------
    node
        A machine that is a node of a cluster, with cards of NVIDIA's in use.
    """
    next(decays.cards_lost(node))


@surprise("flux-gives-up", on="cluster")
def flux_gives_up(server: Machine, *, name: str = "tried-out") -> None:
    """A HelmRelease of somebody's failed, its retries are used up, and Flux tries it no more.

    Parameters
    ----------
    server
        The first server of a cluster that has Flux.
    name
        What the release is called.
    """
    cluster = server.world.clusters[server.name]
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", "chartRef": {"kind": "OCIRepository", "name": name}},
    }
    made = cluster.apply(release, "somebody")
    why = "Helm install failed for release tried-out: failed to pull image: 429 Too Many Requests"
    said = [
        ("Stalled", "RetriesExceeded", "Failed to install after 1 attempt(s)"),
        ("Ready", "InstallFailed", why),
    ]
    made["status"] = {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": kind,
                "status": "True" if kind == "Stalled" else "False",
                "reason": reason,
                "message": text,
                "lastTransitionTime": cluster.stamp(),
            }
            for kind, reason, text in said
        ],
    }
