"""A k3s cluster: its servers, its workers."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.joining import Forgotten, LetIn, known_by_password
from homelab_lib.control.kubernetes.k3s import (
    AGENT_TOKEN,
    CONFIG,
    INSTALLER,
    K3sNode,
    Unclaimed,
    configuration,
    node_token,
)
from homelab_lib.control.kubernetes.kubectl import KUBECTL, OBJECT, cores, listed
from homelab_lib.control.kubernetes.waits import NodesReady
from homelab_lib.control.linux import Download, File
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.recipes.graphics.brought_back import brought_back
from homelab_lib.runbook.resource import Resource
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted

Role = Literal["server", "agent"]
_FLANNEL = "flannel.alpha.coreos.com/public-ip"
_NODE: Shape = {
    "metadata": {"name": str, "annotations?": {str: str}},
    "status": {"addresses?": [{"type": str, "address": str}]},
}


def steps(lab: Lab, cluster: Cluster, end: str, machines: tuple[str, ...]) -> Iterator[Step]:
    """How a cluster is made on its machines.

    Parameters
    ----------
    lab, cluster
        What is described.
    end
        What the steps' names end with.
    machines
        Steps after which its machines are there.

    Raises
    ------
    BadParameter
        Something of it can't be made.
    """
    _refuse(lab, cluster)
    nodes = Nodes(lab, cluster)
    many = len(cluster.servers) > 1
    whole = not cluster.agents
    yield Step(
        f"server{end}",
        "Install k3s on the control plane",
        why="k3s at a pinned version, from an installer whose checksum is checked. The first "
        "server makes its own token, which is never written on a command line, into this notebook "
        "or into a log."
        + (" The others join it one by one; together they keep the state." if many else ""),
        needs=machines,
        ensure=nodes.servers,
        check=nodes.whole if whole else nodes.api_answers,
        measure=nodes.capacity if whole else _none,
    )
    if cluster.agents:
        yield Step(
            f"agents{end}",
            "Join the workers",
            why="Each worker gets the token in a file that only root can read, and joins. Then the "
            "nodes have to be those of the lab, and no stranger among them.",
            needs=(f"server{end}",),
            ensure=nodes.agents,
            check=nodes.nodes_ready,
            measure=nodes.capacity,
        )


def grow(
    lab: Lab, cluster: Cluster, joining: Sequence[str], end: str, machines: tuple[str, ...]
) -> Step:
    """How workers join a cluster that an earlier phase has made.

    Parameters
    ----------
    lab, cluster
        What is described.
    joining
        The workers.
    end
        What the step's name ends with.
    machines
        Steps after which they are there.
    """
    _refuse(lab, cluster)
    phase = max(lab.vms[name].phase or 0 for name in joining)
    before = [name for name in cluster.agents if (lab.vms[name].phase or 0) <= phase]
    nodes = Nodes(lab, cluster.model_copy(update={"agents": tuple(before)}), tuple(joining))

    def join(ctx: Context) -> Iterator[Wanted]:
        yield from brought_back(lab, [name for name in nodes.cluster.vms if name not in joining])
        yield from nodes.agents(ctx)

    return Step(
        f"agents{end}",
        f"Join {', '.join(joining)} to cluster {cluster.name}",
        why="The cluster is there already, and stays as it is. Each new worker gets its token in a "
        "file that only root can read, and joins.",
        needs=machines,
        ensure=join,
        check=nodes.nodes_ready,
        measure=nodes.capacity,
    )


def look(lab: Lab, cluster: Cluster, end: str) -> Step:
    """A look at a cluster that is there already, and stays as it is.

    Parameters
    ----------
    lab, cluster
        What is described.
    end
        What the step's name ends with.
    """

    def ready(ctx: Context) -> Iterator[Wanted]:
        yield from brought_back(lab, cluster.vms)
        yield NodesReady(cluster.first_server, cluster.vms, cluster.version)

    return Step(
        f"server{end}",
        f"Look at cluster {cluster.name}",
        why="This cluster is there already. Its nodes have to be ready, at the version that the "
        "lab has; nothing of it is changed.",
        ensure=ready,
        check=lambda ctx: _api_ready(ctx, cluster),
    )


def _none(_: Context) -> Iterator[Measurement]:
    return iter(())


def _refuse(lab: Lab, cluster: Cluster) -> None:
    """See that the cluster is one that we can make."""
    where = f"clusters.{cluster.name}"
    if cluster.host_agents:
        names = ", ".join(cluster.host_agents)
        alone = any(lab.hosts[name].standalone for name in cluster.host_agents)
        raise BadParameter(
            f"cluster {cluster.name!r} has physical hosts as workers ({names}), which can't be set "
            "up here" + (", and which are to be left alone" if alone else ""),
            where=f"{where}.host_agents",
            fix="take them out of host_agents, in a decision",
        )
    for name in cluster.vms:
        vm = lab.vms[name]
        source = lab.images.get(vm.image or "")
        if not vm.exists and (source is None or source.kind != "cloud"):
            raise BadParameter(
                f"VM {name!r} is to be a node of cluster {cluster.name!r}, and is not set up by "
                "cloud-init, so that we can't log in there",
                where=f"vms.{name}.image",
                fix="name an image of kind cloud, or make the VM by hand and say exists: true",
            )
    for name in cluster.servers:
        if lab.vms[name].ip is None:
            raise BadParameter(
                f"VM {name!r} is a server of cluster {cluster.name!r}, and gets its address by "
                "DHCP: the other nodes would lose it with its address",
                where=f"vms.{name}.address",
                fix="give it a fixed address",
            )


class Nodes:
    """The machines of a cluster; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster, joining: tuple[str, ...] = ()) -> None:
        self.lab = lab
        self.cluster = cluster
        self.joining = joining or cluster.agents
        self.first = cluster.first_server

    def _prepared(self, name: str, role: Role, settings: dict[str, Any]) -> Sequence[Resource]:
        """What every node gets: nobody else's k3s, the installer, its configuration."""
        installer = self.lab.downloads[self.cluster.installer]
        return (
            Unclaimed(name, self.lab.name, role),
            Download(
                name,
                INSTALLER,
                installer.url,
                installer.sha256,
                mode="755",
                what="k3s's installer",
                size_bytes=installer.size_bytes,
                lab=self.lab.name,
            ),
            File(
                name,
                CONFIG,
                configuration(self.lab.name, settings),
                mode="600",
                what="k3s's configuration",
                lab=self.lab.name,
            ),
        )

    def _joining(self, name: str) -> dict[str, Any]:
        """The settings by which a node finds the cluster."""
        address = self.lab.vms[name].ip
        settings = {
            "server": f"https://{self.lab.vms[self.first].ip_in_url}:6443",
            "token-file": AGENT_TOKEN,
        }
        return settings | ({"node-ip": address} if address else {})

    def _token(self, ctx: Context, name: str) -> File:
        return File(
            name,
            AGENT_TOKEN,
            node_token(ctx.host(self.first)),
            mode="600",
            what="the cluster's token",
            lab=self.lab.name,
        )

    # ------------------------------------------------------------------ servers

    def servers(self, ctx: Context) -> Iterator[Wanted]:
        """The first server, with etcd and its own token; then one by one the others, for etcd
        takes in one member at a time."""
        cluster = self.cluster
        addresses = [self.lab.vms[name].ip for name in cluster.servers]
        # All servers have to agree on these, or the later ones do not start.
        common = {
            "tls-san": [cluster.dns_name, *addresses],
            "write-kubeconfig-mode": "0600",
            "secrets-encryption": True,
            "cluster-cidr": cluster.pod_cidr,
            "service-cidr": cluster.service_cidr,
            "etcd-snapshot-schedule-cron": "0 */6 * * *",
            "etcd-snapshot-retention": 28,
        }
        for name in cluster.servers:
            if name == self.first:
                begins = {"cluster-init": True, "node-ip": self.lab.vms[name].ip}
                yield from self._prepared(name, "server", begins | common)
            else:
                yield from self._prepared(name, "server", self._joining(name) | common)
                yield self._token(ctx, name)
                yield Forgotten(self.first, name, returns=known_by_password(ctx.host(name)))
            yield K3sNode(name, "server", cluster.version)
            yield NodesReady(self.first, (name,), cluster.version)

    def api_answers(self, ctx: Context) -> Iterator[Check]:
        """The API is ready, and every server keeps its state in etcd."""
        yield from _api_ready(ctx, self.cluster)
        nodes = listed(ctx.host(self.first), "nodes")
        etcd = {
            node["metadata"]["name"]
            for node in nodes
            if node["metadata"].get("labels", {}).get("node-role.kubernetes.io/etcd") == "true"
        }
        missing = sorted(set(self.cluster.servers) - etcd)
        yield Check("the control plane runs etcd", not missing, ", ".join(missing))

    def whole(self, ctx: Context) -> Iterator[Check]:
        """The control plane is all there is of it."""
        yield from self.api_answers(ctx)
        yield from self.nodes_ready(ctx)

    # ------------------------------------------------------------------- agents

    def agents(self, ctx: Context) -> Iterator[Wanted]:
        """The workers join by the server's token, which goes to them by standard input alone."""
        names = self.joining
        prepared = [self._prepared(name, "agent", self._joining(name)) for name in names]
        for batch in zip(*prepared, strict=True):
            yield list(batch)
        yield [self._token(ctx, name) for name in names]
        # One after the other: they are all on the one server.
        for name in names:
            yield Forgotten(self.first, name, returns=known_by_password(ctx.host(name)))
        yield [K3sNode(name, "agent", self.cluster.version) for name in names]
        yield [LetIn(name, self.first) for name in names]
        yield NodesReady(self.first, self.cluster.vms, self.cluster.version)

    def nodes_ready(self, ctx: Context) -> Iterator[Check]:
        """As many nodes as the lab describes, and no stranger among them; those that join later
        may be there."""
        nodes = listed(ctx.host(self.first), "nodes", shape=_NODE)
        found = {node["metadata"]["name"] for node in nodes}
        wanted, known = set(self.cluster.vms), set(self.lab.clusters[self.cluster.name].vms)
        title = "the nodes are those of the lab"
        yield Check(title, wanted <= found <= known, ", ".join(sorted(found)))
        lost = [why for node in nodes if (why := _beside(node))]
        yield Check("the pods of all nodes find each other", not lost, "; ".join(lost))

    def capacity(self, ctx: Context) -> Iterator[Measurement]:
        """Processors that the cluster can give away, against what the VMs were given."""
        shape = OBJECT | {"status": {"allocatable": {"cpu": cores}}}
        nodes = listed(ctx.host(self.first), "nodes", shape=shape)
        wanted = [node for node in nodes if node["metadata"]["name"] in self.cluster.vms]
        total = sum(node["status"]["allocatable"]["cpu"] for node in wanted)
        predicted = sum(self.lab.vms[name].vcpu for name in self.cluster.vms)
        yield Measurement("allocatable processors", total, "processors", predicted)


def _beside(node: dict[str, Any]) -> str:
    """Where flannel sends the traffic of a node's pods by another network card than the one by
    which the other nodes know it; empty where it does not. The node is ready all the same."""
    told = node["metadata"].get("annotations", {}).get(_FLANNEL)
    every = node["status"].get("addresses", ())
    own = [each["address"] for each in every if each["type"] == "InternalIP"]
    if told is None or not own or told in own:
        return ""
    name = node["metadata"]["name"]
    return (
        f"flannel of {name} is at {told}, and the node at {own[0]}: it takes the network card of "
        f"the default route. Write flannel-iface and that card's name into {CONFIG} of {name}, and "
        "restart its k3s"
    )


def _api_ready(ctx: Context, cluster: Cluster) -> Iterator[Check]:
    host = ctx.host(cluster.first_server)
    ready = host.read(*KUBECTL, "get", "--raw", "/readyz", sudo=True, ok=None)
    says = ready.stdout.strip() or ready.stderr.strip()
    yield Check("the API server is ready", says == "ok", says)
