"""A k3s cluster: its server, its agents, volumes on NFS, test workloads."""

from collections.abc import Iterator
from typing import Any, Literal

from homelab_lib.control.kubernetes.k3s import (
    AGENT_TOKEN,
    CONFIG,
    INSTALLER,
    K3sNode,
    Unclaimed,
    configuration,
    node_token,
)
from homelab_lib.control.kubernetes.kubectl import KUBECTL, cores, finished_pod, listed
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Bound, Finished, NodesReady, Rollout
from homelab_lib.control.linux import Download, File
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.per_host import at
from homelab_lib.phases import manifests
from homelab_lib.runbook.step import Check, Context, Measurement, Wanted


class Kubernetes:
    """The cluster of a lab.

    Parameters
    ----------
    lab, cluster
        What is described.
    """

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        self.lab = lab
        self.cluster = cluster
        assert cluster.nfs is not None
        self.storage_class = cluster.nfs

    def _applied(self, document: manifests.Object, *immutable: str) -> Applied:
        return Applied(self.cluster.first_server, self.lab.name, document, immutable)

    def _address(self, vm: str) -> str:
        return self.lab.vms[vm].ip or ""

    def _node(self, name: str, settings: dict[str, Any]) -> tuple[Wanted, Wanted, Wanted]:
        """What every node gets: nobody else's k3s, the installer, its configuration."""
        config = configuration(self.lab.name, settings)
        installer = self.lab.downloads[self.cluster.installer]
        role: Literal["server", "agent"] = (
            "server" if name == self.cluster.first_server else "agent"
        )
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
                config,
                mode="600",
                what="k3s's configuration",
                lab=self.lab.name,
            ),
        )

    # -------------------------------------------------------------------- nodes

    def server(self, ctx: Context) -> Iterator[Wanted]:
        """The control plane, with etcd and its own token."""
        name = self.cluster.first_server
        address = self._address(name)
        yield from self._node(
            name,
            {
                "cluster-init": True,
                "node-ip": address,
                "tls-san": [self.cluster.dns_name, address],
                "write-kubeconfig-mode": "0600",
                "secrets-encryption": True,
                "cluster-cidr": self.cluster.pod_cidr,
                "service-cidr": self.cluster.service_cidr,
                "etcd-snapshot-schedule-cron": "0 */6 * * *",
                "etcd-snapshot-retention": 28,
            },
        )
        yield K3sNode(name, "server", self.cluster.version)
        yield NodesReady(name, (name,), self.cluster.version)

    def server_answers(self, ctx: Context) -> Iterator[Check]:
        """The API is ready, and keeps its state in etcd."""
        host = ctx.host(self.cluster.first_server)
        ready = host.read(*KUBECTL, "get", "--raw", "/readyz", sudo=True, ok=None)
        yield Check("the API server is ready", ready.stdout.strip() == "ok", ready.stdout.strip())
        labels = [node["metadata"]["labels"] for node in listed(host, "nodes")]
        etcd = any(each.get("node-role.kubernetes.io/etcd") == "true" for each in labels)
        yield Check("the control plane runs etcd", etcd)

    def agents(self, ctx: Context) -> Iterator[Wanted]:
        """The workers join by the server's token, which goes to them by standard input alone."""
        server = self.cluster.first_server
        settings = [
            (
                name,
                {
                    "server": f"https://{self._address(server)}:6443",
                    "token-file": AGENT_TOKEN,
                    "node-ip": self._address(name),
                },
            )
            for name in self.cluster.agents
        ]
        token = node_token(ctx.host(server))
        for batch in zip(*(self._node(name, each) for name, each in settings), strict=True):
            yield list(batch)
        yield [
            File(
                name,
                AGENT_TOKEN,
                token,
                mode="600",
                what="the cluster's token",
                lab=self.lab.name,
            )
            for name, _ in settings
        ]
        yield [K3sNode(name, "agent", self.cluster.version) for name, _ in settings]
        yield NodesReady(server, self.cluster.vms, self.cluster.version)

    def nodes_ready(self, ctx: Context) -> Iterator[Check]:
        """As many nodes as the lab describes, and no stranger among them."""
        nodes = listed(ctx.host(self.cluster.first_server), "nodes")
        found = {node["metadata"]["name"] for node in nodes}
        wanted = set(self.cluster.vms)
        yield Check("the nodes are those of the lab", found == wanted, ", ".join(sorted(found)))

    def capacity(self, ctx: Context) -> Iterator[Measurement]:
        """Processors that the cluster can give away, against what the VMs were given."""
        nodes = listed(ctx.host(self.cluster.first_server), "nodes")
        total = sum(cores(node["status"]["allocatable"]["cpu"]) for node in nodes)
        names = self.cluster.vms
        predicted = sum(self.lab.vms[name].vcpu for name in names)
        yield Measurement("allocatable processors", total, "processors", predicted)

    # ------------------------------------------------------------------ volumes

    def storage(self, ctx: Context) -> Iterator[Wanted]:
        """The driver by k3s's own Helm controller, then the class."""
        server, chart = self.cluster.first_server, self.storage_class.chart
        yield self._applied(manifests.helm_chart(chart), "spec.chart")
        yield Rollout(server, "deployment", chart.namespace, "csi-nfs-controller")
        yield Rollout(server, "daemonset", chart.namespace, "csi-nfs-node")
        share = at(self.lab.nfs_shares, self.storage_class.share)
        assert share is not None
        yield self._applied(
            manifests.storage_class(self.storage_class, share.path),
            *("parameters", "provisioner", "reclaimPolicy"),
        )

    def volume(self, ctx: Context) -> Iterator[Wanted]:
        """A claim, a pod that writes, and on another node a pod that reads."""
        server, space = self.cluster.first_server, manifests.TEST
        yield self._applied(manifests.namespace(space))
        yield self._applied(manifests.claim(self.storage_class.name), "spec.storageClassName")
        yield Bound(server, space, manifests.CLAIM)
        yield self._applied(manifests.writer(), "spec.template")
        yield Finished(server, space, manifests.WRITER)
        _, node = finished_pod(ctx.host(server), space, f"homelab={manifests.WRITER}")
        away_from = node if self._apart() else ""
        yield self._applied(manifests.reader(away_from), "spec.template")
        yield Finished(server, space, manifests.READER)

    def _apart(self) -> bool:
        """Whether there is another node for the reader."""
        return len(self.cluster.agents) + 1 > 1

    def same_on_both(self, ctx: Context) -> Iterator[Check]:
        """What was read is what was written, and not on the same node."""
        host = ctx.host(self.cluster.first_server)
        said, nodes = {}, {}
        for job in (manifests.WRITER, manifests.READER):
            pod, nodes[job] = finished_pod(host, manifests.TEST, f"homelab={job}")
            words = ("logs", "-n", manifests.TEST, pod or f"job/{job}")
            said[job] = host.read(*KUBECTL, *words, sudo=True).stdout.split()
        wrote, read = said[manifests.WRITER][:1], said[manifests.READER][:1]
        says = f"wrote {(wrote or ['nothing'])[0][:16]}, read {(read or ['nothing'])[0][:16]}"
        yield Check("what one pod wrote, another reads", bool(wrote) and wrote == read, says)
        if self._apart():
            apart = nodes[manifests.WRITER] != nodes[manifests.READER]
            yield Check("they were on two nodes", apart, " and ".join(nodes.values()))

    # ---------------------------------------------------------------- workloads

    def workloads(self, ctx: Context) -> Iterator[Wanted]:
        """A deployment, a service and an ingress for each."""
        server = self.cluster.first_server
        for space in sorted({workload.namespace for workload in self.cluster.workloads}):
            yield self._applied(manifests.namespace(space))
        for workload in self.cluster.workloads:
            for document in manifests.workload(workload):
                yield self._applied(document, "spec.selector.matchLabels")
        for workload in self.cluster.workloads:
            yield Rollout(server, "deployment", workload.namespace, workload.name)
        yield Rollout(server, "deployment", "kube-system", "traefik")

    def workloads_answer(self, ctx: Context) -> Iterator[Check]:
        """Each is reached through the ingress, from a client where there is one with curl."""
        hosts = [ctx.host(name) for name in (*self.cluster.clients, self.cluster.first_server)]
        able = (host for host in hosts if host.read("which", "curl", ok=None).stdout.strip())
        source = next(able, hosts[0])
        address = self._address(self.cluster.first_server)
        for workload in self.cluster.workloads:
            words = ("-sS", "-m", "10", "-H", f"Host: {workload.hostname}", f"http://{address}/")
            answer = source.read("curl", *words, ok=None)
            says = _first_line(answer.stdout, workload.expect) or answer.stderr.strip()
            title = f"{workload.name} answers {source.name}"
            yield Check(title, workload.expect in answer.stdout, says)

    def replicas(self, ctx: Context) -> Iterator[Measurement]:
        """Pods that answer, against those asked for."""
        host = ctx.host(self.cluster.first_server)
        for workload in self.cluster.workloads:
            selector = f"kubernetes.io/service-name={workload.name}"
            slices = listed(host, "endpointslices", workload.namespace, selector)
            ready = sum(len(each.get("endpoints") or ()) for each in slices)
            yield Measurement(f"{workload.name}: endpoints", ready, "pods", workload.replicas)


def _first_line(text: str, expected: str) -> str:
    """The line that has what is expected, or the first one."""
    lines = text.strip().splitlines()
    return next((line.strip() for line in lines if expected in line), lines[0] if lines else "")
